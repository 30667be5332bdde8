/** Budgets beside each other: what predictions lose with each of them, at how many bytes. */
import type { Budgets } from '../budgets.js'
import { callOptions, integer, invalid } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import { usable, type LoadedModel } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import type { CallOptions } from '../native/call.js'
import { budgetComparisonText } from '../show/budgets-text.js'
import { showsItself } from '../show/show.js'
import { meanInterval, type MeanInterval } from '../statistics/intervals.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { asBudgets, budgetTextsOf, damageOverTexts, slotBytes, slotsOf, type BudgetTexts } from './budget-damage.js'
import { STORAGE } from './damage-compressed.js'
import type { SuggestedBudgets } from './suggest.js'

export interface CompareBudgetsOptions extends BudgetTexts, CallOptions {
  /** Of intervals from 30 texts on: 0 to 2³² − 1, default 1. */
  seed?: number
}

export interface ComparedBudgets {
  name: string
  budgets: Budgets
  /** Slots of all kv heads together, and bytes of their keys and values: means over the texts' prompts. */
  slots: number
  bytes: number
  /** Of the full cache, means over texts: KL(full ‖ compressed), nats a token, and change of −ln p of the next token. */
  kl: MeanInterval
  loss: MeanInterval
  /** [texts] */
  perText: { kl: number[]; loss: number[] }
  /** KL less that of the first budgets, text by text; null of those themselves. */
  overFirst: MeanInterval | null
}

export interface ComparisonFacts {
  card: EngineCard
  /** The call that makes the policy. */
  policy: string
  storage: string
  texts: readonly { tokens: number; ids: number[] }[]
  /** The last rows of a text that count. */
  rows: number
  seed: number
}

export class BudgetComparison extends Tabular {
  /** @internal */
  constructor(
    /** In the order that they were given. */
    readonly choices: readonly ComparedBudgets[],
    readonly facts: ComparisonFacts,
  ) {
    super()
  }

  /** A row for each: name, slots, bytes, KL and loss with the ends of their intervals (null: too few texts), and KL over the first. */
  table(): Record<string, TraceCell[]> {
    const { choices } = this
    const interval = (name: string, of: (one: ComparedBudgets) => MeanInterval | null) => ({
      [name]: choices.map((one) => of(one)?.mean ?? null),
      [`${name}Low`]: choices.map((one) => of(one)?.low ?? null),
      [`${name}High`]: choices.map((one) => of(one)?.high ?? null),
    })
    return {
      budgets: choices.map(({ name }) => name),
      slots: choices.map(({ slots }) => slots),
      bytes: choices.map(({ bytes }) => bytes),
      ...interval('kl', ({ kl }) => kl),
      ...interval('loss', ({ loss }) => loss),
      ...interval('overFirst', ({ overFirst }) => overFirst),
    }
  }

  toJSON(): Record<string, unknown> {
    return { format: 'zslab.budgetComparison', version: 1, ...this.facts, choices: this.choices }
  }
}

showsItself(BudgetComparison.prototype, budgetComparisonText)

/**
 * Reads each text's beginning once under the full cache, gives its cache to `policy` with each of the budgets, and reads the last rows token by token
 * under all of them and the full cache: KL and loss of the same tokens, paired by text. `choices` by name: a number of slots or share of the
 * prompt for all kv heads, [layers][kvHeads] of them, or what suggestBudgets() found. Keys and values are float32. Errors: 'invalid' naming the
 * option, the choice or the text that is too short.
 */
export async function compareBudgets(
  model: LoadedModel,
  choices: Readonly<Record<string, number | Budgets | SuggestedBudgets>>,
  options: CompareBudgetsOptions,
): Promise<BudgetComparison> {
  usable(model)
  callOptions('compareBudgets', options, ['texts', 'policy', 'tokens', 'rows', 'seed'])
  const named = typeof choices === 'object' && choices !== null ? Object.entries(choices) : []
  if (!named.length) throw invalid('choices', 'budgets by name, at least one: { uniform: 128, … }', choices)
  const seed = options.seed === undefined ? 1 : integer('seed', options.seed, 0, 2 ** 32 - 1)
  const budgets = named.map(([, one]) =>
    asBudgets(model, Object(one) === one && 'budgets' in (one as object) ? (one as SuggestedBudgets).budgets : one),
  )
  const texts = budgetTextsOf(model, options)
  return withBar(
    'comparing budgets,',
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const damage = await damageOverTexts(model, texts, budgets, call)
      const mean = (values: readonly number[]) => meanInterval(values, { seed })
      const made = named.map(([name], i): ComparedBudgets => {
        const perText = { kl: damage.map((row) => row[i].kl), loss: damage.map((row) => row[i].loss) }
        const own = texts.texts.map(({ length }) => slotsOf(texts.policy, budgets[i], length - texts.rows))
        const slots = own.reduce((sum, one) => sum + one, 0) / own.length
        const over = damage.map((row) => row[i].kl - row[0].kl)
        return {
          name,
          budgets: budgets[i],
          slots,
          bytes: slots * slotBytes(model),
          kl: mean(perText.kl),
          loss: mean(perText.loss),
          perText,
          overFirst: i ? mean(over) : null,
        }
      })
      return new BudgetComparison(made, {
        card: engineCard(model),
        policy: String(texts.policy),
        storage: STORAGE,
        texts: texts.texts.map((ids) => ({ tokens: ids.length, ids: Array.from(ids) })),
        rows: texts.rows,
        seed,
      })
    },
    'tokens',
  )
}
