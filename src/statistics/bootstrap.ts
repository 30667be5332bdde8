/** Bootstrap intervals of independent texts: bias-corrected and accelerated of any statistic, studentised of means. */
import { randomInt } from 'node:crypto'
import { createRequire } from 'node:module'
import { integer } from '../expect.js'
import { generator } from '../sampling.js'
import { meanOf, spreadOf } from './moments.js'

/** What was drawn: the same again gives the same interval. */
export interface Draws {
  seed: number
  resamples: number
}

export const seedOf = (seed: number | undefined): number =>
  seed === undefined ? randomInt(2 ** 32) : integer('seed', seed, 0, 2 ** 32 - 1)

export const resamplesOf = (resamples: number | undefined, otherwise = 2000): number =>
  resamples === undefined ? otherwise : integer('resamples', resamples, 100, 1_000_000)

const requireHere = createRequire(import.meta.url)
type Distribution = (at: number, mean: number, sd: number) => number
const normal = () => ({
  quantile: requireHere('@stdlib/stats-base-dists-normal-quantile') as Distribution,
  cdf: requireHere('@stdlib/stats-base-dists-normal-cdf') as Distribution,
})

/** Indices of [0, texts) by resample, each of `texts`, in one buffer. */
export function* resampled(texts: number, { seed, resamples }: Draws): Generator<Int32Array> {
  const draw = generator(seed)
  const chosen = new Int32Array(texts)
  for (let i = 0; i < resamples; i++) {
    for (let j = 0; j < texts; j++) chosen[j] = Math.floor(draw() * texts)
    yield chosen
  }
}

/**
 * [low, high] of `statistic` (Efron 1987, "Better bootstrap confidence intervals"), which is given indices of [0, texts), with repetitions. Bias: the share of resamples below the statistic of
 * all; acceleration: the jackknife's skewness. Percentiles are spread by √(n/(n−1)), as a resample varies with n and a sample with n − 1
 * (Hesterberg 2015). Where all resamples are alike, both ends are that value.
 */
export function bca(
  texts: number,
  statistic: (chosen: ArrayLike<number>) => number,
  level: number,
  draws: Draws,
): [number, number] {
  const { resamples } = draws
  const { quantile, cdf } = normal()
  const all = statistic(Int32Array.from({ length: texts }, (_, i) => i))
  const found = new Float64Array(resamples)
  let i = 0
  for (const chosen of resampled(texts, draws)) found[i++] = statistic(chosen)
  found.sort()
  let below = 0
  // Half of those that equal it: discrete statistics have many.
  for (const value of found) below += value < all ? 1 : value === all ? 0.5 : 0
  const share = Math.min(Math.max(below / resamples, 0.5 / resamples), 1 - 0.5 / resamples)
  const bias = quantile(share, 0, 1)
  const acceleration = accelerationOf(texts, statistic)
  const spread = Math.sqrt(texts / (texts - 1))
  const end = (tail: number) => {
    const z = bias + spread * quantile(tail, 0, 1)
    return percentile(found, cdf(bias + z / (1 - acceleration * z), 0, 1))
  }
  return [end((1 - level) / 2), end((1 + level) / 2)]
}

/** Of the mean, `error` its standard error; resamples of one text alone, which have no spread, are left out. */
export function studentised(
  values: ArrayLike<number>,
  mean: number,
  error: number,
  level: number,
  draws: Draws,
): [number, number] {
  const found: number[] = []
  for (const chosen of resampled(values.length, draws)) {
    const drawn = Float64Array.from(chosen, (at) => values[at])
    const own = spreadOf(drawn) / Math.sqrt(drawn.length)
    if (own > 0) found.push((meanOf(drawn) - mean) / own)
  }
  if (!found.length) return [mean, mean]
  const sorted = Float64Array.from(found).sort()
  return [mean - percentile(sorted, (1 + level) / 2) * error, mean - percentile(sorted, (1 - level) / 2) * error]
}

function accelerationOf(texts: number, statistic: (chosen: ArrayLike<number>) => number): number {
  const without = Float64Array.from({ length: texts }, (_, gone) =>
    statistic(Int32Array.from({ length: texts - 1 }, (_, i) => (i < gone ? i : i + 1))),
  )
  const mean = without.reduce((sum, value) => sum + value, 0) / texts
  let [squares, cubes] = [0, 0]
  for (const value of without) {
    squares += (mean - value) ** 2
    cubes += (mean - value) ** 3
  }
  return squares ? cubes / (6 * squares ** 1.5) : 0
}

/** Between two values, in proportion. */
export function percentile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (at - below) * (sorted[above] - sorted[below])
}
