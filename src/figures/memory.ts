/** Memory by region: what the caches of one run or several take, in MiB, beside a full cache of the same tokens. */
import { invalid, oneOf } from '../expect.js'
import { REGIONS, type Region, type RunData } from './data.js'
import { labelledRuns, type RunLike } from './fates.js'
import { Figure } from './figure.js'
import { addBox, noBoxes } from './marks.js'
import type { Labels, LegendEntry, Panel, Plot, Points } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { bodyOf, rowsRoom } from './layout.js'
import { shortened, textWidth } from './text.js'
import { listed, shortModel } from './words.js'

export interface MemoryOptions extends StyleOptions {
  /** One per run; default: policy and slots. */
  labels?: string[]
  /** One bar per run (default), or one per layer and a panel per run. */
  by?: 'run' | 'layer'
}

const MIB = 1024 * 1024
const mib = (bytes: number) => `${shortNumber(bytes / MIB)} MiB`

interface Held {
  label: string
  data: RunData
  regions: { region: Region; bytes: number }[]
}

/**
 * Bytes of the cache by region as allocated at the run's end (run.bytes), drawn in MiB (1,048,576 bytes), beside what keys and
 * values of all tokens would take in a full cache of the same storage, and the most that the run ever held.
 * Errors: 'invalid' for something else than runs.
 */
export function memory(runs: RunLike | readonly RunLike[], options: MemoryOptions = {}): Figure {
  const style = styleOptions('memory', options, ['labels', 'by'])
  const by = oneOf('by', options.by ?? 'run', ['run', 'layer'])
  const held = labelledRuns(runs, options.labels).map((one): Held => ({ ...one, regions: regionsOf(one.data) }))
  const words = wordsOf(held)
  const said = { ...words, subject: subjectOf(held), notes: [], legend: legendOf(held, by === 'run') }
  const plot = (chosen: Style): Plot => (by === 'run' ? runBars(held, said, chosen) : layerBars(held, said, chosen))
  return new Figure(
    {
      call: ['memory', runs, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(held),
      plot,
    },
    style,
  )
}

function regionsOf(data: RunData): Held['regions'] {
  const sums = new Map<Region, number>()
  for (const { region, bytes } of data.bytes.parts) sums.set(region, (sums.get(region) ?? 0) + bytes)
  return REGIONS.map((region) => ({ region, bytes: sums.get(region) ?? 0 })).filter(({ bytes }) => bytes > 0)
}

function columnsOf(held: Held[]) {
  const rows = held.flatMap(({ label, data }) => data.bytes.parts.map((part) => ({ label, ...part })))
  return {
    run: rows.map((row) => row.label),
    layer: rows.map((row) => row.layer),
    kvHead: rows.map((row) => row.kvHead),
    region: rows.map((row) => row.region),
    bytes: rows.map((row) => row.bytes),
  }
}

const shareWords = ({ bytes }: RunData) =>
  bytes.fullCache > 0 ? `${percent(bytes.total / bytes.fullCache)} of a full cache` : 'nothing was read'

function wordsOf(held: Held[]) {
  const [first] = held
  const parts = (one: Held) =>
    listed(one.regions.map(({ region, bytes }) => `${region} ${mib(bytes)} (${percent(bytes / one.data.bytes.total)})`))
  const peaks = held.map(({ data }) => data.bytes.peak)
  if (held.length === 1)
    return {
      title: `${first.label}: ${mib(first.data.bytes.total)} of cache, ${shareWords(first.data)}`,
      detail:
        `A full cache's keys and values of the same ${counted(first.data.tokens.length, 'token')} would take ` +
        `${mib(first.data.bytes.fullCache)}. Held are ${parts(first)}; the most at any time was ${mib(first.data.bytes.peak)}.`,
    }
  const sorted = [...held].sort((a, b) => a.data.bytes.total - b.data.bytes.total)
  const [least, most] = [sorted[0], sorted[sorted.length - 1]]
  const shares = held.map(
    ({ label, data: { bytes } }) => `${label}: ${bytes.fullCache ? percent(bytes.total / bytes.fullCache) : '–'}`,
  )
  const [low, high] = [Math.min(...peaks), Math.max(...peaks)].map(mib)
  return {
    title: `The cache takes ${mib(least.data.bytes.total)} (${least.label}) to ${mib(most.data.bytes.total)} (${most.label})`,
    detail:
      `Shares of what keys and values of all tokens would take in a full cache – ${shares.join('; ')}. ` +
      `The most at any time was ${low === high ? low : `${low} to ${high}`}.`,
  }
}

function subjectOf(held: Held[]): string {
  const tokens = [...new Set(held.map(({ data }) => data.tokens.length))]
  const { layers, kvHeads, model } = held[0].data
  const seen =
    tokens.length === 1
      ? counted(tokens[0], 'token')
      : `${plainNumber(Math.min(...tokens))} to ${counted(Math.max(...tokens), 'token')}`
  return `${shortModel(model)} · ${counted(layers, 'layer')} × ${counted(kvHeads, 'kv head')} · ${seen} seen · MiB = 1,048,576 bytes, as allocated`
}

function legendOf(held: Held[], peak: boolean): LegendEntry[] {
  const present = REGIONS.filter((region) => held.some((one) => one.regions.some((part) => part.region === region)))
  const entries = present.map((region): LegendEntry => ({ label: region, swatch: 'box', color: region }))
  entries.push({ label: 'full cache, keys and values', swatch: peak ? 'frame' : 'dash', color: 'muted' })
  if (peak) entries.push({ label: 'most at any time', swatch: 'diamond', color: 'flip' })
  return entries
}

type Said = Pick<Plot, 'title' | 'detail' | 'subject' | 'notes' | 'legend'>

/** Rows from the top: words, then the bar. Heights in units of a row. */
function runBars(held: Held[], said: Said, style: Style): Plot {
  const span = Math.max(...held.map(({ data }) => Math.max(data.bytes.total, data.bytes.fullCache, data.bytes.peak)))
  const most = ((span || MIB) / MIB) * 1.03
  const inner = style.width - 2 * style.margin - style.small * 1.2
  const size = style.small
  const long = held.map(
    ({ data }) => `${mib(data.bytes.total)}, ${shareWords(data)}; most ever ${mib(data.bytes.peak)}`,
  )
  const short = held.map(({ data }) => `${mib(data.bytes.total)}, ${shareWords(data)}`)
  const stats = long.some((words) => textWidth(words, { size }) > inner) ? short : long
  const wide = held.map(
    ({ label }, i) => textWidth(label, { size, bold: true }) + textWidth(stats[i], { size }) + 2 * size,
  )
  const twoLines = Math.max(...wide) > inner
  const words = size * (twoLines ? 2.8 : 1.5)
  const axes: Panel = {
    share: 1,
    x: { label: 'cache, MiB', range: [0, most] },
    y: { range: [held.length, 0], ticks: 'none' },
    marks: [],
  }
  const { bar, row, room } = rowsFor(held.length, words, { ...said, arrangement: 'rows' }, axes, style)
  const regions = REGIONS.map((region) => noBoxes(region, region))
  const frames = noBoxes('full cache', 'muted', { outline: true })
  const peaks: Points = {
    kind: 'points',
    name: 'most at any time',
    color: 'flip',
    shape: 'diamond',
    x: [],
    y: [],
    hover: [],
    diameter: bar * 0.42,
  }
  const names: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start', bold: true }
  const numbers: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: twoLines ? 'start' : 'end' }
  held.forEach(({ label, data, regions: parts }, i) => {
    const [top, bottom] = [(i * row + words) / row, (i * row + words + bar) / row]
    let at = 0
    for (const { region, bytes } of parts) {
      const boxes = regions[REGIONS.indexOf(region)]
      addBox(
        boxes,
        [at / MIB, (at + bytes) / MIB, top, bottom],
        `${label}\n${region}: ${mib(bytes)}, ${percent(bytes / data.bytes.total)} of this cache`,
      )
      at += bytes
    }
    addBox(
      frames,
      [0, data.bytes.fullCache / MIB, top, bottom],
      `${label}\nkeys and values in a full cache: ${mib(data.bytes.fullCache)}`,
    )
    peaks.x.push(data.bytes.peak / MIB)
    peaks.y.push((top + bottom) / 2)
    peaks.hover!.push(`${label}\nmost at any time: ${mib(data.bytes.peak)}`)
    names.x.push(0)
    names.y.push((i * row + size * 0.75) / row)
    names.text.push(shortened(label, inner, { size, bold: true }))
    numbers.x.push(twoLines ? 0 : most)
    numbers.y.push((i * row + size * (twoLines ? 2.1 : 0.75)) / row)
    numbers.text.push(stats[i])
  })
  axes.y.range = [room / row, 0]
  axes.marks = [...regions.filter((boxes) => boxes.x0.length), frames, peaks, names, numbers]
  return { ...said, arrangement: 'rows', panels: [axes], body: room + rowsRoom([axes], style) }
}

/** Heights in pixels: of a bar, of a row with its words, of all of them. A slide's rows share its height. */
function rowsFor(rows: number, words: number, said: Omit<Plot, 'panels'>, axes: Panel, style: Style) {
  const gap = style.text * 0.9
  const bar = style.size === 'talk' ? 44 : style.size === 'wide' ? 22 : 16
  const row = words + bar + gap
  if (!style.height) return { bar, row, room: rows * row }
  const room = bodyOf(said, style) - rowsRoom([axes], style)
  const own = Math.min(row * 1.4, room / rows)
  if (own - words - gap < 5)
    throw invalid('runs', `at most ${Math.floor(room / (words + gap + 5))} runs on a slide`, rows, "use size 'wide'")
  return { bar: own - words - gap, row: own, room }
}

function layerBars(held: Held[], said: Said, style: Style): Plot {
  const { layers } = held[0].data
  const layered = held.map(({ data, label }) => {
    const sums = Array.from({ length: data.layers }, () => new Map<Region, number>())
    for (const { layer, region, bytes } of data.bytes.parts)
      sums[layer].set(region, (sums[layer].get(region) ?? 0) + bytes)
    return { data, label, sums }
  })
  const total = (sums: Map<Region, number>) => [...sums.values()].reduce((a, b) => a + b, 0)
  const most = Math.max(
    ...layered.flatMap(({ data, sums }) => [data.bytes.fullCache / data.layers, ...sums.map(total)]),
  )
  const panels = layered.map(({ data, label, sums }, i): Panel => {
    const regions = REGIONS.map((region) => noBoxes(region, region))
    sums.forEach((parts, layer) => {
      let at = 0
      for (const region of REGIONS) {
        const bytes = parts.get(region) ?? 0
        if (!bytes) continue
        const boxes = regions[REGIONS.indexOf(region)]
        addBox(
          boxes,
          [layer - 0.4, layer + 0.4, at / MIB, (at + bytes) / MIB],
          `${label}, layer ${layer}\n${region}: ${mib(bytes)}`,
        )
        at += bytes
      }
    })
    const full = data.bytes.fullCache / data.layers / MIB
    return {
      title: `${label}: ${mib(data.bytes.total)}, ${shareWords(data)}`,
      share: 1,
      x: {
        label: i === held.length - 1 ? 'layer' : undefined,
        range: [-0.6, Math.max(layers, data.layers) - 0.4],
        whole: true,
      },
      y: { label: 'MiB', range: [0, (most / MIB) * 1.05 || 1], grid: true },
      marks: [
        ...regions.filter((boxes) => boxes.x0.length),
        {
          kind: 'line',
          name: 'full cache',
          color: 'muted',
          dash: true,
          x: [-0.6, data.layers - 0.4],
          y: [full, full],
          hover: [mib(full * MIB), mib(full * MIB)],
        },
      ],
    }
  })
  return { ...said, arrangement: 'rows', panels, body: held.length * (style.size === 'column' ? 110 : 150) }
}
