/** Key and value of one token as every kv head was given them: for what comes back to a cache. */
import { headVectors } from './vectors.js'
import type { TokenAt, TokenVectors } from '../interventions.js'
import type { Call } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import { Reading } from '../reading.js'

/** Of each head its own where `reading` kept them; else of the same text under the full cache, read up to the token. Zeros for heads that are not asked for. */
export async function givenTo(reading: Reading, { position, heads }: TokenAt, call: Call): Promise<TokenVectors> {
  const { layers, kvHeads, headDim } = reading.cache.options.shape
  const kept = reading.trace.vectors
  const own = heads.every((asked, head) => !asked || kept?.[head])
  const made = { keys: new Float32Array(heads.length * headDim), values: new Float32Array(heads.length * headDim) }
  const full = own ? undefined : await readUpTo(reading, position, call)
  try {
    for (let layer = 0; layer < layers; layer++) {
      const state = full?.cache.raw(layer)
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const head = layer * kvHeads + kvHead
        if (!heads[head]) continue
        const of = kept?.[head] ? undefined : state!
        const { keys, values } = of ?? headVectors(reading.cache, { layer, kvHead })
        const from = ((of ? kvHead * full!.seqLen : 0) + position) * headDim
        made.keys.set(keys.subarray(from, from + headDim), head * headDim)
        made.values.set(values.subarray(from, from + headDim), head * headDim)
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
