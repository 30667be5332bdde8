/** One kv head in float64: what its queries give to tokens, with nothing removed, and to slots. Numbers in, numbers out: no engine. */
import { shown, ZslabError } from '../errors.js'
import { integer, invalid } from '../expect.js'
import type { SlotAt } from '../trace/rebuild.js'
import type { HeadRead } from './reads.js'
import type { HeadVectors } from './vectors.js'

/** A slot that was read; `seed`: whose key and value it began with, where not its first member's. */
export type ReadSlot = Pick<SlotAt, 'slot' | 'origins'> & { seed?: number }

/** The slots that the query at `position` read: as they stood at its step before anything left, the token itself included. */
export interface SlotsRead extends Omit<HeadRead, 'slots'> {
  slots: readonly ReadSlot[]
  /** At its step, where it was another than the call's. */
  alpha?: number
}

/** What a merged slot's key or value is: the mean of its members', or its seed's. */
export type Centroid = 'mean' | 'fixed'

/** One query of one query head, and what it gives to every token up to its own. */
export interface FullQuery {
  /** Of the group. */
  head: number
  /** [headDim] */
  q: Float32Array
  /** [tokens] q·k/√d */
  logits: Float64Array
  /** ln Σ exp(logits) */
  lse: number
  /** [headDim] */
  output: Float64Array
}

/** Refuses arrays whose lengths do not fit one another, and numbers that are not finite: none of them would be seen in a mean. */
export function checkVectors(vectors: HeadVectors): HeadVectors {
  const { headDim, group } = vectors
  integer('headDim', headDim, 1)
  integer('group', group, 1)
  integer('firstQuery', vectors.firstQuery, 0)
  integer('firstOutput', vectors.firstOutput, 0)
  const shapes = { keys: headDim, values: headDim, queries: group * headDim, outputs: group * headDim }
  for (const [name, width] of Object.entries(shapes) as ['keys' | 'values' | 'queries' | 'outputs', number][]) {
    const array = vectors[name]
    if (!(array instanceof Float32Array) || array.length % width)
      throw invalid(name, `a Float32Array of rows of ${width} numbers`, array)
    const bad = array.findIndex((value) => !Number.isFinite(value))
    if (bad >= 0)
      throw new ZslabError(
        'invalid',
        `${name} of layer ${vectors.layer}, kv head ${vectors.kvHead} should be finite, but row ${Math.floor(bad / width)} holds ${array[bad]}: a model that overflows in this storage cannot be inspected`,
      )
  }
  if (vectors.values.length !== vectors.keys.length)
    throw invalid('values', `a Float32Array of ${vectors.keys.length} numbers, as many as keys`, vectors.values)
  return vectors
}

/** Refuses no reads at all, and slots that none can have had: empty, of tokens not yet there, or holding one twice. */
export function checkReads(vectors: HeadVectors, reads: readonly SlotsRead[]): void {
  if (!reads.length)
    throw new ZslabError(
      'invalid',
      `layer ${vectors.layer}, kv head ${vectors.kvHead} was not read after its prompt: generate some tokens first`,
    )
  for (const read of reads) checkRead(vectors, read)
}

function checkRead({ keys, headDim }: HeadVectors, { position, slots }: SlotsRead): void {
  integer('position', position, 0, keys.length / headDim - 1)
  const seen = new Uint8Array(position + 1)
  for (const { slot, origins, seed } of slots) {
    if (!origins.length)
      throw new ZslabError('invalid', `slot ${slot} read at position ${position} stands for no token`)
    if (seed !== undefined && !origins.includes(seed))
      throw new ZslabError(
        'invalid',
        `slot ${slot} read at position ${position} has the seed ${shown(seed)}, which is no member`,
      )
    for (const origin of origins)
      if (!(origin >= 0 && origin <= position) || seen[origin]++)
        throw new ZslabError(
          'invalid',
          `slot ${slot} read at position ${position} holds position ${shown(origin)}: expected positions from 0 to ${position}, each in one slot`,
        )
  }
  if (!slots.length) throw new ZslabError('invalid', `the query at position ${position} read no slot`)
}

/** q·row/√d for `count` rows of [headDim], the first ones. */
export function logitsOf(q: ArrayLike<number>, rows: ArrayLike<number>, count: number): Float64Array {
  const d = q.length
  const scale = 1 / Math.sqrt(d)
  const logits = new Float64Array(count)
  for (let i = 0, at = 0; i < count; i++) {
    let sum = 0
    for (let j = 0; j < d; j++) sum += q[j] * rows[at++]
    logits[i] = sum * scale
  }
  return logits
}

/** ln Σ exp, of those at `places` where given; −∞ of nothing. */
export function logSumExp(logits: Float64Array, places?: readonly number[]): number {
  const count = places ? places.length : logits.length
  let top = -Infinity
  for (let i = 0; i < count; i++) top = Math.max(top, logits[places ? places[i] : i])
  if (top === -Infinity) return top
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.exp(logits[places ? places[i] : i] - top)
  return top + Math.log(sum)
}

/** exp(logit − lse): probabilities. */
export const probsOf = (logits: Float64Array, lse = logSumExp(logits)): Float64Array =>
  logits.map((logit) => Math.exp(logit - lse))

/** Σ probs · rows: [d]. */
export function weighted(probs: Float64Array, rows: ArrayLike<number>, d: number): Float64Array {
  const sum = new Float64Array(d)
  for (let i = 0, at = 0; i < probs.length; i++) {
    const p = probs[i]
    for (let j = 0; j < d; j++) sum[j] += p * rows[at++]
  }
  return sum
}

/** The queries at `position`, one of each query head. Errors: 'invalid' where they were not recorded. */
export function queriesOf(vectors: HeadVectors, position: number): FullQuery[] {
  const { group, headDim, firstQuery, queries, keys, values } = vectors
  const rows = queries.length / (group * headDim)
  const row = position - firstQuery
  if (row < 0 || row >= rows) throw notQueried(vectors, position)
  return Array.from({ length: group }, (_, head) => {
    const at = (row * group + head) * headDim
    const q = queries.subarray(at, at + headDim)
    const logits = logitsOf(q, keys, position + 1)
    const lse = logSumExp(logits)
    return { head, q, logits, lse, output: weighted(probsOf(logits, lse), values, headDim) }
  })
}

/** The query at `position` was not recorded: which were, and how to record it. */
export function notQueried(
  { layer, kvHead, group, headDim, firstQuery, queries }: HeadVectors,
  position: number,
): ZslabError {
  const rows = queries.length / (group * headDim)
  const were = rows ? `those of positions ${firstQuery} to ${firstQuery + rows - 1} were` : 'none was'
  const how =
    position < firstQuery
      ? `make the session with trace: { level: 'vectors', queries: n }, which keeps the prompt's last n (default 512)`
      : 'generate more tokens'
  return new ZslabError(
    'invalid',
    `the query at position ${position} of layer ${layer}, kv head ${kvHead} was not recorded (${were}): ${how}`,
  )
}

/** Keys or values of slots: [slots, headDim]. */
export function slotRows(rows: Float32Array, headDim: number, slots: readonly ReadSlot[], how: Centroid): Float64Array {
  const made = new Float64Array(slots.length * headDim)
  slots.forEach(({ origins, seed }, slot) => {
    const members = how === 'fixed' ? [seed ?? origins[0]] : origins
    for (const member of members)
      for (let j = 0; j < headDim; j++) made[slot * headDim + j] += rows[member * headDim + j]
    for (let j = 0; j < headDim; j++) made[slot * headDim + j] /= members.length
  })
  return made
}

/** α · ln w of each slot. */
export const biasesOf = (slots: readonly ReadSlot[], alpha: number): Float64Array =>
  Float64Array.from(slots, ({ origins }) => alpha * Math.log(origins.length))

/** Output of slots: Σ softmax(logits + bias) · values. */
export function attended(
  logits: Float64Array,
  bias: Float64Array | undefined,
  values: ArrayLike<number>,
  headDim: number,
): Float64Array {
  const all = bias ? logits.map((logit, i) => logit + bias[i]) : logits
  return weighted(probsOf(all), values, headDim)
}

/** ‖o − o*‖/‖o*‖; 0 where they are equal. */
export function relativeError(output: ArrayLike<number>, full: Float64Array): number {
  let [off, length] = [0, 0]
  for (let j = 0; j < full.length; j++) {
    off += (output[j] - full[j]) ** 2
    length += full[j] ** 2
  }
  return off === 0 ? 0 : Math.sqrt(off / length)
}
