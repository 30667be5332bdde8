/** Head map: one measure of every head of a model, layer by head, of query heads and of the kv heads that they read. */
import { invalid } from '../expect.js'
import { meanOf, medianOf } from '../statistics/moments.js'
import { Figure } from './figure.js'
import { shadeScale, unitAfter, type HeadMeasures, type MeasureOfHeads, type ShadeScale } from './head-measures.js'
import { addBox, noBoxes } from './marks.js'
import type { Axis, Mark, Panel, Plot } from './plot.js'
import { counted, percent, shortNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { listed, shortModel } from './words.js'

export interface HeadMapOptions extends StyleOptions {
  /** One of the measures; default the first. */
  by?: string
}

interface Head {
  kind: 'query' | 'kv'
  layer: number
  head: number
  /** NaN: not measured. */
  value: number
}

interface HeadsMap {
  measure: MeasureOfHeads
  layers: number
  heads: number
  kvHeads: number
  query: Head[]
  kv: Head[]
  scale: ShadeScale
  model: string
}

const KV = { max: 'the largest', mean: 'the mean', own: 'the one value' }

/**
 * One measure of what headImportance() found: a tile for each query head and each kv head, layers from above; from the least to the largest
 * value, logarithmic where the largest is over ten times the median and none is 0. A measure of kv heads has no tiles of query heads. `data`: a
 * row per tile (kind 'query' or 'kv', layer, head, value; null: not measured). Errors: 'invalid' for a measure that is not there, or has no value.
 */
export function headMap(importance: HeadMeasures, options: HeadMapOptions = {}): Figure {
  const style = styleOptions('headMap', options, ['by'])
  if (!importance?.measures) throw invalid('importance', 'what headImportance() found', importance)
  const map = mapOf(importance, options.by)
  const words = wordsOf(map)
  const plot = (chosen: Style): Plot => ({ ...words, ...picture(map, chosen) })
  return new Figure(
    {
      call: ['headMap', importance, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(map),
      plot,
    },
    style,
  )
}

function mapOf({ layers, heads, kvHeads, measures, card }: HeadMeasures, by: string | undefined): HeadsMap {
  const names = Object.keys(measures)
  const name = by ?? names[0]
  if (typeof name !== 'string' || !Object.hasOwn(measures, name)) throw invalid('by', `one of ${names.join(', ')}`, by)
  const measure = measures[name]
  const each = (kind: Head['kind'], count: number, value: (layer: number, head: number) => number) =>
    Array.from({ length: layers * count }, (_, at): Head => {
      const [layer, head] = [Math.floor(at / count), at % count]
      return { kind, layer, head, value: value(layer, head) }
    })
  const query = each('query', heads, (layer, head) => measure.values[layer][head])
  if (query.every(({ value }) => Number.isNaN(value))) throw invalid('by', 'a measure with a value', name)
  const group = heads / kvHeads
  const kv = each('kv', kvHeads, (layer, head) => {
    const own = Array.from(measure.values[layer]).slice(head * group, (head + 1) * group)
    const known = own.filter((value) => !Number.isNaN(value))
    if (!known.length) return NaN
    return measure.kv === 'mean' ? meanOf(known) : Math.max(...known)
  })
  const scale = shadeScale(query.map(({ value }) => value))
  return { measure, layers, heads, kvHeads, query, kv, scale, model: card ? shortModel(card.model.name) : '' }
}

const tilesOf = ({ measure, query, kv }: HeadsMap) => (measure.kv === 'own' ? kv : [...query, ...kv])

function columnsOf(map: HeadsMap) {
  const tiles = tilesOf(map)
  return {
    kind: tiles.map(({ kind }) => kind),
    layer: tiles.map(({ layer }) => layer),
    head: tiles.map(({ head }) => head),
    value: tiles.map(({ value }) => (Number.isNaN(value) ? null : value)),
  }
}

function wordsOf(map: HeadsMap): { title: string; detail: string } {
  const { measure, layers, query, kv, scale } = map
  const own = measure.kv === 'own'
  const known = (own ? kv : query).filter(({ value }) => !Number.isNaN(value)).sort((a, b) => b.value - a.value)
  const kind = own ? 'kv head' : 'query head'
  const [first] = known
  const named = ({ layer, head, value }: Head) => `${layer}-${head} (${shortNumber(value)})`
  const sum = known.reduce((all, { value }) => all + value, 0)
  const tenth = known.slice(0, Math.max(1, Math.round(known.length / 10)))
  const share =
    known.length >= 10 && scale.low >= 0 && sum > 0
      ? ` The largest tenth of heads has ${percent(tenth.reduce((all, { value }) => all + value, 0) / sum)} of the sum.`
      : ''
  const means = Array.from({ length: layers }, (_, layer) => {
    const row = known.filter((one) => one.layer === layer)
    return row.reduce((all, { value }) => all + value, 0) / row.length
  })
  const measured = means.filter((mean) => !Number.isNaN(mean))
  const most = Math.max(...measured)
  const layer =
    measured.length > 1 ? ` Of layers, ${means.indexOf(most)} has the largest mean, ${shortNumber(most)}.` : ''
  const next = known.slice(1, 3).map(named)
  return {
    title: `${measure.name}: largest in layer ${first.layer}, ${kind} ${first.head}, ${shortNumber(first.value)}${unitAfter(measure.unit)}`,
    detail: `${next.length ? `Then ${listed(next)} (layer-head); m` : 'M'}edian of ${counted(known.length, kind)} ${shortNumber(medianOf(known.map(({ value }) => value)))}.${share}${layer}`,
  }
}

function picture(map: HeadsMap, style: Style) {
  const { measure, layers, heads, kvHeads, scale, model } = map
  const narrow = style.size === 'column'
  const missing = map.query.some(({ value }) => Number.isNaN(value))
  const panels = measure.kv === 'own' ? [panel(map, 'kv', true)] : [panel(map, 'query', true), panel(map, 'kv', false)]
  const of =
    measure.kv === 'own' ? 'The measure is one of kv heads.' : `Of a kv head: ${KV[measure.kv]} of its query heads.`
  const unit = unitAfter(measure.unit)
  const name = shortened(measure.name, 0.5 * style.width, { size: style.text })
  const scaled = scale.logarithmic ? ', logarithmic' : ''
  return {
    subject: `${model ? `${model} · ` : ''}${counted(layers, 'layer')} of ${counted(heads, 'query head')} on ${counted(kvHeads, 'kv head')}`,
    notes: [of],
    legend: missing ? [{ label: 'not measured', swatch: 'cross' as const, color: 'muted' as const }] : [],
    ramp: {
      label: `${narrow && unit ? measure.unit : `${name}${unit && `,${unit}`}${narrow ? '' : scaled}`}:`,
      from: shortNumber(scale.low),
      to: shortNumber(scale.high),
      kind: 'shade' as const,
    },
    arrangement: 'columns' as const,
    panels,
    body: Math.min(560, Math.max(120, 60 + layers * (narrow ? 8 : 11))),
  }
}

function panel(map: HeadsMap, kind: Head['kind'], labelled: boolean): Panel {
  const { layers, heads, kvHeads, measure, scale } = map
  const count = kind === 'query' ? heads : kvHeads
  const tiles = noBoxes(kind === 'query' ? 'query heads' : 'kv heads', 'held', { seamless: true })
  const blank = { x: [] as number[], y: [] as number[] }
  for (const { layer, head, value } of map[kind]) {
    if (Number.isNaN(value)) {
      blank.x.push(head)
      blank.y.push(layer)
      continue
    }
    const said = `layer ${layer}, ${kind} head ${head}\n${measure.name} ${shortNumber(value)}${unitAfter(measure.unit)}`
    addBox(
      tiles,
      [head - 0.5, head + 0.5, layer - 0.5, layer + 0.5],
      said,
      `shade:${Math.round(50 * scale.at(value)) / 50}`,
    )
  }
  const edges: [number, number] = [-0.5, layers - 0.5]
  const between =
    kind === 'query' && kvHeads > 1
      ? Array.from({ length: kvHeads - 1 }, (_, i) => (i + 1) * (heads / kvHeads) - 0.5)
      : []
  const marks: Mark[] = [
    tiles,
    ...between.map((at) => ({
      kind: 'line' as const,
      name: 'heads of one kv head',
      color: 'muted' as const,
      width: 1,
      x: [at, at],
      y: edges,
    })),
    { ...noBoxes('all', 'muted', { outline: true }), x0: [-0.5], x1: [count - 0.5], y0: [edges[0]], y1: [edges[1]] },
  ]
  if (blank.x.length)
    marks.push({ kind: 'points', name: 'not measured', color: 'muted', shape: 'cross', diameter: 4, ...blank })
  const axis = (range: [number, number], most: number, label?: string): Axis => ({
    label,
    range,
    whole: true,
    ...(most === 1 && { ticks: [{ at: 0, text: '0' }] }),
  })
  return {
    title: kind === 'query' ? 'query heads' : 'kv heads',
    share: Math.max(count, heads / 4),
    x: axis([-0.5, count - 0.5], count, 'head'),
    y: axis([layers - 0.5, -0.5], layers, labelled ? 'layer' : undefined),
    marks,
  }
}
