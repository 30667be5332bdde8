/** Mean, spread and median. */

/** Of `values`, or of those at `chosen`; NaN of none. */
export function meanOf(chosen: ArrayLike<number>, values?: ArrayLike<number>): number {
  let sum = 0
  if (values) for (let i = 0; i < chosen.length; i++) sum += values[chosen[i]]
  else for (let i = 0; i < chosen.length; i++) sum += chosen[i]
  return sum / chosen.length
}

/** Standard deviation of a sample (n − 1); NaN of fewer than two. */
export function spreadOf(values: ArrayLike<number>): number {
  const mean = meanOf(values)
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i] - mean) ** 2
  return Math.sqrt(sum / (values.length - 1))
}

/** Of those that are numbers; NaN of none. */
export function medianOf(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values)
    .filter((value) => !Number.isNaN(value))
    .sort()
  const middle = sorted.length >> 1
  if (!sorted.length) return NaN
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
