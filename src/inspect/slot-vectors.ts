/** Keys and values of a head's slots at any step, from what the head was given and what the events say was merged. */
import type { EventColumns } from '../native/binding.js'
import { mixturesAt } from '../trace/lineage.js'
import type { Merges } from '../trace/shares.js'
import type { HeadVectors } from './vectors.js'

/**
 * [slots, headDim] each, at the end of `step`; undefined where a slot is merged and the policy does not say what a merge makes of two.
 * `rows`: those of the head in `events`, in order.
 */
export function slotVectors(
  { keys, values, headDim }: HeadVectors,
  events: EventColumns,
  rows: ArrayLike<number>,
  step: number,
  how: Merges | undefined,
): { keys: Float32Array; values: Float32Array } | undefined {
  const mixtures = mixturesAt(events, rows, step, how)
  if (!mixtures) return undefined
  const mixed = (of: Float32Array, shares: 'keys' | 'values') => {
    const made = new Float32Array(mixtures.length * headDim)
    mixtures.forEach((mixture, slot) => {
      const sum = new Float64Array(headDim)
      mixture.origins.forEach((origin, i) => {
        const share = mixture[shares][i]
        if (share) for (let j = 0; j < headDim; j++) sum[j] += share * of[origin * headDim + j]
      })
      made.set(sum, slot * headDim)
    })
    return made
  }
  return { keys: mixed(keys, 'keys'), values: mixed(values, 'values') }
}
