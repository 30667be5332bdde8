/** Heads changed and watched while a text is read whole (zslab/heads.h), as they cross into the addon. */

/** zs_head_change_kind, in order. */
export const CHANGES = ['zero', 'gate', 'vector', 'rows'] as const

export interface NativeHeadChange {
  layer: number
  head: number
  /** Into CHANGES. */
  kind: number
  gate: number
  /** vector: [headDim], rows: [tokens, headDim]. */
  values?: Float32Array
}

/** Pairs of a query's row and a position that it sees: of row r the positions [starts[r], starts[r + 1]). */
export interface NativePattern {
  /** [tokens + 1] */
  starts: Int32Array
  positions: Int32Array
  /** All pairs but these. */
  complement?: boolean
}

/** zs_head_watch: what is there is filled, for the W marked heads in order of layer and head. */
export interface NativeWatch {
  /** [layers, heads], 1 = watched. */
  heads: Uint8Array
  patterns?: readonly NativePattern[]
  /** [patterns, W]: sum over the pattern's pairs of the probability. */
  masses?: Float64Array
  /** [W, tokens], nats. */
  entropies?: Float64Array
  /** [W, tokens]: length of what the head's output adds to the residual stream. */
  norms?: Float64Array
  /** [W, tokens, headDim], before the output projection and before the head's own change. */
  outputs?: Float32Array
  /** [W, headDim] over positions. */
  meanOutputs?: Float64Array
  /** [W, headDim] and [layers, kvHeads, headDim] over positions, before rotation. */
  meanQueries?: Float64Array
  meanKeys?: Float64Array
  /** [W, last, headDim], rotated. */
  queries?: Float32Array
  last?: number
  /** [W, rowCount, tokens]: probabilities, zeros beyond the row's own token. */
  rows?: Float32Array
  firstRow?: number
  rowCount?: number
  /** [W, tokens]: the largest probability that a position gets from rows ≥ mostFrom. */
  most?: Float32Array
  mostFrom?: number
  /** [W, distanceBins]: sums over rows by distance: 0, 1, 2–3, 4–7 … tokens before; the last has all beyond. */
  byDistance?: Float64Array
  distanceBins?: number
  /** [W]: sum over rows of probability × distance. */
  distances?: Float64Array
}

/** zs_read. */
export interface NativeRead {
  ids: Int32Array
  /** Logits and losses are of the last so many. */
  rows: number
  changes: readonly NativeHeadChange[]
  watch?: NativeWatch
  /** [rows, vocabulary] */
  logits?: Float32Array
  /** [rows]; 0 for the text's very last. */
  losses?: Float64Array
}

/** zs_vary. */
export interface NativeVary {
  ids: Int32Array
  rows: number
  /** [variants + 1] into changes. */
  starts: readonly number[]
  changes: readonly NativeHeadChange[]
  /** At most so many side by side; 0 = as is quickest. */
  together: number
  /** [variants]; NaN until they are done. */
  kl: Float64Array
  losses: Float64Array
  /** [1] */
  baseLoss: Float64Array
}
