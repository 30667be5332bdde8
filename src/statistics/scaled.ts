/** Intervals of statistics that are no means (a rank correlation of means over texts): the bootstrap's error with Student's quantile. */
import { resampled, type Draws } from './bootstrap.js'
import { FEWEST, student } from './intervals.js'

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
 * 95% interval of `statistic`, which is given indices of texts, with repetitions: around its value less the bootstrap's bias (few texts are
 * noisy, and what noise correlates looks less correlated), ± t·standard error on `scale`, both by n/(n − 1) as resamples vary less than
 * samples. Ranks jump, so the delete-one jackknife sees too little of their error.
 */
export function scaledInterval(
  texts: number,
  statistic: (chosen: ArrayLike<number>) => number | null,
  scale: Scale,
  draws: Draws,
): Estimate {
  const value = statistic(Int32Array.from({ length: texts }, (_, i) => i))
  const none = { value, low: null, high: null }
  if (texts < FEWEST || value === null) return none
  const found: number[] = []
  for (const chosen of resampled(texts, draws)) {
    const one = statistic(chosen)
    if (one === null) return none
    found.push(scale.to(one))
  }
  const mean = found.reduce((sum, one) => sum + one, 0) / found.length
  const squares = found.reduce((sum, one) => sum + (one - mean) ** 2, 0)
  const more = texts / (texts - 1)
  const error = Math.sqrt((more * squares) / (found.length - 1))
  const centre = scale.to(value) - (scale.smooth ? more * (mean - scale.to(value)) : 0)
  const half = student(0.975, texts - 1) * error
  return { value, low: scale.from(centre - half), high: scale.from(centre + half) }
}
