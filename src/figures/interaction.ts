/** Interaction of two dimensions of a study: a line of means for each level of the second, parallel where the two do not depend on each other. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import { addBar, extentOf } from './marks.js'
import type { Mark, Panel, Plot } from './plot.js'
import { counted, plainNumber, rangeOf, shortNumber } from './scale.js'
import { checkStudy, levelsLegend, LOOKS, metricNamed, signed, type LevelsData, type MetricData } from './study.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { ends, levelWords, listed, type Interval } from './words.js'

export interface InteractionOptions extends StyleOptions {
  /** Default: what the study is about. */
  metric?: string
}

interface EffectData {
  dimensions: readonly string[]
  from: readonly unknown[]
  to: readonly unknown[]
  aliases: readonly (readonly string[])[]
  found: { difference: Interval; pairs: number; clusters: number; smallest: number | null; left: number } | null
  holm: number | null
}

/** A study that has run, or a half of one. */
export interface InteractionStudyData {
  cannot: string | null
  facts: { task: { name: string; about: string } }
  metrics: readonly MetricData[]
  dimensions: Readonly<Record<string, readonly unknown[]>>
  summary(by: readonly string[]): {
    rows: readonly { levels: LevelsData; trials: number; values: Readonly<Record<string, Interval | null>> }[]
    table(): Record<string, (string | number | null)[]>
  }
  effects(options: { metric: string }): { interactions: readonly EffectData[] }
}

/** Lines that cross and are still told apart. */
const MOST = 5
const LEVEL = 0.05

/**
 * Means of a metric by the levels of two dimensions of a study: the first along x, in the order of the study, a line for each level of the second (at
 * most 5), bars are intervals over clusters. In words the contrast of the two beyond each by itself, paired prompt by prompt, with Holm’s p over all effects
 * of the study. `data`: a row for each two levels. Errors: 'invalid' for something else, and for dimensions that the study does not vary.
 */
export function interaction(
  study: InteractionStudyData,
  dimensions: readonly [string, string],
  options: InteractionOptions = {},
): Figure {
  const style = styleOptions('interaction', options, ['metric'])
  checkStudy(study, 'interaction', ['summary', 'effects'])
  const [x, by] = pairOf(study, dimensions)
  const metric = metricNamed(study.metrics, options.metric)
  const summary = study.summary([x, by])
  const pair = ({ dimensions: of }: EffectData) => of.length === 2 && of.includes(x) && of.includes(by)
  const found = study.effects({ metric: metric.name }).interactions.filter(pair)
  const facts: Facts = { study, x, by, metric, rows: summary.rows, found }
  const words = wordsOf(facts)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, given) })
  return new Figure(
    {
      call: ['interaction', study, dimensions, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(summary.table(), [x, by], metric.name),
      plot,
    },
    style,
  )
}

interface Facts {
  study: InteractionStudyData
  x: string
  by: string
  metric: MetricData
  rows: ReturnType<InteractionStudyData['summary']>['rows']
  found: readonly EffectData[]
}

function pairOf({ dimensions }: InteractionStudyData, given: unknown): [string, string] {
  const names = Object.keys(dimensions).filter((name) => dimensions[name].length > 1)
  const right =
    Array.isArray(given) &&
    given.length === 2 &&
    given[0] !== given[1] &&
    given.every((name) => names.includes(name as string))
  if (!right)
    throw invalid('dimensions', `two of ${names.map((name) => `'${name}'`).join(', ')}, which the study varies`, given)
  const [x, by] = given as [string, string]
  if (dimensions[by].length > MOST)
    throw invalid(
      'dimensions',
      `a second one of at most ${MOST} levels, each of which is a line`,
      given,
      dimensions[x].length > MOST ? undefined : `turn them round: ['${by}', '${x}']`,
    )
  return [x, by]
}

const COLUMNS = ['trials', 'clusters', 'unchanged', 'failed']

const columnsOf = (table: Record<string, (string | number | null)[]>, by: readonly string[], metric: string) =>
  Object.fromEntries([...by, ...COLUMNS, metric, `${metric}Low`, `${metric}High`].map((name) => [name, table[name]]))

/** At whose levels it is, the figure's order whatever the effect's. */
const levelsOf = ({ dimensions, from, to }: EffectData, name: string) => {
  const at = dimensions.indexOf(name)
  return { from: levelWords(from[at]), to: levelWords(to[at]) }
}

function wordsOf({ study, x, by, metric, found }: Facts): { title: string; detail: string } {
  const known = found.filter((one) => one.found)
  const but = study.cannot === null ? '' : ` But ${study.cannot}.`
  const levels = `${counted(study.dimensions[x].length, 'level')} of ${x}, ${plainNumber(study.dimensions[by].length)} of ${by}`
  if (!known.length)
    return {
      title: `${x} × ${by} on ${metric.name}: not to be told`,
      detail: `${levels}: nowhere have both levels of both been measured with everything else equal, or this design does not tell it.${but}`,
    }
  const size = (one: EffectData) => Math.abs(one.found!.difference.mean)
  const largest = known.reduce((best, one) => (size(one) > size(best) ? one : best))
  const shown = known.filter(({ holm }) => holm !== null && holm <= LEVEL)
  const [a, b] = [levelsOf(largest, x), levelsOf(largest, by)]
  const { difference, pairs, clusters, smallest, left } = largest.found!
  const aliases = [...new Set(known.flatMap((one) => one.aliases.map((names) => names.join(' × '))))]
  return {
    title:
      known.length === 1
        ? `${x} × ${by} on ${metric.name}: ${signed(difference.mean)}${ends(difference, signed)}, ${shown.length ? 'to be told from nothing' : 'nothing shown'}`
        : `${x} × ${by} on ${metric.name}: ${plainNumber(shown.length)} of ${counted(known.length, 'contrast')} to be told from nothing`,
    detail:
      `What ${x} ${a.from} → ${a.to} does to ${metric.name} (${metric.unit}, ${metric.better} is better) changes by ${signed(difference.mean)}${ends(difference, signed)} from ${by} ${b.from} to ${b.to}` +
      ` (p ${shortNumber(largest.holm!)} after Holm, ${counted(pairs, 'pair')} in ${counted(clusters, 'cluster')}${smallest === null ? '' : `; could have shown ${shortNumber(smallest)}`})${known.length > 1 ? ', the largest of them' : ''}.` +
      (left ? ` ${counted(left, 'place is', 'places are')} left out: a trial failed or changed nothing.` : '') +
      (aliases.length ? ` It cannot be told from ${listed(aliases)}.` : '') +
      but,
  }
}

function picture(facts: Facts, style: Style) {
  const { study, by, metric, rows } = facts
  const lines = study.dimensions[by]
  const legend = levelsLegend(by, lines.map(levelWords), 0.5 * style.width, style)
  const none = rows.some(({ values }) => values[metric.name]?.low === null)
  return {
    subject: `${study.facts.task.name}: ${study.facts.task.about}`,
    notes: [
      `${metric.name}: ${metric.about}. Bars: 95% intervals of each mean over clusters${none ? ', none where they are fewer than 6' : ''}; texts differ more than settings do on one text, so the contrast above is narrower than they look.`,
    ],
    legend,
    arrangement: 'rows' as const,
    panels: [panel(facts, style)],
    body: style.size === 'column' ? 200 : 290,
  }
}

function panel({ study, x, by, metric, rows }: Facts, style: Style): Panel {
  const [across, lines] = [study.dimensions[x], study.dimensions[by]]
  const marks: Mark[] = []
  const values: number[] = []
  lines.forEach((level, i) => {
    const { color, shape } = LOOKS[i]
    const name = `${by} ${levelWords(level)}`
    // Beside each other, so that bars do not hide each other.
    const aside = (i - (lines.length - 1) / 2) * Math.min(0.1, 0.4 / lines.length)
    const points = across.flatMap((one, at) => {
      const row = rows.find(({ levels }) => levels[x] === one && levels[by] === level)
      const value = row?.values[metric.name]
      return value
        ? [
            {
              at: at + aside,
              value,
              said: `${x} ${levelWords(one)}, ${name}: ${shortNumber(value.mean)}${ends(value)}\n${counted(row.trials, 'trial')}`,
            },
          ]
        : []
    })
    for (const { at, value } of points) {
      values.push(...extentOf(value))
      addBar(marks, value, at, { name, color, width: style.text / 9 })
    }
    const [xs, ys] = [points.map(({ at }) => at), points.map(({ value }) => value.mean)]
    if (points.length > 1)
      marks.push({ kind: 'line', name, color, width: style.text / 8, x: xs, y: ys, dash: i % 2 === 1 })
    if (points.length)
      marks.push({
        kind: 'points',
        name,
        color,
        shape,
        diameter: style.text * 0.75,
        x: xs,
        y: ys,
        hover: points.map(({ said }) => said),
      })
  })
  return {
    share: 1,
    x: {
      label: x,
      range: [-0.5, across.length - 0.5],
      ticks: across.map((level, at) => ({
        at,
        text: shortened(levelWords(level), (0.8 * style.width) / across.length, { size: style.small }),
      })),
    },
    y: { label: `${metric.name}, ${metric.unit}`, range: rangeOf(values.length ? values : [0, 1], 0.06), grid: true },
    marks,
  }
}
