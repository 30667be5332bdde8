/** What judging is made of: sets of heads that are taken together, the damage that one does in a text, and the curve over ever larger sets. */
import type { Call } from '../native/call.js'

/** Heads as layer * heads of a layer + head, ascending. */
export interface HeadSet {
  /** The same for the same heads: one bit for each head of the model, in hexadecimal. */
  key: string
  heads: Int32Array
}

/** Means over the counted rows of a text. */
export interface Damage {
  /** KL(untouched ‖ without the heads) of the predictions, nats a token. */
  kl: number
  /** Change of −ln p of the next token, of the rows that have one. */
  loss: number
}

/** A way to take heads. */
export interface Taking {
  /** query: heads are numbered by layer and query head; kv: by layer and kv head. */
  heads: 'query' | 'kv'
  /** What progress counts. */
  unit: 'layers' | 'tokens'
  /** Everything that damage depends on beside model, text and heads, for kept results. */
  about: Record<string, unknown>
  /** Of `sets` in a text, in `unit`. */
  work(ids: Int32Array, sets: readonly HeadSet[]): number
  /** put(i, damage) for each of `sets` as it comes. Progress: of this call. */
  run(ids: Int32Array, sets: readonly HeadSet[], put: (set: number, damage: Damage) => void, call: Call): Promise<void>
}

export function setOf(heads: ArrayLike<number>, all: number): HeadSet {
  const sorted = Int32Array.from(heads).sort()
  const bits = Buffer.alloc(Math.ceil(all / 8))
  for (const head of sorted) bits[head >> 3] |= 1 << (head & 7)
  return { key: bits.toString('hex'), heads: sorted }
}

/** Heads by `values`, the least first; equals: the lower layer, then the lower head. */
export const leastFirst = (values: ArrayLike<number>): Int32Array =>
  Int32Array.from(Array.from(values, (_, head) => head).sort((a, b) => values[a] - values[b] || a - b))

/** Area under damage over the share of heads, by trapezoids from [0, 0] on. */
export function areaUnder(shares: readonly number[], damage: readonly number[]): number {
  let area = 0
  for (let i = 0; i < shares.length; i++) {
    const [share, before] = i ? [shares[i - 1], damage[i - 1]] : [0, 0]
    area += ((shares[i] - share) * (damage[i] + before)) / 2
  }
  return area
}
