/** What each part of a merge is worth: keys and values of merged slots the mean or fixed, compensation on or off, over the same reads. */
import { number } from '../expect.js'
import { meanOf } from '../statistics/moments.js'
import { bootstrapOf, intervalsOf, meanAt, type Bootstrap, type BootstrapOptions, type Interval } from './bootstrap.js'
import {
  attended,
  biasesOf,
  checkReads,
  checkVectors,
  logitsOf,
  queriesOf,
  relativeError,
  slotRows,
  type Centroid,
  type SlotsRead,
} from './head.js'
import type { HeadVectors } from './vectors.js'

const CENTROIDS: readonly Centroid[] = ['mean', 'fixed']

export interface Corner {
  keys: Centroid
  values: Centroid
  bias: boolean
  /** Mean of ‖o − o*‖/‖o*‖ over query heads and reads. */
  error: number
  interval: Interval | null
  /** This error minus that of keys mean, values mean, bias on: over the same resamples, so it may be certain where the errors are not. */
  difference: number
  differenceInterval: Interval | null
  /** [reads] mean over query heads. */
  byRead: Float64Array
}

export interface HeadAblation {
  layer: number
  kvHead: number
  /** Of the corners with bias. */
  alpha: number
  /** Of reads. */
  steps: Int32Array
  /** Eight: keys, values, bias. */
  corners: Corner[]
  bootstrap: Bootstrap
}

/**
 * Attention output error of one kv head in all eight corners of keys mean or fixed × values mean or fixed × bias on (α·ln w) or off, with who
 * is in which slot as it was in the run; o* with nothing removed. Intervals: 95%, moving-block bootstrap over steps. Errors: 'invalid' as
 * of headCompensation.
 */
export function headAblation(
  vectors: HeadVectors,
  reads: readonly SlotsRead[],
  options: BootstrapOptions & { alpha: number },
): HeadAblation {
  checkVectors(vectors)
  checkReads(vectors, reads)
  const { headDim } = vectors
  const alpha = number('alpha', options.alpha, 0, 100)
  const bootstrap = bootstrapOf(options, reads.length)
  const corners = CENTROIDS.flatMap((keys) =>
    CENTROIDS.flatMap((values) =>
      [true, false].map((bias) => ({ keys, values, bias, byRead: new Float64Array(reads.length) })),
    ),
  )
  reads.forEach((read, at) => {
    const { slots } = read
    const rowsBy = (rows: Float32Array) => ({
      mean: slotRows(rows, headDim, slots, 'mean'),
      fixed: slotRows(rows, headDim, slots, 'fixed'),
    })
    const [keys, values, biases] = [rowsBy(vectors.keys), rowsBy(vectors.values), biasesOf(slots, read.alpha ?? alpha)]
    for (const { q, output } of queriesOf(vectors, read.position)) {
      const logits = { mean: logitsOf(q, keys.mean, slots.length), fixed: logitsOf(q, keys.fixed, slots.length) }
      for (const corner of corners) {
        const made = attended(logits[corner.keys], corner.bias ? biases : undefined, values[corner.values], headDim)
        corner.byRead[at] += relativeError(made, output) / vectors.group
      }
    }
  })
  const asRun = corners[0].byRead
  const differences = corners.map(({ byRead }) => byRead.map((error, i) => error - asRun[i]))
  const intervals = intervalsOf(
    reads.length,
    bootstrap,
    [...corners.map(({ byRead }) => byRead), ...differences].map(meanAt),
  )
  return {
    layer: vectors.layer,
    kvHead: vectors.kvHead,
    alpha,
    steps: Int32Array.from(reads, ({ step }) => step),
    corners: corners.map((corner, i) => ({
      ...corner,
      error: meanOf(corner.byRead),
      interval: intervals[i],
      difference: meanOf(differences[i]),
      differenceInterval: intervals[corners.length + i],
    })),
    bootstrap,
  }
}
