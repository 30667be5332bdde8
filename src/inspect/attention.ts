/** What the queries of one kv head give to all that it ever held, beside what was still in its cache when they asked. */
import { integer } from '../expect.js'
import { ZslabError } from '../errors.js'
import { logitsOf, logSumExp, notQueried } from './head.js'
import type { HeadRead } from './reads.js'
import type { HeadVectors } from './vectors.js'

/** Where a token was when a query asked: in the cache by itself, in a slot that stands for others too, or in none. */
export const PLACES = ['own', 'merged', 'gone'] as const
export type PlaceOf = (typeof PLACES)[number]
const [OWN, MERGED, GONE] = PLACES.keys()
/** Of cells that no query could see: tokens that came later. */
export const LATER = PLACES.length

export interface AttentionMap {
  layer: number
  kvHead: number
  /** Query heads whose mean it is. */
  heads: number[]
  /** Tokens that the last query saw, itself included. */
  tokens: number
  /** Of every query, in order: its position, and the probability that it gives to tokens by their place, [queries, 3]. */
  positions: Int32Array
  mass: Float64Array
  /** Of every query, the gone token that gets most, and how much; −1: none is gone. */
  missed: Int32Array
  missedMass: Float64Array
  /** Tiles: queries and tokens that one stands for (the last ones fewer). */
  rowSize: number
  columnSize: number
  rows: number
  columns: number
  /** [rows, columns]: the largest probability in the tile. */
  attention: Float64Array
  /** [rows, columns], into PLACES: where that token was; LATER where no query saw a token. */
  place: Uint8Array
}

/**
 * Attention of `reads` (ascending by position) over all keys up to their own, nothing removed, in float64; the mean of the group's query heads,
 * or `head` of it (0 … group − 1). At most `rows` × `columns` tiles. Time: reads × tokens × headDim for each query head. Errors: 'invalid' for no
 * read, a head that there is none of, and a read whose query or keys were not kept.
 */
export function attentionMap(
  vectors: HeadVectors,
  reads: readonly HeadRead[],
  options: { head?: number; rows: number; columns: number },
): AttentionMap {
  const { group, headDim, firstQuery, queries, keys } = vectors
  const { head } = options
  const heads = head === undefined ? Array.from({ length: group }, (_, i) => i) : [integer('head', head, 0, group - 1)]
  if (!reads.length)
    throw new ZslabError(
      'invalid',
      'no query read a cache that had been cut: this run fed no token after its prompt; generate at least two',
    )
  const tokens = reads[reads.length - 1].position + 1
  const rowSize = Math.ceil(reads.length / options.rows)
  const columnSize = Math.ceil(tokens / options.columns)
  const [rows, columns] = [Math.ceil(reads.length / rowSize), Math.ceil(tokens / columnSize)]
  const map: AttentionMap = {
    layer: vectors.layer,
    kvHead: vectors.kvHead,
    heads,
    tokens,
    positions: Int32Array.from(reads, ({ position }) => position),
    mass: new Float64Array(reads.length * PLACES.length),
    missed: new Int32Array(reads.length).fill(-1),
    missedMass: new Float64Array(reads.length),
    rowSize,
    columnSize,
    rows,
    columns,
    attention: new Float64Array(rows * columns),
    place: new Uint8Array(rows * columns).fill(LATER),
  }
  reads.forEach(({ position, slots }, at) => {
    const row = position - firstQuery
    if (row < 0 || (row + 1) * group * headDim > queries.length || (position + 1) * headDim > keys.length)
      throw notQueried(vectors, position)
    const given = new Float64Array(position + 1)
    for (const each of heads) {
      const from = (row * group + each) * headDim
      const logits = logitsOf(queries.subarray(from, from + headDim), keys, position + 1)
      const lse = logSumExp(logits)
      for (let i = 0; i <= position; i++) given[i] += Math.exp(logits[i] - lse) / heads.length
    }
    const place = new Uint8Array(position + 1).fill(GONE)
    for (const { origins } of slots) for (const origin of origins) place[origin] = origins.length > 1 ? MERGED : OWN
    const tiles = Math.floor(at / rowSize) * columns
    for (let i = 0; i <= position; i++) {
      const tile = tiles + Math.floor(i / columnSize)
      map.mass[at * PLACES.length + place[i]] += given[i]
      if (map.place[tile] === LATER || given[i] > map.attention[tile]) {
        map.attention[tile] = given[i]
        map.place[tile] = place[i]
      }
      if (place[i] !== GONE || given[i] <= map.missedMass[at]) continue
      map.missed[at] = i
      map.missedMass[at] = given[i]
    }
  })
  return map
}
