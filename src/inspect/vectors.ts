/** What one kv head was given, with nothing removed: what regret, errors and compensation are measured on. */
import { options } from '../expect.js'
import { native } from '../native/binding.js'
import type { HeldCache } from '../native-cache.js'
import { checkRecorded, recordedOf, type HeadOf } from '../trace/recorded.js'

export type { HeadOf }

export interface HeadVectors {
  layer: number
  kvHead: number
  /** Query heads of this kv head. */
  group: number
  headDim: number
  /** [tokens, headDim], rotated, rounded to the cache's storage as it keeps them. */
  keys: Float32Array
  values: Float32Array
  /** Position of the first row of `queries`; rows before the first prompt's end saw all of it up to themselves, before anything left. */
  firstQuery: number
  /** [rows, group, headDim] */
  queries: Float32Array
  /** Position of the first row of `outputs`: the first after the prompt. */
  firstOutput: number
  /** [rows, group, headDim] what attention gave under the policy, before the output projection. */
  outputs: Float32Array
}

/** Copies, of the first `upTo` tokens (default: all). Errors: 'invalid' for a head that there is none of, or whose vectors were not kept. */
export function headVectors(cache: HeldCache, of: HeadOf, upTo = Infinity): HeadVectors {
  const { shape, trace, policy } = cache.options
  const { layer, kvHead } = options('vectors', of, ['layer', 'kvHead']) as unknown as HeadOf
  checkRecorded('vectors', { layer, kvHead }, recordedOf(trace, shape, policy))
  const { tokens, keys, values, queries, outputs } = native().cacheRecorded(cache.native, layer, kvHead)
  const group = shape.heads / shape.kvHeads
  const { headDim } = shape
  const cut = (rows: Float32Array, width: number) =>
    upTo < tokens ? rows.subarray(0, Math.max(0, rows.length - (tokens - upTo) * width)) : rows
  const first = (rows: Float32Array) => tokens - rows.length / (group * headDim)
  return {
    layer,
    kvHead,
    group,
    headDim,
    keys: cut(keys, headDim),
    values: cut(values, headDim),
    firstQuery: first(queries),
    queries: cut(queries, group * headDim),
    firstOutput: first(outputs),
    outputs: cut(outputs, group * headDim),
  }
}
