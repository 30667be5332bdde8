/** A native cache with a clear end: what createCache and sessions share. Freed by dispose(), or with its owner. */
import { ZslabError } from './errors.js'
import {
  native,
  type CacheConfig,
  type EventColumns,
  type FullLayerState,
  type LayerOriginsState,
  type NativeCache,
  type Resolved,
} from './native/binding.js'
import { withCall, type CallOptions } from './native/call.js'
import { STORAGES, type Engine, type Storage } from './native/engine.js'
import type { Policy } from './policies/index.js'
import { bytesOf, receiptOf, type CacheBytes, type CacheShape, type Receipt } from './trace/receipt.js'

export interface HeldOptions {
  shape: CacheShape
  policy: Policy
  storage: Storage
  trace: boolean
  /** Rows of prefill queries kept for fork({ policy }). */
  keepQueries: number
}

/** origins[kvHead][slot] = the positions that a slot stands for. */
export interface LayerCacheState {
  /** [kvHeads, slots, headDim] */
  keys: Float32Array
  values: Float32Array
  /** [kvHeads, slots] */
  weights: Float32Array
  scores: Float32Array
  origins: number[][][]
  slots: number
  seqLen: number
  /** Merged slots at the front; 0 until first compressed. */
  residual: number
}

export class HeldCache {
  private handle: NativeCache | undefined

  constructor(
    readonly engine: Engine,
    readonly options: HeldOptions,
    handle?: NativeCache,
  ) {
    const { shape, policy, storage, trace, keepQueries } = options
    const config: CacheConfig = {
      layers: shape.layers,
      heads: shape.heads,
      kvHeads: shape.kvHeads,
      headDim: shape.headDim,
      storage: STORAGES.indexOf(storage),
      trace: trace ? 1 : 0,
      keepQueries,
      policy: policy.native,
    }
    this.handle = handle ?? native().cacheCreate(engine.native, config)
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

  async fork(): Promise<HeldCache> {
    return new HeldCache(this.engine, this.options, await native().cacheFork(this.native))
  }

  /** The same prompt under another policy; 'unsupported' where it must be prefilled again. */
  async forkPolicy(policy: Policy, trace: boolean, call: CallOptions = {}): Promise<HeldCache> {
    const handle = this.native
    const made = await withCall(call, (bytes) => native().cacheForkPolicy(handle, policy.native, trace, bytes))
    return new HeldCache(this.engine, { ...this.options, policy, trace }, made)
  }

  state(layer: number): LayerCacheState {
    return unpacked(native().cacheState(this.native, layer), this.options.shape.kvHeads)
  }

  raw(layer: number): FullLayerState {
    return native().cacheState(this.native, layer)
  }

  origins(layer: number): LayerOriginsState {
    return native().cacheOrigins(this.native, layer)
  }

  events(from = 0): EventColumns {
    return native().cacheEvents(this.native, from)
  }

  get seqLen(): number {
    return native().cacheLayer(this.native, 0).seqLen
  }

  /** undefined before the first prompt. */
  resolved(): Resolved | undefined {
    return this.seqLen === 0 ? undefined : native().cacheResolved(this.native)
  }

  receipt(): Receipt {
    return receiptOf(native().cacheReceipt(this.native), this.options.policy, this.resolved())
  }

  bytes(): CacheBytes {
    const perElement = this.options.storage === 'float32' ? 4 : 2
    const handle = this.native
    const columns = native().cacheBytes(handle)
    return bytesOf(columns, native().cachePeakBytes(handle), this.options.shape, this.seqLen, perElement)
  }
}

function unpacked(state: FullLayerState, kvHeads: number): LayerCacheState {
  const { originOffsets: at, originPositions, keys, values, weights, scores, slots, seqLen, residual } = state
  const origins = Array.from({ length: kvHeads }, (_, head) =>
    Array.from({ length: slots }, (_, slot) => {
      const i = head * slots + slot
      return Array.from(originPositions.subarray(at[i], at[i + 1]))
    }),
  )
  return { keys, values, weights, scores, origins, slots, seqLen, residual }
}
