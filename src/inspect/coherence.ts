/** How well a slot stands for its members: how far its key and value are from theirs, and how alike these are. */
import { integer } from '../expect.js'
import { checkVectors, logitsOf, notQueried } from './head.js'
import type { HeadVectors } from './vectors.js'

export interface SlotMember {
  position: number
  /** Of the slot's key and value. */
  keyShare: number
  valueShare: number
}

export interface Coherence {
  /** [members] Euclidean distance of the member's key and value from the slot's. */
  keyDrift: Float64Array
  valueDrift: Float64Array
  /** Mean cosine of all pairs of members; null with one member. A zero vector is like no other: 0. */
  keyCoherence: number | null
  valueCoherence: number | null
  /** [members] standard deviation of (q·k_member − q·k_slot)/√d over the queries, in nats. */
  keyGap: Float64Array
  /** Median of keyGap: σ. A merge of values alone breaks even at about 0.285 (On the Limits of KV Cache Merging). */
  medianKeyGap: number
  /** That it was measured over: those of the last so many positions, times query heads. */
  queries: number
}

/** Rows of queries that the key gap is measured over, as in the source. */
const QUERY_ROWS = 128

/**
 * Of a slot with `members`, whose key and value are theirs by share. Queries: the last 128 positions' that were recorded, up to `position`.
 * Errors: 'invalid' for what is not finite and where there is no such query.
 */
export function coherenceOf(vectors: HeadVectors, members: readonly SlotMember[], position: number): Coherence {
  checkVectors(vectors)
  const { headDim: d, group, firstQuery, queries } = vectors
  const tokens = vectors.keys.length / d
  for (const member of members) integer('member', member.position, 0, tokens - 1)
  if (position < firstQuery || position >= firstQuery + queries.length / (group * d))
    throw notQueried(vectors, position)
  const take = (rows: Float32Array, share: (member: SlotMember) => number) => {
    const own = members.map(({ position: at }) => rows.subarray(at * d, (at + 1) * d))
    const centroid = new Float64Array(d)
    own.forEach((row, i) => row.forEach((value, j) => (centroid[j] += share(members[i]) * value)))
    return { own, centroid, drift: Float64Array.from(own, (row) => distance(row, centroid)) }
  }
  const keys = take(vectors.keys, ({ keyShare }) => keyShare)
  const values = take(vectors.values, ({ valueShare }) => valueShare)
  const gaps = new Float64Array(d * members.length)
  keys.own.forEach((row, i) => row.forEach((value, j) => (gaps[i * d + j] = value - keys.centroid[j])))
  const rows = Math.min(QUERY_ROWS, position - firstQuery + 1)
  const [sum, squares] = [new Float64Array(members.length), new Float64Array(members.length)]
  const from = (position - firstQuery - rows + 1) * group
  const logits = Array.from({ length: rows * group }, (_, i) =>
    logitsOf(queries.subarray((from + i) * d, (from + i + 1) * d), gaps, members.length),
  )
  for (const each of logits) each.forEach((gap, i) => (sum[i] += gap / logits.length))
  for (const each of logits) each.forEach((gap, i) => (squares[i] += (gap - sum[i]) ** 2 / logits.length))
  const keyGap = squares.map(Math.sqrt)
  return {
    keyDrift: keys.drift,
    valueDrift: values.drift,
    keyCoherence: pairwiseCosine(keys.own),
    valueCoherence: pairwiseCosine(values.own),
    keyGap,
    medianKeyGap: median(keyGap),
    queries: logits.length,
  }
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let j = 0; j < a.length; j++) sum += (a[j] - b[j]) ** 2
  return Math.sqrt(sum)
}

/** The length of the sum of unit vectors holds all their cosines. */
function pairwiseCosine(rows: readonly Float32Array[]): number | null {
  const count = rows.length
  if (count < 2) return null
  const sum = new Float64Array(rows[0].length)
  let units = 0
  for (const row of rows) {
    const length = Math.sqrt(row.reduce((all, value) => all + value * value, 0))
    if (!length) continue
    units++
    row.forEach((value, j) => (sum[j] += value / length))
  }
  return (sum.reduce((all, value) => all + value * value, 0) - units) / (count * (count - 1))
}

function median(values: Float64Array): number {
  const sorted = values.slice().sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
