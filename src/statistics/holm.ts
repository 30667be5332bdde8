/** Several questions asked of the same data: p values that hold for all of them at once. */
import { invalid } from '../expect.js'
import { leastP } from './sign-flips.js'

/**
 * Holm's adjusted p values (Holm 1979), in the order given: of those at most α, the chance that any is about nothing is at most α, whatever they have in
 * common. Errors: 'invalid' naming one that is no number of [0, 1].
 */
export function holm(ps: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(ps)
  const wrong = values.findIndex((p) => !(p >= 0 && p <= 1))
  if (wrong >= 0) throw invalid(`ps[${wrong}]`, 'a number from 0 to 1', ps[wrong])
  const order = Array.from(values.keys()).sort((a, b) => values[a] - values[b])
  const adjusted = new Float64Array(values.length)
  let most = 0
  order.forEach((index, place) => {
    most = Math.max(most, Math.min(1, (values.length - place) * values[index]))
    adjusted[index] = most
  })
  return adjusted
}

/** Least adjusted p of so many sign-flip tests over so many clusters: above α, a design can find nothing, whatever comes out. */
export const leastHolmP = (clusters: number, comparisons: number): number => Math.min(1, comparisons * leastP(clusters))
