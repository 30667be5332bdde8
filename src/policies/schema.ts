/**
 * The options that policies are made of: what each means, its unit, how it is checked and how it reaches the engine. Defaults are
 * not here: every policy's file holds its own, and they are nowhere else.
 */
import { flag, integer, invalid, number, oneOf } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import type { NativePolicy } from '../native/binding.js'

/** All options of all policies, as resolved (no undefined, presets applied). */
export interface OptionValues {
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
  /** λ of the score s ← λ·s + p, in (0, 1]. */
  decay: number
  /** 'off': no scores; the oldest position leaves first. */
  history: 'on' | 'off'
  /** How alike two keys are when a target is chosen. */
  similarity: 'dot' | 'l2' | 'cosine'
  /** The score of a merged slot. */
  scoreMerge: 'max' | 'sum'
  /** How residual slots begin: equal runs of positions, or the highest scores as seeds (§5c). */
  init: 'position' | 'similarity'
  /** A cache that fills up without ever having been compressed: compress it like a prompt, or let its first tokens be the residual slots. */
  underfull: 'compress' | 'first-tokens'
  /** Prompt rows whose probabilities count: 'auto' = smallest W with λ^W < 1e-7, 'all', or a count. */
  window: 'auto' | 'all' | number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
  /** Who chooses: each kv head. */
  granularity: 'head'
  /** What a merge makes of two slots: their weighted mean. */
  aggregate: 'mean'
}

export type OptionName = keyof OptionValues

interface OptionSpec {
  /** For `npx zslab policies`, --help and the docs. */
  about: string
  unit: string
  check(value: unknown): unknown
}

const least = (name: string, most: number) => (value: unknown) => {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > most)
    throw invalid(name, 'a share below 1 or a count of slots', value)
  if (value >= 1 && !Number.isInteger(value))
    throw invalid(name, 'a share below 1 or a whole count of slots', value, `use ${Math.trunc(value)} or a share`)
  return value
}
const MOST = 2 ** 31 - 1

function onlySoFar(name: string, works: string, later: readonly string[]) {
  return (value: unknown) => {
    if (value === works) return works
    if (typeof value === 'string' && later.includes(value))
      throw new ZslabError('unsupported', `${name} ${shown(value)} is not built yet: ${name} '${works}' works`)
    throw invalid(name, [works, ...later].map((w) => `'${w}'`).join(' or '), value)
  }
}

export const OPTIONS: { readonly [K in OptionName]: OptionSpec } = {
  budget: {
    about: 'size of the cache',
    unit: 'slots per kv head, or share of the prompt',
    check: (value) => {
      if (value === 0) throw invalid('budget', 'a share above 0 or a count of slots', value)
      return least('budget', MOST)(value)
    },
  },
  recent: {
    about: 'newest tokens that are never candidates, the incoming one included',
    unit: 'slots, or share of the budget',
    check: (value) => {
      if (value === 0)
        throw invalid('recent', 'a share above 0 or a count of slots', value, 'the least is 1, the new token itself')
      return least('recent', MOST)(value)
    },
  },
  residual: {
    about: 'slots that take in what leaves; 0 = it is dropped',
    unit: 'slots, or share of budget − recent',
    check: least('residual', MOST),
  },
  sink: { about: 'first tokens that never leave', unit: 'slots', check: (value) => integer('sink', value, 0, MOST) },
  alpha: {
    about: 'compensation of merged slots: logit += alpha · ln(weight)',
    unit: '–',
    check: (value) => number('alpha', value, 0, 100),
  },
  decay: {
    about: 'how fast attention of the past fades from the scores (λ)',
    unit: 'per step',
    check: (value) => {
      if (value === 0) throw invalid('decay', 'a number above 0 and up to 1', value)
      return number('decay', value, 0, 1, 'above 0 and up to 1')
    },
  },
  history: {
    about: "'off' keeps no scores: the oldest position leaves first",
    unit: 'on | off',
    check: (value) => oneOf('history', value, ['on', 'off']),
  },
  similarity: {
    about: 'how the target of a merge is chosen',
    unit: 'dot | l2 | cosine',
    check: (value) => oneOf('similarity', value, ['dot', 'l2', 'cosine']),
  },
  scoreMerge: {
    about: 'score of a merged slot',
    unit: 'max | sum',
    check: (value) => oneOf('scoreMerge', value, ['max', 'sum']),
  },
  init: {
    about: 'how residual slots begin',
    unit: 'position | similarity',
    check: (value) => oneOf('init', value, ['position', 'similarity']),
  },
  underfull: {
    about: 'what happens when a cache fills up that was never compressed',
    unit: 'compress | first-tokens',
    check: (value) => oneOf('underfull', value, ['compress', 'first-tokens']),
  },
  window: {
    about: 'prompt rows whose attention counts for the first scores',
    unit: 'auto | all | rows',
    check: (value) => (value === 'auto' || value === 'all' ? value : windowRows(value)),
  },
  chunk: {
    about: 'chunk length of a further turn',
    unit: 'tokens',
    check: (value) => integer('chunk', value, 1, 1 << 20),
  },
  granularity: { about: 'who chooses', unit: 'head', check: onlySoFar('granularity', 'head', ['layer', 'model']) },
  aggregate: {
    about: 'what a merge makes of two slots',
    unit: 'mean',
    check: onlySoFar('aggregate', 'mean', ['score', 'medoid']),
  },
}

function windowRows(value: unknown): number {
  if (typeof value === 'number') return integer('window', value, 1, MOST)
  throw invalid('window', "'auto', 'all' or a number of rows", value)
}

/** Upstream's names, accepted from users and nowhere else. */
export const ALIASES: Readonly<Record<string, OptionName>> = {
  cache_budget: 'budget',
  cache_tail: 'recent',
  cache_dense: 'residual',
  scale_factor: 'alpha',
  shrink_factor: 'decay',
}

export const WINDOW = { auto: 0, all: -1 } as const

/** What the modes of spec §5a say beside the options: how small a share may get. */
export interface Least {
  leastBudget: number
  leastRecent: number
  leastResidual: number
  raiseCounts: boolean
}

/** zs_policy from checked options. */
export function nativePolicy(kind: 'full' | 'zsmerge', values: OptionValues, least: Least): NativePolicy {
  return {
    kind: kind === 'full' ? 0 : 1,
    budget: values.budget,
    recent: values.recent,
    residual: values.residual,
    sink: values.sink,
    leastBudget: least.leastBudget,
    leastRecent: least.leastRecent,
    leastResidual: least.leastResidual,
    raiseCounts: flag('raiseCounts', least.raiseCounts) ? 1 : 0,
    alpha: values.alpha,
    decay: values.decay,
    history: values.history === 'on' ? 1 : 0,
    similarity: ['dot', 'l2', 'cosine'].indexOf(values.similarity),
    scoreMerge: ['max', 'sum'].indexOf(values.scoreMerge),
    init: ['position', 'similarity'].indexOf(values.init),
    underfull: ['compress', 'first-tokens'].indexOf(values.underfull),
    granularity: 0,
    aggregate: 0,
    window: typeof values.window === 'number' ? values.window : WINDOW[values.window],
    chunk: values.chunk,
  }
}
