/** MiniCache: pairs of layers keep one direction for each token's key and value, and each its own lengths. */
import { number } from '../expect.js'
import { chunk, shareOrCount, words } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface MinicacheOptions {
  /** First layer of the first pair: a share of the model's layers (< 1), or a layer (0, or ≥ 1); pairs follow one another from there on. */
  start: number
  /** Where between the two layers' directions the common one lies: 0 = the lower layer's, 1 = the upper's. */
  t: number
  /** What stays as it came: a share of a prompt's tokens ('topk'), or of the range of their distances ('range'). 1: all, and nothing is merged. */
  retain: number
  /**
   * Of a prompt, by the angular distance δ of a token's two keys: 'topk' the ⌈retain · n⌉ farthest; 'range' those above
   * δmax − retain · (δmax − δmin). Of later tokens those above the least δ that was kept, or above that bound.
   */
  retention: 'topk' | 'range'
  /** Tokens per chunk of a further turn (§5b); they are merged once the upper layer has read all of them. */
  chunk: number
}

const retention = words('retention', 'which tokens are too far apart to be merged', ['topk', 'range'])

export const definition = define<MinicacheOptions>({
  name: 'minicache',
  about:
    'all tokens stay; from the middle of the model on two layers at a time share their directions (arXiv 2405.14366)',
  options: {
    start: {
      about: 'first layer that is merged with the one above it',
      unit: 'layer, or share of the layers',
      check: (value) => shareOrCount('start', value),
    },
    t: {
      about: 'where the common direction lies between the lower layer (0) and the upper (1)',
      unit: 'share of the arc',
      check: (value) => number('t', value, 0, 1),
    },
    retain: {
      about: 'tokens that stay as they came, those farthest apart',
      unit: "share of the prompt's tokens, or of the range of distances",
      check: (value) => number('retain', value, 0, 1),
    },
    retention,
    chunk,
  },
  presets: { '': { start: 0.5, t: 0.6, retain: 0.05, retention: 'topk', chunk: 256 } },
  parameters: {
    start: ['float64', (o) => o.start],
    t: ['float64', (o) => o.t],
    retain: ['float64', (o) => o.retain],
    retention: retention.as((o) => o.retention),
  },
  citation: `@inproceedings{minicache,
  title = {{MiniCache}: {KV} Cache Compression in Depth Dimension for Large Language Models},
  author = {Liu, Akide and Liu, Jing and Pan, Zizheng and He, Yefei and Haffari, Gholamreza and Zhuang, Bohan},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2024}
}`,
})

/**
 * Saves memory across layers. A prompt attends each layer's own keys and values, and a token those of its own step; after the upper layer
 * of a pair both are x̂ = ‖x‖ · e with one direction e for the pair (spherical interpolation) and each layer's own ‖x‖, per kv head and
 * token. Tokens stay as they came where the keys' angular distance Ω/π is large (`retain`, per kv head), and where a vector is zero, is not
 * finite, or is opposite to its partner. A layer left over is as in the full cache.
 *
 * Bytes of a merged token for both layers together: 2 · headDim elements of the storage, and 4 lengths in float32. With half of the layers
 * merged, 5% retained and two-byte storage keys and values take 0.77 of the full cache at headDim 128; the paper's 1.53 × for merging alone does not
 * follow from its own formula (1.29 ×), its 5.02 × is with 4-bit quantisation, which this policy does not do.
 *
 * `createCache` needs layers in order at each step. Errors: 'invalid' where `start` leaves no layer with another above it.
 */
export function minicache(options: Partial<MinicacheOptions> = {}): Policy {
  return makePolicy(definition, options)
}
