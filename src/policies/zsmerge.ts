/** ZSMerge: history decides who stays, what leaves is merged where its key is most alike, merged slots are compensated. */
import { invalid, number } from '../expect.js'
import * as shared from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface ZsmergeValues extends shared.HistoryOptions {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** Newest tokens, never candidates, the incoming one included: slots (≥ 1) or share of budget (< 1). */
  recent: number
  /** Merged slots: a count (≥ 1), a share of budget − recent (< 1), 0 = none: what falls out is dropped. */
  residual: number
  /** First tokens that never leave. */
  sink: number
  /** Compensation: logit += alpha · ln(weight) (eq. 8); 0 = off. */
  alpha: number
  /** How alike two keys are when a target is chosen: with init 'position' only after the prompt, whose groups are runs of positions. */
  similarity: 'dot' | 'l2' | 'cosine'
  /** The score of a merged slot. */
  scoreMerge: 'max' | 'sum'
  /** How residual slots begin: equal runs of positions, or the highest scores as seeds (§5c). */
  init: 'position' | 'similarity'
  /** A cache that fills up without ever having been compressed: compress it like a prompt, or let its first tokens be the residual slots. */
  underfull: 'compress' | 'first-tokens'
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
  /** Who chooses who stays: each kv head, all of a layer together, all of the model together (by the sum of their scores, §5c). */
  granularity: 'head' | 'layer' | 'model'
  /** What a merge makes of two slots: their mean by weight, their mean by score, or the one with the higher score (§5c). */
  aggregate: 'mean' | 'score' | 'medoid'
  /** The key of a merged slot: the aggregate of its members' (the paper's), or its seed's for good. */
  keys: 'mean' | 'fixed'
  /** The value of a merged slot, likewise. */
  values: 'mean' | 'fixed'
}

const similarity = shared.words(
  'similarity',
  "how the target of a merge is chosen; with init 'position' it changes nothing in the prompt, whose groups are runs of positions, only later",
  ['dot', 'l2', 'cosine'],
)
const scoreMerge = shared.words('scoreMerge', 'score of a merged slot', ['max', 'sum'])
const init = shared.words('init', 'how residual slots begin', ['position', 'similarity'])
const granularity = shared.words(
  'granularity',
  'who chooses who stays: each kv head, or those of a layer or of the model by the sum of their scores',
  ['head', 'layer', 'model'],
)
const aggregate = shared.words('aggregate', 'what a merge makes of two slots', ['mean', 'score', 'medoid'])
const keys = shared.words('keys', "a merged slot's key: aggregate of its members', or its seed's", ['mean', 'fixed'])
const values = shared.words('values', "a merged slot's value, likewise", ['mean', 'fixed'])

const FIXED: ZsmergeValues = {
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
  keys: 'mean',
  values: 'mean',
}

/** Least slots that shares come to, by mode (spec §5a); raise: counts too. */
const LEAST: Readonly<Record<string, { budget: number; recent: number; residual: number; raise: boolean }>> = {
  fixed: { budget: 16, recent: 1, residual: 1, raise: false },
  paper: { budget: 16, recent: 1, residual: 1, raise: false },
  reference: { budget: 0, recent: 2, residual: 1, raise: true },
}

export const definition = define<ZsmergeValues>({
  name: 'zsmerge',
  about: 'history, recency, merged residual slots and compensation (arXiv 2503.10714)',
  options: {
    budget: shared.budget,
    recent: shared.recent,
    residual: {
      about: 'slots that take in what leaves; 0 = it is dropped',
      unit: 'slots, or share of budget − recent',
      check: (value) => shared.shareOrCount('residual', value),
    },
    sink: shared.sink,
    alpha: {
      about: 'compensation of merged slots: logit += alpha · ln(weight)',
      unit: '–',
      check: (value) => number('alpha', value, 0, 100),
      later: true,
    },
    decay: shared.history.decay,
    history: shared.history.history,
    similarity: { ...similarity, later: true },
    scoreMerge: { ...scoreMerge, later: true },
    init,
    underfull: shared.underfull,
    window: shared.history.window,
    chunk: shared.chunk,
    granularity,
    aggregate,
    keys,
    values,
  },
  presets: {
    fixed: FIXED,
    paper: { ...FIXED, init: 'similarity' },
    reference: { ...FIXED, recent: 0.1, residual: 1, underfull: 'first-tokens', window: 'all' },
  },
  parameters: {
    recent: ['float64', (o) => o.recent],
    residual: ['float64', (o) => o.residual],
    sink: ['int32', (o) => o.sink],
    leastBudget: ['int32', (_, mode) => LEAST[mode].budget],
    leastRecent: ['int32', (_, mode) => LEAST[mode].recent],
    leastResidual: ['int32', (_, mode) => LEAST[mode].residual],
    raiseCounts: ['int32', (_, mode) => (LEAST[mode].raise ? 1 : 0)],
    alpha: ['float32', (o) => o.alpha],
    ...shared.historyParameters,
    similarity: similarity.as((o) => o.similarity),
    scoreMerge: scoreMerge.as((o) => o.scoreMerge),
    init: init.as((o) => o.init),
    underfull: shared.underfull.as((o) => o.underfull),
    granularity: granularity.as((o) => o.granularity),
    aggregate: aggregate.as((o) => o.aggregate),
    keys: keys.as((o) => o.keys),
    values: values.as((o) => o.values),
  },
  aliases: {
    cache_budget: 'budget',
    cache_tail: 'recent',
    cache_dense: 'residual',
    scale_factor: 'alpha',
    shrink_factor: 'decay',
  },
  refuse(o, given) {
    shared.refuseDecayWithoutHistory(o, given)
    if (o.aggregate === 'mean') return
    if (o.history === 'off')
      throw invalid('aggregate', "'mean' beside history 'off'", o.aggregate, 'the others go by scores')
    if (o.keys === 'fixed' || o.values === 'fixed')
      throw invalid('aggregate', "'mean' beside fixed keys or values", o.aggregate, 'the two contradict each other')
  },
  citation: `@misc{zsmerge,
  title = {{ZSMerge}: Zero-Shot {KV} Cache Compression for Memory-Efficient Long-Context {LLMs}},
  author = {Liu, Xin and Wang, Xudong and Liu, Pei and Tang, Guoming},
  year = {2025},
  eprint = {2503.10714},
  archivePrefix = {arXiv}
}`,
})

export interface ZsmergeOptions extends Partial<ZsmergeValues> {
  /** Preset: 'fixed' (default), 'paper', 'reference' (spec §5a); every option can be set over it. */
  mode?: 'fixed' | 'paper' | 'reference'
}

/** budget in slots per kv head or as a share of the first prompt; all options and their defaults: `npx zslab policies zsmerge`. */
export function zsmerge(options: ZsmergeOptions = {}): Policy {
  return makePolicy(definition, options)
}
