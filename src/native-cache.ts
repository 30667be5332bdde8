/** A native cache with a clear end: what createCache and sessions share. Freed by dispose(), or with its owner. */
import { ZslabError } from './errors.js'
import {
  native,
  type CacheConfig,
  type EventColumns,
  type FullLayerState,
  type HeadArrays,
  type LayerOriginsState,
  type NativeCache,
  type NativeProjections,
  type NativeRotation,
  type Resolved,
} from './native/binding.js'
import { withCall, type Call } from './native/call.js'
import { STORAGES, type Engine, type Storage } from './native/engine.js'
import type { Budgets } from './budgets.js'
import { nativeOf, type Policy } from './policies/index.js'
import { MOST_SCORES, NOTHING_KEPT, sameScores, sameVectors, type Kept } from './trace/level.js'
import { tapeBytesAfter, type TapeBytes } from './trace/memory.js'
import { bytesOf, receiptOf, type CacheBytes, type CacheShape, type Receipt } from './trace/receipt.js'
import { arraysText, stateText } from './show/file-texts.js'
import { showsItself } from './show/show.js'

export interface HeldOptions {
  shape: CacheShape
  policy: Policy
  /** [layers][kvHeads], like the policy's budget and instead of it. */
  budgets: Budgets | undefined
  /** The model's; undefined: not known, and policies that rotate are refused. */
  rotation: NativeRotation | undefined
  /** Of a cache without a model, for policies that work on them; a model gives its own. */
  projections?: NativeProjections
  storage: Storage
  trace: Kept
  /** Keep where every position went; else only how many tokens a slot stands for. */
  origins: boolean
  /** Rows of prefill queries kept for fork({ policy }). */
  keepQueries: number
}

/** What a fork under another policy is asked for. */
export interface Asked {
  policy: Policy
  budgets: Budgets | undefined
}

/** Heads lie one after another, each with its own number of slots: head g's are [offsets[g], offsets[g + 1]). */
export interface LayerCacheState {
  /** [offsets.at(-1), headDim] */
  keys: Float32Array
  values: Float32Array
  /** [offsets.at(-1)] */
  weights: Float32Array
  scores: Float32Array
  /** origins[kvHead][slot] = the positions that a slot stands for (without origins: its first). */
  origins: number[][][]
  /** [kvHeads] */
  slots: number[]
  /** [kvHeads + 1] */
  offsets: number[]
  seqLen: number
  /** [kvHeads] merged slots at the front; 0 until first compressed. */
  residual: number[]
  /** [kvHeads] slots that the newest token read, of its query heads the most; 0 = all. */
  read: number[]
}

/** Slots by region; where heads differ, the mean of all heads rounded down, and every head's own. */
export interface ResolvedHeads extends Resolved {
  /** [layers][kvHeads]; undefined where all are alike. */
  heads?: Resolved[][]
}

/** The most that a token makes in a kv head: it comes and is settled; and, under policies that let others go for it, these leave and move. */
const STAYING_EVENTS = 2
const LEAVING_EVENTS = 4

export class HeldCache {
  private handle: NativeCache | undefined

  constructor(
    readonly engine: Engine,
    readonly options: HeldOptions,
    handle?: NativeCache,
  ) {
    const { shape, policy, budgets, rotation, projections, storage, trace, origins, keepQueries } = options
    const config: CacheConfig = {
      layers: shape.layers,
      heads: shape.heads,
      kvHeads: shape.kvHeads,
      headDim: shape.headDim,
      storage: STORAGES.indexOf(storage),
      trace: trace.events ? 1 : 0,
      keepQueries,
      origins: origins ? 1 : 0,
      budgets: flat(budgets),
      rotation,
      projections,
      policy: nativeOf(policy),
    }
    this.handle = handle ?? native().cacheCreate(engine.native, config)
    if (trace.tape) native().cacheSpill(this.handle, trace.tape.memory, trace.tape.folder)
    if (!handle) this.record(NOTHING_KEPT, trace)
  }

  get native(): NativeCache {
    if (this.handle) return this.handle
    throw new ZslabError('invalid', 'this cache was disposed: make a new one, or fork it before disposing it')
  }

  get disposed(): boolean {
    return this.handle === undefined
  }

  dispose(): void {
    if (this.handle) native().cacheDispose(this.handle)
    this.handle = undefined
  }

  rollback(tokens: number): void {
    native().cacheRollback(this.native, tokens)
  }

  async change(policy: Policy): Promise<void> {
    await native().cacheChange(this.native, nativeOf(policy))
  }

  /** Of the token at `position`, in `heads` [layers, kvHeads] (1 = here) → in how many it was done. */
  evict(position: number, heads: Uint8Array): Promise<number> {
    return native().cacheEvict(this.native, position, heads)
  }

  pin(position: number, heads: Uint8Array): Promise<number> {
    return native().cachePin(this.native, position, heads)
  }

  /** keys, values [layers, kvHeads, headDim], as they are kept; without them only whether it can be done. */
  unevict(position: number, heads: Uint8Array, keys?: Float32Array, values?: Float32Array): Promise<number> {
    return native().cacheUnevict(this.native, position, heads, keys, values)
  }

  /** `trace`: the same level; what stays in memory may differ. */
  async fork(trace = this.options.trace): Promise<HeldCache> {
    return new HeldCache(this.engine, { ...this.options, trace }, await native().cacheFork(this.native))
  }

  /** The same prompt under other policies, in order: all, or none and 'unsupported' where it must be prefilled again. */
  async forkPolicies(asked: readonly Asked[], trace: Kept, call: Call = {}): Promise<HeldCache[]> {
    if (!sameVectors(this.options.trace, trace) || !sameScores(this.options.trace, trace)) {
      // What is recorded goes on in forks: one of this cache records what they are to have.
      const source = await this.fork()
      try {
        source.record(this.options.trace, trace)
        const recording = new HeldCache(this.engine, { ...this.options, trace }, source.native)
        return await recording.forkPolicies(asked, trace, call)
      } finally {
        source.dispose()
      }
    }
    const handle = this.native
    const policies = asked.map(({ policy }) => nativeOf(policy))
    const budgets = asked.map((one) => flat(one.budgets))
    const made = await withCall(call, (bytes) =>
      native().cacheForkPolicies(handle, policies, budgets, trace.events, bytes),
    )
    return made.map((cache, i) => new HeldCache(this.engine, { ...this.options, ...asked[i], trace }, cache))
  }

  private record(before: Kept, trace: Kept): void {
    const { layers, kvHeads } = this.options.shape
    const none = new Uint8Array(layers * kvHeads)
    if (!sameVectors(before, trace)) native().cacheRecord(this.native, trace.vectors ?? none, trace.queries)
    if (!sameScores(before, trace))
      native().cacheRecordScores(this.native, trace.scores ?? none, trace.every, MOST_SCORES)
  }

  state(layer: number): LayerCacheState {
    return unpacked(this.raw(layer))
  }

  /**
   * What the policy itself keeps of layer `layer`, by kv head and name: { shape, data: Float32Array }, copies. {} before the layer has its
   * prompt and for policies that keep nothing beside the slots; the policy's own page says what its arrays mean.
   */
  inspect(layer: number): HeadArrays[] {
    return showsItself(native().cacheInspect(this.native, layer), arraysText)
  }

  raw(layer: number): FullLayerState {
    return native().cacheState(this.native, layer, true)
  }

  origins(layer: number): LayerOriginsState {
    return native().cacheState(this.native, layer, false)
  }

  events(from = 0): EventColumns {
    return native().cacheEvents(this.native, from)
  }

  /** What the tape takes once `tokens` further tokens have come: at most, and exactly where that is none. */
  tapeBytes(tokens = 0): TapeBytes {
    const { trace, policy, shape } = this.options
    const now = { ...native().cacheTapeBytes(this.native), given: 0 }
    if (!trace.tape) return now
    const each = policy.acts === 'always' ? LEAVING_EVENTS : STAYING_EVENTS
    return tapeBytesAfter(now, tokens * shape.layers * shape.kvHeads * each, trace.tape)
  }

  get seqLen(): number {
    return native().cacheLayer(this.native, 0).seqLen
  }

  /** undefined before every layer has its prompt. */
  resolved(): ResolvedHeads | undefined {
    const { layers, kvHeads } = this.options.shape
    const handle = this.native
    if (native().cacheLayer(handle, layers - 1).seqLen === 0 || this.seqLen === 0) return undefined
    const heads = Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: kvHeads }, (_, kvHead) => native().cacheResolved(handle, layer, kvHead)),
    )
    const all = heads.flat()
    const [first] = all
    const names = Object.keys(first) as (keyof Resolved)[]
    if (all.every((one) => names.every((name) => one[name] === first[name]))) return first
    const mean = (name: keyof Resolved) => Math.trunc(all.reduce((sum, one) => sum + one[name], 0) / all.length)
    return { ...(Object.fromEntries(names.map((name) => [name, mean(name)])) as Resolved), heads }
  }

  receipt(): Receipt {
    return receiptOf(native().cacheReceipt(this.native), this.options.policy, this.resolved(), this.engine.info.device)
  }

  bytes(): CacheBytes {
    const perElement = this.options.storage === 'float32' ? 4 : 2
    const handle = this.native
    const columns = native().cacheBytes(handle)
    return bytesOf(columns, native().cachePeakBytes(handle), this.options.shape, this.seqLen, perElement)
  }
}

const flat = (budgets: Budgets | undefined) => budgets && Float64Array.from(budgets.flat())

/** The positions of every slot, heads apart. */
export function originsOf({ heads, originOffsets: at, originPositions }: LayerOriginsState): Int32Array[][] {
  let i = 0
  return heads.map(({ slots }) => Array.from({ length: slots }, () => originPositions.subarray(at[i], at[++i])))
}

function unpacked(state: FullLayerState): LayerCacheState {
  const { keys, values, weights, scores, heads, seqLen } = state
  const offsets = [0]
  for (const { slots } of heads) offsets.push(offsets.at(-1)! + slots)
  const made: LayerCacheState = {
    keys,
    values,
    weights,
    scores,
    origins: originsOf(state).map((slots) => slots.map((positions) => Array.from(positions))),
    slots: heads.map(({ slots }) => slots),
    offsets,
    seqLen,
    residual: heads.map(({ residual }) => residual),
    read: heads.map(({ read }) => read),
  }
  return showsItself(made, stateText)
}
