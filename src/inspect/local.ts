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
import type { PolicyCard } from '../trace/card.js'
import { rowsByHead, type HeadLedger } from '../trace/rebuild.js'
import { seedOf, seedsOf } from '../trace/lineage.js'
import { attending } from './reads.js'

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
  /** Sum over the rows after that, until it came back, of the probability that full attention gives it, mean of the group's query heads. */
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

/** Rows of one native call: bounds what lies in memory at once. */
const ROWS = 64

/** What merged slots are made of, of a policy that merges or of the one that it wraps. */
function mergingOf({ options, of }: PolicyCard): { keys: unknown; values: unknown; means: boolean } {
  if (options.aggregate === undefined && of) return mergingOf(of)
  const { keys, values, aggregate } = options
  return { keys, values, means: aggregate === undefined || aggregate === 'mean' }
}

/** The cache that has recorded a head, and as which. */
export interface RecordedAs {
  cache: HeldCache
  layer: number
  kvHead: number
  /** [rows, group] where the cache recorded the head under another policy: the relative output error of the run. */
  errors?: Float64Array
}

export interface LocalOf {
  shape: { layers: number; heads: number; kvHeads: number }
  /** Of one head; undefined: it was not recorded, and its measures are NaN. */
  recorded(layer: number, kvHead: number): Promise<RecordedAs | undefined>
  isRecorded(layer: number, kvHead: number): boolean
  policy: PolicyCard
  events: EventColumns
  /** Tokens of the first prompt. */
  promptTokens: number
  /** As of callStarts(). */
  starts: readonly number[]
  /** Positions of the queries, ascending, each after the first prompt. */
  positions: Int32Array
}

export async function localShadow(of: LocalOf, call: Call): Promise<LocalShadow> {
  const { events, promptTokens, positions } = of
  const { layers, heads, kvHeads } = of.shape
  const { keys, values, means } = mergingOf(of.policy)
  const measures = () => new Float64Array(positions.length * layers * heads).fill(NaN)
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
    lost: lostIn(events, of),
  }
  const group = heads / kvHeads
  const byHead = rowsByHead(events, layers, kvHeads)
  const lossOf = new Map(Array.from(result.lost.event, (event, loss) => [event, loss]))
  const slots = new Slots()
  for (let layer = 0; layer < layers; layer++)
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const head = await of.recorded(layer, kvHead)
      if (!head) continue
      const rows = byHead[layer * kvHeads + kvHead]
      const losses = Array.from(rows, (event) => lossOf.get(event)!).filter((loss) => loss !== undefined)
      const lostPositions = Int32Array.from(losses, (loss) => result.lost.position[loss])
      const backs = backsOf(events, rows)
      const fixed = keys === 'fixed' || values === 'fixed'
      const seeds = fixed ? seedsOf(events, rows) : new Map<number, number>()
      let first = 0
      const measured = async () => {
        const steps = result.steps.subarray(first, first + slots.rows)
        const native = await measure(head.cache, call, {
          layer: head.layer,
          kvHead: head.kvHead,
          keysFixed: keys === 'fixed',
          valuesFixed: values === 'fixed',
          positions: positions.subarray(first, first + slots.rows),
          ...slots.taken(),
          lostPositions,
          lostRows: Int32Array.from(losses, (loss) => rowsUpTo(steps, result.lost.step[loss])),
          lostEnds: Int32Array.from(losses, (loss) => rowsUpTo(steps, backs.get(result.lost.event[loss]) ?? Infinity)),
        })
        if (head.errors) native.error.set(head.errors.subarray(first * group, (first + steps.length) * group))
        fill(result, first, layer, kvHead, native)
        regret(result, losses, steps, native)
        first += steps.length
      }
      for (const calls of attending(events, rows, promptTokens, of.starts, positions[0], positions.at(-1)! + 1))
        for (let position = calls.from; position < calls.to; position++) {
          if (position !== positions[first + slots.rows]) continue
          slots.add(calls.ledger, seeds, calls.first, position)
          if (slots.rows === ROWS) await measured()
        }
      if (slots.rows) await measured()
    }
  return result
}

/** What rows read, as the engine takes it; its arrays are used again and again. */
class Slots {
  rows = 0
  private slots = 0
  private count = 0
  private readonly rowSlots = new Int32Array(ROWS + 1)
  private slotMembers: Int32Array<ArrayBuffer> = new Int32Array(1 << 12)
  private members: Int32Array<ArrayBuffer> = new Int32Array(1 << 14)

  /** The head's slots, whose seeds (by first member, where these are others) come first, and tokens of the same call from `first` up to the query itself. */
  add(ledger: HeadLedger, seeds: ReadonlyMap<number, number>, first: number, position: number): void {
    ledger.each((_, origins) => {
      const seed = seedOf(seeds, origins) ?? origins[0]
      this.member(seed)
      for (const one of origins) if (one !== seed) this.member(one)
      this.end()
    })
    for (let one = first; one <= position; one++) {
      this.member(one)
      this.end()
    }
    this.rowSlots[++this.rows] = this.slots
  }

  /** All rows, which are then no more. */
  taken(): Pick<NativeLocal, 'rowSlots' | 'slotMembers' | 'members'> {
    const { rows, slots, rowSlots, slotMembers, members } = this
    this.rows = this.slots = this.count = 0
    return { rowSlots: rowSlots.subarray(0, rows + 1), slotMembers: slotMembers.subarray(0, slots + 1), members }
  }

  private member(position: number): void {
    if (this.count === this.members.length) this.members = longer(this.members)
    this.members[this.count++] = position
  }

  private end(): void {
    if (++this.slots === this.slotMembers.length) this.slotMembers = longer(this.slotMembers)
    this.slotMembers[this.slots] = this.count
  }
}

function longer(array: Int32Array): Int32Array<ArrayBuffer> {
  const made = new Int32Array(2 * array.length)
  made.set(array)
  return made
}

/** Of the head's rows: after which step the token that a merge or drop took came back; none: it did not. */
function backsOf({ action, position, step }: EventColumns, rows: Int32Array): Map<number, number> {
  const [backs, next] = [new Map<number, number>(), new Map<number, number>()]
  for (const row of [...rows].reverse()) {
    if (action[row] === ACTION.unevict) next.set(position[row], step[row])
    else if (next.has(position[row])) backs.set(row, next.get(position[row])!)
  }
  return backs
}

/** How many of the ascending `steps` are at most `step`. */
function rowsUpTo(steps: Int32Array, step: number): number {
  let rows = 0
  while (rows < steps.length && steps[rows] <= step) rows++
  return rows
}

function measure({ native: handle }: HeldCache, { signal }: Call, local: NativeLocal): Promise<NativeLocalMeasures> {
  return withCall({ signal }, (bytes) => native().cacheLocal(handle, local, bytes))
}

function fill(
  result: LocalShadow,
  first: number,
  layer: number,
  kvHead: number,
  { error, dropped, plain, missed, blurred }: NativeLocalMeasures,
): void {
  const { layers, heads, kvHeads } = result
  const group = heads / kvHeads
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
  losses: readonly number[],
  steps: Int32Array,
  { probability, worst, worstRow, change }: NativeLocalMeasures,
): void {
  for (const [i, loss] of losses.entries()) {
    lost.probability[loss] += probability[i]
    lost.change[loss] += change[i]
    if (worstRow[i] < 0 || (lost.worstStep[loss] >= 0 && worst[i] <= lost.worst[loss])) continue
    lost.worst[loss] = worst[i]
    lost.worstStep[loss] = steps[worstRow[i]]
  }
}

function lostIn(events: EventColumns, { isRecorded }: Pick<LocalOf, 'isRecorded'>): LostTokens {
  const { action } = events
  const event = Int32Array.from(
    [...action.keys()].filter(
      (i) => (action[i] === ACTION.merge || action[i] === ACTION.drop) && isRecorded(events.layer[i], events.kvHead[i]),
    ),
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
