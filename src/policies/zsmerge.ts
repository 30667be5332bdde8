/** ZSMerge: history decides who stays, what leaves is merged where its key is most alike, merged slots are compensated. */
import { makePolicy, type Policy, type PolicyDefinition, type Preset } from './policy.js'
import type { OptionValues } from './schema.js'

const FIXED: Preset = {
  values: {
    budget: 0.2,
    recent: 0.5,
    residual: 0.02,
    sink: 0,
    alpha: 1,
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
  least: { leastBudget: 16, leastRecent: 1, leastResidual: 1, raiseCounts: false },
}

export const definition: PolicyDefinition = {
  name: 'zsmerge',
  about: 'history, recency, merged residual slots and compensation (arXiv 2503.10714)',
  kind: 'zsmerge',
  options: Object.keys(FIXED.values) as (keyof OptionValues)[],
  presets: {
    fixed: FIXED,
    paper: { ...FIXED, values: { ...FIXED.values, init: 'similarity' } },
    reference: {
      values: { ...FIXED.values, recent: 0.1, residual: 1, underfull: 'first-tokens', window: 'all' },
      least: { leastBudget: 0, leastRecent: 2, leastResidual: 1, raiseCounts: true },
    },
  },
  citation: `@misc{zsmerge,
  title = {{ZSMerge}: Zero-Shot {KV} Cache Compression for Memory-Efficient Long-Context {LLMs}},
  author = {Liu, Xin and Wang, Xudong and Liu, Pei and Tang, Guoming},
  year = {2025},
  eprint = {2503.10714},
  archivePrefix = {arXiv}
}`,
}

export interface ZsmergeOptions extends Partial<OptionValues> {
  /** Preset: 'fixed' (default), 'paper', 'reference' (spec §5a); every option can be set over it. */
  mode?: 'fixed' | 'paper' | 'reference'
}

/** budget in slots per kv head or as a share of the first prompt; all options and their defaults: `npx zslab policies zsmerge`. */
export function zsmerge(options: ZsmergeOptions = {}): Policy {
  return makePolicy(definition, options)
}
