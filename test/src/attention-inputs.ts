/** What tests feed to caches without a model: queries, keys and values from a seed; and which positions a cache kept of them. */
import assert from 'node:assert/strict'
import { createCache, type Cache, type CacheOptions } from '../../src/index.js'
import { draws } from './model/files.js'

interface Heads {
  heads: number
  kvHeads: number
  headDim: number
}

/** A maker of q, k and v of `tokens` tokens from a seed: numbers evenly between −`most` and `most`. */
export const inputsOf =
  (shape: Heads, most = 2) =>
  (seed: number, tokens: number) => {
    const draw = draws(seed)
    const array = (heads: number) =>
      Float32Array.from({ length: heads * tokens * shape.headDim }, () => (draw(2 ** 20) / 2 ** 19 - 1) * most)
    return { q: array(shape.heads), k: array(shape.kvHeads), v: array(shape.kvHeads) }
  }

/** [kvHead]: all positions that a layer's slots stand for, ascending. */
export const positions = (cache: Cache, layer: number): number[][] =>
  cache.state(layer).origins.map((head) => head.flat().sort((a, b) => a - b))

/** A cache that read `prompt` tokens and then `steps` more, one by one. */
export async function filledCache(options: CacheOptions, prompt: number, steps: number): Promise<Cache> {
  const inputs = inputsOf(options)
  const cache = createCache({ threads: 1, ...options })
  for (let step = 0; step <= steps; step++)
    for (let layer = 0; layer < options.layers; layer++) {
      const { q, k, v } = inputs(100 * step + layer, step ? 1 : prompt)
      await (step ? cache.step(layer, q, k, v) : cache.prefill(layer, q, k, v))
    }
  assert.ok(cache.receipt().ok, cache.receipt().notes.join('; '))
  return cache
}
