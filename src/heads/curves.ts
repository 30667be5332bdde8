/** The curves behind the measure budgetCurve: loss by kept share, head by head. */
import { integer, invalid } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import { budgetCurvesText } from '../show/budgets-text.js'
import { showsItself } from '../show/show.js'
import { meanInterval, type IntervalOptions, type MeanInterval } from '../statistics/intervals.js'
import { meanOf } from '../statistics/moments.js'
import type { TraceCell } from '../trace/columns.js'
import type { CurveValues, ImportanceFacts } from './facts.js'

export class BudgetCurves extends Tabular {
  /** Of the prompt, kept by the head that varies; ascending. */
  readonly shares: readonly number[]
  /** Of the prompt, kept by all other heads. */
  readonly others: number
  /** [layers][kvHeads][texts][shares]: change of −ln p of the next token against all heads at `others`, nats; null: not asked for. */
  readonly perText: CurveValues['perText']

  /** @internal */
  constructor(
    { shares, others, perText }: CurveValues,
    readonly facts: ImportanceFacts,
  ) {
    super()
    this.shares = shares
    this.others = others
    this.perText = perText
  }

  /** [layers][kvHeads][shares]: means over texts, nats; the log of the factor by which perplexity grows. null: not asked for. */
  get losses(): (number[] | null)[][] {
    return this.perText.map((row) =>
      row.map((texts) => texts && this.shares.map((_, i) => meanOf(texts.map((one) => one[i])))),
    )
  }

  /** Of one head at one share (its place in `shares`), over texts. Errors: 'invalid' for a head that was not asked for. */
  interval(of: { layer: number; kvHead: number; share: number }, options: IntervalOptions = {}): MeanInterval {
    const layer = integer('layer', of.layer, 0, this.perText.length - 1)
    const kvHead = integer('kvHead', of.kvHead, 0, this.perText[0].length - 1)
    const share = integer('share', of.share, 0, this.shares.length - 1)
    const texts = this.perText[layer][kvHead]
    if (!texts) throw invalid('kvHead', 'one of those that were asked for', kvHead)
    return meanInterval(
      texts.map((one) => one[share]),
      options,
    )
  }

  /** A row for each head and share: layer, kvHead, share, loss (mean over texts). */
  table(): Record<string, TraceCell[]> {
    const rows = this.losses.flatMap((heads, layer) =>
      heads.flatMap((curve, kvHead) =>
        (curve ?? []).map((loss, i) => ({ layer, kvHead, share: this.shares[i], loss })),
      ),
    )
    return {
      layer: rows.map(({ layer }) => layer),
      kvHead: rows.map(({ kvHead }) => kvHead),
      share: rows.map(({ share }) => share),
      loss: rows.map(({ loss }) => loss),
    }
  }
}

showsItself(BudgetCurves.prototype, budgetCurvesText)
