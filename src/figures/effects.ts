/** Main effects and interactions of a study's dimensions: each a point with its interval beside nothing. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import { addInterval, extentOf } from './marks.js'
import type { LegendEntry, Mark, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, rangeOf, shortNumber, ticksOf } from './scale.js'
import { signed, VERDICTS, type MetricData, type Verdict } from './study.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { linesOf, textWidth, wrapped } from './text.js'
import { ends, levelWords, listed, type Interval } from './words.js'

interface EffectData {
  dimensions: readonly string[]
  from: readonly unknown[]
  to: readonly unknown[]
  aliases: readonly (readonly string[])[]
  found: {
    difference: Interval & { level: number }
    smallest: number | null
    pairs: number
    clusters: number
    why: string
  } | null
  /** Of ranges. */
  misfit?: number | null
  holm: number | null
}

/** What study.effects() gives. */
export interface EffectsData {
  metric: MetricData
  main: readonly EffectData[]
  interactions: readonly EffectData[]
  /** Of ranges. */
  fit?: { settings: number; explained: number | null; without: string | null } | null
  table(): Record<string, (string | number | null)[]>
}

/** In grey, shapes tell them apart. */
const LABELS: Record<Verdict, string> = { better: 'better', worse: 'worse', open: 'not to be told from 0' }
const KINDS = Object.keys(LABELS) as Verdict[]
const LEVEL = 0.05

/**
 * What study.effects() found: each level's effect against its dimension's first, of a range the change from one end to the other, and each two together, with
 * the interval over clusters; those that Holm’s p tells from nothing (at most 0.05) stand out. `data`: the effects’ table. Errors: 'invalid' for something else.
 */
export function effects(found: EffectsData, options: StyleOptions = {}): Figure {
  const style = styleOptions('effects', options, [])
  if (typeof found !== 'object' || found === null || !('interactions' in found) || !('main' in found))
    throw invalid('effects', 'a result of study.effects()', found, 'run the study, then effects(study.effects())')
  const words = wordsOf(found)
  const plot = (given: Style): Plot => ({ ...words, ...picture(found, given) })
  return new Figure(
    {
      call: ['effects', found, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => found.table(),
      plot,
    },
    style,
  )
}

const nameOf = ({ dimensions, from, to }: EffectData) =>
  dimensions.length === 1
    ? `${dimensions[0]} ${levelWords(from[0])} → ${levelWords(to[0])}`
    : dimensions.map((name, i) => `${name} ${levelWords(to[i])}`).join(' × ')

/** Of an interaction, more in the good direction than the two by themselves is better. */
function kindOf({ found, holm, misfit }: EffectData, better: 'less' | 'more'): Verdict {
  if (!found || holm === null || holm > LEVEL || Math.abs(found.difference.mean) <= (misfit ?? 0)) return 'open'
  return found.difference.mean > 0 === (better === 'more') ? 'better' : 'worse'
}

function wordsOf({ metric, main, interactions }: EffectsData): { title: string; detail: string } {
  const known = [...main, ...interactions].filter(({ found }) => found)
  const shown = known.filter((one) => kindOf(one, metric.better) !== 'open')
  const said = (one: EffectData) =>
    `${nameOf(one)} ${signed(one.found!.difference.mean)}${ends(one.found!.difference, signed)}`
  const largest = [...known].sort((a, b) => Math.abs(b.found!.difference.mean) - Math.abs(a.found!.difference.mean))
  const title = !known.length
    ? `No effect on ${metric.name} could be measured`
    : shown.length
      ? `${plainNumber(shown.length)} of ${counted(known.length, 'effect')} on ${metric.name} can be told from nothing`
      : `None of ${counted(known.length, 'effect')} on ${metric.name} can be told from nothing`
  const smallest = known.flatMap(({ found }) => (found!.smallest === null ? [] : [found!.smallest]))
  const could = smallest.length
    ? ` The smallest that each could have shown: ${shortNumber(Math.min(...smallest))} to ${shortNumber(Math.max(...smallest))}.`
    : ''
  return {
    title,
    detail: largest.length
      ? `Largest: ${listed(largest.slice(0, 2).map(said))} (${metric.unit}, ${metric.better} is better).${could}`
      : `Nowhere were two levels tried with everything else equal: ${counted(main.length, 'main effect')} and ${counted(interactions.length, 'interaction')} were asked for.`,
  }
}

function picture({ metric, main, interactions, fit }: EffectsData, style: Style) {
  const all = [...main, ...interactions].filter(({ found }) => found)
  const kinds = KINDS.filter((kind) => all.some((one) => kindOf(one, metric.better) === kind))
  const legend = kinds.map((kind): LegendEntry => {
    const { color, shape } = VERDICTS[kind]
    return { label: LABELS[kind], color, swatch: shape }
  })
  const [first] = all
  const of = first?.found
  const narrow = style.size === 'column'
  const parts = [
    { title: 'main effects', effects: main.filter(({ found }) => found) },
    { title: 'interactions', effects: interactions.filter(({ found }) => found) },
  ]
    .filter(({ effects }) => effects.length)
    .map((part) => ({ ...part, rows: rowsOf(part.effects, style) }))
  const high = parts.reduce((sum, { rows }) => sum + rows.high, 0)
  const range = rangeAround(all)
  const label = `${metric.name}${fit ? ' over the range' : ''}, ${metric.unit}`
  return {
    subject: of
      ? `${metric.name}: ${metric.about} · ${counted(of.pairs, fit ? 'prompt' : 'pair')} in ${counted(of.clusters, 'cluster')}${fit ? '' : ' of the first'}`
      : metric.name,
    notes: of
      ? [
          ...all
            .filter(({ aliases }) => aliases.length)
            .map(
              (one) =>
                `${one.dimensions.join(' × ')} cannot be told from ${listed(one.aliases.map((names) => names.join(' × ')))}.`,
            ),
          `Bars: ${plainNumber(100 * of.difference.level)}% intervals of each alone, over clusters (${of.why}). Colours: Holm’s p at most ${LEVEL} over all of them.${interactions.some(({ found }) => found) ? ' Interactions: beyond the two by themselves.' : ''}`,
          ...(fit ? [planeWords(fit)] : []),
        ]
      : [],
    legend,
    arrangement: 'rows' as const,
    panels: parts.length
      ? parts.map(({ title, rows }, i) => panel(title, rows, range, i === parts.length - 1 && label, style, metric))
      : [panel('', rowsOf([], style), range, label, style, metric)],
    body: 60 + parts.length * 26 + Math.max(3, high) * (narrow ? 15 : 18),
  }
}

const planeWords = ({ settings, explained, without }: NonNullable<EffectsData['fit']>) =>
  `Ranges: from one end to the other along the plane of least squares through the ${counted(settings, 'setting')} of each prompt, the rest in the middle${explained === null ? '' : `; planes explain ${percent(explained)} of how settings differ, thin lines are what they leave open`}.${without === null ? '' : ` No interactions: ${without}.`}`

function rangeAround(all: readonly EffectData[]): [number, number] {
  const values = all.flatMap(({ found, misfit }) => {
    const { mean } = found!.difference
    const open = misfit ?? 0
    return [...extentOf(found!.difference), mean - open, mean + open]
  })
  return rangeOf([0, ...values], 0.05)
}

interface Rows {
  named: { one: EffectData; at: number; name: string }[]
  /** In rows of one line. */
  high: number
}

/** Names that are wider than what they have beside a panel go on below, each of several dimensions on its own, and their rows are higher. */
function rowsOf(effects: readonly EffectData[], style: Style): Rows {
  const room = (style.size === 'column' ? 0.5 : 0.36) * style.width
  let high = 0
  const named = effects.map((one) => {
    const whole = nameOf(one)
    const fits = textWidth(whole, { size: style.small }) <= room
    const pieces = fits ? [whole] : whole.split(/(?<= ×) /)
    const name = pieces.flatMap((piece) => wrapped(piece, room, { size: style.small })).join('\n')
    const own = 1 + 0.7 * (linesOf(name).length - 1)
    high += own
    return { one, at: high - own / 2, name }
  })
  return { named, high }
}

function panel(
  title: string,
  { named, high }: Rows,
  range: [number, number],
  /** Below the last of them. */
  label: string | false,
  style: Style,
  { better, unit }: EffectsData['metric'],
): Panel {
  const marks: Mark[] = [
    { kind: 'line', name: 'nothing', color: 'muted', dash: true, width: 1, x: [0, 0], y: [0, high] },
  ]
  named.forEach(({ one, at: row }) => {
    const { color, shape } = VERDICTS[kindOf(one, better)]
    const said = `${nameOf(one)}: ${signed(one.found!.difference.mean)}${ends(one.found!.difference, signed)} ${unit}\np ${shortNumber(one.holm!)} after Holm`
    const { mean } = one.found!.difference
    if (one.misfit)
      marks.push({
        kind: 'line',
        name: nameOf(one),
        color,
        width: 1,
        x: [mean - one.misfit, mean + one.misfit],
        y: [row, row],
      })
    addInterval(marks, { name: nameOf(one), color, shape, interval: one.found!.difference, row, said }, style)
  })
  return {
    title,
    share: Math.max(1, high),
    x: label ? { label, range, ticks: ticksOf({ range }, style.size === 'column' ? 3 : 8) } : { range, ticks: [] },
    y: {
      range: [Math.max(high, 1), 0],
      ticks: named.map(({ at, name }) => ({ at, text: name })),
    },
    marks,
  }
}
