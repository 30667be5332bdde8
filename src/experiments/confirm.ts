/** Chosen on one half of the clusters, reported on the other: the best of many settings is lucky, too, where it was chosen. */
import { confirmationText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { randomOrder } from '../sampling.js'
import type { Levels } from './designs.js'
import type { Results } from './results.js'
import type { Contrast } from './rows.js'
import type { Metric } from './measures/measuring.js'

export interface Confirmation {
  metric: Metric
  /** Of the exploring half the best mean, of settings whose every trial counts, or what halving left; null: there is none. */
  chosen: Levels | null
  /** The design's first setting, of first levels, which it is compared with. */
  base: Levels
  /** Its metric less the base's, where it was chosen, and where it was not: the latter is what may be said. Null: it is the base, or they meet nowhere. */
  exploring: Contrast | null
  confirming: Contrast | null
}

/** The clusters that are explored: `share` of them, drawn once and for all from their names. */
export function exploredOf(clusters: Iterable<string>, share: number): Set<string> {
  const names = [...new Set(clusters)].sort()
  const drawn = Array.from(randomOrder(names.length, 1), (at) => names[at])
  return new Set(drawn.slice(0, Math.round(share * names.length)))
}

/** `left`: what was chosen already, null for nothing; undefined: the best mean of the exploring half is. */
export function confirmed(exploring: Results, confirming: Results, metric: Metric, left?: Levels | null): Confirmation {
  const chosen = left === undefined ? bestOf(exploring, metric) : left
  const [base] = exploring.tried.settings
  const same = chosen === null || Object.entries(base).every(([name, level]) => chosen[name] === level)
  const over = (of: Results) => (same ? null : of.compare(chosen, base, { metric: metric.name }))
  return showsItself(
    { metric, chosen, base, exploring: over(exploring), confirming: over(confirming) },
    confirmationText,
  )
}

function bestOf(exploring: Results, metric: Metric): Levels | null {
  const { rows } = exploring.summary()
  const most = Math.max(0, ...rows.map(({ trials }) => trials))
  const whole = rows.filter(({ trials, values }) => trials === most && values[metric.name])
  const cost = ({ values }: (typeof rows)[number]) =>
    metric.better === 'less' ? values[metric.name]!.mean : -values[metric.name]!.mean
  return whole.length ? whole.reduce((best, row) => (cost(row) < cost(best) ? row : best)).levels : null
}
