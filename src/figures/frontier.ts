/** Frontier: what a study's settings lose against the bytes that they take, the ones that nothing beats at both, and their knee. */
import { invalid, oneOf, text } from '../expect.js'
import { Figure } from './figure.js'
import { besideEachOther } from './beside.js'
import { addBar, addBox, extentOf, noBoxes } from './marks.js'
import type { Mark, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { levelsLegend, LOOKS, metricNamed, type MetricData } from './study.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { ends, levelWords, type Interval } from './words.js'

export interface FrontierOptions extends StyleOptions {
  /** Default: what the study is about. */
  metric?: string
  /** The dimension with a line for each level; default 'policy' where there are several, else one line. */
  by?: string
}

interface SummaryRowData {
  levels: Readonly<Record<string, unknown>>
  trials: number
  clusters: number
  values: Readonly<Record<string, Interval | null>>
}

/** A study that has run. */
export interface StudyData {
  metrics: readonly MetricData[]
  facts: { task: { name: string; about: string } }
  summary(): {
    by: readonly string[]
    rows: readonly SummaryRowData[]
    table(): Record<string, (string | number | null)[]>
  }
}

interface Point {
  levels: Readonly<Record<string, unknown>>
  line: string
  bytes: number
  value: Interval
}

const MIB = 1024 * 1024

/**
 * Every setting of a study: bytes of its caches (mean, MiB, logarithmic), what it loses (mean over clusters and its interval), and dashed through
 * those that no other beats at both. The knee is the one of them farthest from the line between their ends. `data`: the study's summary. Errors:
 * 'invalid' for something else, for a metric or dimension that the study does not have, and where nothing has been measured.
 */
export function frontier(study: StudyData, options: FrontierOptions = {}): Figure {
  const style = styleOptions('frontier', options, ['metric', 'by'])
  if (typeof study !== 'object' || study === null || typeof (study as Partial<StudyData>).summary !== 'function')
    throw invalid('study', 'a study that has run', study, 'frontier(await study.run())')
  const metric = metricNamed(
    study.metrics.filter(({ name }) => name !== 'bytes'),
    options.metric,
  )
  const summary = study.summary()
  const by = options.by === undefined ? undefined : oneOf('by', text('by', options.by), summary.by)
  const lines = by ?? (summary.by.includes('policy') ? 'policy' : undefined)
  const points = summary.rows.flatMap(({ levels, values }): Point[] => {
    const [value, bytes] = [values[metric.name], values.bytes]
    return value && bytes
      ? [{ levels, line: lines === undefined ? '' : String(levels[lines]), bytes: bytes.mean, value }]
      : []
  })
  if (!points.length)
    throw invalid('study', 'a study of which something has been measured', `none of ${summary.rows.length} settings`)
  const front = frontOf(points, metric.better)
  const facts: Facts = {
    metric,
    points,
    lines,
    front,
    knee: kneeOf(front),
    task: study.facts.task,
    clusters: clustersOf(summary.rows),
  }
  const words = wordsOf(facts)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, given) })
  return new Figure(
    {
      call: ['frontier', study, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => summary.table(),
      plot,
    },
    style,
  )
}

interface Facts {
  metric: StudyData['metrics'][number]
  points: readonly Point[]
  /** The dimension with a line for each level. */
  lines: string | undefined
  /** The fewest bytes first. */
  front: readonly Point[]
  knee: Point | undefined
  task: StudyData['facts']['task']
  clusters: number
}

const clustersOf = (rows: readonly SummaryRowData[]) => Math.max(...rows.map(({ clusters }) => clusters))

/** Those that no other equals or beats at both. */
function frontOf(points: readonly Point[], better: 'less' | 'more'): Point[] {
  const cost = (point: Point) => (better === 'less' ? point.value.mean : -point.value.mean)
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes || cost(a) - cost(b))
  let best = Infinity
  return sorted.filter((point) => {
    const kept = cost(point) < best
    if (kept) best = cost(point)
    return kept
  })
}

/** Farthest from the line between the ends, both axes as long as the front is; of three points or more. */
function kneeOf(front: readonly Point[]): Point | undefined {
  if (front.length < 3) return undefined
  const [first, last] = [front[0], front[front.length - 1]]
  const far = (point: Point) => {
    const x = Math.log(point.bytes / first.bytes) / Math.log(last.bytes / first.bytes)
    const y = (first.value.mean - point.value.mean) / (first.value.mean - last.value.mean)
    return y - x
  }
  const knee = front.slice(1, -1).reduce((best, point) => (far(point) > far(best) ? point : best))
  return far(knee) > 0 ? knee : undefined
}

const mib = (bytes: number) => `${shortNumber(bytes / MIB)} MiB`
const nameOf = ({ levels }: Point) =>
  Object.entries(levels)
    .map(([name, value]) => `${name} ${levelWords(value)}`)
    .join(', ') || 'the one setting'

function wordsOf({ metric, points, front, knee }: Facts): { title: string; detail: string } {
  const said = (point: Point) =>
    `${nameOf(point)}: ${mib(point.bytes)}, ${metric.name} ${shortNumber(point.value.mean)}${ends(point.value)}`
  const [first, last] = [front[0], front[front.length - 1]]
  return {
    title: knee
      ? `Knee at ${mib(knee.bytes)}: ${metric.name} ${shortNumber(knee.value.mean)}`
      : `${plainNumber(front.length)} of ${counted(points.length, 'setting')} are beaten by none at both bytes and ${metric.name}`,
    detail:
      (knee ? `${nameOf(knee)}${ends(knee.value)}. ` : '') +
      (first === last
        ? `${said(first)}.`
        : `The frontier goes from ${said(first)} to ${said(last)}; ${plainNumber(front.length)} of ${counted(points.length, 'setting')} are on it.`),
  }
}

function picture(facts: Facts, style: Style) {
  const { metric, points, lines, task, clusters } = facts
  const names = [...new Set(points.map(({ line }) => line))]
  const groups = names.map((name) => points.filter(({ line }) => line === name))
  const many = groups.length > LOOKS.length
  const places = placesOf(groups.flat(), style)
  const named = lines === undefined || many ? [] : levelsLegend(lines, names, 0.6 * style.width, style)
  // Policies have names that say what they are.
  const legend = lines === 'policy' ? named.slice(1) : named
  if (facts.front.length > 1) legend.push({ label: 'frontier', swatch: 'dash', color: 'ink' })
  if (facts.knee) legend.push({ label: 'knee', swatch: 'frame', color: 'ink' })
  return {
    subject: `${task.name}: ${task.about}`,
    notes: [
      `${metric.name}: ${metric.about}. Bars: 95% intervals over ${counted(clusters, 'cluster')}${points.some(({ value }) => value.low === null) ? ', none where they are fewer than 6' : ''}.`,
      ...(places.within === null ? [] : [asideWords(places.within)]),
    ],
    legend,
    arrangement: 'rows' as const,
    panels: [panel(facts, groups, places, many, style)],
  }
}

const asideWords = (within: number) =>
  `Where settings ${within > 1 ? `within ${percent(within - 1)} of` : 'of'} the same bytes would hide each other, they stand side by side, the fewest bytes first.`

const EDGE = 1.12
const markOf = (style: Style) => style.text * 0.7

/** Where settings stand, MiB, by setting: beside each other where they would hide each other. */
interface Places {
  at: ReadonlyMap<Point, number>
  within: number | null
  range: [number, number]
  /** Pixels of a factor of e. */
  pixels: number
}

/** Of all values, and of 0. */
function heightOf(points: readonly Point[]): [number, number] {
  const values = points.flatMap(({ value }) => extentOf(value))
  return [Math.min(0, ...values), Math.max(...values)]
}

function placesOf(points: readonly Point[], style: Style): Places {
  const bytes = points.map((point) => point.bytes / MIB)
  const [least, most] = [Math.min(...bytes), Math.max(...bytes)]
  const room = style.width - 2 * style.margin - 5 * style.text
  const pixels = room / Math.log((most / least) * EDGE ** 2)
  const [low, high] = heightOf(points)
  const up = (0.8 * style.body) / (high - low || 1)
  const standing = points.map(({ value }, i) => {
    const [, low, high] = extentOf(value).map((end) => end * up)
    return { at: bytes[i], low, high }
  })
  const width = markOf(style)
  const { at, within } = besideEachOther(standing, { pixels, width, room })
  const end = Math.exp(width / pixels)
  return {
    at: new Map(points.map((point, i) => [point, at[i]])),
    within,
    range: [Math.min(least / EDGE, Math.min(...at) / end), Math.max(most * EDGE, Math.max(...at) * end)],
    pixels,
  }
}

function panel(
  { metric, points, front, knee }: Facts,
  groups: readonly Point[][],
  { at, range, pixels }: Places,
  many: boolean,
  style: Style,
): Panel {
  const [low, high] = heightOf(points)
  const room = (high - low || 1) * 0.06
  const marks: Mark[] = []
  if (front.length > 1)
    marks.push({
      kind: 'line',
      name: 'frontier',
      color: 'ink',
      dash: true,
      width: style.text / 11,
      x: front.map((point) => at.get(point)!),
      y: front.map(({ value }) => value.mean),
    })
  groups.forEach((group, i) => {
    const { color, shape } = many ? LOOKS[0] : LOOKS[i]
    for (const point of group)
      addBar(marks, point.value, at.get(point)!, { name: point.line, color, width: style.text / 10 })
    marks.push({
      kind: 'points',
      name: group[0].line || metric.name,
      color,
      shape,
      x: group.map((point) => at.get(point)!),
      y: group.map(({ value }) => value.mean),
      hover: group.map(
        (point) =>
          `${nameOf(point)}\n${mib(point.bytes)}, ${metric.name} ${shortNumber(point.value.mean)}${ends(point.value)}`,
      ),
      diameter: markOf(style),
    })
  })
  if (knee) {
    const frame = noBoxes('knee', 'ink', { outline: true })
    const [x, value] = [at.get(knee)!, knee.value.mean]
    // Around its mark alone.
    const wide = Math.exp((0.75 * markOf(style)) / pixels)
    const up = (0.03 * (high - low || 1) * 240) / style.body
    addBox(frame, [x / wide, x * wide, value - up, value + up], `knee: ${nameOf(knee)}`)
    marks.push(frame)
  }
  return {
    share: 1,
    x: { label: 'MiB of keys and values', range, scale: 'log', ...xTicks(points, range) },
    y: { label: `${metric.name}, ${metric.unit}`, range: [low < 0 ? low - room : low, high + room], grid: true },
    marks,
  }
}

/** Within a decade or two powers of ten alone would be too few. */
function xTicks(points: readonly Point[], [least, most]: [number, number]) {
  const ticks = [-2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 3, 5].map((factor) => factor * 10 ** power))
  const inside = ticks.filter((at) => at >= least && at <= most)
  const bytes = points.map((point) => point.bytes / MIB)
  const shown = inside.length > 1 ? inside : [...new Set([Math.min(...bytes), Math.max(...bytes)])]
  return { ticks: shown.map((at) => ({ at, text: shortNumber(at) })) }
}
