/** The full cache: nothing ever leaves. What every other policy is compared with. */
import { makePolicy, type Policy, type PolicyDefinition } from './policy.js'
import type { OptionValues } from './schema.js'

export const definition: PolicyDefinition = {
  name: 'full',
  about: 'every token stays; with history on it can be forked into policies that keep scores',
  kind: 'full',
  options: ['history', 'decay', 'window', 'chunk'],
  presets: {
    '': {
      values: {
        budget: 0,
        recent: 1,
        residual: 0,
        sink: 0,
        alpha: 0,
        decay: 0.98,
        history: 'off',
        similarity: 'dot',
        scoreMerge: 'max',
        init: 'position',
        underfull: 'compress',
        window: 'auto',
        chunk: 256,
        granularity: 'head',
        aggregate: 'mean',
      },
      least: { leastBudget: 0, leastRecent: 1, leastResidual: 0, raiseCounts: false },
    },
  },
  citation: `@inproceedings{transformer,
  title = {Attention Is All You Need},
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2017}
}`,
}

/** history 'off' (default) keeps no scores and costs nothing. */
export function fullCache(options: Partial<Pick<OptionValues, 'history' | 'decay' | 'window' | 'chunk'>> = {}): Policy {
  return makePolicy(definition, options)
}
