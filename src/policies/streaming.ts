/** StreamingLLM: the first tokens (attention sinks) and the newest; everything between is dropped. */
import { budget, chunk, sink } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface StreamingOptions {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** First tokens that never leave. */
  sink: number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

export const definition = define<StreamingOptions>({
  name: 'streaming',
  about:
    'attention sinks and the newest tokens, nothing else; like every policy it ends with the context: positions are absolute',
  options: { budget, sink, chunk },
  presets: { '': { budget: 0.2, sink: 4, chunk: 256 } },
  parameters: { sink: ['int32', (o) => o.sink] },
  citation: `@inproceedings{streamingllm,
  title = {Efficient Streaming Language Models with Attention Sinks},
  author = {Xiao, Guangxuan and Tian, Yuandong and Chen, Beidi and Han, Song and Lewis, Mike},
  booktitle = {International Conference on Learning Representations},
  year = {2024}
}`,
})

/**
 * budget in slots per kv head or as a share of the first prompt; sink in slots (default 4). Keys keep their rotation and positions
 * are absolute, so a text ends with the model's context, as under every policy.
 */
export function streaming(options: Partial<StreamingOptions> = {}): Policy {
  return makePolicy(definition, options)
}
