/** Keys and values of some tokens as every kv head was given them: for what comes back to a cache. */
import { headVectors } from './vectors.js'
import type { TokenAt, TokenVectors } from '../interventions.js'
import type { Call } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import { Reading } from '../reading.js'

/**
 * Of each token: of each head its own where `reading` kept them; else of the same text under the full cache, read up to the last of them.
 * Zeros for heads that are not asked for.
 */
export async function givenTo(reading: Reading, tokens: readonly TokenAt[], call: Call): Promise<TokenVectors[]> {
  const { layers, kvHeads, headDim } = reading.cache.options.shape
  const kept = reading.trace.vectors
  const [{ heads }] = tokens
  const own = heads.every((asked, head) => !asked || kept?.[head])
  const size = heads.length * headDim
  const made = tokens.map(() => ({ keys: new Float32Array(size), values: new Float32Array(size) }))
  const full = own ? undefined : await readUpTo(reading, Math.max(...tokens.map(({ position }) => position)), call)
  try {
    for (let layer = 0; layer < layers; layer++) {
      const state = full?.cache.raw(layer)
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const head = layer * kvHeads + kvHead
        if (!heads[head]) continue
        const of = kept?.[head] ? undefined : state!
        const { keys, values } = of ?? headVectors(reading.cache, { layer, kvHead })
        for (const [i, { position }] of tokens.entries()) {
          const from = ((of ? kvHead * full!.seqLen : 0) + position) * headDim
          made[i].keys.set(keys.subarray(from, from + headDim), head * headDim)
          made[i].values.set(values.subarray(from, from + headDim), head * headDim)
        }
      }
    }
    return made
  } finally {
    full?.dispose()
  }
}

async function readUpTo(reading: Reading, position: number, call: Call): Promise<Reading> {
  const full = Reading.create(reading.model, { policy: fullCache(), storage: reading.storage })
  try {
    await full.feed(Int32Array.from(reading.tokens.slice(0, position + 1)), call)
    return full
  } catch (error) {
    full.dispose()
    throw error
  }
}
