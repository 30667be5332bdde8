/** The full cache: nothing ever leaves. What every other policy is compared with. */
import { chunk, history, historyParameters, refuseDecayWithoutHistory, type HistoryOptions } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface FullCacheOptions extends HistoryOptions {
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

export const definition = define<FullCacheOptions>({
  name: 'full',
  about: 'every token stays; with history on it can be forked into policies that keep scores',
  options: { ...history, chunk },
  presets: { '': { decay: 0.98, history: 'off', window: 'auto', chunk: 256 } },
  parameters: historyParameters,
  refuse: refuseDecayWithoutHistory,
  citation: `@inproceedings{transformer,
  title = {Attention Is All You Need},
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2017}
}`,
})

/** history 'off' (default) keeps no scores and costs nothing. */
export function fullCache(options: Partial<FullCacheOptions> = {}): Policy {
  return makePolicy(definition, options)
}
