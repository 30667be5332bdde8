/** Needle autopsy: what became of a piece of text, token by token and head by head, and how much of it is gone everywhere. */
import { invalid } from '../expect.js'
import { medianOf } from '../statistics/moments.js'
import { tokenText } from './spelt.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import { bodyOf } from './layout.js'
import { addBox, noBoxes } from './marks.js'
import type { Boxes, LegendEntry, Panel, Plot, Tick } from './plot.js'
import { counted, percent, plainNumber, shortNumber, ticksOf } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { shortModel } from './words.js'

export type NeedleAutopsyOptions = StyleOptions

const FATES = ['kept', 'blurred', 'never', 'later'] as const
type Fate = (typeof FATES)[number]

/** What trace.autopsy() gives. */
export interface AutopsyData {
  model: string
  policyName: string
  layers: number
  kvHeads: number
  step: number
  from: number
  to: number
  tokens: { text: string; position: number }[]
  counts: Record<Fate, number>
  globalEviction: { model: number; layers: number[] }
  agreement: { model: number | null; layers: (number | null)[] }
  table(): Record<string, (number | string | null)[]>
}

const COLORS: Record<Fate, Fill> = { kept: 'held', blurred: 'residual', never: 'dropped', later: 'tint4' }
const NAMES: Record<Fate, string> = {
  kept: 'kept, a slot of its own',
  blurred: 'blurred in a merged slot',
  never: 'dropped at its first choice',
  later: 'dropped later',
}
const SHORT: Record<Fate, string> = {
  kept: 'kept',
  blurred: 'blurred',
  never: 'dropped at once',
  later: 'dropped later',
}

/** The table's columns that are drawn, rows [layers, kvHeads, positions]. */
interface Places {
  fate: Fate[]
  weight: (number | null)[]
  share: (number | null)[]
  step: (number | null)[]
  reason: (string | null)[]
  margin: (number | null)[]
  event: (string | null)[]
}

/**
 * What trace.autopsy() found of a piece of text: a row for each of its tokens and a column for each kv head, by layer: kept in a slot of its
 * own, blurred in a merged one, dropped at the first choice at which it was a candidate, or dropped later; and for each token the share of kv
 * heads that keep it. Of long pieces and of many heads each box is the share of some that is kept. `data`: the autopsy's table.
 * Errors: 'invalid' for what is no autopsy.
 */
export function needleAutopsy(autopsy: AutopsyData, options: NeedleAutopsyOptions = {}): Figure {
  const style = styleOptions('needleAutopsy', options, [])
  if (typeof autopsy !== 'object' || autopsy === null || !('globalEviction' in autopsy))
    throw invalid('autopsy', 'a result of trace.autopsy()', autopsy, "needleAutopsy(run.trace.autopsy({ text: '…' }))")
  const columns = autopsy.table()
  const places = columns as unknown as Places
  const words = wordsOf(autopsy, places)
  const plot = (chosen: Style): Plot => picture(autopsy, places, words, chosen)
  return new Figure(
    {
      call: ['needleAutopsy', autopsy, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columns,
      plot,
    },
    style,
  )
}

function wordsOf(made: AutopsyData, places: Places): { title: string; detail: string } {
  const { tokens, layers, kvHeads, counts, globalEviction, agreement, step } = made
  const all = layers * kvHeads * tokens.length
  const size = medianOf(places.fate.flatMap((fate, at) => (fate === 'blurred' ? [places.weight[at] ?? NaN] : [])))
  const parts = FATES.filter((fate) => counts[fate]).map((fate) => {
    const more = fate === 'blurred' ? ` (in slots of ${plainNumber(size)} tokens, the median)` : ''
    return `${percent(counts[fate] / all)} ${SHORT[fate]}${more}`
  })
  const agree =
    agreement.model === null
      ? 'No two heads keep any of the same text'
      : `Heads agree on what to keep of it by ${plainNumber(agreement.model, 2)} (mean pairwise Jaccard)`
  const { layers: shares } = globalEviction
  const [least, most] = [Math.min(...shares), Math.max(...shares)]
  const range =
    least === most ? percent(most) : `${percent(least)} to ${percent(most)}, most in layer ${shares.indexOf(most)}`
  const byLayer = layers > 1 ? ` All heads of a layer together lose ${range}.` : ''
  return {
    title: titleOf(made),
    detail: `Global Eviction Ratio ${plainNumber(globalEviction.model, 2)} at the end of step ${plainNumber(step)}: of ${counted(all, 'place')} (token × head) ${parts.join(', ')}.${byLayer} ${agree}.`,
  }
}

function titleOf({ tokens, layers, kvHeads, globalEviction }: AutopsyData): string {
  const spelt = tokens.map(({ text }) => visible(text)).join('')
  const letters = [...spelt.trim()]
  const text = letters.length > 32 ? `${letters.slice(0, 31).join('').trimEnd()}…` : letters.join('')
  const gone = Math.round(globalEviction.model * tokens.length)
  const all = counted(tokens.length, 'token')
  const every = counted(layers * kvHeads, 'kv head')
  const own = tokens.length === 1 ? 'its token' : `each of its ${all}`
  if (gone === 0) return `“${text}”: ${own} has a slot of its own in at least one of ${every}`
  if (tokens.length === 1) return `“${text}”: its token has no slot of its own in any of ${every}`
  if (gone === tokens.length) return `“${text}”: none of its ${all} has a slot of its own in any of ${every}`
  const some = `${plainNumber(gone)} of its ${all} (${percent(globalEviction.model)})`
  return `“${text}”: ${some} ${gone === 1 ? 'has no slot of its' : 'have no slot of their'} own in any of ${every}`
}

/** Tokens and kv heads that are put together, so that boxes are not narrower than a line can be. */
interface Grain {
  row: number
  column: number
}

/** `room`: pixels for rows with words; undefined: as many as they need. */
function grainOf({ layers, kvHeads, tokens }: AutopsyData, style: Style, room = 40 * lineOf(style)): Grain {
  const spelt = tokens.length * lineOf(style) <= room
  const row = spelt ? 1 : Math.max(2, Math.ceil(tokens.length / (style.size === 'column' ? 100 : 140)))
  return { row, column: layers * kvHeads <= style.width / 3 ? 1 : kvHeads }
}

const lineOf = (style: Style) => style.small * 1.35
/** Beside the rows: titles and axes. */
const aroundOf = (style: Style) => style.text * 6

function picture(made: AutopsyData, places: Places, finding: { title: string; detail: string }, style: Style): Plot {
  const narrow = style.size === 'column'
  const { tokens, counts } = made
  const legend = FATES.filter((fate) => counts[fate]).map((fate): LegendEntry => ({
    label: narrow ? SHORT[fate] : NAMES[fate],
    swatch: 'box',
    color: COLORS[fate],
  }))
  const words = {
    ...finding,
    subject: `${shortModel(made.model)} · ${made.policyName} · positions ${plainNumber(made.from)} to ${plainNumber(made.to - 1)} at the end of step ${plainNumber(made.step)}`,
    notes: [],
    legend,
    arrangement: 'columns' as const,
  }
  const grain = grainOf(made, style, style.height && bodyOf(words, style) - aroundOf(style))
  const together = grain.row > 1 || grain.column > 1
  const matrix: Panel = {
    title: grain.column === 1 ? 'kv heads, by layer' : narrow ? 'by layer' : 'kv heads of a layer together',
    share: narrow ? 3 : 5,
    x: { label: 'layer', range: [0, made.layers], ticks: layerTicks(made.layers, style) },
    y: { range: [tokens.length, 0], ticks: grain.row === 1 ? tokenTicks(made, style) : placeTicks(made) },
    marks: together ? [shades(made, places, grain)] : fates(made, places),
  }
  const bars: Panel = {
    title: 'kept in',
    share: 1,
    x: {
      label: narrow ? 'heads' : 'of kv heads',
      range: [0, 1],
      ticks: (narrow ? [0.5] : [0, 0.5, 1]).map((at) => ({ at, text: percent(at) })),
    },
    y: { range: [tokens.length, 0], ticks: [] },
    marks: [keptBars(made, places, grain.row)],
  }
  const parts = [
    grain.row > 1 && counted(grain.row, 'token'),
    grain.column > 1 && counted(grain.column, 'kv head'),
  ].filter(Boolean)
  return {
    ...words,
    ...(together && {
      notes: [`A box is ${parts.join(' × ')}.`],
      legend: [],
      ramp: { label: narrow ? 'own slot:' : 'kept in slots of their own:', from: '0%', to: '100%', kind: 'shade' },
    }),
    panels: [matrix, bars],
    body: (grain.row === 1 ? tokens.length * lineOf(style) : narrow ? 220 : 280) + aroundOf(style),
  }
}

function tokenTicks({ tokens }: AutopsyData, style: Style): Tick[] {
  const room = { column: 70, text: 100, wide: 110, talk: 180 }[style.size]
  return tokens.map(({ text, position }, i) => ({
    at: i + 0.5,
    text: shortened(`${tokenText(text, style).trim() || '␣'} ${plainNumber(position)}`, room, { size: style.small }),
  }))
}

/** Round positions. */
const placeTicks = ({ from, to }: AutopsyData): Tick[] =>
  ticksOf({ range: [from, to - 1], whole: true }, 7).map(({ at, text }) => ({ at: at - from + 0.5, text }))

function layerTicks(layers: number, style: Style): Tick[] {
  const most = style.size === 'column' ? 5 : 10
  return ticksOf({ range: [0, layers - 1], whole: true }, most).map(({ at, text }) => ({ at: at + 0.5, text }))
}

function fates(made: AutopsyData, places: Places): Boxes[] {
  const { tokens, layers, kvHeads } = made
  const boxes = Object.fromEntries(FATES.map((fate) => [fate, noBoxes(NAMES[fate], COLORS[fate])])) as Record<
    Fate,
    Boxes
  >
  for (let head = 0; head < layers * kvHeads; head++)
    for (let row = 0; row < tokens.length; row++) {
      const fate = places.fate[head * tokens.length + row]
      const at = head / kvHeads
      addBox(boxes[fate], [at, at + 1 / kvHeads, row + 0.06, row + 0.94], saidOf(made, places, row, head))
    }
  return FATES.map((fate) => boxes[fate]).filter(({ x0 }) => x0.length)
}

/** The share of tokens × heads that are kept, of `from` … `to` − 1 of each. */
function keptShare(places: Places, count: number, rows: [number, number], heads: [number, number]): number {
  let kept = 0
  for (let head = heads[0]; head < heads[1]; head++)
    for (let i = rows[0]; i < rows[1]; i++) kept += Number(places.fate[head * count + i] === 'kept')
  return kept / ((rows[1] - rows[0]) * (heads[1] - heads[0]))
}

/** Boxes of several tokens or heads: the share that is kept; neighbours of a row that are alike are one. */
function shades({ tokens, from, layers, kvHeads }: AutopsyData, places: Places, grain: Grain): Boxes {
  const count = tokens.length
  const boxes = noBoxes('kept', 'held', { seamless: true })
  for (let row = 0; row < count; row += grain.row) {
    const end = Math.min(count, row + grain.row)
    const which = end - row > 1 ? `positions ${from + row} to ${from + end - 1}` : `position ${from + row}`
    for (let head = 0; head < layers * kvHeads; head += grain.column) {
      const color =
        `shade:${Math.round(20 * keptShare(places, count, [row, end], [head, head + grain.column])) / 20}` as const
      const [x0, x1, last] = [head / kvHeads, (head + grain.column) / kvHeads, boxes.x0.length - 1]
      if (boxes.y0[last] === row && boxes.colors?.[last] === color) boxes.x1[last] = x1
      else
        addBox(
          boxes,
          [x0, x1, row, end],
          `${which}\n${percent(Number(color.slice(6)))} kept from layer ${Math.floor(x0)} on`,
          color,
        )
    }
  }
  return boxes
}

/** For whoever points at it. */
function saidOf({ tokens, kvHeads }: AutopsyData, places: Places, row: number, head: number): string {
  const at = head * tokens.length + row
  const { fate, share, step, reason, margin, event } = places
  const where = `“${visible(tokens[row].text)}” at ${tokens[row].position}, layer ${Math.floor(head / kvHeads)}, kv head ${head % kvHeads}`
  if (fate[at] === 'kept') return `${where}\n${NAMES.kept}`
  const blur = share[at] === null ? '' : `, ${percent(share[at])} of it`
  const what = event[at] === 'join' ? 'others came into its slot' : event[at] === 'merge' ? 'merged' : 'dropped'
  const why = reason[at] === null ? '' : ` by ${reason[at]}`
  const by = margin[at] === null ? '' : `, ${shortNumber(-margin[at])} short`
  return `${where}\n${NAMES[fate[at]]}${blur}\n${what}${why} in step ${step[at]}${by}`
}

function keptBars({ tokens, layers, kvHeads }: AutopsyData, places: Places, size: number): Boxes {
  const heads = layers * kvHeads
  const count = tokens.length
  const boxes = noBoxes('kept in', 'held')
  for (let row = 0; row < count; row += size) {
    const end = Math.min(count, row + size)
    const share = keptShare(places, count, [row, end], [0, heads])
    const inset = size === 1 ? 0.15 : 0
    const [first, last] = [tokens[row], tokens[end - 1]]
    const who =
      size === 1 ? `“${visible(first.text)}” at ${first.position}` : `positions ${first.position} to ${last.position}`
    if (share)
      addBox(
        boxes,
        [0, share, row + inset, end - inset],
        `${who}\nkept in ${percent(share)} of ${counted(heads, 'kv head')}`,
      )
  }
  return boxes
}
