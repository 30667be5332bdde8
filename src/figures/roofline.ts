/** Roofline: tokens a second at most by context, full cache and compressed, as roofline() predicts them, with what was asked and the break-even. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import type { LegendEntry, Line, Mark, Panel, Plot, Points, Shape } from './plot.js'
import { counted, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortModel } from './words.js'

export type RooflineFigureOptions = StyleOptions

interface CacheData {
  slots: number
  tokensPerSecond: number
  longest: number | null
}

/** What roofline() gives. */
export interface RooflineData {
  label: string
  facts: {
    model: { name: string }
    context: number
    batch: number
    weights: string
    storage: string
    device: { name: string; memory: number }
    cluster: { devices: number; hosts: number }
    latency: number
  }
  full: CacheData
  compressed: CacheData
  ratios: { time: number }
  breakEven: readonly { gain: number; byBytes: number | null; withLatency: number | null }[]
  curve: {
    context: readonly number[]
    full: readonly number[]
    compressed: readonly (number | null)[]
    compressedWithLatency: readonly (number | null)[]
  }
}

/**
 * What roofline() predicts: the most tokens a second by context, of the full cache and of the compressed one, alone and with upkeep's latency
 * (dashed); lines end where memory does. A point on each line is the context asked for, the upright line the break-even with that latency. `data`: a
 * row for each context and cache. Errors: 'invalid' for something else.
 */
export function roofline(predicted: RooflineData, options: RooflineFigureOptions = {}): Figure {
  const style = styleOptions('roofline', options, [])
  if (typeof predicted !== 'object' || predicted === null || !('curve' in predicted) || !('ratios' in predicted))
    throw invalid('predicted', 'a result of roofline()', predicted, 'await it: figures.roofline(await roofline({ … }))')
  const words = wordsOf(predicted)
  const plot = (given: Style): Plot => ({ ...words, ...picture(predicted, given) })
  return new Figure(
    {
      call: ['roofline', predicted, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(predicted),
      plot,
    },
    style,
  )
}

interface Drawn {
  name: string
  short: string
  color: Fill
  /** Of the point at the context asked for. */
  shape?: Shape
  dash: boolean
  x: number[]
  y: number[]
}

/** What memory has room for. */
function drawnOf({ curve, full, compressed, facts }: RooflineData): Drawn[] {
  const line = (of: readonly (number | null)[], { longest }: CacheData) => {
    const there = curve.context.flatMap((at, i) =>
      of[i] !== null && (longest === null || at <= longest) ? [[at, of[i]] as const] : [],
    )
    return { x: there.map(([at]) => at), y: there.map(([, value]) => value) }
  }
  const latency = `${shortNumber(facts.latency)} µs a layer`
  return [
    { name: 'full cache', short: 'full', color: 'ink', shape: 'dot', dash: false, ...line(curve.full, full) },
    {
      name: 'compressed',
      short: 'compressed',
      color: 'calm',
      shape: 'diamond',
      dash: false,
      ...line(curve.compressed, compressed),
    },
    {
      name: `compressed, upkeep ${latency} beside its bytes`,
      short: `+ ${latency}`,
      color: 'flip',
      dash: true,
      ...line(curve.compressedWithLatency, compressed),
    },
  ]
}

const breakEvenOf = ({ breakEven }: RooflineData) => breakEven.find(({ gain }) => gain === 1)?.withLatency ?? null

const endOf = ({ longest }: CacheData) =>
  longest === null ? 'at no context' : longest === 0 ? 'before any' : `after ${counted(longest, 'token')}`

function wordsOf(predicted: RooflineData): { title: string; detail: string } {
  const { facts, full, compressed, ratios, label } = predicted
  const pays = breakEvenOf(predicted)
  return {
    title: `${shortModel(facts.model.name)}, ${counted(facts.context, 'token')}: the limit of tokens/s with ${counted(compressed.slots, 'slot')} per kv head is ${shortNumber(ratios.time)} times the full cache’s (${label})`,
    detail:
      `At most ${shortNumber(full.tokensPerSecond)} tokens/s with the full cache, ${shortNumber(compressed.tokensPerSecond)} compressed. ` +
      `Where upkeep takes ${shortNumber(facts.latency)} µs a layer beside its bytes, compressing pays ${pays === null ? 'at no context' : `from ${counted(pays, 'token')} on`}. ` +
      `Memory is full ${endOf(full)} with the full cache, ${endOf(compressed)} with the compressed one.`,
  }
}

const K = 1024
const contextText = (tokens: number) =>
  tokens >= K * K ? `${plainNumber(tokens / (K * K))}M` : tokens >= K ? `${plainNumber(tokens / K)}k` : String(tokens)

function picture(predicted: RooflineData, style: Style) {
  const { facts, curve } = predicted
  const narrow = style.size === 'column'
  const drawn = drawnOf(predicted)
  const { devices, hosts } = facts.cluster
  const several = devices > 1 || hosts > 1 ? `${counted(hosts, 'host')} of ${plainNumber(devices)} ` : ''
  const pays = breakEvenOf(predicted)
  const [first, last] = [curve.context[0], curve.context[curve.context.length - 1]]
  const marked = pays !== null && pays >= first && pays <= last
  const legend: LegendEntry[] = drawn.map(({ name, short, color, dash }) => ({
    label: narrow ? short : name,
    swatch: dash ? 'dash' : 'line',
    color,
  }))
  if (marked)
    legend.push({
      label: narrow ? 'break-even' : `break-even with that: ${counted(pays, 'token')}`,
      swatch: 'line',
      color: 'muted',
    })
  return {
    subject: `${several}${facts.device.name} · batch ${plainNumber(facts.batch)} · weights ${facts.weights}, cache ${facts.storage}`,
    notes: ['Limits by bytes and bandwidth, or by arithmetic where that takes longer. Lines end where memory does.'],
    legend,
    arrangement: 'rows' as const,
    panels: [panelOf(predicted, drawn, marked ? pays : null, style)],
    body: narrow ? 200 : 280,
  }
}

function panelOf({ facts, curve }: RooflineData, drawn: Drawn[], pays: number | null, style: Style): Panel {
  const values = drawn.flatMap(({ y }) => y)
  const [least, most] = values.length ? [Math.min(...values), Math.max(...values)] : [1, 10]
  const range: [number, number] = [least / 1.2, most * 1.2]
  const width = style.text / 9
  const marks: Mark[] = []
  if (pays !== null) {
    const said = `compressing pays from ${counted(pays, 'token')} on`
    const upright: Line = { kind: 'line', name: 'break-even', color: 'muted', width, x: [pays, pays], y: range }
    marks.push({ ...upright, hover: [said, said] })
  }
  for (const { name, color, shape, dash, x, y } of drawn) {
    const hover = x.map((at, i) => `${name}\n${counted(at, 'token')}: at most ${shortNumber(y[i])} tokens/s`)
    marks.push({ kind: 'line', name, color, dash, width: width * 1.4, x, y, hover })
    const own = x.indexOf(facts.context)
    if (own < 0 || !shape) continue
    const point: Points = { kind: 'points', name, color, shape, x: [x[own]], y: [y[own]], hover: [hover[own]] }
    marks.push({ ...point, diameter: style.text * 0.8 })
  }
  const { context } = curve
  const [first, last] = [context[0], context[context.length - 1]]
  const every = style.size === 'column' ? 2 : 1
  const powers = Array.from({ length: 24 }, (_, i) => 2 ** (i + 1)).filter((at) => at >= first && at <= last)
  const ticks = powers.filter((_, i) => (powers.length - 1 - i) % every === 0)
  return {
    share: 1,
    x: {
      label: 'context, tokens',
      range: [first, last],
      scale: 'log',
      ticks: ticks.map((at) => ({ at, text: contextText(at) })),
    },
    y: {
      label: style.size === 'column' ? 'tokens/s at most' : 'tokens a second, at most',
      range,
      scale: 'log',
      grid: true,
      ticks: yTicks(range),
    },
    marks,
  }
}

/** 1, 2 and 5 of each power of ten: the range is often less than one. */
function yTicks([low, high]: [number, number]) {
  const powers = Array.from({ length: 20 }, (_, i) => 10 ** (i - 6))
  const all = powers.flatMap((power) => [power, 2 * power, 5 * power])
  return all.filter((at) => at >= low && at <= high).map((at) => ({ at, text: shortNumber(at) }))
}

function columnsOf({ curve, label }: RooflineData) {
  const caches = [
    ['full', curve.full],
    ['compressed', curve.compressed],
    ['compressed with latency', curve.compressedWithLatency],
  ] as const
  const rows = caches.flatMap(([cache, values]) =>
    curve.context.map((context, i) => ({ cache, context, most: values[i] })),
  )
  return {
    cache: rows.map(({ cache }) => cache),
    context: rows.map(({ context }) => context),
    tokensPerSecond: rows.map(({ most }) => most),
    label: rows.map(() => label),
  }
}
