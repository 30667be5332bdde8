/** Why an answer failed: what became of a piece of text in every kv head, when and why it left, and how far heads agree. */
import { integer, oneOf, options } from '../expect.js'
import { csvOf, frame } from '../frames.js'
import type { EventColumns } from '../native/binding.js'
import { showsItself } from '../show/show.js'
import { autopsyText } from '../show/autopsy-text.js'
import { ACTIONS, REASONS } from '../trace/actions.js'
import { cameAt } from '../trace/candidates.js'
import type { Card } from '../trace/card.js'
import { isNone, type TraceCell } from '../trace/columns.js'
import type { RunData } from '../trace/data.js'
import { agreement, globalEviction, type ByLayer } from './agreement.js'
import { FATES, spanFates, type SpanFate, type SpanFates } from './span-fates.js'
import { spanOf, type Span, type SpanOptions } from './span.js'
import { AUTOPSY_COLUMNS, AUTOPSY_LAYER_COLUMNS } from './table-columns.js'
import { saveTable } from './tables.js'

export interface AutopsyOptions extends SpanOptions {
  /** As of the end of this step; default: the last. */
  step?: number
}

/** Which table: a row for each place (default), or for each layer. */
export interface AutopsyTable {
  by?: 'place' | 'layer'
}

/** What an autopsy is made of. */
export interface Examined {
  events: EventColumns
  data: RunData
  card: Card
  lastStep: number
}

/** Some positions of a run at the end of a step, in all kv heads. Gone: no slot of its own. */
export class Autopsy {
  readonly model: string
  readonly policyName: string
  readonly layers: number
  readonly kvHeads: number
  readonly step: number
  /** Of the span, in order. */
  readonly tokens: RunData['tokens']
  readonly from: number
  /** Exclusive. */
  readonly to: number
  /** Columns [layers, kvHeads, positions]. @internal */
  readonly fates: SpanFates
  /** Places (heads × positions) by fate. */
  readonly counts: Record<SpanFate, number>
  /** Global Eviction Ratio: the share of the span that has a slot of its own in no kv head, of the model and of each layer. */
  readonly globalEviction: ByLayer<number>
  /** Mean pairwise Jaccard of the positions of the span that heads keep in slots of their own; null where no two heads keep any. */
  readonly agreement: ByLayer<number | null>
  /** Of the run. */
  readonly card: Card
  private readonly events: EventColumns

  /** @internal */
  constructor({ events, data, card }: Examined, span: Span, step: number) {
    const { layers, kvHeads } = data
    const fates = spanFates(events, data, span, step)
    const kept = fates.weight.map((weight) => Number(weight === 1))
    const keeps = { layers, kvHeads, count: span.to - span.from, kept }
    this.model = data.model
    this.policyName = data.policyName
    this.layers = layers
    this.kvHeads = kvHeads
    this.step = step
    this.tokens = data.tokens.slice(span.from, span.to)
    this.from = span.from
    this.to = span.to
    this.fates = fates
    this.counts = { kept: 0, blurred: 0, never: 0, later: 0 }
    for (const fate of fates.fate) this.counts[FATES[fate]]++
    this.globalEviction = globalEviction(keeps)
    this.agreement = agreement(keeps)
    this.card = card
    this.events = events
  }

  /** The words of the span. */
  get text(): string {
    return this.tokens.map(({ text }) => text).join('')
  }

  /**
   * A row for each layer, kv head and position. `fate`: kept (a slot of its own), blurred (in a slot of `weight` tokens, `share` = 1 / weight
   * of which is its own), never (dropped at the first choice at which it was a candidate) or later. Of those without a slot of their own:
   * `event`, what took it: merge (into another slot), join (another came into its slot) or drop; its `step`; `lost` first or later, whether
   * that was the first choice at which it was a candidate; and if it was itself chosen to leave, `reason`, `rank`, `score`, `threshold` and
   * `margin` = score − threshold. null where there is no such value.
   */
  table(): Record<string, TraceCell[]> {
    const { events, fates, tokens, kvHeads } = this
    const count = tokens.length
    const rows = Array.from(fates.fate.keys())
    const head = (i: number) => Math.floor(i / count)
    const position = (i: number) => tokens[i % count].position
    const lost = (value: (row: number, i: number) => TraceCell) =>
      rows.map((i) => (fates.row[i] < 0 ? null : value(fates.row[i], i)))
    const chosen = (value: (row: number) => TraceCell) =>
      lost((row, i) => (events.position[row] === position(i) ? value(row) : null))
    const known = (value: number, none: number) => (isNone(value, none) ? null : value)
    return {
      layer: rows.map((i) => Math.floor(head(i) / kvHeads)),
      kvHead: rows.map((i) => head(i) % kvHeads),
      position: rows.map(position),
      token: rows.map((i) => tokens[i % count].text),
      fate: rows.map((i) => FATES[fates.fate[i]]),
      slot: rows.map((i) => known(fates.slot[i], -1)),
      weight: rows.map((i) => known(fates.weight[i], 0)),
      share: rows.map((i) => (fates.weight[i] ? 1 / fates.weight[i] : null)),
      event: lost((row, i) => (events.position[row] === position(i) ? ACTIONS[events.action[row]] : 'join')),
      step: lost((row) => events.step[row]),
      lost: lost((_, i) => (fates.first[i] ? 'first' : 'later')),
      reason: chosen((row) => REASONS[events.reason[row]]),
      rank: chosen((row) => known(events.rank[row], -1)),
      score: chosen((row) => known(events.score[row], NaN)),
      threshold: chosen((row) => known(events.threshold[row], NaN)),
      margin: chosen((row) => known(events.score[row] - events.threshold[row], NaN)),
    }
  }

  /** A row for each layer, and at last one for all (layer null): Global Eviction Ratio and agreement of kv heads, shares of places by fate. */
  byLayer(): Record<string, TraceCell[]> {
    const places = this.kvHeads * this.tokens.length
    const layers = Array.from({ length: this.layers }, (_, layer) => layer)
    const share = (fate: SpanFate, from: number, to: number) => {
      const own = this.fates.fate.subarray(from * places, to * places)
      return own.reduce((sum, one) => sum + Number(one === FATES.indexOf(fate)), 0) / own.length
    }
    return {
      layer: [...layers, null],
      globalEviction: [...this.globalEviction.layers, this.globalEviction.model],
      agreement: [...this.agreement.layers, this.agreement.model],
      ...Object.fromEntries(
        FATES.map((fate) => [
          fate,
          [...layers.map((layer) => share(fate, layer, layer + 1)), share(fate, 0, this.layers)],
        ]),
      ),
    }
  }

  /** table() as a danfojs frame, or byLayer(). Errors: 'unsupported' without danfojs. */
  frame(options: AutopsyTable = {}): ReturnType<typeof frame> {
    return frame(this.rows(options))
  }

  /**
   * Writes table(), or byLayer(), by the path's ending, .arrow or .parquet, the run card and what each column means in the schema's metadata
   * (zslab.table, JSON). Returns the path. Errors: 'invalid' for another ending, 'file' where it cannot be written.
   */
  async save(path: string, options: AutopsyTable = {}): Promise<string> {
    const columns = options.by === 'layer' ? AUTOPSY_LAYER_COLUMNS : AUTOPSY_COLUMNS
    return saveTable(path, 'the autopsy', columns, this.rows(options), [this.card])
  }

  /** table() as CSV, or byLayer(). */
  csv(options: AutopsyTable = {}): string {
    return csvOf(this.rows(options))
  }

  private rows(given: AutopsyTable): Record<string, TraceCell[]> {
    options('autopsy table', given, ['by'])
    return oneOf('by', given.by ?? 'place', ['place', 'layer']) === 'layer' ? this.byLayer() : this.table()
  }
}

/** Errors: 'invalid' for a step that was not recorded, and for positions that nobody had seen by it. */
export function autopsy(of: Examined, given: AutopsyOptions = {}): Autopsy {
  options('autopsy', given, ['from', 'to', 'text', 'step'])
  const last = Math.max(0, of.lastStep)
  const step = integer('step', given.step ?? last, 0, last)
  const { tokens, promptTokens } = of.data
  const seen = tokens.filter(({ position }) => cameAt(promptTokens, position) <= step)
  return new Autopsy(
    of,
    spanOf(
      seen.map(({ text }) => text),
      given,
    ),
    step,
  )
}

showsItself(Autopsy.prototype, autopsyText)
