/** What the figures are drawn from: plain data that a run provides. Nothing here knows of the engine. */

export type Region = 'residual' | 'sink' | 'context' | 'recent' | 'queries' | 'bookkeeping' | 'spare'
export const REGIONS: readonly Region[] = [
  'residual',
  'sink',
  'context',
  'recent',
  'queries',
  'bookkeeping',
  'spare',
] as const

export interface Token {
  id: number
  text: string
  /** Place in the text, 0 … tokens − 1. */
  position: number
  /** True: read as part of the prompt; false: generated. */
  prompt: boolean
}

/** Codes in `EventColumns.action`. */
export const ACTION = {
  admit: 0,
  leave: 1,
  merge: 2,
  drop: 3,
  place: 4,
  settle: 5,
  options: 6,
  pin: 7,
  unevict: 8,
} as const

/**
 * Every change of the cache in order, one row per event; all columns have `count` entries.
 * admit: a token enters `slot`. leave: the oldest recent token moves from `slot` to `target`, its place among the candidates.
 * merge: the token at `slot` goes into residual slot `target`. drop: it leaves for good (target −1). place, settle: it only changes its
 * slot. options: the policy goes on with others; one event for the whole cache. pin: the token at `slot` never leaves. unevict: a dropped
 * token enters `slot` again. Prefill is step 0.
 */
export interface EventColumns {
  count: number
  step: ArrayLike<number>
  layer: ArrayLike<number>
  kvHead: ArrayLike<number>
  action: ArrayLike<number>
  reason: ArrayLike<number>
  position: ArrayLike<number>
  /** −1: a prompt token that never had a slot. */
  slot: ArrayLike<number>
  target: ArrayLike<number>
  score: ArrayLike<number>
  similarity: ArrayLike<number>
  weight: ArrayLike<number>
  targetWeight: ArrayLike<number>
}

/** One layer's cache at the run's end. */
export interface LayerOrigins {
  /** `kvHeads[kvHead][slot]`: the positions that the slot stands for. Slot order: residual, sink, context, recent. */
  kvHeads: ArrayLike<number>[][]
  /** By kv head: merged slots at the front; 0 until first compressed. */
  residual: number[]
}

export interface RegionBytes {
  layer: number
  kvHead: number
  region: Region
  bytes: number
}

export interface BytesData {
  parts: RegionBytes[]
  /** All layers, heads and regions together, bytes. */
  total: number
  /** The most that the cache held at any time (the whole prompt included), bytes. */
  peak: number
  /** What keys and values of all tokens would take in a full cache of the same storage, bytes. */
  fullCache: number
}

/** Slots of a kv head by region. */
export type Sizes = Record<'budget' | 'recent' | 'residual' | 'sink' | 'context' | 'window', number>

export interface RunData {
  model: string
  policyName: string
  /** Where merged slots are compensated: their logits get alpha · ln(weight). */
  alpha?: number
  layers: number
  kvHeads: number
  promptTokens: number
  /** Decoded tokens that the cache saw; prefill is step 0, the first decoded token step 1. */
  steps: number
  /** Everything that the cache saw, in order: `tokens[i].position === i`. */
  tokens: Token[]
  /** Slots per kv head (where heads differ, on average, and each); budget 0 = unbounded. */
  resolved: Sizes & { heads?: Sizes[][] }
  /** Only with trace: true. */
  events?: EventColumns
  /** One entry per layer. */
  origins: LayerOrigins[]
  bytes: BytesData
}

/** The same tokens under the policy and under the full cache, token by token (those that were predicted). */
export interface ShadowData {
  model: string
  policyName: string
  /** A few words that tell this run from the others of one figure, such as '10 % of 3,012 tokens'. Default: policyName. */
  label?: string
  promptTokens: number
  tokens: Token[]
  /** KL(full ‖ policy) of the next-token distribution, nats, one per entry of `tokens`. */
  kl: Float64Array
  /** True where the most probable token differs. */
  flips: boolean[]
  /** The most probable token id under the policy, and under the full cache. */
  top1: number[]
  fullTop1: number[]
  /** What each head lost, by its own queries, keys and values. */
  local?: LocalData
  /** Why there is none. */
  localNote?: string
}

/** Rows are decode steps; measures are [rows, layers, heads], heads those of the queries. */
export interface LocalData {
  layers: number
  heads: number
  kvHeads: number
  /** [rows]: the trace's step. */
  steps: Int32Array
  /** ‖o − o*‖/‖o*‖ of each head's output. */
  error: Float64Array
  /** Signed parts of `error`; undefined where a policy's slots are no means of their members. */
  dropped?: Float64Array
  merged?: Float64Array
  repaired?: Float64Array
  /** Probability that full attention gives to tokens that were dropped, and to those in merged slots. */
  missed: Float64Array
  blurred: Float64Array
  /** A row for each token that a kv head dropped or merged, in the order of the tape. */
  lost: {
    layer: ArrayLike<number>
    kvHead: ArrayLike<number>
    position: ArrayLike<number>
    step: ArrayLike<number>
    /** 1: into a slot. */
    merged: ArrayLike<number>
    /** Sum over the rows after that of its probability under full attention, the largest of them and its step (−1: no row). */
    probability: ArrayLike<number>
    worst: ArrayLike<number>
    worstStep: ArrayLike<number>
    /** Sum over the same rows of the change of the output without it. */
    change: ArrayLike<number>
  }
}
