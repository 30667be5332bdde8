/** Pure eviction by history (H2O-like): ZSMerge's choice of who stays, without merging and so without compensation. */
import * as shared from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface EvictOnlyOptions extends shared.HistoryOptions {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** Newest tokens, never candidates, the incoming one included: slots (≥ 1) or share of budget (< 1). */
  recent: number
  /** First tokens that never leave. */
  sink: number
  /** A cache that fills up without ever having been compressed: compress it like a prompt, or go on in order of position. */
  underfull: 'compress' | 'first-tokens'
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

export const definition = define<EvictOnlyOptions>({
  name: 'evict-only',
  about: 'who stays is decided by history as in ZSMerge; what leaves is dropped (like H2O)',
  options: {
    budget: shared.budget,
    recent: shared.recent,
    sink: shared.sink,
    ...shared.history,
    underfull: shared.underfull,
    chunk: shared.chunk,
  },
  presets: {
    '': {
      budget: 0.2,
      recent: 0.5,
      sink: 0,
      decay: 0.98,
      history: 'on',
      window: 'auto',
      underfull: 'compress',
      chunk: 256,
    },
  },
  parameters: {
    recent: ['float64', (o) => o.recent],
    sink: ['int32', (o) => o.sink],
    ...shared.historyParameters,
    underfull: shared.underfull.as((o) => o.underfull),
  },
  refuse: shared.refuseDecayWithoutHistory,
  citation: `@inproceedings{h2o,
  title = {{H2O}: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models},
  author = {Zhang, Zhenyu and Sheng, Ying and Zhou, Tianyi and Chen, Tianlong and Zheng, Lianmin and Cai, Ruisi and Song, Zhao and Tian, Yuandong and R{\\'e}, Christopher and Barrett, Clark and Wang, Zhangyang and Chen, Beidi},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023}
}`,
})

/** budget, recent: slots or shares as in zsmerge. decay 1 is H2O's plain sum. */
export function evictOnly(options: Partial<EvictOnlyOptions> = {}): Policy {
  return makePolicy(definition, options)
}
