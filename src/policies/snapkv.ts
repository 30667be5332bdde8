/** SnapKV: the prompt's last queries vote, votes are smoothed, and the tokens with most votes stay. Acts on the prompt alone. */
import { integer, invalid } from '../expect.js'
import { budget, chunk, MOST, words } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface SnapkvValues {
  /** Slots per kv head (≥ 1) or share of the prompt (< 1), the window's included; tokens after the prompt all stay. */
  budget: number
  /** Last queries of the prompt that vote; their tokens always stay. */
  window: number
  /** Neighbours that a vote is pooled over, itself in the middle: an odd number. */
  kernel: number
  /** Mean or most of the neighbours; beyond the ends are zeros. */
  pooling: 'avg' | 'max'
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

const VARIANTS = ['official', 'kvpress'] as const
const pooling = words('pooling', 'how votes of neighbours are pooled', ['avg', 'max'])
const OFFICIAL: SnapkvValues = { budget: 0.2, window: 32, kernel: 5, pooling: 'avg', chunk: 256 }

export const definition = define<SnapkvValues>({
  name: 'snapkv',
  about: "the prompt's last queries vote who stays; nothing leaves after the prompt (arXiv 2404.14469)",
  preset: 'variant',
  options: {
    budget,
    window: {
      about: "the prompt's last queries, which vote and always stay",
      unit: 'tokens',
      check: (value) => integer('window', value, 1, MOST),
    },
    kernel: {
      about: 'neighbours that a vote is pooled over',
      unit: 'tokens, odd',
      check: (value) => {
        const width = integer('kernel', value, 1, 65535)
        if (width % 2 === 0) throw invalid('kernel', 'an odd number', value, 'the token itself stands in the middle')
        return width
      },
    },
    pooling,
    chunk,
  },
  presets: { official: OFFICIAL, kvpress: { ...OFFICIAL, window: 64 } },
  parameters: {
    window: ['int32', (o) => o.window],
    kernel: ['int32', (o) => o.kernel],
    pooling: pooling.as((o) => o.pooling),
    variant: ['int32', (_, variant) => VARIANTS.indexOf(variant as 'official')],
  },
  citation: `@inproceedings{snapkv,
  title = {{SnapKV}: {LLM} Knows What You are Looking for Before Generation},
  author = {Li, Yuhong and Huang, Yingbing and Yang, Bowen and Venkitesh, Bharat and Locatelli, Acyr and Ye, Hanchen and Cai, Tianle and Lewis, Patrick and Chen, Deming},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2024}
}`,
})

export interface SnapkvOptions extends Partial<SnapkvValues> {
  /**
   * 'official' (default): window 32, sum over the window, the budget must exceed the window. 'kvpress': window 64, mean, a share keeps
   * trunc(n · share) tokens with the window included, prompts of up to `window` tokens are refused.
   */
  variant?: (typeof VARIANTS)[number]
}

/** Its selection acts on the prompt alone, so every token after it adds a slot; `score()` needs `prompt`. */
export function snapkv(options: SnapkvOptions = {}): Policy {
  return makePolicy(definition, options)
}
