/** What one kv head was given, with nothing removed: what regret, errors and compensation are measured on. */
import { integer, options } from '../expect.js'
import { ZslabError } from '../errors.js'
import { native } from '../native/binding.js'
import type { HeldCache } from '../native-cache.js'

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

/** Whose. */
export interface HeadOf {
  layer: number
  kvHead: number
}

/** Copies. Errors: 'invalid' for a head that there is none of, or whose vectors were not kept. */
export function headVectors(cache: HeldCache, of: HeadOf): HeadVectors {
  const { shape, trace } = cache.options
  options('vectors', of, ['layer', 'kvHead'])
  const layer = integer('layer', of.layer, 0, shape.layers - 1)
  const kvHead = integer('kvHead', of.kvHead, 0, shape.kvHeads - 1)
  const marks = trace.vectors
  if (!marks?.[layer * shape.kvHeads + kvHead]) {
    const kept = marks && [...marks.keys()].filter((i) => marks[i])
    const some = kept?.slice(0, 4).map((i) => `layer ${Math.floor(i / shape.kvHeads)}, kv head ${i % shape.kvHeads}`)
    throw new ZslabError(
      'invalid',
      `the vectors of layer ${layer}, kv head ${kvHead} were not kept (${some ? `kept: ${some.join('; ')}${kept!.length > 4 ? ` and ${kept!.length - 4} more` : ''}` : `trace was '${trace.level}'`}): make the session with trace: { level: 'vectors', layers: [${layer}], kvHeads: [${kvHead}] }`,
    )
  }
  const { tokens, keys, values, queries, outputs } = native().cacheRecorded(cache.native, layer, kvHead)
  const group = shape.heads / shape.kvHeads
  const { headDim } = shape
  const rows = (of: Float32Array) => of.length / (group * headDim)
  return {
    layer,
    kvHead,
    group,
    headDim,
    keys,
    values,
    firstQuery: tokens - rows(queries),
    queries,
    firstOutput: tokens - rows(outputs),
    outputs,
  }
}
