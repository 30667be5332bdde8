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
    decay: {
      ...shared.history.decay,
      about: `${shared.history.decay.about}; 1 is H2O's plain sum, which on one text may cost several times the divergence of 0.98 and save as much on another: compare them on yours with run.shadow()`,
    },
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

/**
 * budget, recent: slots or shares as in zsmerge. decay 1 is H2O's plain sum. Which is nearer to the full cache depends on the text:
 * over 64 tokens after each of seven chapters of Moby Dick (390 to 3,000 tokens, SmolLM2-135M, budgets 0.1 and 0.2, run.shadow())
 * decay 1 had 0.15 to 3.4 times the mean KL divergence of 0.98, the larger one in nine of fourteen.
 */
export function evictOnly(options: Partial<EvictOnlyOptions> = {}): Policy {
  return makePolicy(definition, options)
}
