/** Survival and regret by place in the text and layer, averaged over many runs: how it is on the whole, and how far texts differ. */
import { ZslabError } from '../errors.js'
import { integer, invalid, options } from '../expect.js'
import { averagesText } from '../show/averages-text.js'
import { showsItself } from '../show/show.js'
import type { Card } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import type { RunData } from '../trace/data.js'
import type { Comparable } from './comparable.js'
import type { LocalShadow } from './local.js'
import { AVERAGES_COLUMNS } from './table-columns.js'
import { SavedTable } from './saved-table.js'

/** A run or a trace, alone or with its shadow. */
export type Averaged = Comparable | { run: Comparable; shadow: { readonly local: LocalShadow | undefined } }

export interface AveragesOptions {
  /** Parts of each text of like length; default 20. */
  bins?: number
}

/**
 * What is averaged. Of a text's tokens in a bin × the kv heads of a layer, at the run's end, the shares alone (a slot of its own), merged (in a
 * slot of several) and gone. Regret: the share of a head's full attention, over the run's decode steps, that goes to tokens of the bin which it
 * had merged or dropped before.
 */
export const MEASURES = ['alone', 'merged', 'gone', 'regretMerged', 'regretDropped'] as const
export type AveragedMeasure = (typeof MEASURES)[number]

/** One text: [measure][layer * bins + bin], NaN where the text has no token there, or no shadow. */
type Measured = Record<AveragedMeasure, Float64Array>

export class Averages extends SavedTable {
  readonly bins: number
  readonly layers: number
  /** Runs, and those of them that have a shadow. */
  readonly texts: number
  readonly shadows: number
  /** Of each run. */
  readonly cards: readonly Card[]
  private readonly measured: readonly Measured[]

  /** @internal */
  constructor(runs: readonly Taken[], bins: number) {
    super()
    this.bins = bins
    this.layers = runs[0].data.layers
    this.texts = runs.length
    this.shadows = runs.filter(({ local }) => local).length
    this.cards = runs.map(({ card }) => card)
    this.measured = runs.map((run) => measuredOf(run, bins))
  }

  /**
   * A row for each measure, layer (null: all of them) and bin, `from` to `to` of the text's length: `texts` that have a value, their `mean`,
   * standard deviation `sd` (null of one), `least` and `most`. Places that no text has are left out.
   */
  table(): Record<string, TraceCell[]> {
    const rows = MEASURES.flatMap((measure) =>
      this.places().flatMap(({ layer, bin }) => {
        const values = this.measured
          .map((one) => this.valueAt(one, measure, layer, bin))
          .filter((value) => !Number.isNaN(value))
        return values.length ? [{ measure, layer, bin, ...spreadOf(values) }] : []
      }),
    )
    const column = (value: (row: (typeof rows)[number]) => TraceCell) => rows.map(value)
    return {
      measure: column(({ measure }) => measure),
      layer: column(({ layer }) => layer),
      bin: column(({ bin }) => bin),
      from: column(({ bin }) => bin / this.bins),
      to: column(({ bin }) => (bin + 1) / this.bins),
      texts: column(({ texts }) => texts),
      mean: column(({ mean }) => mean),
      sd: column(({ sd }) => sd),
      least: column(({ least }) => least),
      most: column(({ most }) => most),
    }
  }

  /** What the means are of: a row for each text, layer (null: all) and bin that it has; regret is null without a shadow. */
  byText(): Record<string, TraceCell[]> {
    const rows = this.measured.flatMap((one, text) =>
      this.places().flatMap(({ layer, bin }) =>
        Number.isNaN(this.valueAt(one, 'alone', layer, bin)) ? [] : [{ text, one, layer, bin }],
      ),
    )
    const value = (measure: AveragedMeasure) =>
      rows.map(({ one, layer, bin }) => {
        const found = this.valueAt(one, measure, layer, bin)
        return Number.isNaN(found) ? null : found
      })
    return {
      text: rows.map(({ text }) => text),
      layer: rows.map(({ layer }) => layer),
      bin: rows.map(({ bin }) => bin),
      ...Object.fromEntries(MEASURES.map((measure) => [measure, value(measure)])),
    }
  }

  protected saved() {
    return { what: 'the averages', columns: AVERAGES_COLUMNS, cards: this.cards }
  }

  private places(): { layer: number | null; bin: number }[] {
    const layers = [null, ...Array.from({ length: this.layers }, (_, layer) => layer)]
    return layers.flatMap((layer) => Array.from({ length: this.bins }, (_, bin) => ({ layer, bin })))
  }

  /** Every layer has as many heads and the same tokens, so all of them together are their mean. */
  private valueAt(one: Measured, measure: AveragedMeasure, layer: number | null, bin: number): number {
    if (layer !== null) return one[measure][layer * this.bins + bin]
    let sum = 0
    for (let each = 0; each < this.layers; each++) sum += one[measure][each * this.bins + bin]
    return sum / this.layers
  }
}

/**
 * Averages over `runs`, each of its own text: runs or traces, or { run, shadow } with what run.shadow() gave. No events are needed.
 * Errors: 'invalid' for no runs, what is none, runs of models of other shapes, a shadow of another run.
 */
export function averages(runs: readonly Averaged[], given: AveragesOptions = {}): Averages {
  options('averages', given, ['bins'])
  const bins = integer('bins', given.bins ?? 20, 1, 1000)
  if (!Array.isArray(runs) || !runs.length) throw invalid('runs', 'an array of at least one run', runs)
  const taken = runs.map(takenOf)
  const [{ data: first }] = taken
  taken.forEach(({ data: { layers, kvHeads, model } }, i) => {
    if (layers !== first.layers || kvHeads !== first.kvHeads)
      throw new ZslabError(
        'invalid',
        `runs of models of two shapes have no common mean: runs[0] is of ${first.model} (${first.layers} layers of ${first.kvHeads} kv heads), runs[${i}] of ${model} (${layers} of ${kvHeads})`,
      )
  })
  return new Averages(taken, bins)
}

interface Taken {
  data: RunData
  card: Card
  local: LocalShadow | undefined
}

function takenOf(given: Averaged, i: number): Taken {
  const pair = typeof given === 'object' && given !== null && 'run' in given ? given : { run: given, shadow: undefined }
  const { run, shadow } = pair as { run: Comparable; shadow: { local: LocalShadow | undefined } | undefined }
  if (typeof run !== 'object' || run === null || typeof run.data !== 'function' || !('card' in run))
    throw invalid(`runs[${i}]`, 'a run or a trace, or { run, shadow }', given)
  const data = run.data()
  if (shadow === undefined) return { data, card: run.card, local: undefined }
  if (typeof shadow !== 'object' || shadow === null || !('local' in shadow))
    throw invalid(`runs[${i}].shadow`, 'a result of run.shadow()', shadow, 'await it')
  const { local } = shadow
  const known =
    !local ||
    (local.layers === data.layers &&
      local.kvHeads === data.kvHeads &&
      local.lost.position.every((at) => at < data.tokens.length))
  if (!known) throw invalid(`runs[${i}].shadow`, 'the shadow of its run', shadow, 'make it with run.shadow()')
  return { data, card: run.card, local: local?.steps.length ? local : undefined }
}

function measuredOf({ data, local }: Taken, bins: number): Measured {
  const { layers, kvHeads, tokens, origins } = data
  const count = tokens.length
  const binOf = (position: number) => Math.floor((position * bins) / count)
  const sizes = new Float64Array(bins)
  for (let position = 0; position < count; position++) sizes[binOf(position)]++
  const made = Object.fromEntries(MEASURES.map((measure) => [measure, new Float64Array(layers * bins)])) as Measured
  for (let layer = 0; layer < layers; layer++) {
    for (const slots of origins[layer].kvHeads)
      for (const members of slots)
        for (const position of members) made[members.length > 1 ? 'merged' : 'alone'][layer * bins + binOf(position)]++
    for (let bin = 0; bin < bins; bin++) {
      const at = layer * bins + bin
      const places = sizes[bin] * kvHeads
      for (const measure of ['alone', 'merged'] as const) made[measure][at] = places ? made[measure][at] / places : NaN
      made.gone[at] = 1 - made.alone[at] - made.merged[at]
      for (const measure of ['regretMerged', 'regretDropped'] as const) made[measure][at] = places && local ? 0 : NaN
    }
  }
  if (local) addRegret(made, local, (row) => local.lost.layer[row] * bins + binOf(local.lost.position[row]))
  return made
}

function addRegret(made: Measured, { lost, kvHeads, steps }: LocalShadow, placeOf: (row: number) => number): void {
  for (let row = 0; row < lost.position.length; row++)
    made[lost.merged[row] ? 'regretMerged' : 'regretDropped'][placeOf(row)] +=
      lost.probability[row] / (kvHeads * steps.length)
}

function spreadOf(values: number[]) {
  const texts = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / texts
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return {
    texts,
    mean,
    sd: texts > 1 ? Math.sqrt(squares / (texts - 1)) : null,
    least: Math.min(...values),
    most: Math.max(...values),
  }
}

showsItself(Averages.prototype, (made) => averagesText(made, made.table()))
