/** Intervals of statistics that are no means (a rank correlation of means over texts): the bootstrap's error with Student's quantile. */
import { FEWEST, student } from './intervals.js'
import { meanOf, spreadOf } from './moments.js'

export interface Estimate {
  /** Of all texts; null where it is not defined. */
  value: number | null
  /** null with fewer than 6 texts, or where some draw of them leaves nothing to say. */
  low: number | null
  high: number | null
}

/** A scale on which errors are alike everywhere, and back. */
export interface Scale {
  to(value: number): number
  from(value: number): number
  /** Whether small changes of the texts make small changes of the statistic, so that the bootstrap sees its bias. */
  smooth: boolean
}

/** Fisher's z of a correlation; ±1 is a little less, as it has no end. */
export const CORRELATION: Scale = {
  to: (value) => Math.atanh(Math.min(Math.max(value, -1 + 1e-12), 1 - 1e-12)),
  from: Math.tanh,
  smooth: true,
}

/** A share of [0, 1] of things counted. */
export const SHARE: Scale = {
  to: (value) => value,
  from: (value) => Math.min(1, Math.max(0, value)),
  smooth: false,
}

/**
 * 95% interval of a statistic whose `value` is of all texts and which `found` has of resamples of them: around its value less the bootstrap's bias
 * (few texts are noisy, and what noise correlates looks less correlated), ± t·standard error on `scale`, both by n/(n − 1) as resamples vary
 * less than samples. `drawn`: the statistic of what was resampled, where `value` is made of all texts in another way. Ranks jump, so the delete-one jackknife sees too little of their error.
 */
export function scaledInterval(
  texts: number,
  value: number | null,
  found: readonly (number | null)[],
  scale: Scale,
  drawn = value,
): Estimate {
  const none = { value, low: null, high: null }
  if (texts < FEWEST || value === null || drawn === null) return none
  const scaled: number[] = []
  for (const one of found) {
    if (one === null) return none
    scaled.push(scale.to(one))
  }
  const middle = scale.to(value)
  const bias = meanOf(scaled) - scale.to(drawn)
  const more = texts / (texts - 1)
  const error = Math.sqrt(more) * spreadOf(scaled)
  const centre = middle - (scale.smooth ? more * bias : 0)
  const half = student(0.975, texts - 1) * error
  return { value, low: scale.from(centre - half), high: scale.from(centre + half) }
}
