/** Ternary: what a budget does, shared out between recent, context and residual slots, as a triangle of its three shares. */
import { invalid, oneOf } from '../expect.js'
import { Figure } from './figure.js'
import type { StudyData } from './frontier.js'
import { bodyOf, endRoom } from './layout.js'
import { noWords } from './marks.js'
import type { LegendEntry, Mark, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { textWidth } from './text.js'
import { ends, type Interval } from './words.js'

export interface TernaryOptions extends StyleOptions {
  /** Default: what the study is about. */
  metric?: string
}

/** A study of design: { ternary: { steps } } that has run. */
export type TernaryData = Omit<StudyData, 'summary' | 'facts'> & {
  facts: StudyData['facts'] & { design: unknown }
  summary(by: readonly string[]): {
    rows: readonly (ReturnType<StudyData['summary']>['rows'][number] & { failed: number; unchanged: number })[]
    table(): Record<string, (string | number | null)[]>
  }
}

/** Shares of the budget. */
interface Place {
  recent: number
  context: number
  residual: number
  /** Null: nothing to say, and why. */
  value: Interval | null
  why: string
}

interface Facts {
  metric: TernaryData['metrics'][number]
  places: readonly Place[]
  best: Place & { value: Interval }
  steps: number
  task: TernaryData['facts']['task']
  clusters: number
}

/** Of a triangle whose sides are 1. */
const HEIGHT = Math.sqrt(3) / 2
/** Widest, pixels, where there is more room. */
const MOST = 560
/** Of a panel without a title, above its area, in text heights. */
const PANEL_TOP = 0.3
const PARTS = ['recent', 'residual'] as const

/**
 * Where a study of design: { ternary: { steps } } was good: each combination a dot at its shares of the budget, the mean of `metric` as its colour and, where there is room,
 * as a number; the best one is framed. Means over the levels of other dimensions. `data`: its summary by recent and residual. Errors: 'invalid' for something else.
 */
export function ternary(study: TernaryData, options: TernaryOptions = {}): Figure {
  const style = styleOptions('ternary', options, ['metric'])
  const steps = stepsOf(study)
  const names = study.metrics.map(({ name }) => name)
  const metric = study.metrics.find(({ name }) => name === oneOf('metric', options.metric ?? names[0], names))!
  const summary = study.summary(PARTS)
  const places = summary.rows.map(({ levels, values, failed, unchanged }): Place => {
    const [recent, residual] = PARTS.map((part) => Number(levels[part]))
    const value = values[metric.name]
    const why = failed ? 'failed' : unchanged ? 'changed nothing' : 'not measured'
    return { recent, residual, context: Math.max(0, 1 - recent - residual), value, why }
  })
  const known = places.filter((place): place is Facts['best'] => place.value !== null)
  if (!known.length)
    throw invalid('study', 'a study of which something has been measured', `none of ${places.length} settings`)
  const cost = ({ value }: Facts['best']) => (metric.better === 'less' ? value.mean : -value.mean)
  const best = known.reduce((least, place) => (cost(place) < cost(least) ? place : least))
  const clusters = Math.max(...summary.rows.map((row) => row.clusters))
  const facts = { metric, places, best, steps, task: study.facts.task, clusters }
  const words = wordsOf(facts)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, given, words) })
  return new Figure(
    {
      call: ['ternary', study, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => summary.table(),
      plot,
    },
    style,
  )
}

function stepsOf(study: TernaryData): number {
  const design: unknown = typeof study === 'object' && study !== null ? study.facts?.design : undefined
  const found = typeof design === 'object' && design !== null && 'ternary' in design ? design.ternary : undefined
  if (typeof found === 'object' && found !== null && 'steps' in found) return Number(found.steps)
  throw invalid(
    'study',
    'a study of design: { ternary: { steps: 5 } } that has run',
    study,
    'ternary(await study.run())',
  )
}

const sharesOf = ({ recent, context, residual }: Place) =>
  `recent ${percent(recent)}, context ${percent(context)}, residual ${percent(residual)}`

function wordsOf({ metric, places, best, steps }: Facts): { title: string; detail: string } {
  const known = places.flatMap(({ value }) => (value ? [value.mean] : []))
  const sorted = [...known].sort((a, b) => a - b)
  const lacking = places.length - known.length
  return {
    title: `${metric.name} is best, ${shortNumber(best.value.mean)}, with ${sharesOf(best)}`,
    detail: `${shortNumber(sorted[0])} to ${shortNumber(sorted[sorted.length - 1])} ${metric.unit} over ${counted(known.length, 'combination')} in steps of 1/${plainNumber(steps)} of the budget; the best one’s interval${ends(best.value) || ' is not known'}.${lacking ? ` Of ${plainNumber(lacking)} more nothing is known.` : ''}`,
  }
}

/** Corners: context at the left, residual at the right, recent above. */
const at = ({ recent, residual }: Pick<Place, 'recent' | 'residual'>) => ({
  x: residual + recent / 2,
  y: recent * HEIGHT,
})

function picture(facts: Facts, style: Style, words: { title: string; detail: string }) {
  const { metric, places, steps, task, clusters } = facts
  const known = places.flatMap(({ value }) => (value ? [value.mean] : []))
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const lacking = [...new Set(places.filter(({ value }) => !value).map(({ why }) => why))]
  const legend: LegendEntry[] = [{ label: 'best', swatch: 'frame', color: 'ink' }]
  if (lacking.length) legend.push({ label: lacking.join(', '), swatch: 'cross', color: 'muted' })
  const said = {
    subject: `${task.name}: ${task.about}`,
    notes: [
      `${metric.name}: ${metric.about}; means over ${counted(clusters, 'cluster')}. Shares of the budget: all of it at a corner, none at the side across from it; numbers at the left are context’s, at the right recent’s, below residual’s. Of several that are as good within their intervals the best may be luck.`,
    ],
    legend,
    ramp: { label: `${metric.name}:`, from: shortNumber(low), to: shortNumber(high), kind: 'ramp' as const },
    arrangement: 'rows' as const,
    body: 0,
  }
  const width = style.width - 2 * style.margin - endRoom(style)
  const whole = sideOf(steps, { width: Math.min(width, MOST), height: Infinity }, style)
  const { above, below } = roomOf(steps, whole, style)
  said.body = whole * HEIGHT + above + below + PANEL_TOP * style.text
  const inner = { width, height: bodyOf({ ...words, ...said }, style) - PANEL_TOP * style.text }
  return { ...said, panels: [panel(facts, [low, high], inner, style)] }
}

/** Around a triangle of `side` pixels, for words and the half of a dot on its left. */
function roomOf(steps: number, side: number, style: Style) {
  const dot = dotOf(steps, side, style)
  return {
    beside: 2 * (textWidth('100%', { size: style.small }) + dot / 2 + style.small),
    above: 1.8 * style.text,
    below: 2.6 * style.small + style.text,
  }
}

const dotOf = (steps: number, side: number, style: Style) => Math.min(0.86 * (side / steps) * HEIGHT, 4.2 * style.text)

/** A side in pixels of the largest triangle that fits. */
function sideOf(steps: number, { width, height }: { width: number; height: number }, style: Style): number {
  const { beside, above, below } = roomOf(steps, width, style)
  return Math.min(width - beside, (height - above - below) / HEIGHT)
}

function panel(
  { metric, places, best, steps }: Facts,
  [low, high]: [number, number],
  inner: { width: number; height: number },
  style: Style,
): Panel {
  const side = sideOf(steps, inner, style)
  const { below } = roomOf(steps, side, style)
  const wide = inner.width / side
  const x: [number, number] = [0.5 - wide / 2, 0.5 + wide / 2]
  const y: [number, number] = [-below / side, (inner.height - below) / side]
  const diameter = dotOf(steps, side, style)
  const marks: Mark[] = gridOf(steps)
  const numbers = noWords({ anchor: 'middle', mono: false })
  const label = (mean: number) =>
    Math.abs(mean) >= 1e-3 || mean === 0 ? String(Number(mean.toPrecision(2))) : shortNumber(mean)
  const widest = Math.max(
    ...places.map(({ value }) => (value ? textWidth(label(value.mean), { size: style.text }) : 0)),
  )
  for (const place of places) {
    const { x: across, y: up } = at(place)
    const { value } = place
    const share = value && high > low ? (value.mean - low) / (high - low) : 0
    const color: Fill = value ? `ramp:${Math.round(100 * share) / 100}` : 'muted'
    const what = value ? `${metric.name} ${shortNumber(value.mean)}${ends(value)}` : place.why
    if (place === best)
      marks.push({
        kind: 'points',
        name: 'best',
        color: 'ink',
        shape: 'dot',
        x: [across],
        y: [up],
        diameter: diameter + 0.5 * style.text,
      })
    if (place === best)
      marks.push({
        kind: 'points',
        name: 'best',
        color: 'paper',
        shape: 'dot',
        x: [across],
        y: [up],
        diameter: diameter + 0.2 * style.text,
      })
    marks.push({
      kind: 'points',
      name: value ? metric.name : place.why,
      color,
      shape: value ? 'dot' : 'cross',
      x: [across],
      y: [up],
      diameter: value ? diameter : Math.min(diameter, style.text),
      hover: [`${sharesOf(place)}\n${what}`],
    })
    if (!value) continue
    numbers.x.push(across)
    numbers.y.push(up)
    numbers.text.push(label(value.mean))
    numbers.colors.push(`on:${color}`)
  }
  if (widest <= 0.92 * diameter) marks.push(numbers)
  marks.push(...wordsAround(steps, side, style))
  return { share: 1, x: { range: x, ticks: 'none' }, y: { range: y, ticks: 'none' }, marks }
}

/** Lines of equal shares, and the sides. */
function gridOf(steps: number): Mark[] {
  const line = (a: Pick<Place, 'recent' | 'residual'>, b: typeof a, edge: boolean): Mark => ({
    kind: 'line',
    name: 'shares',
    color: edge ? 'muted' : 'faint',
    width: 1,
    x: [at(a).x, at(b).x],
    y: [at(a).y, at(b).y],
  })
  return Array.from({ length: steps }, (_, i) => i / steps).flatMap((share) => [
    line({ recent: share, residual: 0 }, { recent: share, residual: 1 - share }, share === 0),
    line({ recent: 0, residual: share }, { recent: 1 - share, residual: share }, share === 0),
    line({ recent: 1 - share, residual: 0 }, { recent: 0, residual: 1 - share }, share === 0),
  ])
}

/** Of each part its shares along one side, where its lines of equal shares end, and its name at its corner. */
function wordsAround(steps: number, side: number, style: Style): Mark[] {
  const gap = (0.5 * style.small) / side
  const radius = dotOf(steps, side, style) / 2 / side
  const every = Math.max(1, Math.ceil((steps * 2.2 * style.small) / side))
  const shares = Array.from({ length: steps - 1 }, (_, i) => i + 1).filter((i) => i % every === 0)
  const words = (anchor: 'start' | 'middle' | 'end', bold = false) =>
    noWords({ anchor, mono: false, bold, color: bold ? 'ink' : 'muted' })
  const [left, right, below] = [words('end'), words('start'), words('middle')]
  const put = (of: ReturnType<typeof words>, x: number, y: number, text: string) => {
    of.x.push(x)
    of.y.push(y)
    of.text.push(text)
    of.colors.push(of.color)
  }
  for (const i of shares) {
    const share = i / steps
    const text = percent(share)
    const [context, recent, residual] = [
      at({ recent: 1 - share, residual: 0 }),
      at({ recent: share, residual: 1 - share }),
      at({ recent: 0, residual: share }),
    ]
    put(left, context.x - gap - radius, context.y, text)
    put(right, recent.x + gap, recent.y, text)
    put(below, residual.x, residual.y - 2 * gap, text)
  }
  const corners = words('middle', true)
  const low = -(2.1 * style.small) / side - (0.3 * style.text) / side
  put(corners, 0.5, HEIGHT + style.text / side, 'recent')
  put(corners, 0, low, 'context')
  put(corners, 1, low, 'residual')
  return [left, right, below, corners]
}
