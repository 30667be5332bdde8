/** Paired differences: two settings of a study on the same prompts, each cluster's difference by itself, and what may be said of their mean. */
import { meanOf } from '../statistics/moments.js'
import { Figure } from './figure.js'
import { addBox, addInterval, extentOf, noBoxes } from './marks.js'
import type { LegendEntry, Mark, Panel, Plot, Tick } from './plot.js'
import { counted, plainNumber, rangeOf, shortNumber, ticksOf } from './scale.js'
import {
  checkStudy,
  leftWords,
  rowsFitting,
  settingWords,
  signed,
  VERDICTS,
  type LevelsData,
  type MetricData,
  type Verdict,
} from './study.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { ends, type Interval } from './words.js'

export interface PairedDifferencesOptions extends StyleOptions {
  /** Default: what the study is about. */
  metric?: string
}

interface DifferencesData {
  metric: MetricData
  found: {
    difference: Interval & { level: number }
    test: { p: number }
    smallest: number | null
    pairs: number
    clusters: number
    why: string
  }
  places: readonly { prompt: string; cluster: string; a: number; b: number }[]
  left: { failed: number; unchanged: number }
  table(): Record<string, (string | number | null)[]>
}

/** A study that has run, or a half of one. */
export interface PairedStudyData {
  cannot: string | null
  facts: { task: { name: string; about: string } }
  differences(a: LevelsData, b: LevelsData, options: { metric?: string }): DifferencesData
}

interface Row {
  cluster: string
  /** Of its pairs, and of the cluster. */
  values: number[]
  mean: number
}

/** Of rows that have names. */
const MOST_NAMES = 40
/** What stands beside the rows, in heights of text: the mean and the axis. */
const AROUND = 6.6

/**
 * Metric at `a` less that at `b`, each some levels of the same dimensions, everything else equal: a row for each cluster, sorted, with a mark at its
 * mean and a stroke at each of its pairs; the mean of all with its interval below. `data`: a row for each pair. Errors: those of
 * study.differences(), and 'invalid' for something else.
 */
export function pairedDifferences(
  study: PairedStudyData,
  a: LevelsData,
  b: LevelsData,
  options: PairedDifferencesOptions = {},
): Figure {
  const style = styleOptions('pairedDifferences', options, ['metric'])
  checkStudy(study, 'pairedDifferences', ['differences'])
  const { metric } = options
  const facts: Facts = { found: study.differences(a, b, metric === undefined ? {} : { metric }), a, b, study }
  const rows = rowsOf(facts.found)
  const words = wordsOf(facts, rows)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, rows, words, given) })
  return new Figure(
    {
      call: ['pairedDifferences', study, a, b, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => facts.found.table(),
      plot,
    },
    style,
  )
}

interface Facts {
  found: DifferencesData
  a: LevelsData
  b: LevelsData
  study: PairedStudyData
}

/** The least difference first. */
function rowsOf({ places }: DifferencesData): Row[] {
  const clusters = new Map<string, number[]>()
  for (const { cluster, a, b } of places) clusters.set(cluster, [...(clusters.get(cluster) ?? []), a - b])
  return Array.from(clusters, ([cluster, values]) => ({
    cluster,
    values,
    mean: meanOf(values),
  })).sort((one, other) => one.mean - other.mean)
}

const verdictOf = (value: number, better: 'less' | 'more'): Verdict =>
  value === 0 ? 'open' : value > 0 === (better === 'more') ? 'better' : 'worse'

function wordsOf({ found: { metric, found, left }, a, b, study }: Facts, rows: readonly Row[]) {
  const { difference, test, smallest, pairs, clusters } = found
  const better = rows.filter(({ mean }) => verdictOf(mean, metric.better) === 'better').length
  const could = smallest === null ? '' : `; so many clusters find ${shortNumber(smallest)} four times of five`
  return {
    title: `${settingWords(a)} less ${settingWords(b)}: ${metric.name} ${signed(difference.mean)}${ends(difference, signed)}`,
    detail:
      `${metric.about}, ${metric.unit}, ${metric.better} is better. p ${shortNumber(test.p)} by sign flips over ${counted(clusters, 'cluster')} of ${counted(pairs, 'pair')}${could}. ` +
      `${settingWords(a)} is better in ${plainNumber(better)} of ${plainNumber(clusters)}.${leftWords(left)}${study.cannot === null ? '' : ` But ${study.cannot}.`}`,
  }
}

function picture(
  { found: { metric, found }, a, b, study }: Facts,
  rows: readonly Row[],
  words: { title: string; detail: string },
  style: Style,
) {
  const narrow = style.size === 'column'
  const [one, other] = [a, b].map((levels) => shortened(settingWords(levels), 0.34 * style.width, { size: style.text }))
  const kinds = (['better', 'worse', 'open'] as const).filter((kind) =>
    rows.some(({ mean }) => verdictOf(mean, metric.better) === kind),
  )
  const labels = { better: `${one} better`, worse: `${other} better`, open: 'equal' }
  const legend = kinds.map((kind): LegendEntry => ({
    label: labels[kind],
    color: VERDICTS[kind].color,
    swatch: VERDICTS[kind].shape,
  }))
  const many = rows.some(({ values }) => values.length > 1)
  if (many) legend.push({ label: 'each pair', color: 'muted', swatch: 'tick' })
  const said = {
    subject: `${study.facts.task.name}: ${study.facts.task.about}`,
    notes: [
      `Rows: clusters, sorted${many ? '; marks: their means' : ''}. Band and bar: ${plainNumber(100 * found.difference.level)}% interval of the mean over clusters (${found.why}).`,
    ],
    legend,
    arrangement: 'rows' as const,
  }
  const around = AROUND * style.text
  const named = rows.length <= Math.min(MOST_NAMES, rowsFitting({ ...words, ...said }, around, style))
  const line = named ? (narrow ? 13.5 : 15) : Math.max(2, 320 / rows.length)
  return {
    ...said,
    panels: panels(metric, found, rows, named, style),
    body: around + Math.max(4, rows.length) * line,
  }
}

function panels(
  metric: MetricData,
  { difference }: DifferencesData['found'],
  rows: readonly Row[],
  named: boolean,
  style: Style,
): Panel[] {
  const range = rangeOf([0, ...rows.flatMap((row) => row.values), ...extentOf(difference)], 0.05)
  const y: [number, number] = [rows.length - 0.5, -0.5]
  const zero = (from: number, to: number): Mark => ({
    kind: 'line',
    name: 'nothing',
    color: 'muted',
    dash: true,
    width: 1,
    x: [0, 0],
    y: [from, to],
  })
  const marks: Mark[] = []
  if (difference.low !== null && difference.high !== null) {
    const band = noBoxes('interval of the mean', 'calm', { opacity: 0.14 })
    addBox(
      band,
      [difference.low, difference.high, -0.5, rows.length - 0.5],
      `mean ${signed(difference.mean)}${ends(difference, signed)}`,
    )
    marks.push(band)
  }
  marks.push(zero(-0.5, rows.length - 0.5))
  const strokes = rows.flatMap((row, at) => (row.values.length > 1 ? row.values.map((value) => [value, at]) : []))
  const diameter = style.text * (named ? 0.7 : 0.45)
  if (strokes.length)
    marks.push({
      kind: 'points',
      name: 'each pair',
      color: 'muted',
      shape: 'tick',
      diameter,
      x: strokes.map(([value]) => value),
      y: strokes.map(([, at]) => at),
    })
  for (const kind of ['better', 'worse', 'open'] as const) {
    const own = rows.flatMap((row, at) => (verdictOf(row.mean, metric.better) === kind ? [{ row, at }] : []))
    if (!own.length) continue
    const { color, shape } = VERDICTS[kind]
    marks.push({
      kind: 'points',
      name: kind,
      color,
      shape,
      diameter,
      x: own.map(({ row }) => row.mean),
      y: own.map(({ at }) => at),
      hover: own.map(
        ({ row }) =>
          `${row.cluster}: ${signed(row.mean)}${row.values.length > 1 ? `, mean of ${counted(row.values.length, 'pair')}` : ''}`,
      ),
    })
  }
  const room = (style.size === 'column' ? 0.4 : 0.3) * style.width
  const mean: Mark[] = [zero(-0.5, 0.5)]
  const said = `mean ${signed(difference.mean)}${ends(difference, signed)}`
  addInterval(mean, { name: 'mean', color: 'ink', shape: 'diamond', interval: difference, row: 0, said }, style)
  return [
    {
      share: rows.length,
      x: { range, ticks: [] },
      y: {
        range: y,
        ...(named
          ? {
              ticks: rows.map(({ cluster }, at): Tick => ({
                at,
                text: shortened(cluster, room, { size: style.small }),
              })),
            }
          : { label: `${plainNumber(rows.length)} clusters`, ticks: [] }),
      },
      marks,
    },
    {
      share: Math.max(1.2, 0.07 * rows.length),
      x: { label: `${metric.name}, ${metric.unit}`, range, ticks: ticksOf({ range }, style.size === 'column' ? 3 : 8) },
      y: { range: [0.5, -0.5], ticks: [{ at: 0, text: 'mean' }] },
      marks: mean,
    },
  ]
}
