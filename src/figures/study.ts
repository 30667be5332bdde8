/** What figures of studies share: what they ask of one, and how better and worse, and settings beside each other, look. */
import { invalid, oneOf } from '../expect.js'
import type { LegendEntry, Plot, Shape } from './plot.js'
import { counted, shortNumber } from './scale.js'
import { bodyOf } from './layout.js'
import type { Fill, Style } from './style.js'
import { shortened, textWidth } from './text.js'
import { levelWords } from './words.js'

export type LevelsData = Readonly<Record<string, unknown>>

export interface MetricData {
  name: string
  about: string
  unit: string
  better: 'less' | 'more'
}

/** In grey, shapes tell them apart. */
interface Look {
  color: Fill
  shape: Shape
}

export type Verdict = 'better' | 'worse' | 'open'
export const VERDICTS: Record<Verdict, Look> = {
  better: { color: 'calm', shape: 'dot' },
  worse: { color: 'flip', shape: 'triangle' },
  open: { color: 'muted', shape: 'diamond' },
}

/** Filled shapes first: a stroke is lost on the bar of its interval. */
export const LOOKS: readonly Look[] = [
  { color: 'calm', shape: 'dot' },
  { color: 'flip', shape: 'triangle' },
  { color: 'residual1', shape: 'diamond' },
  { color: 'queries', shape: 'square' },
  { color: 'residual0', shape: 'down' },
  { color: 'residual2', shape: 'dot' },
  { color: 'ink', shape: 'triangle' },
  { color: 'muted', shape: 'diamond' },
  { color: 'ink', shape: 'cross' },
]

/** Of a dimension: its name once, then its levels, each with its look; `room`: of each, pixels. */
export const levelsLegend = (
  dimension: string,
  levels: readonly string[],
  room: number,
  { text: size }: Style,
): LegendEntry[] => [
  { label: `${dimension}:`, swatch: 'none', color: 'ink' },
  ...levels.map((level, i) => ({
    label: shortened(level, room, { size }),
    color: LOOKS[i].color,
    swatch: LOOKS[i].shape,
  })),
]

export const signed = (value: number) => (value > 0 ? `+${shortNumber(value)}` : shortNumber(value))

/** 'alpha 0.5, recent 0.25'. */
export const settingWords = (levels: LevelsData) =>
  Object.entries(levels)
    .map(([name, level]) => (name === 'policy' ? String(level) : `${name} ${levelWords(level)}`))
    .join(', ') || 'the one setting'

/** Names of settings for an axis with so much room; where they have none, their levels alone, and `label` says of what. */
export function settingNames(
  settings: readonly LevelsData[],
  room: number,
  style: Style,
): { names: string[]; label?: string } {
  const whole = settings.map(settingWords)
  if (whole.every((name) => textWidth(name, { size: style.small }) <= room)) return { names: whole }
  const names = settings.map((levels) => Object.values(levels).map(levelWords).join(', '))
  return { names, label: Object.keys(settings[0]).join(', ') }
}

/** Rows of words that fit one under another, beside `taken` pixels; a page grows with its rows, a slide does not. */
export function rowsFitting(words: Omit<Plot, 'panels'>, taken: number, style: Style): number {
  return style.height ? Math.floor((bodyOf(words, style) - taken) / (style.small * 1.25)) : Infinity
}

/** Errors: 'invalid' for a metric that there is none of. */
export function metricNamed(metrics: readonly MetricData[], name: string | undefined): MetricData {
  if (name === undefined) return metrics[0]
  const names = metrics.map((one) => one.name)
  return metrics[names.indexOf(oneOf('metric', name, names))]
}

/** That `study` has what a figure asks of it. Errors: 'invalid'. */
export function checkStudy(study: unknown, figure: string, needs: readonly string[]): void {
  const has = (name: string) => typeof (study as Record<string, unknown>)[name] === 'function'
  if (typeof study !== 'object' || study === null || !needs.every(has))
    throw invalid('study', 'a study that has run', study, `figures.${figure}(await study.run(), …)`)
}

/** ' 2 places are left out: in 1 a trial failed, in 1 one changed nothing.' */
export function leftWords({ failed, unchanged }: { failed: number; unchanged: number }): string {
  if (!failed && !unchanged) return ''
  const why = [failed && `in ${failed} a trial failed`, unchanged && `in ${unchanged} one changed nothing`]
  return ` ${counted(failed + unchanged, 'place is', 'places are')} left out: ${why.filter(Boolean).join(', ')}.`
}
