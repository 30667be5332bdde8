/** budgetCurves(): what predictions lose as one kv head's kept share varies and the others stay as they are. */
import { callOptions, integer, invalid, number } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import { usable, type LoadedModel } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import type { CallOptions } from '../native/call.js'
import { budgetCurvesText } from '../show/budgets-text.js'
import { showsItself } from '../show/show.js'
import { meanInterval, type IntervalOptions, type MeanInterval } from '../statistics/intervals.js'
import { meanOf } from '../statistics/moments.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { FLOOR, WHOLE } from './allocation.js'
import { budgetTextsOf, damageOverTexts, type BudgetTexts } from './budget-damage.js'
import { greedyShares } from './greedy.js'
import { SuggestedBudgets } from './suggest.js'

export interface BudgetCurvesOptions extends BudgetTexts, CallOptions {
  /** Kept shares of the prompt, above 0 and below 1; put in ascending order. Default 0.05, 0.1, 0.2, 0.4, 0.7. */
  shares?: readonly number[]
  /** Kept share of the heads that do not vary, above 0 and up to 1. Default 1: they keep everything. */
  others?: number
  /** Only these kv heads (default: all); the others are null. */
  kvHeads?: readonly { layer: number; kvHead: number }[]
}

export interface BudgetCurvesFacts {
  card: EngineCard
  policy: string
  others: number
  texts: readonly { tokens: number; ids: number[] }[]
  rows: number
}

const SHARES = [0.05, 0.1, 0.2, 0.4, 0.7]

export class BudgetCurves extends Tabular {
  /** @internal */
  constructor(
    /** Ascending. */
    readonly shares: readonly number[],
    /** [layers][kvHeads][texts][shares]: change of −ln p of the next token against all heads at `others`; null: not asked for. */
    readonly perText: readonly (readonly (readonly (readonly number[])[] | null)[])[],
    readonly facts: BudgetCurvesFacts,
  ) {
    super()
  }

  get card(): EngineCard {
    return this.facts.card
  }

  /** [layers][kvHeads][shares]: means over texts; the log of the factor by which perplexity grows. */
  get curves(): (number[] | null)[][] {
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

  /**
   * Shares of the prompt for each kv head whose mean is `total` (below 1): greedy, each next bit going to the head whose curve falls most for it
   * (convex lower bounds; a head that keeps everything loses nothing). None gets less than floor · total (default 0.2). Errors: 'invalid' where
   * heads were left out, or the others did not keep everything.
   */
  suggestBudgets(options: { total: number; floor?: number }): SuggestedBudgets {
    const total = number('total', options.total, 0, 1)
    if (total === 0 || total === 1) throw invalid('total', 'a share of the prompt above 0 and below 1', total)
    const floor = options.floor === undefined ? FLOOR : number('floor', options.floor, 0, 1)
    if (this.facts.others !== 1)
      throw invalid('others', '1 for budgets, since a head that keeps everything is to lose nothing', this.facts.others)
    const curves = this.curves.flat().map((losses) => {
      if (!losses) throw invalid('kvHeads', 'all heads for budgets', this.table().kvHead.length)
      return { shares: [...this.shares, 1], losses: [...losses, 0] }
    })
    const made = greedyShares(curves, total, floor * total).map((share) => Math.min(share, WHOLE))
    const each = this.perText[0].length
    const budgets = this.perText.map((_, layer) => made.slice(layer * each, (layer + 1) * each))
    return new SuggestedBudgets(budgets, 'budgetCurve', 'greedy', total, floor, this.card)
  }

  /** A row for each head and share: layer, kvHead, share, loss (mean over texts). */
  table(): Record<string, TraceCell[]> {
    const rows = this.curves.flatMap((heads, layer) =>
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

  toJSON(): Record<string, unknown> {
    const { shares, curves, perText, facts } = this
    return { format: 'zslab.budgetCurves', version: 1, ...facts, shares, curves, perText }
  }
}

showsItself(BudgetCurves.prototype, budgetCurvesText)

/**
 * The influence curve of each kv head (Attention Matching, arXiv 2602.16284): change of log perplexity over a text's last rows, decoded under
 * `policy`, as that head keeps a share of the prompt and the others `others` of it. Keys and values are float32. A text's beginning is read once; each head and share
 * decodes the rows once. Errors: 'invalid' naming the option, or the text that is too short.
 */
export async function budgetCurves(model: LoadedModel, options: BudgetCurvesOptions): Promise<BudgetCurves> {
  usable(model)
  callOptions('budgetCurves', options, ['shares', 'others', 'kvHeads', 'texts', 'policy', 'tokens', 'rows'])
  const { layers, kvHeads } = model.description
  const between = (name: string, value: unknown) => {
    const share = number(name, value, 0, 1)
    if (share === 0) throw invalid(name, 'a share above 0', share)
    return share
  }
  if (options.shares !== undefined && (!Array.isArray(options.shares) || !options.shares.length))
    throw invalid('shares', 'an array of kept shares, at least one', options.shares)
  const given = (options.shares ?? SHARES).map((share, i) => between(`shares[${i}]`, share))
  const shares = Array.from(new Set(given)).sort((a, b) => a - b)
  if (shares[shares.length - 1] === 1) throw invalid('shares', 'shares below 1, as with 1 nothing leaves', 1)
  const others = options.others === undefined ? 1 : between('others', options.others)
  const asked = headsAsked(options.kvHeads, layers, kvHeads)
  const texts = budgetTextsOf(model, options)
  // A share of 1 is of the prompt, and the rows after it are to stay, too.
  const rest = others === 1 ? Math.max(...texts.texts.map(({ length }) => length)) : others
  const withHead = (head: number, share: number) =>
    Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: kvHeads }, (_, kvHead) => (layer * kvHeads + kvHead === head ? share : rest)),
    )
  const choices = [withHead(-1, rest), ...asked.flatMap((head) => shares.map((share) => withHead(head, share)))]
  return withBar(
    `measuring ${asked.length} budget curve${asked.length === 1 ? '' : 's'},`,
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const damage = await damageOverTexts(model, texts, choices, call)
      const of = (head: number) => {
        const at = asked.indexOf(head)
        if (at < 0) return null
        return damage.map((row) => shares.map((_, i) => row[1 + at * shares.length + i].loss - row[0].loss))
      }
      const perText = Array.from({ length: layers }, (_, layer) =>
        Array.from({ length: kvHeads }, (_, kvHead) => of(layer * kvHeads + kvHead)),
      )
      return new BudgetCurves(shares, perText, {
        card: engineCard(model),
        policy: String(texts.policy),
        others,
        texts: texts.texts.map((ids) => ({ tokens: ids.length, ids: Array.from(ids) })),
        rows: texts.rows,
      })
    },
    'tokens',
  )
}

function headsAsked(given: BudgetCurvesOptions['kvHeads'], layers: number, kvHeads: number): number[] {
  if (given === undefined) return Array.from({ length: layers * kvHeads }, (_, head) => head)
  if (!Array.isArray(given) || !given.length)
    throw invalid('kvHeads', 'an array of { layer, kvHead }, at least one', given)
  return (given as readonly { layer: number; kvHead: number }[]).map((one) => {
    if (typeof one !== 'object' || one === null) throw invalid('kvHeads', '{ layer, kvHead } for each', one)
    return integer('layer', one.layer, 0, layers - 1) * kvHeads + integer('kvHead', one.kvHead, 0, kvHeads - 1)
  })
}
