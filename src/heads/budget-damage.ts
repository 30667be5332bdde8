/** Damage of budgets by head over texts: what comparing and certifying them share. */
import { ZslabError } from '../errors.js'
import { budgetsOf, type Budgets } from '../budgets.js'
import { integer } from '../expect.js'
import { usable, type LoadedModel, type TextOrIds } from '../loaded-model.js'
import type { Call, Progress } from '../native/call.js'
import { policyNamed, policyOf, resolve, type Policy } from '../policies/index.js'
import { shareOrCount } from '../policies/options.js'
import { damageOfBudgets } from './damage-compressed.js'
import type { Damage } from './damage.js'
import { textsOf } from './texts.js'

/** Texts, and how they are read: what comes before a text's last `rows` is its prompt. */
export interface BudgetTexts {
  texts: TextOrIds | readonly TextOrIds[]
  /** Who says what leaves; default zsmerge. Its own budget does not count. */
  policy?: Policy
  /** Tokens of a text, its first, that are read; default all. */
  tokens?: number
  /** The last rows of those that count, read token by token; default 32. */
  rows?: number
}

export interface CheckedTexts {
  policy: Policy
  texts: Int32Array[]
  rows: number
}

/** Errors: 'invalid' naming the option, or the text that is too short. */
export function budgetTextsOf(model: LoadedModel, options: BudgetTexts): CheckedTexts {
  usable(model)
  const { context } = model.description
  const tokens = options.tokens === undefined ? context : integer('tokens', options.tokens, 3, context)
  const rows = options.rows === undefined ? Math.min(32, tokens - 1) : integer('rows', options.rows, 2, tokens - 1)
  const texts = textsOf(model, options.texts).map((ids) => ids.slice(0, tokens))
  texts.forEach(({ length }, i) => {
    if (length <= rows)
      throw new ZslabError(
        'invalid',
        `text ${i} has ${length} tokens, and at least ${rows + 1} are needed, since the last ${rows} are read after the prompt: give longer texts, or fewer rows`,
      )
  })
  return { policy: options.policy === undefined ? policyNamed('zsmerge') : policyOf(options.policy), texts, rows }
}

/** One number for all kv heads, or [layers][kvHeads], as budgets. Errors: 'invalid'. */
export function asBudgets({ description: { layers, kvHeads } }: LoadedModel, given: unknown): Budgets {
  if (typeof given !== 'number') return budgetsOf(given, layers, kvHeads)
  const each = shareOrCount('budget', given)
  return budgetsOf(
    Array.from({ length: layers }, () => new Array<number>(kvHeads).fill(each)),
    layers,
    kvHeads,
  )
}

/** Slots of all kv heads together after a prompt of so many tokens. */
export const slotsOf = (policy: Policy, budgets: Budgets, prompt: number): number =>
  budgets.flat().reduce((sum, budget) => sum + resolve(policy, prompt, budget).budget, 0)

/** Bytes of key and value of a slot of one kv head, in float32 as they are kept here. */
export const slotBytes = ({ description: { headDim } }: LoadedModel): number =>
  2 * headDim * Float32Array.BYTES_PER_ELEMENT

/** [texts][choices] */
export async function damageOverTexts(
  model: LoadedModel,
  { policy, texts, rows }: CheckedTexts,
  choices: readonly Budgets[],
  call: Call,
): Promise<Damage[][]> {
  const work = texts.map(({ length }) => length + choices.length * rows)
  const total = work.reduce((sum, one) => sum + one, 0)
  const found: Damage[][] = []
  let before = 0
  for (const [i, ids] of texts.entries()) {
    const row: Damage[] = []
    const progress = ({ done }: Progress) => call.progress?.({ done: before + done, total })
    await damageOfBudgets(model, { policy, rows }, ids, choices, (at, damage) => (row[at] = damage), {
      signal: call.signal,
      progress,
    })
    row.forEach(({ kl, loss }, at) => {
      if (!Number.isFinite(kl) || !Number.isFinite(loss))
        throw new ZslabError('internal', `predictions of text ${i} are no numbers with choice ${at}: check the model`)
    })
    found.push(row)
    before += work[i]
  }
  return found
}
