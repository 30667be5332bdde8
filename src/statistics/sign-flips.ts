/** Whether paired differences are about nothing: the sign-flip test. Under that hypothesis each difference might as well have the other sign. */
import { finiteNumbers, invalid, options as checkedOptions } from '../expect.js'
import { generator } from '../sampling.js'
import { resamplesOf, seedOf, type Draws } from './bootstrap.js'
import { meanOf } from './moments.js'

/** Differences up to which every way of flipping signs is counted: 2⁴⁰ ways by their halves, a million sums each. */
export const COUNTED = 40
/** Of the sum that was seen: what rounding makes of equal sums. */
const ROUNDING = 1e-12

export interface SignFlipOptions {
  /** Of draws, with more than 40 differences: 0 to 2³² − 1, drawn at random and reported where not given. */
  seed?: number
  /** Then. Default 100,000; p is never below 1 / (resamples + 1). */
  resamples?: number
}

export interface SignFlips {
  /** Two-sided: share of all sign patterns whose |mean| is at least the one seen. */
  p: number
  mean: number
  /** Independent differences, one a cluster; zeros count. */
  differences: number
  /** Every pattern was counted. */
  exact: boolean
  /** Where not. */
  draws?: Draws
}

/** Least p that so many differences can give: all of one sign. */
export const leastP = (differences: number): number => Math.min(1, 2 ** (1 - differences))

/**
 * Two-sided sign-flip test of the mean of `differences` (Fisher 1935, §21; exact where they are independent and symmetric about 0 under the hypothesis).
 * Up to 40 of them every one of the 2ⁿ patterns counts: each half's sums are sorted, and pairs that reach what was seen are counted from both ends. With more,
 * patterns are drawn, and what was seen counts as one of them (Phipson and Smyth 2010). Errors: 'invalid' where there is none, or one is no finite number.
 */
export function signFlips(differences: ArrayLike<number>, options: SignFlipOptions = {}): SignFlips {
  checkedOptions('signFlips', options, ['seed', 'resamples'])
  if (!differences.length) throw invalid('differences', 'at least one, one for each cluster', differences)
  const values = finiteNumbers('differences', differences, 'cluster')
  const mean = meanOf(values)
  const made = { mean, differences: values.length }
  const reached = values.length * (Math.abs(mean) - ROUNDING * meanOf(values.map(Math.abs)))
  if (values.length <= COUNTED) return { p: countedShare(values, reached), ...made, exact: true }
  const draws = { seed: seedOf(options.seed), resamples: resamplesOf(options.resamples, 100_000) }
  const draw = generator(draws.seed)
  let count = 1
  for (let i = 0; i < draws.resamples; i++) {
    let sum = 0
    for (const value of values) sum += draw() < 0.5 ? value : -value
    if (Math.abs(sum) >= reached) count++
  }
  return { p: count / (draws.resamples + 1), ...made, exact: false, draws }
}

/** Share of all patterns with |sum| ≥ reached. Patterns mirror each other, so those with sum ≥ reached count twice, unless all count. */
function countedShare(values: Float64Array, reached: number): number {
  if (reached <= 0) return 1
  const half = values.length >> 1
  const left = allSums(values.subarray(0, half))
  const right = allSums(values.subarray(half))
  let count = 0
  let from = right.length
  for (const sum of left) {
    while (from > 0 && right[from - 1] + sum >= reached) from--
    count += right.length - from
  }
  return Math.min(1, (2 * count) / (left.length * right.length))
}

/** Of every pattern of signs, ascending: each value merges what there is, less it, with what there is, and it. */
function allSums(values: Float64Array): Float64Array {
  let sums = Float64Array.of(0)
  for (const value of values) {
    const step = Math.abs(value)
    const next = new Float64Array(2 * sums.length)
    let [down, up] = [0, 0]
    for (let i = 0; i < next.length; i++)
      next[i] = down < sums.length && sums[down] - step <= sums[up] + step ? sums[down++] - step : sums[up++] + step
    sums = next
  }
  return sums
}
