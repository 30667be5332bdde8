/** StreamingLLM: the first tokens (attention sinks) and the newest; everything between is dropped. */
import { makePolicy, type Policy, type PolicyDefinition } from './policy.js'
import type { OptionValues } from './schema.js'

export const definition: PolicyDefinition = {
  name: 'streaming',
  about: 'attention sinks and the newest tokens, nothing else',
  kind: 'zsmerge',
  options: ['budget', 'sink', 'chunk'],
  presets: {
    '': {
      values: {
        budget: 0.2,
        // Without history the oldest leaves first, so who is protected makes no difference.
        recent: 1,
        residual: 0,
        sink: 4,
        alpha: 0,
        decay: 1,
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
      least: { leastBudget: 16, leastRecent: 1, leastResidual: 0, raiseCounts: false },
    },
  },
  citation: `@inproceedings{streamingllm,
  title = {Efficient Streaming Language Models with Attention Sinks},
  author = {Xiao, Guangxuan and Tian, Yuandong and Chen, Beidi and Han, Song and Lewis, Mike},
  booktitle = {International Conference on Learning Representations},
  year = {2024}
}`,
}

/** budget in slots per kv head or as a share of the first prompt; sink in slots (default 4). Keys keep their rotation. */
export function streaming(options: Partial<Pick<OptionValues, 'budget' | 'sink' | 'chunk'>> = {}): Policy {
  return makePolicy(definition, options)
}
