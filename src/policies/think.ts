/** ThinK, around another policy: once the prompt has been read, keys of older tokens lose the channels that its last queries hardly look at. */
import { integer, invalid, number } from '../expect.js'
import { fullCache } from './full-cache.js'
import { MOST } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface ThinkValues {
  /** Share of headDim that is pruned, rounded down, in [0, 1). */
  ratio: number
  /** Newest slots of the prompt whose keys stay whole. */
  recent: number
  /** The prompt's last queries that say which channels matter. */
  window: number
}

export const definition = define<ThinkValues>({
  name: 'think',
  about: 'prunes channels of the keys that a policy leaves of the prompt (arXiv 2407.21018)',
  wraps: () => fullCache(),
  options: {
    ratio: {
      about: 'channels that are pruned, rounded down',
      unit: 'share of headDim',
      check: (value) => {
        if (value === 1) throw invalid('ratio', 'a share below 1', value, 'at least one channel has to stay')
        return number('ratio', value, 0, 1, 'from 0 to below 1')
      },
      flag: 'think-ratio',
    },
    recent: {
      about: 'newest slots of the prompt whose keys stay whole, as all that follow do',
      unit: 'slots',
      check: (value) => integer('recent', value, 0, MOST),
      flag: 'think-recent',
    },
    window: {
      about: "the prompt's last queries that say which channels matter",
      unit: 'queries',
      check: (value) => integer('window', value, 1, MOST),
      flag: 'think-window',
    },
  },
  presets: { '': { ratio: 0.4, recent: 32, window: 32 } },
  parameters: {
    ratio: ['float64', (o) => o.ratio],
    recent: ['int32', (o) => o.recent],
    window: ['int32', (o) => o.window],
  },
  citation: `@inproceedings{think,
  title = {{ThinK}: Thinner Key Cache by Query-Driven Pruning},
  author = {Xu, Yuhui and Jie, Zhanming and Dong, Hanze and Wang, Lei and Lu, Xudong and Zhou, Aojun and Saha, Amrita and Xiong, Caiming and Sahoo, Doyen},
  booktitle = {International Conference on Learning Representations},
  year = {2025}
}`,
})

export interface ThinkOptions extends Partial<ThinkValues> {
  /** What decides which tokens stay, of policies that are done with the prompt's slots once it has been read; default fullCache(). */
  of?: Policy
}

/**
 * Once the prompt has been read and `of` has chosen, per kv head: a channel's score is the mean of q² over the head's query heads and the
 * prompt's last `window` queries, times the mean of k² over all slots that are left (keys and queries as attended, so after rotation). The
 * ⌊ratio · headDim⌋ channels with the smallest scores, of equals the lower, are gone from the keys of all slots but the newest `recent`; what
 * is gone reads as 0, and logits are scaled by √headDim as ever. Values, the newest slots and all tokens that follow stay whole; with no more
 * than `recent` slots nothing is pruned. An older slot takes headDim · (2 − ratio) numbers instead of 2 · headDim. Older slots come first in
 * `state`, in the order that `of` left them in. `cache.inspect(layer)`, where something was pruned: of each kv head channelScores [headDim] (q²
 * times k², in their units) and channelMask [headDim] (1 = kept). Errors: 'invalid' for a policy that goes on choosing among the slots,
 * reads in part, or gives slots a form of its own, with the reason.
 */
export function think(options: ThinkOptions = {}): Policy {
  return makePolicy(definition, options)
}
