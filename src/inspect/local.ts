/**
 * The local part of a shadow: each head's own queries against its own keys and values with nothing removed, beside what the policy's slots
 * made of them. Formulas: o* is full attention; the output error is ‖o − o*‖/‖o*‖; leaving token t out of full attention changes the output by
 * p/(1 − p)·‖o* − v‖.
 */
import { ACTION } from '../trace/actions.js'
import type { EventColumns, NativeLocal, NativeLocalMeasures } from '../native/binding.js'
import { native } from '../native/binding.js'
import { withCall, type Call } from '../native/call.js'
import type { HeldCache } from '../native-cache.js'
import type { Policy } from '../policies/index.js'
import { rowsByHead } from '../trace/rebuild.js'
import { headReads, type HeadRead } from './reads.js'
import { headVectors, type HeadVectors } from './vectors.js'

/** Tokens that heads lost, a row for each merge or drop event, in the order of the tape. */
export interface LostTokens {
  /** Row of the tape. */
  event: Int32Array
  layer: Uint16Array
  kvHead: Uint16Array
  position: Int32Array
  /** When it was lost. */
  step: Int32Array
  /** 1: into a slot; 0: dropped. */
  merged: Uint8Array
  /** Sum over the rows after that of the probability that full attention gives it, mean of the group's query heads. */
  probability: Float64Array
  /** The largest of these, and its step; −1: there was no row after it. */
  worst: Float64Array
  worstStep: Int32Array
  /** Sum over the same rows of the leave-one-out output change, mean of the group. */
  change: Float64Array
}

export interface LocalShadow {
  layers: number
  /** Query heads of a layer. */
  heads: number
  kvHeads: number
  /** [rows]: the trace's step of each row, and the position of its query: the run's tokens that were fed, one by one. */
  steps: Int32Array
  positions: Int32Array
  /** [rows, layers, heads]: relative output error under the policy. */
  error: Float64Array
  /**
   * [rows, layers, heads], signed parts of `error`, which they add up to: of each slot's first token alone; what merging without compensation
   * adds; what compensation adds (below 0 where it repairs). undefined where merged slots are no means of their members (aggregate).
   */
  dropped: Float64Array | undefined
  merged: Float64Array | undefined
  repaired: Float64Array | undefined
  /** [rows, layers, heads]: regret, as probability that full attention gives to tokens that were dropped, and to those in merged slots. */
  missed: Float64Array
  blurred: Float64Array
  lost: LostTokens
}

/** Rows of one native call: bounds what lies in memory at once. */
const ROWS = 64

/** What merged slots are made of, of a policy that merges or of the one that it wraps. */
function mergingOf({ options, of }: Policy): { keys: unknown; values: unknown; means: boolean } {
  if (options.aggregate === undefined && of) return mergingOf(of)
  const { keys, values, aggregate } = options
  return { keys, values, means: aggregate === undefined || aggregate === 'mean' }
}

export interface LocalOf {
  cache: HeldCache
  policy: Policy
  events: EventColumns
  /** Tokens of the first prompt. */
  promptTokens: number
  /** As of callStarts(). */
  starts: readonly number[]
  /** Positions of the queries, ascending, each after the first prompt. */
  positions: Int32Array
}

export async function localShadow(of: LocalOf, call: Call): Promise<LocalShadow> {
  const { cache, events, promptTokens, positions } = of
  const { layers, heads, kvHeads } = cache.options.shape
  const { keys, values, means } = mergingOf(of.policy)
  const measures = () => new Float64Array(positions.length * layers * heads)
  const result: LocalShadow = {
    layers,
    heads,
    kvHeads,
    steps: positions.map((position) => position - promptTokens + 1),
    positions,
    error: measures(),
    dropped: means ? measures() : undefined,
    merged: means ? measures() : undefined,
    repaired: means ? measures() : undefined,
    missed: measures(),
    blurred: measures(),
    lost: lostIn(events),
  }
  const byHead = rowsByHead(events, layers, kvHeads)
  const rowOfEvent = new Int32Array(events.step.length).fill(-1)
  result.lost.event.forEach((event, row) => (rowOfEvent[event] = row))
  for (let layer = 0; layer < layers; layer++)
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const rows = byHead[layer * kvHeads + kvHead]
      const vectors = headVectors(cache, { layer, kvHead })
      const lost = Array.from(rows, (event) => rowOfEvent[event]).filter((row) => row >= 0)
      const reads = headReads(events, rows, promptTokens, of.starts, positions[0], positions.at(-1)! + 1)
      let first = 0
      for (const block of blocksOf(reads, positions)) {
        const asked = { keysFixed: keys === 'fixed', valuesFixed: values === 'fixed' }
        const { made, measured } = await measure(cache, vectors, block, asked, call)
        fill(result, first, layer, kvHead, vectors.group, measured)
        regret(result, lost, block, made.keys.length / vectors.headDim, measured)
        first += block.length
      }
    }
  return result
}

/** Those of `reads` at `positions`, ROWS at a time. */
function* blocksOf(reads: Iterable<HeadRead>, positions: Int32Array): Generator<HeadRead[]> {
  let block: HeadRead[] = []
  let at = 0
  for (const read of reads) {
    if (read.position !== positions[at]) continue
    at++
    block.push(read)
    if (block.length < ROWS) continue
    yield block
    block = []
  }
  if (block.length) yield block
}

async function measure(
  cache: HeldCache,
  vectors: HeadVectors,
  block: readonly HeadRead[],
  fixed: { keysFixed: boolean; valuesFixed: boolean },
  call: Call,
): Promise<{ made: NativeLocal; measured: NativeLocalMeasures }> {
  const { group, headDim, keys, values, queries, firstQuery, outputs, firstOutput } = vectors
  const width = group * headDim
  const seen = (block.at(-1)!.position + 1) * headDim
  const gathered = (from: Float32Array, first: number) => {
    const rows = new Float32Array(block.length * width)
    for (const [r, { position }] of block.entries())
      rows.set(from.subarray((position - first) * width, (position - first + 1) * width), r * width)
    return rows
  }
  const rowSlots = new Int32Array(block.length + 1)
  for (const [r, { slots }] of block.entries()) rowSlots[r + 1] = rowSlots[r] + slots.length
  const slotMembers = new Int32Array(rowSlots[block.length] + 1)
  let slot = 0
  for (const { slots } of block)
    for (const { origins } of slots) slotMembers[++slot] = slotMembers[slot - 1] + origins.length
  const members = new Int32Array(slotMembers[slot])
  let member = 0
  for (const { slots } of block)
    for (const { origins } of slots) for (const position of origins) members[member++] = position
  const made: NativeLocal = {
    headDim,
    group,
    ...fixed,
    keys: keys.subarray(0, seen),
    values: values.subarray(0, seen),
    positions: Int32Array.from(block, ({ position }) => position),
    queries: gathered(queries, firstQuery),
    outputs: gathered(outputs, firstOutput),
    rowSlots,
    slotMembers,
    members,
  }
  const engine = cache.engine.native
  const measured = await withCall({ signal: call.signal }, (bytes) => native().localMeasure(engine, made, bytes))
  return { made, measured }
}

function fill(
  result: LocalShadow,
  first: number,
  layer: number,
  kvHead: number,
  group: number,
  { error, dropped, plain, missed, blurred }: NativeLocalMeasures,
): void {
  const { layers, heads } = result
  for (let i = 0; i < error.length; i++) {
    const row = first + Math.floor(i / group)
    const at = (row * layers + layer) * heads + kvHead * group + (i % group)
    result.error[at] = error[i]
    result.missed[at] = missed[i]
    result.blurred[at] = blurred[i]
    if (!result.dropped || !result.merged || !result.repaired) continue
    // Where nothing is merged all of the error is of what is gone, to the bit.
    const merges = plain[i] !== dropped[i] || blurred[i] > 0
    result.dropped[at] = merges ? dropped[i] : error[i]
    result.merged[at] = merges ? plain[i] - dropped[i] : 0
    result.repaired[at] = merges ? error[i] - plain[i] : 0
  }
}

function regret(
  { lost }: LocalShadow,
  rows: readonly number[],
  block: readonly HeadRead[],
  tokens: number,
  { probability, change }: NativeLocalMeasures,
): void {
  for (const row of rows) {
    const position = lost.position[row]
    for (const [r, { step }] of block.entries()) {
      if (step <= lost.step[row]) continue
      const at = r * tokens + position
      lost.probability[row] += probability[at]
      lost.change[row] += change[at]
      if (lost.worstStep[row] >= 0 && probability[at] <= lost.worst[row]) continue
      lost.worst[row] = probability[at]
      lost.worstStep[row] = step
    }
  }
}

function lostIn(events: EventColumns): LostTokens {
  const { action } = events
  const event = Int32Array.from(
    [...action.keys()].filter((i) => action[i] === ACTION.merge || action[i] === ACTION.drop),
  )
  const sums = () => new Float64Array(event.length)
  const of = <T extends Uint16Array | Int32Array>(column: T, made: T): T => {
    event.forEach((row, i) => (made[i] = column[row]))
    return made
  }
  return {
    event,
    layer: of(events.layer, new Uint16Array(event.length)),
    kvHead: of(events.kvHead, new Uint16Array(event.length)),
    position: of(events.position, new Int32Array(event.length)),
    step: of(events.step, new Int32Array(event.length)),
    merged: Uint8Array.from(event, (row) => (action[row] === ACTION.merge ? 1 : 0)),
    probability: sums(),
    worst: sums(),
    worstStep: new Int32Array(event.length).fill(-1),
    change: sums(),
  }
}
