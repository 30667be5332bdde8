/**
 * The local part of a shadow: each head's own queries against its own keys and values with nothing removed, beside what the policy's slots
 * made of them. Formulas: o* is full attention; the output error is ‖o − o*‖/‖o*‖; leaving token t out of full attention changes the output by
 * p/(1 − p)·‖o* − v‖.
 */
import { ACTION } from '../trace/actions.js'
import type { EventColumns, NativeLocal, NativeLocalMeasures } from '../native/binding.js'
import { native as binding } from '../native/binding.js'
import { withCall, type Call } from '../native/call.js'
import type { HeldCache } from '../native-cache.js'
import type { PolicyCard } from '../trace/card.js'
import { rowsByHead } from '../trace/rebuild.js'
import { seedsOf } from '../trace/lineage.js'
import { callStarts } from './reads.js'

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
  /** Sum over the rows after that, until it is back, of the probability that full attention gives it, mean of the group's query heads. */
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
  /** [rows] the trace's step of each row, and the position of its query: the run's tokens that were fed, one by one. */
  steps: Int32Array
  positions: Int32Array
  /** [rows, layers, heads] relative output error under the policy. */
  error: Float64Array
  /**
   * [rows, layers, heads], signed parts of `error`, which they add up to: of each slot's first token alone; what merging without compensation
   * adds; what compensation adds (below 0 where it repairs). undefined where merged slots are no means of their members (aggregate).
   */
  dropped: Float64Array | undefined
  merged: Float64Array | undefined
  repaired: Float64Array | undefined
  /** [rows, layers, heads] regret, as probability that full attention gives to tokens that were dropped, and to those in merged slots. */
  missed: Float64Array
  blurred: Float64Array
  lost: LostTokens
}

/** What merged slots are made of, of a policy that merges or of the one that it wraps. */
function mergingOf({ options, of }: PolicyCard): { keys: unknown; values: unknown; means: boolean } {
  if (options.aggregate === undefined && of) return mergingOf(of)
  const { keys, values, aggregate } = options
  return { keys, values, means: aggregate === undefined || aggregate === 'mean' }
}

/** What a run did, and whose of its queries are measured. */
export interface LocalOf {
  shape: { layers: number; heads: number; kvHeads: number }
  policy: PolicyCard
  events: EventColumns
  /** Tokens of each call, the first prompt's at first. */
  calls: readonly number[]
  /** Positions of the queries, ascending, each after the first prompt. */
  positions: Int32Array
}

/** `cache`: a full one that has read the first prompt, and perhaps more; `given`: to attention, by each call after it. */
export async function localShadow(
  of: LocalOf,
  cache: HeldCache,
  given: readonly Float32Array[],
  call: Call,
): Promise<LocalShadow> {
  return localOf(of, await measuredOn(cache, of, given, call))
}

/** What the engine measures of all heads of `cache`; `of`: its shape and events are those of the cache. */
export function measuredOn(
  cache: HeldCache,
  { shape: { layers, kvHeads }, policy, events, calls, positions }: LocalOf,
  given: readonly Float32Array[],
  call: Call,
): Promise<NativeLocalMeasures> {
  const { keys, values } = mergingOf(policy)
  const [keysFixed, valuesFixed] = [keys === 'fixed', values === 'fixed']
  const starts = callStarts(calls)
  const asked: NativeLocal = {
    keysFixed,
    valuesFixed,
    prompt: calls[0],
    given,
    events,
    seeded: keysFixed || valuesFixed ? seededIn(events, layers, kvHeads) : new Int32Array(0),
    positions,
    firsts: positions.map((position) => starts.findLast((start) => start <= position)!),
  }
  return withCall(call, (bytes) => binding().cacheLocal(cache.native, asked, bytes))
}

/** `native`: of all of it; its rows are those of `of.events`. */
export function localOf(of: LocalOf, native: NativeLocalMeasures): LocalShadow {
  const { policy, events, calls, positions } = of
  const { layers, heads, kvHeads } = of.shape
  const { error, missed, blurred } = native
  const steps = positions.map((position) => position - calls[0] + 1)
  const { means } = mergingOf(policy)
  const parts = means ? partsOf(native) : { dropped: undefined, merged: undefined, repaired: undefined }
  const gone = lostIn(events, native, steps)
  return { layers, heads, kvHeads, steps, positions, error, ...parts, missed, blurred, lost: gone }
}

/** Seeds of merged slots, where these are not the slots' first tokens. */
function seededIn(events: EventColumns, layers: number, kvHeads: number): Int32Array {
  const byHead = rowsByHead(events, layers, kvHeads)
  return Int32Array.from(
    byHead.flatMap((rows, head) =>
      [...seedsOf(events, rows)].flatMap((seed) => [Math.floor(head / kvHeads), head % kvHeads, ...seed]),
    ),
  )
}

function partsOf({ error, dropped: first, plain, blurred }: NativeLocalMeasures) {
  const [dropped, merged, repaired] = [error.slice(), new Float64Array(error.length), new Float64Array(error.length)]
  for (let i = 0; i < error.length; i++) {
    // Where nothing is merged all of the error is of what is gone, to the bit.
    if (plain[i] === first[i] && blurred[i] === 0) continue
    dropped[i] = first[i]
    merged[i] = plain[i] - first[i]
    repaired[i] = error[i] - plain[i]
  }
  return { dropped, merged, repaired }
}

function lostIn(
  events: EventColumns,
  { probability, worst, change, worstRow, lossRow: event }: NativeLocalMeasures,
  steps: Int32Array,
): LostTokens {
  const { action } = events
  const of = <T extends Uint16Array | Int32Array>(column: T, made: T): T => {
    for (let i = 0; i < event.length; i++) made[i] = column[event[i]]
    return made
  }
  const merged = new Uint8Array(event.length)
  for (let i = 0; i < event.length; i++) merged[i] = action[event[i]] === ACTION.merge ? 1 : 0
  return {
    event,
    layer: of(events.layer, new Uint16Array(event.length)),
    kvHead: of(events.kvHead, new Uint16Array(event.length)),
    position: of(events.position, new Int32Array(event.length)),
    step: of(events.step, new Int32Array(event.length)),
    merged,
    probability,
    worst,
    worstStep: worstRow.map((row) => (row < 0 ? -1 : steps[row])),
    change,
  }
}
