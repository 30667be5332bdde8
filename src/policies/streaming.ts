/** StreamingLLM: the first tokens (attention sinks) and the newest; everything between is dropped. */
import { integer, invalid } from '../expect.js'
import { budget, chunk, MOST, sink } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface StreamingValues {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** First tokens that never leave. */
  sink: number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
  /** Tokens of a prompt that are read at a time, those that must leave leaving before the next come; 0: the prompt is read whole. */
  stride: number
}

const POSITIONS = ['absolute', 'cache'] as const
const ABSOLUTE: StreamingValues = { budget: 0.2, sink: 4, chunk: 256, stride: 0 }

export const definition = define<StreamingValues>({
  name: 'streaming',
  about:
    "attention sinks and the newest tokens, nothing else; positions 'cache' go on beyond the model's context, as published (arXiv 2309.17453)",
  preset: 'positions',
  options: {
    budget,
    sink,
    chunk,
    stride: {
      about: "tokens of a prompt read at a time, with positions 'cache'; 0 reads it whole",
      unit: 'tokens',
      check: (value) => integer('stride', value, 0, MOST),
    },
  },
  presets: { absolute: ABSOLUTE, cache: { ...ABSOLUTE, stride: 256 } },
  parameters: {
    sink: ['int32', (o) => o.sink],
    positions: ['int32', (_, positions) => POSITIONS.indexOf(positions as 'cache')],
    stride: ['int32', (o) => o.stride],
  },
  refuse: ({ stride }, { positions }) => {
    if (stride > 0 && positions !== 'cache')
      throw invalid(
        'stride',
        "0 with positions 'absolute', which read a prompt whole",
        stride,
        "leave it out, or take positions: 'cache'",
      )
  },
  citation: `@inproceedings{streamingllm,
  title = {Efficient Streaming Language Models with Attention Sinks},
  author = {Xiao, Guangxuan and Tian, Yuandong and Chen, Beidi and Han, Song and Lewis, Mike},
  booktitle = {International Conference on Learning Representations},
  year = {2024}
}`,
})

export interface StreamingOptions extends Partial<StreamingValues> {
  /**
   * 'absolute' (default): keys keep the rotation of their tokens' own positions, and a text ends with the model's context. 'cache', as
   * published: keys are kept before rotation and stand at 0 … slots − 1, sinks first, then from the oldest to the newest, so a text may go
   * on for ever; slots + stride (or chunk) must be within the model's context.
   */
  positions?: (typeof POSITIONS)[number]
}

/**
 * budget in slots per kv head or as a share of the first prompt; sink in slots (default 4). With positions 'cache' prompts are read
 * `stride` tokens at a time (default 256; 1 is StreamingLLM token by token), and createCache() needs `rotation`.
 */
export function streaming(options: StreamingOptions = {}): Policy {
  return makePolicy(definition, options)
}
