/** The local part of a shadow from what was recorded of a run, without its model: what heads were given goes through caches that keep all. */
import { ZslabError } from '../errors.js'
import { createCache, type Cache } from '../cache.js'
import type { Call } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import type { EventColumns } from '../native/binding.js'
import type { PolicyCard } from '../trace/card.js'
import { headsOf, isRecorded, notRecorded, type Recorded } from '../trace/recorded.js'
import { notQueried, relativeError } from './head.js'
import { localShadow, type LocalShadow } from './local.js'
import { callStarts } from './reads.js'
import type { HeadOf, HeadVectors } from './vectors.js'

export interface RecordedRun {
  recorded: Recorded
  policy: PolicyCard
  events: EventColumns
  /** Tokens of each call. */
  calls: readonly number[]
  vectors(of: HeadOf): HeadVectors
}

const CHUNK = 256

/** Of all heads whose vectors were kept, NaN of the others; rows: tokens after the prompt that were fed one by one. */
export async function recordedShadow(run: RecordedRun, call: Call): Promise<LocalShadow> {
  const { recorded, events, calls, policy } = run
  const { layers, kvHeads } = recorded
  const kept = headsOf(recorded.vectors, kvHeads)
  if (!kept.length) throw notRecorded('vectors', {}, recorded)
  const { group } = run.vectors(kept[0])
  const starts = callStarts(calls)
  const positions = Int32Array.from(starts.filter((_, i) => calls[i + 1] === 1))
  if (!positions.length)
    throw new ZslabError('invalid', 'no token was read by itself after the prompt: generate at least two')
  let held: Cache | undefined
  let done = 0
  try {
    return await localShadow(
      {
        shape: { layers, heads: kvHeads * group, kvHeads },
        isRecorded: (layer, kvHead) => isRecorded('vectors', { layer, kvHead }, recorded),
        recorded: async (layer, kvHead) => {
          held?.dispose()
          held = undefined
          if (!isRecorded('vectors', { layer, kvHead }, recorded)) return undefined
          call.signal?.throwIfAborted()
          const given = run.vectors({ layer, kvHead })
          held = await whole(given, starts[0])
          call.progress?.({ done: ++done, total: kept.length })
          const errors = errorsOf(given, held.vectors({ layer: 0, kvHead: 0 }), positions)
          return { cache: held.native, layer: 0, kvHead: 0, errors }
        },
        policy,
        events,
        promptTokens: starts[0],
        starts,
        positions,
      },
      call,
    )
  } finally {
    held?.dispose()
  }
}

/** A cache of one kv head that was given the same and keeps all of it. */
async function whole(given: HeadVectors, promptTokens: number): Promise<Cache> {
  const { headDim, group, keys, values, queries, firstQuery } = given
  if (firstQuery > promptTokens) throw notQueried(given, promptTokens)
  const cache = createCache({
    ...{ layers: 1, heads: group, kvHeads: 1, headDim },
    policy: fullCache({ chunk: CHUNK }),
    trace: { level: 'vectors', queries: 0 },
  })
  const part = (of: Float32Array, from: number, to: number) => of.slice(from * headDim, to * headDim)
  // Nothing is measured of the prompt's own queries.
  const none = new Float32Array(group * promptTokens * headDim)
  await cache.prefill(0, none, part(keys, 0, promptTokens), part(values, 0, promptTokens))
  const tokens = keys.length / headDim
  for (let from = promptTokens; from < tokens; from += CHUNK) {
    const to = Math.min(tokens, from + CHUNK)
    const q = new Float32Array(group * (to - from) * headDim)
    for (let t = from; t < to; t++)
      for (let h = 0; h < group; h++) {
        const row = (t - firstQuery) * group + h
        q.set(part(queries, row, row + 1), (h * (to - from) + t - from) * headDim)
      }
    await cache.extend(0, q, part(keys, from, to), part(values, from, to))
  }
  return cache
}

/** [rows, group] of the run's outputs against those with nothing removed. */
function errorsOf(own: HeadVectors, full: HeadVectors, positions: Int32Array): Float64Array {
  const { group, headDim } = own
  const row = ({ outputs, firstOutput }: HeadVectors, position: number, head: number) => {
    const at = ((position - firstOutput) * group + head) * headDim
    return outputs.subarray(at, at + headDim)
  }
  return Float64Array.from({ length: positions.length * group }, (_, i) => {
    const position = positions[Math.floor(i / group)]
    return relativeError(row(own, position, i % group), Float64Array.from(row(full, position, i % group)))
  })
}
