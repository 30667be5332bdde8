/** TOVA: at every step the token that the newest query looks at least leaves, in all heads of a layer alike. */
import { budget, chunk } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface TovaValues {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

const VARIANTS = ['official', 'kvpress'] as const

export const definition = define<TovaValues>({
  name: 'tova',
  about: 'the token that the newest query, averaged over a layer, looks at least leaves (arXiv 2401.06104)',
  preset: 'variant',
  options: { budget, chunk },
  presets: { official: { budget: 0.2, chunk: 256 }, kvpress: { budget: 0.2, chunk: 256 } },
  parameters: { variant: ['int32', (_, variant) => VARIANTS.indexOf(variant as 'official')] },
  citation: `@inproceedings{tova,
  title = {Transformers are Multi-State {RNNs}},
  author = {Oren, Matanel and Hassid, Michael and Yarden, Nir and Adi, Yossi and Schwartz, Roy},
  booktitle = {Empirical Methods in Natural Language Processing},
  year = {2024}
}`,
})

export interface TovaOptions extends Partial<TovaValues> {
  /** 'official' (default): every step, and the new token may leave itself. 'kvpress': the prompt alone, its last token always stays. */
  variant?: (typeof VARIANTS)[number]
}

/** All kv heads of a layer keep the same positions. */
export function tova(options: TovaOptions = {}): Policy {
  return makePolicy(definition, options)
}
