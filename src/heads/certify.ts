/** The smallest total budget whose damage on texts to come stays under a level, by conformal risk control. */
import { callOptions, invalid, number, oneOf } from '../expect.js'
import { ZslabError } from '../errors.js'
import { Tabular } from '../inspect/tabular.js'
import { withBar } from '../long-work.js'
import type { LoadedModel } from '../loaded-model.js'
import type { CallOptions } from '../native/call.js'
import { certifiedText } from '../show/budgets-text.js'
import { showsItself } from '../show/show.js'
import { certifiedChoice, checkTexts, holds, type CertifiedChoice } from '../statistics/conformal.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { budgetTextsOf, damageOverTexts, type BudgetTexts } from './budget-damage.js'
import { DAMAGES, type DamageKind } from './judged.js'
import type { SuggestedBudgets, SuggestOptions } from './suggest.js'

export interface CertifyOptions extends BudgetTexts, Omit<SuggestOptions, 'total'>, CallOptions {
  /** Totals to choose from, as of suggestBudgets(): put in ascending order. */
  totals: readonly number[]
  /** kl (default): KL(full ‖ compressed), nats a token; loss: change of −ln p of the next token. Mean over a text's last rows. */
  loss?: DamageKind
  /** The expected loss of a text to come is to be at most this, above 0. */
  level: number
  /** Losses of a text above it count as it: default 10 · level. The greater, the more texts are needed: bound / level − 1. */
  bound?: number
}

export interface CertifiedFacts {
  card: EngineCard
  policy: string
  by: string
  loss: DamageKind
  texts: readonly { tokens: number; ids: number[] }[]
  rows: number
}

export class CertifiedBudgets extends Tabular {
  /** @internal */
  constructor(
    /** Ascending. */
    readonly totals: readonly number[],
    /** Of the smallest total that holds; null: none does, see `certificate.reason`. */
    readonly chosen: SuggestedBudgets | null,
    readonly certificate: CertifiedChoice,
    /** [texts][totals], as measured. */
    readonly losses: readonly (readonly number[])[],
    readonly facts: CertifiedFacts,
  ) {
    super()
  }

  /** The smallest total that holds the level; null: none. */
  get total(): number | null {
    return this.chosen?.total ?? null
  }

  /** A row for each total: mean loss, made monotone and clipped (risk), with the correction for so few texts, and whether it holds the level. */
  table(): Record<string, TraceCell[]> {
    const { totals, losses, certificate } = this
    return {
      total: [...totals],
      loss: totals.map((_, i) => losses.reduce((sum, row) => sum + row[i], 0) / losses.length),
      risk: Array.from(certificate.risks),
      corrected: Array.from(certificate.corrected),
      holds: Array.from(certificate.corrected, (risk) => (holds(risk, certificate.level) ? 'yes' : 'no')),
    }
  }

  toJSON(): Record<string, unknown> {
    const { totals, chosen, certificate, losses, facts } = this
    const { risks, corrected, ...found } = certificate
    return {
      format: 'zslab.certifiedBudgets',
      version: 1,
      ...facts,
      ...found,
      totals,
      risks: Array.from(risks),
      corrected: Array.from(corrected),
      losses,
      budgets: chosen?.budgets ?? null,
    }
  }
}

showsItself(CertifiedBudgets.prototype, certifiedText)

/** See Importance.certify(). */
export async function certify(
  model: LoadedModel | undefined,
  suggest: (options: SuggestOptions) => SuggestedBudgets,
  options: CertifyOptions,
): Promise<CertifiedBudgets> {
  const own = ['totals', 'loss', 'level', 'bound', 'by', 'rule', 'floor', 'texts', 'policy', 'tokens', 'rows']
  callOptions('importance.certify', options, own)
  if (!model)
    throw new ZslabError(
      'invalid',
      'certifying reads texts with the model, and these scores were not measured with one: measure with headImportance(model, …)',
    )
  const { by, rule, floor } = options
  if (!Array.isArray(options.totals) || !options.totals.length)
    throw invalid('totals', 'an array of totals to choose from, at least one', options.totals)
  const totals = Array.from(new Set(options.totals as number[])).sort((a, b) => a - b)
  const offered = totals.map((total) =>
    suggest({ by, total, ...(rule !== undefined && { rule }), ...(floor !== undefined && { floor }) }),
  )
  if (totals[0] < 1 && totals[totals.length - 1] >= 1)
    throw invalid(
      'totals',
      'all of them shares of the prompt (below 1) or all slots (1 and more)',
      options.totals,
      '1 is one slot',
    )
  const level = number('level', options.level, Number.MIN_VALUE, Number.MAX_VALUE / 10, 'above 0')
  const bound = options.bound === undefined ? 10 * level : options.bound
  const loss = options.loss === undefined ? 'kl' : oneOf('loss', options.loss, DAMAGES)
  const texts = budgetTextsOf(model, options)
  checkTexts(texts.texts.length, { level, bound })
  return withBar(
    'certifying,',
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const damage = await damageOverTexts(
        model,
        texts,
        offered.map(({ budgets }) => budgets),
        call,
      )
      const losses = damage.map((row) => row.map((one) => one[loss]))
      const certificate = certifiedChoice(losses, { level, bound })
      const chosen = certificate.choice === null ? null : offered[certificate.choice]
      return new CertifiedBudgets(totals, chosen, certificate, losses, {
        card: engineCard(model),
        policy: String(texts.policy),
        by,
        loss,
        texts: texts.texts.map((ids) => ({ tokens: ids.length, ids: Array.from(ids) })),
        rows: texts.rows,
      })
    },
    'tokens',
  )
}
