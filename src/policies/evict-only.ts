/** Pure eviction by history (H2O-like): ZSMerge's choice of who stays, without merging and so without compensation. */
import { makePolicy, type Policy, type PolicyDefinition } from './policy.js'
import type { OptionName, OptionValues } from './schema.js'

const OWN = ['budget', 'recent', 'sink', 'decay', 'history', 'underfull', 'window', 'chunk'] as const

export const definition: PolicyDefinition = {
  name: 'evict-only',
  about: 'who stays is decided by history as in ZSMerge; what leaves is dropped (like H2O)',
  kind: 'zsmerge',
  options: OWN satisfies readonly OptionName[],
  presets: {
    '': {
      values: {
        budget: 0.2,
        recent: 0.5,
        residual: 0,
        sink: 0,
        alpha: 0,
        decay: 0.98,
        history: 'on',
        similarity: 'dot',
        scoreMerge: 'max',
        init: 'position',
        underfull: 'compress',
        window: 'auto',
        chunk: 256,
        granularity: 'head',
        aggregate: 'mean',
      },
      least: { leastBudget: 16, leastRecent: 1, leastResidual: 0, raiseCounts: false },
    },
  },
  citation: `@inproceedings{h2o,
  title = {{H2O}: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language Models},
  author = {Zhang, Zhenyu and Sheng, Ying and Zhou, Tianyi and Chen, Tianlong and Zheng, Lianmin and Cai, Ruisi and Song, Zhao and Tian, Yuandong and R{\\'e}, Christopher and Barrett, Clark and Wang, Zhangyang and Chen, Beidi},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023}
}`,
}

/** budget, recent: slots or shares as in zsmerge. decay 1 is H2O's plain sum. */
export function evictOnly(options: Partial<Pick<OptionValues, (typeof OWN)[number]>> = {}): Policy {
  return makePolicy(definition, options)
}
