/** The one door to the addon: loads it, checks that it fits, and turns its errors into ours. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ZslabError, type ErrorCode } from '../errors.js'
import { takeError } from './hook-errors.js'
import { checkContract, type AddonDescription } from './contract.js'
import type { NativeRead, NativeVary } from './heads.js'

declare const brand: unique symbol
export type NativeEngine = { [brand]: 'engine' }
export type NativeCache = { [brand]: 'cache' }
export type NativeModel = { [brand]: 'model' }

/** zs_policy: what every policy has, and the parameters of its own by field. */
export interface NativePolicy {
  readonly name: string
  readonly budget: number
  readonly chunk: number
  readonly parameters: Readonly<Record<string, number>>
  readonly of: NativePolicy | undefined
  /** Of a user's own policy: answers a zs_own_view with those that leave, or with the number of a failure. */
  readonly choose?: (...asked: never) => Int32Array | number
}

/** zs_resolved: slots per kv head; budget 0 = unbounded. */
export type Resolved = Record<'budget' | 'recent' | 'residual' | 'sink' | 'context' | 'window' | 'read', number>

export type NativeReceipt = Record<
  | 'seqLen' | 'admitted' | 'left' | 'merged' | 'dropped' | 'weightsSum' | 'positionsOnce' | 'budgetHeld' | 'finite'
  | 'compressed' | 'badLayer' | 'badHead' | 'badRow' | 'oncePosition' | 'budgetStep' | 'weightsFound' | 'onceLayer' | 'onceHead'
  | 'budgetLayer' | 'budgetHead' | 'weightsLayer' | 'weightsHead' | 'rowsHere' | 'rowsThere',
  number
>

export type CacheConfig = Record<
  'layers' | 'heads' | 'kvHeads' | 'headDim' | 'storage' | 'trace' | 'keepQueries' | 'origins',
  number
> & {
  policy: NativePolicy
  /** [layers, kvHeads], like policy.budget and instead of it. */
  budgets: Float64Array | undefined
  rotation: NativeRotation | undefined
  projections: NativeProjections | undefined
}

/** zs_rotation: frequency i is base^(−2i / dims), unless `frequencies` [dims / 2] says it. */
export type NativeRotation = Record<'dims' | 'halves' | 'base', number> & { frequencies: Float64Array | undefined }

/** zs_projections: [layers] each. */
export interface NativeProjections {
  width: number
  keys: Float32Array[]
  values: Float32Array[]
  keyBiases: Float32Array[] | undefined
  valueBiases: Float32Array[] | undefined
}

/** zs_traits; acts: 0 never, 1 on prompts only, 2 always. */
export type NativeTraits = Record<'acts' | 'rotates' | 'endless' | 'stride' | 'projects' | 'alters', number>

export type HeadState = Record<'slots' | 'residual' | 'ring' | 'compressed' | 'read', number>

/** Heads one after another, each with its own number of slots. */
export interface LayerOriginsState extends Record<'seqLen' | 'slots' | 'origins', number> {
  heads: HeadState[]
  /** [slots of all heads + 1] into originPositions */
  originOffsets: Int32Array
  originPositions: Int32Array
}

export interface FullLayerState extends LayerOriginsState {
  /** [slots of all heads, headDim] */
  keys: Float32Array
  values: Float32Array
  /** [slots of all heads] */
  weights: Float32Array
  scores: Float32Array
}

/** What a policy itself keeps of a kv head, by name: row-major, the last dim the fastest. */
export type HeadArrays = Record<string, { shape: number[]; data: Float32Array }>

/** Columns of zs_events: what each means is said in trace/columns.ts. */
export interface EventColumns {
  /** All events of the cache so far; the columns hold those from the asked one on. */
  count: number
  step: Int32Array
  layer: Uint16Array
  kvHead: Uint16Array
  action: Uint8Array
  reason: Uint8Array
  position: Int32Array
  slot: Int32Array
  target: Int32Array
  rank: Int32Array
  score: Float32Array
  threshold: Float32Array
  similarity: Float32Array
  targetScore: Float32Array
  weight: Float32Array
  targetWeight: Float32Array
}

/** zs_recorded and its arrays: queries and outputs are of the last positions. */
export interface NativeRecorded {
  tokens: number
  /** [tokens, headDim] */
  keys: Float32Array
  values: Float32Array
  /** [rows, group, headDim] each, of its own number of rows */
  queries: Float32Array
  outputs: Float32Array
}

/** zs_scored and its arrays: a row for each call that was kept. */
export interface NativeScored {
  /** Of all heads of the cache. */
  bytes: number
  /** [rows] of the call's last token, and positions of its first and last. */
  steps: Int32Array
  first: Int32Array
  positions: Int32Array
  /** [rows + 1] into scores and probabilities */
  starts: Float64Array
  scores: Float32Array
  probabilities: Float32Array
}

/** zs_local: of the first prompt's full cache, and of what came after it under a policy. */
export interface NativeLocal {
  keysFixed: boolean
  valuesFixed: boolean
  /** Tokens of the prompt. */
  prompt: number
  /** Of each call after it: [layers, tokens, 2 heads + 2 kvHeads, headDim] */
  given: readonly Float32Array[]
  events: EventColumns
  /** [seeds, 4]: layer, kv head, a merged slot's first token, its seed where that is another */
  seeded: Int32Array
  /** [rows] of the queries, ascending; and where their calls began */
  positions: Int32Array
  firsts: Int32Array
}

export interface NativeLocalMeasures {
  /** [rows, layers, heads] */
  error: Float64Array
  dropped: Float64Array
  plain: Float64Array
  missed: Float64Array
  blurred: Float64Array
  /** [losses]: merge and drop events, in order */
  probability: Float64Array
  worst: Float64Array
  change: Float64Array
  /** [losses]; −1: no row came after it */
  worstRow: Int32Array
  /** [losses] of the events */
  lossRow: Int32Array
}

export interface NativeForward {
  ids: Int32Array
  /** 0 = the number of ids. */
  shareOf: number
  rows?: number[]
  logits?: Float32Array
  targets?: Int32Array
  logprobs?: Float64Array
  /** After the prompt: [layers, tokens, 2 heads + 2 kvHeads, headDim] what attention was given and gave. */
  given?: Float32Array
}

/** zs_compared. */
export type ComparedLogits = Record<'kl' | 'logSumP' | 'logSumQ' | 'bestP' | 'bestQ', number>

export interface Addon {
  describe(): AddonDescription
  engineCreate(threads: number, isa: number): NativeEngine
  engineDescribe(engine: NativeEngine): string
  /** Once per engine (zs_engine_use). */
  engineUse(engine: NativeEngine, device: { library: string; number: number; memory: number }): void
  /** JSON (zs_device_list). */
  deviceList(library: string): string
  engineDispose(engine: NativeEngine): void
  policyResolve(policy: NativePolicy, tokens: number): Resolved
  policyTraits(policy: NativePolicy): NativeTraits
  cacheCreate(engine: NativeEngine, config: CacheConfig): NativeCache
  /** shareOf −1: a chunk on a living cache (zs_cache_extend); else the prompt (zs_cache_prefill). */
  cacheAttend(
    cache: NativeCache,
    layer: number,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    tokens: number,
    shareOf: number,
    out: Float32Array,
    call?: Int32Array,
  ): Promise<void>
  cacheFork(cache: NativeCache): Promise<NativeCache>
  /** The same policy with other parameters, from the next token on. */
  cacheChange(cache: NativeCache, policy: NativePolicy): Promise<void>
  /** Of the token at `position`, in `heads` [layers, kvHeads] (1 = here) → in how many it was done. */
  cacheEvict(cache: NativeCache, position: number, heads: Uint8Array): Promise<number>
  cachePin(cache: NativeCache, position: number, heads: Uint8Array): Promise<number>
  /** keys, values [layers, kvHeads, headDim], as they are kept; without them only whether it can be done. */
  cacheUnevict(
    cache: NativeCache,
    position: number,
    heads: Uint8Array,
    keys?: Float32Array,
    values?: Float32Array,
  ): Promise<number>
  cacheRollback(cache: NativeCache, tokens: number): void
  /** A cache for each policy, in order: all or none. */
  cacheForkPolicies(
    cache: NativeCache,
    policies: readonly NativePolicy[],
    budgets: readonly (Float64Array | undefined)[],
    trace: boolean,
    call?: Int32Array,
  ): Promise<NativeCache[]>
  /** whole: keys, values, weights and scores too. */
  cacheState(cache: NativeCache, layer: number, whole: true): FullLayerState
  cacheState(cache: NativeCache, layer: number, whole: false): LayerOriginsState
  cacheLayer(cache: NativeCache, layer: number): Record<'seqLen' | 'slots' | 'origins', number>
  cacheResolved(cache: NativeCache, layer: number, kvHead: number): Resolved
  cacheInspect(cache: NativeCache, layer: number): HeadArrays[]
  cacheReceipt(cache: NativeCache): NativeReceipt
  /** [layers, kvHeads, 7]: residual, sink, context, recent, queries, bookkeeping, spare */
  cacheBytes(cache: NativeCache): Float64Array
  cachePeakBytes(cache: NativeCache): number
  /** Views of the tape from event `from` on, which stay as they are; nothing is copied. */
  cacheEvents(cache: NativeCache, from: number): EventColumns
  /** At most so many bytes of events in memory, older ones in `folder` (zs_cache_spill). */
  cacheSpill(cache: NativeCache, bytes: number, folder: string): void
  cacheTapeBytes(cache: NativeCache): { events: number; memory: number; files: number }
  /** Keeps from now on what the marked heads [layers, kvHeads] are given (zs_cache_record). */
  cacheRecord(cache: NativeCache, heads: Uint8Array, queryRows: number): void
  cacheRecorded(cache: NativeCache, layer: number, kvHead: number): NativeRecorded
  /** Keeps from now on what the slots of the marked heads are worth at every n-th step (zs_cache_record_scores). */
  cacheRecordScores(cache: NativeCache, heads: Uint8Array, every: number, mostBytes: number): void
  cacheScored(cache: NativeCache, layer: number, kvHead: number): NativeScored
  cacheLocal(cache: NativeCache, local: NativeLocal, call?: Int32Array): Promise<NativeLocalMeasures>
  cacheDispose(cache: NativeCache): void
  modelLoad(
    engine: NativeEngine,
    paths: readonly string[],
    /** Numbers, and packed, a path. */
    config: Record<string, number | string | undefined>,
    tensors: readonly { name: string; type: number; shape: number[]; offset: number; bytes: number; file: number }[],
    call?: Int32Array,
  ): Promise<NativeModel>
  modelDescribe(model: NativeModel): string
  modelForward(model: NativeModel, cache: NativeCache, forward: NativeForward, call?: Int32Array): Promise<void>
  /** As modelForward of each, side by side (zs_model_forward_many), each stopped by its own call → what went wrong with each; undefined: nothing. */
  modelForwardMany(
    model: NativeModel,
    all: readonly { cache: NativeCache; forward: NativeForward; call: Int32Array }[],
    call: Int32Array,
  ): Promise<unknown[]>
  /** Tokens of how many caches share a reading of the weights (zs_rows_together). */
  rowsTogether(): number
  /** A text whole, under full attention and without a cache (zs_model_read, zs_model_vary). */
  modelRead(model: NativeModel, read: NativeRead, call?: Int32Array): Promise<void>
  modelVary(model: NativeModel, vary: NativeVary, call?: Int32Array): Promise<void>
  modelDispose(model: NativeModel): void
  /** KL(p ‖ q) in nats of two rows of logits, log of the sum of exp of each, and each one's largest (−1: none is above −∞). */
  compareLogits(engine: NativeEngine, p: Float32Array, q: Float32Array): ComparedLogits
  abortAll(): void
}

/** zs_status → our codes, in order. */
const CODES: ErrorCode[] = ['internal', 'invalid', 'memory', 'internal', 'file', 'unsupported', 'internal']
const ABORTED = 3
const HOOK = 7

/** The folder that holds package.json, from src/ as from dist/src/. */
export const projectRoot = rootAbove(dirname(fileURLToPath(import.meta.url)))

function rootAbove(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'CMakeLists.txt')) || existsSync(join(at, 'package.json'))) return at
    if (dirname(at) === at) return folder
  }
}

let loaded: Addon | undefined

/** The addon, loaded on first use. Errors: 'native' with what to run. */
export function native(): Addon {
  if (loaded) return loaded
  const path = join(projectRoot, 'build/Release/zslab.node')
  const help = 'run `npx zslab build` (in the project: `npm run build`); it says what is missing'
  if (!existsSync(path)) throw new ZslabError('native', `the native part of zslab is not built (${path}): ${help}`)
  let addon: Addon
  try {
    addon = createRequire(import.meta.url)(path) as Addon
  } catch (error) {
    throw new ZslabError('native', `the native part of zslab does not load (${(error as Error).message}): ${help}`, {
      cause: error,
    })
  }
  checkContract(addon.describe())
  // A process must not wait for calls in flight, and libuv joins its threads at exit.
  process.on('exit', () => addon.abortAll())
  return (loaded = guarded(addon))
}

/** Every function of the addon, its errors (thrown or rejected) made ours. */
function guarded(addon: Addon): Addon {
  const wrapped: Record<string, unknown> = {}
  for (const [name, f] of Object.entries(addon) as [string, (...args: unknown[]) => unknown][])
    wrapped[name] = (...args: unknown[]) => {
      try {
        const result = f(...args)
        return result instanceof Promise ? result.catch((error: unknown) => Promise.reject(ours(error))) : result
      } catch (error) {
        throw ours(error)
      }
    }
  const made = wrapped as unknown as Addon
  const { modelForwardMany } = made
  made.modelForwardMany = async (...asked) =>
    (await modelForwardMany(...asked)).map((error) => error && ours(error))
  return made
}

function ours(error: unknown): unknown {
  const { status, message } = error as { status?: number; message: string }
  if (status === ABORTED) return new DOMException('the call was aborted', 'AbortError')
  if (status === HOOK)
    return takeError(Number(message)) ?? new ZslabError('internal', 'a policy of your own was not asked: the process is ending')
  if (typeof status === 'number') return new ZslabError(CODES[status] ?? 'internal', message, { cause: error })
  if (/disposed/.test(message)) return new ZslabError('invalid', message)
  return new ZslabError('internal', `${message}: this is a fault of zslab, please report it`, { cause: error })
}
