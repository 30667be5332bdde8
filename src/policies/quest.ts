/** Quest: nothing leaves; each token after the prompt reads the pages of slots that could matter most to it. */
import { integer } from '../expect.js'
import { budget, chunk, MOST, words } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface QuestOptions {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1) that a token reads; at least one page. */
  budget: number
  /** Slots of a page. */
  page: number
  /** First layers whose tokens read everything. */
  wholeLayers: number
  /**
   * 'head' (default): the query heads of a kv head read the same pages, by the sum of their bounds, so that a slot is read once for all of
   * them. 'query': each reads pages of its own, as in the paper's models, where every query head has a kv head.
   */
  granularity: 'query' | 'head'
  /** Tokens per chunk of a further turn (§5b); they are read one after another. */
  chunk: number
}

const granularity = words('granularity', 'who chooses pages: each query head, or those of a kv head together', [
  'query',
  'head',
])

export const definition = define<QuestOptions>({
  name: 'quest',
  about: 'all tokens stay; each new one reads the pages with the largest bound of its logits (arXiv 2406.10774)',
  options: {
    budget: { ...budget, about: 'slots that a token reads; nothing leaves the cache' },
    page: { about: 'slots of a page', unit: 'slots', check: (value) => integer('page', value, 1, 1 << 20) },
    wholeLayers: {
      about: 'first layers whose tokens read everything',
      unit: 'layers',
      check: (value) => integer('wholeLayers', value, 0, MOST),
    },
    granularity,
    chunk,
  },
  presets: { '': { budget: 1024, page: 16, wholeLayers: 2, granularity: 'head', chunk: 256 } },
  parameters: {
    page: ['int32', (o) => o.page],
    wholeLayers: ['int32', (o) => o.wholeLayers],
    granularity: granularity.as((o) => o.granularity),
  },
  citation: `@inproceedings{quest,
  title = {{Quest}: Query-Aware Sparsity for Efficient Long-Context {LLM} Inference},
  author = {Tang, Jiaming and Zhao, Yilong and Zhu, Kan and Xiao, Guangxuan and Kasikci, Baris and Han, Song},
  booktitle = {International Conference on Machine Learning},
  year = {2024}
}`,
})

/**
 * Saves reading, not memory: of each page the least and largest value of every dim of its keys are kept (2 · headDim float32), a page's
 * bound is Σ max(q · least, q · largest), and the budget's pages with the largest bounds are attended, always with the newest token's own.
 * The prompt attends everything. `cache.inspect(layer)`: of each kv head pageLeast and pageLargest [pages, headDim], in units of keys.
 */
export function quest(options: Partial<QuestOptions> = {}): Policy {
  return makePolicy(definition, options)
}
