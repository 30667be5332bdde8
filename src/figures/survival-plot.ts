/** How survival is drawn: lines of shares over age with a band over kv heads, or a row of shades per layer. */
import type { RunData } from './data.js'
import { addBox, noBoxes } from './marks.js'
import type { Span } from './part.js'
import type { Axis, Boxes, LegendEntry, Line, Mark, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import type { Style } from './style.js'
import { totalsOf, type HeadSurvival } from './survival-counts.js'
import { binSizeOf, binsOf, meanCurve, seenBy, type Spread } from './survival-spread.js'
import { shortModel, subjectWords } from './words.js'

/** Heads that a curve is drawn of: all of them, or a layer's. */
export interface Group {
  layer: number | null
  heads: HeadSurvival[]
  curve: Spread[]
}

export interface Followed {
  label: string
  data: RunData
  heads: HeadSurvival[]
  totals: ReturnType<typeof totalsOf>
  /** Of all heads. */
  curve: Spread[]
  groups: Group[]
}

export function followedOf(label: string, data: RunData, heads: HeadSurvival[], by: 'run' | 'layer'): Followed {
  const curve = meanCurve(heads)
  const group = (layer: number | null, own: HeadSurvival[]): Group => ({
    layer,
    heads: own,
    curve: by === 'run' ? curve : meanCurve(own),
  })
  const layers = [...new Set(heads.map(({ layer }) => layer))]
  const groups =
    by === 'run'
      ? [group(null, heads)]
      : layers.map((layer) =>
          group(
            layer,
            heads.filter((head) => head.layer === layer),
          ),
        )
  return { label, data, heads, totals: totalsOf(heads), curve, groups }
}

/** 'when the prompt was read', or where a short prompt fitted in, later. */
export const thenWords = ({ heads }: Followed) =>
  heads.every(({ full }) => full === 0) ? READ : 'when the cache was first full'
const READ = 'when the prompt was read'

export const youngShare = ({ totals }: Followed) => (totals.later ? totals.atOnce / totals.later : NaN)
export const youngWords = (one: Followed) =>
  one.totals.later ? `${percent(youngShare(one))} of ${plainNumber(one.totals.later)}` : 'none left'

type Drawn = Pick<Plot, 'subject' | 'notes' | 'legend' | 'ramp' | 'arrangement' | 'panels' | 'body' | 'coarse'>

/** Ages that are drawn: of the tokens seen then by one run, and of those that are followed. */
export const agesOf = (followed: Followed[]): Span => [
  0,
  Math.max(1, followed.length === 1 ? seenBy(followed[0].heads) : 0, ...followed.map(({ curve }) => curve.length)),
]

/** `part`: only these ages; panels that end before them are left out. */
export function picture(followed: Followed[], by: 'run' | 'layer', style: Style, part?: Span): Drawn {
  const single = followed.length === 1
  const narrow = style.size === 'column'
  const [one] = followed
  const ages: Span = part ?? [0, Math.max(1, ...followed.map(({ curve }) => curve.length))]
  const drawn = by === 'layer' ? layerPanel : curvePanel
  const panels = followed
    .filter((each) => (single || part ? each.curve.length > ages[0] : true))
    .map((each, i, { length }): Panel => {
      const age = i === length - 1 ? (narrow ? 'age, tokens' : 'age: tokens that came after it') : undefined
      const title = single ? 'by age, followed since protected' : `${each.label}: ${youngWords(each)} at once`
      return { title, ...drawn(curveRows(each, ages), axis(age, ages), each, style) }
    })
  const seen = single ? seenBy(one.heads) : 0
  const then: Span = part ?? [0, seen]
  if (seen > then[0]) {
    const label = narrow ? 'age then, tokens' : 'age then: tokens that came after it'
    const title = thenWords(one) === READ ? 'the prompt, by age at its end' : 'seen by then, by age then'
    panels.unshift({ title, ...drawn(binRows(one, then), axis(label, then), one, style) })
  }
  const rows = !single || narrow
  return {
    subject: single ? subjectWords(one.data) : manyWords(followed),
    notes: notesOf(followed, by, seen > then[0] ? binSizeOf([then[0], Math.min(seen, then[1])]) : 1),
    ...(by === 'layer'
      ? {
          legend: [],
          ramp: {
            label: narrow ? 'alone:' : 'alone in a slot, mean of kv heads:',
            from: '0%',
            to: '100%',
            kind: 'shade',
          },
        }
      : { legend: legendOf(one, seen > 0 && one.data.steps > 0, narrow) }),
    arrangement: rows ? 'rows' : 'columns',
    panels,
    body: rows ? panels.length * (narrow ? 140 : 150) : 290,
    coarse: (seen > 0 && binSizeOf([0, seen]) > 1) || followed.some(({ curve }) => curve.length > STEPS),
  }
}

const axis = (label: string | undefined, ages: Span): Axis => ({ label, range: [...ages], whole: true, counts: 'age' })

function manyWords(followed: Followed[]): string {
  const [{ data }] = followed
  return `${shortModel(data.model)} · ${counted(data.layers, 'layer')} × ${counted(data.kvHeads, 'kv head')}`
}

function notesOf(followed: Followed[], by: 'run' | 'layer', size: number): string[] {
  const notes = ['Tokens that are alone when the run ends are censored there (Kaplan and Meier).']
  if (size > 1) notes.push(`In the first panel one step of age is ${counted(size, 'token')}.`)
  if (by === 'run' && followed[0].heads.length > 1) notes.push('Lines are means over kv heads.')
  return [notes.join(' ')]
}

/** Steps of age from `from` to `to`, a share each. */
interface Row {
  layer: number | null
  from: number[]
  to: number[]
  share: Spread[]
  /** Kept at the first compression, where `share` is of the end. */
  before?: Spread[]
}

function binRows({ groups }: Followed, ages: Span): Row[] {
  return groups.map(({ layer, heads }) => {
    const bins = binsOf(heads, ages)
    const row = { layer, from: bins.map(({ from }) => from), to: bins.map(({ to }) => to) }
    return { ...row, share: bins.map(({ keptAtEnd }) => keptAtEnd), before: bins.map(({ keptThen }) => keptThen) }
  })
}

/** A curve of thousands of ages has a few hundred steps when drawn, each at the value that it ends with. */
const STEPS = 400

function curveRows({ groups }: Followed, [first, last]: Span): Row[] {
  return groups.map(({ layer, curve }) => {
    const end = Math.min(last, curve.length)
    const size = Math.max(1, Math.ceil((end - first) / STEPS))
    const from = Array.from({ length: Math.max(0, Math.ceil((end - first) / size)) }, (_, i) => first + i * size)
    const to = from.map((age) => Math.min(end, age + size))
    return { layer, from, to, share: to.map((age) => curve[age - 1]) }
  })
}

const SHARES = [0, 0.5, 1].map((at) => ({ at, text: percent(at) }))

/** In the first panel's colours: what is protected is blue, what may leave is ink. */
function curvePanel([row]: Row[], x: Axis, one: Followed, style: Style): Omit<Panel, 'title'> {
  const protectedUntil = Math.min(...one.heads.map(({ recent }) => recent))
  const width = style.text / 6
  const marks: Mark[] = [band(row)]
  if (row.before && one.data.steps) marks.push(stepLine(row, row.before, 'kept then', 'muted', width * 0.7, true))
  const ages = row.to[row.to.length - 1] ?? 0
  const bound = Math.min(protectedUntil, ages)
  if (bound >= x.range[0])
    marks.push({
      kind: 'line',
      name: 'first age at which it can leave',
      color: 'muted',
      width: 1,
      x: [bound, bound],
      y: [0, 1],
    })
  if (bound > 0) marks.push(stepLine(row, row.share, 'recent, protected', 'recent', width * 1.4, false, 0, bound))
  if (bound < ages) marks.push(stepLine(row, row.share, 'older, may leave', 'held', width, false, bound, ages))
  return {
    share: 1,
    x,
    y: { label: 'alone', range: [0, 1.02], ticks: SHARES, grid: true },
    marks,
  }
}

function band(row: Row): Boxes {
  const boxes = noBoxes('middle 80% of kv heads', 'spare', { seamless: true })
  row.share.forEach(({ mean, low, high }, i) => {
    if (!(high > low)) return
    addBox(
      boxes,
      [row.from[i], row.to[i], low, high],
      `age ${row.from[i]}: ${percent(mean)} alone\nmiddle 80% of kv heads: ${percent(low)} to ${percent(high)}`,
    )
  })
  return boxes
}

/** Level over each step of age, upright between them; only ages from `from` to `to`. */
function stepLine(
  row: Row,
  values: Spread[],
  name: string,
  color: Line['color'],
  width: number,
  dash: boolean,
  from = 0,
  to = Infinity,
): Line {
  const line: Line & { hover: string[] } = { kind: 'line', name, color, width, dash, x: [], y: [], hover: [] }
  const add = (x: number, y: number, age: number) => {
    line.x.push(x)
    line.y.push(y)
    line.hover.push(`age ${age}: ${percent(y)} alone`)
  }
  values.forEach(({ mean }, i) => {
    const [start, end] = [Math.max(from, row.from[i]), Math.min(to, row.to[i])]
    if (Number.isNaN(mean) || start >= end) return
    // The upright part belongs to the age at which the tokens left.
    if (start === from && i && row.from[i] === from && !Number.isNaN(values[i - 1].mean))
      add(start, values[i - 1].mean, row.from[i - 1])
    const last = line.x.length - 1
    if (last > 0 && line.y[last] === mean && line.x[last] === start) {
      line.x[last] = end
      return
    }
    add(start, mean, row.from[i])
    add(end, mean, row.from[i])
  })
  return line
}

function layerPanel(rows: Row[], x: Axis): Omit<Panel, 'title'> {
  const boxes = noBoxes('alone in a slot', 'held', { seamless: true })
  for (const row of rows)
    row.share.forEach(({ mean }, i) => {
      if (Number.isNaN(mean)) return
      const color = `shade:${Math.round(mean * 50) / 50}` as const
      const [last, top] = [boxes.x1.length - 1, row.layer! - 0.5]
      if (last >= 0 && boxes.y0[last] === top && boxes.x1[last] === row.from[i] && boxes.colors![last] === color) {
        boxes.x1[last] = row.to[i]
        return
      }
      const said = `layer ${row.layer}, age ${row.from[i]}: ${percent(mean)} alone`
      addBox(boxes, [row.from[i], row.to[i], top, top + 1], said, color)
    })
  const layers = rows.map(({ layer }) => layer!)
  const y: Axis = { label: 'layer', range: [Math.max(...layers) + 0.5, Math.min(...layers) - 0.5], whole: true }
  if (layers.length === 1) y.ticks = [{ at: layers[0], text: String(layers[0]) }]
  return {
    share: 1,
    x,
    y,
    marks: [boxes],
  }
}

function legendOf(one: Followed, before: boolean, narrow: boolean): LegendEntry[] {
  const entries: LegendEntry[] = [
    { label: narrow ? 'protected' : 'recent, protected', swatch: 'line', color: 'recent' },
    { label: narrow ? 'may leave' : 'older, may leave', swatch: 'line', color: 'held' },
  ]
  if (one.heads.length > 1)
    entries.push({ label: narrow ? '80% of heads' : 'middle 80% of kv heads', swatch: 'box', color: 'spare' })
  if (before) entries.push({ label: narrow ? 'kept then' : `kept ${thenWords(one)}`, swatch: 'dash', color: 'muted' })
  return entries
}
