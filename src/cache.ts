/** Below the model: a cache for anyone with queries, keys and values of their own. */
import { callOptions, float32, flag, integer, invalid, oneOf, options as checked } from './expect.js'
import { ZslabError } from './errors.js'
import { budgetsOf, type Budgets } from './budgets.js'
import { tokenAt, type TokenOf } from './interventions.js'
import { headVectors, type HeadOf, type HeadVectors } from './inspect/vectors.js'
import { HeldCache, type LayerCacheState, type ResolvedHeads } from './native-cache.js'
import { native, type EventColumns, type HeadArrays } from './native/binding.js'
import { withCall, type Call, type Progress } from './native/call.js'
import { ENGINE_OPTIONS, engineOf, STORAGES, type EngineOptions, type Storage } from './native/engine.js'
import { headScores, scoreRows, type HeadScores, type ScoresOptions } from './inspect/scores.js'
import { keptOf, type TraceOption } from './trace/level.js'
import type { TapeBytes } from './trace/memory.js'
import { rowsByHead } from './trace/rebuild.js'
import { recordedOf } from './trace/recorded.js'
import { policyOf, resolve, type Policy } from './policies/index.js'
import { guarded } from './long-work.js'
import { interruptible } from './progress.js'
import { projectionsOf, type Projections } from './projections.js'
import { rotationOf, type Rotation } from './rotation.js'
import { showsItself } from './show/show.js'
import { cacheText, type CacheFacts } from './show/texts.js'
import type { CacheBytes, CacheShape, Receipt } from './trace/receipt.js'

export interface CacheOptions extends CacheShape, EngineOptions {
  policy: Policy
  /** How keys and values are kept (default 'float32'); merged slots and all sums are float32. */
  storage?: Storage
  /** [layers][kvHeads]: slots, or shares of the prompt, instead of the policy's budget. */
  budgets?: Budgets
  /** The model's rotation, where the policy keeps keys before it (policy.rotates): q and k then come before rotation, too. */
  rotation?: Rotation
  /** The model's key and value projections, where the policy works on them (policy.projects). Copied. */
  projections?: Projections
  /** What is kept of what the cache does (default 'events'), as of a session. */
  trace?: TraceOption
  /** Keep where every position went (default true): 4 bytes a token and kv head. false: a slot knows its first position and weight. */
  origins?: boolean
}

export interface CacheCallOptions {
  /** Stops the call within 50 ms; it then rejects with the signal's reason and leaves the cache as it was. */
  signal?: AbortSignal
  /** Gets the counts; no bar is drawn either way. */
  progress?: false | ((progress: Progress) => void)
}

export interface PrefillOptions extends CacheCallOptions {
  /** The token count that shares refer to; default: the prompt's. */
  shareOf?: number
}

const NAMES = [
  'layers',
  'heads',
  'kvHeads',
  'headDim',
  'policy',
  'budgets',
  'rotation',
  'projections',
  'storage',
  'trace',
  'origins',
  ...ENGINE_OPTIONS,
]

/**
 * A cache of `layers` × `kvHeads` heads of dimension `headDim` under `policy`. Feed every layer one prefill, then steps.
 * Errors: 'invalid' (a wrong option), 'unsupported', 'native', 'memory'.
 */
export function createCache(options: CacheOptions): Cache {
  if (options === undefined) throw invalid('createCache', 'an object', options)
  checked('createCache', options, NAMES)
  const shape = {
    layers: integer('layers', options.layers, 1, 1 << 16),
    heads: integer('heads', options.heads, 1, 1 << 16),
    kvHeads: integer('kvHeads', options.kvHeads, 1, 1 << 16),
    headDim: integer('headDim', options.headDim, 2, 512),
  }
  if (shape.heads % shape.kvHeads !== 0)
    throw invalid(
      'heads',
      `a multiple of kvHeads (${shape.kvHeads})`,
      shape.heads,
      'every kv head serves as many query heads',
    )
  if (shape.headDim % 2 !== 0) throw invalid('headDim', 'an even number from 2 to 512', shape.headDim)
  const storage = options.storage === undefined ? 'float32' : oneOf('storage', options.storage, STORAGES)
  const trace = keptOf(options.trace ?? true, shape.layers, shape.kvHeads)
  const origins = options.origins === undefined ? true : flag('origins', options.origins)
  const policy = policyOf(options.policy)
  const budgets = options.budgets === undefined ? undefined : budgetsOf(options.budgets, shape.layers, shape.kvHeads)
  const rotation = rotationOf(options.rotation, policy, shape.headDim)
  const projections = projectionsOf(options.projections, policy, shape)
  const held = { shape, policy, budgets, rotation, projections, storage, trace, origins, keepQueries: 0 }
  const cache = new HeldCache(engineOf(options), held)
  // They have been copied: the cache need not hold the caller's.
  held.projections = undefined
  return new Cache(cache)
}

export class Cache {
  constructor(private readonly held: HeldCache) {}

  get policy(): Policy {
    return this.held.options.policy
  }

  /** Slots by region; undefined before every layer has its prompt. */
  get resolved(): ResolvedHeads | undefined {
    return this.held.resolved()
  }

  /**
   * The first prompt of one layer: causal attention, scores, then compression if there are more tokens than budget.
   * q Float32Array [heads, tokens, headDim], k, v [kvHeads, tokens, headDim], rotated (unless policy.rotates)
   * → [heads, tokens, headDim].
   * Errors: 'invalid' (lengths, a layer that has its prompt, NaN is not looked for here but in the receipt).
   */
  async prefill(
    layer: number,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    options: PrefillOptions = {},
  ): Promise<Float32Array> {
    callOptions('prefill options', options, ['shareOf'], false)
    const { kvHeads, headDim } = this.held.options.shape
    const tokens = this.tokensOf(k)
    const shareOf = options.shareOf === undefined ? tokens : integer('shareOf', options.shareOf, tokens)
    // Said here, before any work: the same sentence for every layer, also where nothing would need compressing.
    if (!this.held.options.budgets) resolve(this.policy, shareOf)
    float32('k', k, kvHeads * tokens * headDim, '[kvHeads, tokens, headDim]')
    return this.attend(layer, q, k, v, tokens, shareOf, options)
  }

  /** One token: q [heads, headDim], k, v [kvHeads, headDim] → [heads, headDim]. */
  async step(
    layer: number,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    options: CacheCallOptions = {},
  ): Promise<Float32Array> {
    callOptions('step options', options, [], false)
    return this.attend(layer, q, k, v, 1, -1, options)
  }

  /** A chunk of 1 to policy.chunk tokens on a living cache (a further turn, §5b); shapes as prefill. */
  async extend(
    layer: number,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    options: CacheCallOptions = {},
  ): Promise<Float32Array> {
    callOptions('extend options', options, [], false)
    const tokens = this.tokensOf(k)
    const { chunk } = this.policy.native
    if (tokens > chunk)
      throw invalid(
        'k',
        `a chunk of up to ${chunk} tokens`,
        k,
        `cut the ${tokens} tokens into chunks, or make the policy with a larger chunk`,
      )
    return this.attend(layer, q, k, v, tokens, -1, options)
  }

  /** float32 copies of layer `layer`, keys as they are kept (before rotation where policy.rotates): heads one after another, in each slots in the order residual, sink, context, recent. */
  state(layer: number): LayerCacheState {
    return this.held.state(this.layer(layer))
  }

  /**
   * What the policy itself keeps of layer `layer`: of each kv head an object of name → { shape, data: Float32Array }, float32 copies in
   * row-major order. {} before the layer has its prompt and where the policy keeps nothing beside the slots; what the arrays mean, and their
   * units, is said where the policy is (quest: pageLeast, pageLargest [pages, headDim]).
   */
  inspect(layer: number): HeadArrays[] {
    return this.held.inspect(this.layer(layer))
  }

  /** Bytes of the events so far, in memory and in temporary files; after `tokens` further tokens: at most. */
  tapeBytes(tokens = 0): TapeBytes {
    return this.held.tapeBytes(integer('tokens', tokens, 0))
  }

  /** Every event so far as typed columns (views of the tape: copy before you change them), with numbers for actions and reasons (see Trace). Step 0 is the prompt. */
  events(): EventColumns {
    if (!this.held.options.trace.events)
      throw new ZslabError('invalid', 'this cache keeps no events: create it with trace: true')
    return this.held.events()
  }

  /**
   * What one kv head was given so far, nothing removed: copies. Errors: 'invalid' unless the cache was created with trace: { level: 'vectors' }
   * for that head.
   */
  vectors(of: HeadOf): HeadVectors {
    return headVectors(this.held, of)
  }

  /**
   * What each slot of one kv head was worth, step by step: the policy's score and the probability that the query gave it. Errors: 'invalid'
   * unless the cache was created with trace: { level: 'scores' } for that head, and for a step that was not kept.
   */
  scores(of: ScoresOptions): HeadScores {
    const { shape, trace, policy } = this.held.options
    const rows = scoreRows(this.held, of)
    const events = this.events()
    const ofHead = rowsByHead(events, shape.layers, shape.kvHeads)[of.layer * shape.kvHeads + of.kvHead]
    return headScores(of, rows, { events, rows: ofHead, recorded: recordedOf(trace, shape, policy) })
  }

  receipt(): Receipt {
    return this.held.receipt()
  }

  bytes(): CacheBytes {
    return this.held.bytes()
  }

  /**
   * Takes the newest `tokens` tokens of every layer back, as if they had never come; at least one stays. Errors: 'unsupported' where more
   * came of them than their slots (scores that they went into, tokens that left): fork before them instead.
   */
  rollback(tokens: number): void {
    this.held.rollback(integer('tokens', tokens, 1))
  }

  /** As evict() of a session: the token leaves now, dropped and never merged → in how many kv heads. */
  async evict(token: TokenOf): Promise<number> {
    const { position, heads } = tokenAt('evict', token, this.held)
    return this.held.evict(position, heads)
  }

  /** As pin() of a session: the token never leaves from now on → in how many kv heads. */
  async pin(token: TokenOf): Promise<number> {
    const { position, heads } = tokenAt('pin', token, this.held)
    return this.held.pin(position, heads)
  }

  /**
   * As unevict() of a session: the token comes back where it was dropped → in how many kv heads. keys, values Float32Array [layers, kvHeads,
   * headDim], as they came; copied.
   */
  async unevict(token: TokenOf, keys: Float32Array, values: Float32Array): Promise<number> {
    const { position, heads } = tokenAt('unevict', token, this.held)
    const { layers, kvHeads, headDim } = this.held.options.shape
    const count = layers * kvHeads * headDim
    float32('keys', keys, count, '[layers, kvHeads, headDim]')
    float32('values', values, count, '[layers, kvHeads, headDim]')
    return this.held.unevict(position, heads, keys.slice(), values.slice())
  }

  /** A copy with the same state to the bit; both go on independently. */
  async fork(): Promise<Cache> {
    return new Cache(await this.held.fork())
  }

  /** Frees the memory now; a call under way still ends. Every later call is an error. */
  dispose(): void {
    this.held.dispose()
  }

  /** @internal */
  get native(): HeldCache {
    return this.held
  }

  /** What it shows of itself. @internal */
  get facts(): CacheFacts {
    const { seqLen, options } = this.held
    return { ...options, trace: options.trace.events, seqLen, bytes: this.bytes() }
  }

  private layer(layer: unknown): number {
    return integer('layer', layer, 0, this.held.options.shape.layers - 1)
  }

  private tokensOf(k: unknown): number {
    const { kvHeads, headDim } = this.held.options.shape
    if (!(k instanceof Float32Array) || k.length === 0 || k.length % (kvHeads * headDim) !== 0)
      throw invalid('k', `a Float32Array [kvHeads, tokens, headDim] of a multiple of ${kvHeads * headDim} elements`, k)
    return k.length / (kvHeads * headDim)
  }

  private async attend(
    layer: number,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    tokens: number,
    shareOf: number,
    options: CacheCallOptions,
  ): Promise<Float32Array> {
    const { heads, kvHeads, headDim } = this.held.options.shape
    this.layer(layer)
    const named = (dims: string) => (shareOf < 0 && tokens === 1 ? `[${dims}, headDim]` : `[${dims}, tokens, headDim]`)
    float32('q', q, heads * tokens * headDim, named('heads'))
    float32('k', k, kvHeads * tokens * headDim, named('kvHeads'))
    float32('v', v, kvHeads * tokens * headDim, named('kvHeads'))
    const handle = this.held.native
    // Copies: the caller may change or transfer its arrays while the engine reads.
    const out = new Float32Array(q.length)
    const told = guarded(options.progress || (() => undefined), interruptible(options.signal), true)
    const call: Call = { signal: told.signal, progress: options.progress ? told.report : undefined }
    await withCall(call, (bytes) =>
      native().cacheAttend(handle, layer, q.slice(), k.slice(), v.slice(), tokens, shareOf, out, bytes),
    )
    told.thrown.throwIfAborted()
    return out
  }
}

showsItself(Cache.prototype, (cache) => cacheText(cache.facts))
