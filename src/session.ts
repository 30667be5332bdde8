/** A session: one cache of one model, fed by prompts, steps and further turns; it can be copied, put back and judged. */
import { budgetsOf, type Budgets } from './budgets.js'
import { flag, integer, invalid, oneOf, options as checked } from './expect.js'
import { ZslabError } from './errors.js'
import { Generation, type GenerateOptions, type Prompt } from './generate/generation.js'
import type { Model } from './load.js'
import { HeldCache } from './native-cache.js'
import { native } from './native/binding.js'
import { withCall, type CallOptions } from './native/call.js'
import { STORAGES, type Storage } from './native/engine.js'
import { fullCache, policyOf, resolve, type Policy } from './policies/index.js'
import { withBar } from './long-work.js'
import { interruptible } from './progress.js'
import { score, type Score, type ScoreOptions } from './generate/score.js'
import type { CacheBytes, Receipt } from './trace/receipt.js'

export interface SessionOptions {
  /** Default: fullCache(). */
  policy?: Policy
  /** How keys and values are kept; default like the model's weights. Merged slots and all sums are float32. */
  storage?: Storage
  /** [layers][kvHeads]: slots, or shares of the prompt, instead of the policy's budget. */
  budgets?: Budgets
  /** Keep every event for run.trace (default false). */
  trace?: boolean
  /** Keep where every position went (default true): 4 bytes a token and kv head. false: a slot knows its first position and weight. */
  origins?: boolean
  /** Keep the prompt's last queries, so that fork({ policy }) needs no second prefill (default false). */
  forkable?: boolean
}

/** One call on the cache, kept so that it can be replayed under another policy. */
export interface Fed {
  ids: Int32Array
  /** 0: a chunk; else this was the prompt and shares refer to so many tokens. */
  shareOf: number
}

export type TextOrIds = string | ArrayLike<number>

/** A state to go back to; holds the cache's pages until disposed. */
export interface Snapshot {
  readonly session: Session
  dispose(): void
}

interface State {
  cache: HeldCache
  /** This session's own; copied where the session is. */
  log: Fed[]
  seqLen: number
  logits: Float32Array | undefined
  unfed: number | undefined
  transcript: string | undefined
  messages: readonly { role: string; content: string }[]
}

/** The rows that zsmerge's default decay looks back on: smallest W with 0.98^W < 1e-7. */
const FORK_ROWS = 798

export class Session {
  private queue: Promise<unknown> = Promise.resolve()

  private constructor(
    readonly model: Model,
    readonly policy: Policy,
    readonly storage: Storage,
    readonly trace: boolean,
    private readonly forkable: boolean,
    private state: State,
  ) {}

  static create(model: Model, options: SessionOptions): Session {
    checked('session', options, ['policy', 'budgets', 'storage', 'trace', 'origins', 'forkable'])
    const policy = options.policy === undefined ? fullCache() : policyOf(options.policy)
    const storage = options.storage === undefined ? model.weights : oneOf('storage', options.storage, STORAGES)
    const trace = options.trace === undefined ? false : flag('trace', options.trace)
    const forkable = options.forkable === undefined ? false : flag('forkable', options.forkable)
    if (forkable && policy.acts !== 'never')
      throw new ZslabError(
        'invalid',
        `forkable: true is for the full cache; under ${policy.name} tokens are gone after the prompt: fork from a session with fullCache()`,
      )
    void model.native // refuses a disposed model
    const { layers, heads, kvHeads, headDim } = model.description
    const keepQueries = forkable ? FORK_ROWS : 0
    const shape = { layers, heads, kvHeads, headDim }
    const origins = options.origins === undefined ? true : flag('origins', options.origins)
    const budgets = options.budgets === undefined ? undefined : budgetsOf(options.budgets, layers, kvHeads)
    const cache = new HeldCache(model.engine, { shape, policy, budgets, storage, trace, origins, keepQueries })
    return new Session(model, policy, storage, trace, forkable, {
      cache,
      log: [],
      seqLen: 0,
      logits: undefined,
      unfed: undefined,
      transcript: undefined,
      messages: [],
    })
  }

  /** Tokens that the cache has seen. A token that generate() gave last is fed only when the session goes on. */
  get seqLen(): number {
    return this.state.seqLen
  }

  /** Everything that was fed, in order. */
  get tokens(): number[] {
    return this.state.log.flatMap((fed) => Array.from(fed.ids))
  }

  /** @internal */
  get log(): readonly Fed[] {
    return this.state.log
  }

  /** @internal */
  get current(): State {
    return this.state
  }

  get cache(): HeldCache {
    return this.state.cache
  }

  /**
   * Reads a prompt into the empty session → logits of its last token [vocabulary] (a copy).
   * Errors: 'invalid' (empty, too long for the context, a budget that does not fit, a session that is not empty).
   */
  prefill(textOrIds: TextOrIds, options: CallOptions = {}): Promise<Float32Array> {
    checked('prefill options', options, ['signal', 'progress'])
    return this.exclusively(async () => {
      if (this.seqLen)
        throw new ZslabError(
          'invalid',
          `this session has read ${this.seqLen} tokens already: use append() for a further turn, or a new session`,
        )
      await withBar('reading', options, (call) => this.feed(this.idsOf(textOrIds), call))
      return this.lastLogits().slice()
    })
  }

  /** Feeds one token → logits that follow it [vocabulary]. */
  step(id: number, options: CallOptions = {}): Promise<Float32Array> {
    checked('step options', options, ['signal', 'progress'])
    return this.exclusively(async () => {
      if (!this.seqLen) throw new ZslabError('invalid', 'the session is empty: prefill a prompt before the first step')
      await this.feed(this.idsOf([id]), { ...options, signal: interruptible(options.signal) })
      return this.lastLogits().slice()
    })
  }

  /** A further turn on the living cache, in chunks of policy.chunk tokens (§5b) → logits of its last token. */
  append(textOrIds: TextOrIds, options: CallOptions = {}): Promise<Float32Array> {
    checked('append options', options, ['signal', 'progress'])
    return this.exclusively(async () => {
      await withBar('reading', options, (call) => this.feed(this.idsOf(textOrIds), call))
      return this.lastLogits().slice()
    })
  }

  /**
   * Generates after `prompt` (text, token ids or { messages }); without a prompt it goes on from where the session stands.
   * The result streams tokens (for await) and is a promise of the run.
   */
  generate(prompt?: Prompt, options: GenerateOptions = {}): Generation {
    return new Generation(this, prompt, options)
  }

  /**
   * Log-probability of every token of `textOrIds` under this session's policy, teacher forced: on an empty session the first
   * min(n, budget) tokens are the prompt (shares refer to all n), the rest is fed `chunk` by `chunk` (default 1: a step each).
   */
  score(textOrIds: TextOrIds, options: ScoreOptions = {}): Promise<Score> {
    return this.exclusively(() =>
      withBar('scoring', options, (call) => score(this, this.idsOf(textOrIds), { ...options, ...call })),
    )
  }

  /** The session as it is now, to come back to with restore(). */
  snapshot(): Promise<Snapshot> {
    return this.exclusively(async () => {
      const copy = await this.copied()
      return { session: copy, dispose: () => copy.dispose() }
    })
  }

  /** Puts the session back to `snapshot`, which stays usable. */
  restore(snapshot: Snapshot): Promise<void> {
    return this.exclusively(async () => {
      const from = snapshot?.session
      if (
        !(from instanceof Session) ||
        from.model !== this.model ||
        from.policy !== this.policy ||
        from.storage !== this.storage
      )
        throw invalid(
          'snapshot',
          'a snapshot of this session',
          snapshot,
          'snapshots fit the session that made them and its forks',
        )
      const copy = await from.copied()
      this.state.cache.dispose()
      this.state = copy.state
    })
  }

  /**
   * An independent copy. With `policy`: the same tokens under another policy — from the kept queries where only a prompt was read
   * by a forkable full cache, else by reading everything again.
   */
  fork(options: { policy?: Policy; trace?: boolean } & CallOptions = {}): Promise<Session> {
    checked('fork', options, ['policy', 'trace', 'signal', 'progress'])
    const policy = options.policy === undefined ? undefined : policyOf(options.policy)
    const trace = options.trace === undefined ? this.trace : flag('trace', options.trace)
    return this.exclusively(async () => {
      if (policy === undefined && trace === this.trace) return this.copied()
      return withBar('compressing', options, (call) => this.underPolicy(policy ?? this.policy, trace, call), '')
    })
  }

  receipt(): Receipt {
    return this.state.cache.receipt()
  }

  bytes(): CacheBytes {
    return this.state.cache.bytes()
  }

  /** Frees the cache now (calls under way still end). */
  dispose(): void {
    this.state.cache.dispose()
  }

  get disposed(): boolean {
    return this.state.cache.disposed
  }

  // ---------------------------------------------------------------- for generate/, score and shadow

  /** Runs `work` after everything that was asked of this session before. @internal */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(() => {
      void this.alive
      return work()
    })
    this.queue = turn.catch(() => undefined)
    return turn
  }

  private get alive(): true {
    if (this.disposed) throw new ZslabError('invalid', 'this session was disposed: make a new one with model.session()')
    return true
  }

  /** Token ids of `textOrIds`, checked. @internal */
  idsOf(textOrIds: TextOrIds, special = true): Int32Array {
    if (typeof textOrIds === 'string') {
      const { tokenizer } = this.model
      const ids = tokenizer.encode(textOrIds, { special })
      if (ids.length && this.seqLen === 0 && tokenizer.addBos && ids[0] !== tokenizer.bos)
        return Int32Array.from([tokenizer.bos!, ...ids])
      return ids
    }
    if (typeof textOrIds !== 'object' || textOrIds === null || typeof textOrIds.length !== 'number')
      throw invalid('the prompt', 'a text or an array of token ids', textOrIds)
    const { vocabulary } = this.model.description
    return Int32Array.from(textOrIds, (id, i) => integer(`token ${i}`, id, 0, vocabulary - 1))
  }

  /** The row that the next token is chosen from. @internal */
  lastLogits(): Float32Array {
    if (!this.state.logits) throw new ZslabError('invalid', 'the session is empty: give a prompt first')
    return this.state.logits
  }

  /** Marks `id` as chosen but not yet read by the model. @internal */
  choose(id: number): void {
    this.state = { ...this.state, unfed: id }
  }

  /** @internal */
  remember(transcript: string | undefined, messages: State['messages']): void {
    this.state = { ...this.state, transcript, messages }
  }

  /** Feeds `ids` (after a token that generate() left unread), as prompt or in chunks. @internal */
  async feed(given: Int32Array, options: CallOptions = {}): Promise<void> {
    const { unfed } = this.state
    const ids = unfed === undefined ? given : Int32Array.from([unfed, ...given])
    this.checkLength(ids.length)
    if (this.seqLen === 0) {
      await this.feedOnce({ ids, shareOf: ids.length }, options, true)
    } else {
      const { chunk } = this.policy.native
      const total = ids.length
      for (let at = 0; at < total; at += chunk) {
        const part = ids.slice(at, at + chunk)
        const progress =
          options.progress &&
          (({ done }: { done: number }) => options.progress?.({ done: at + Math.min(done, part.length), total }))
        await this.feedOnce({ ids: part, shareOf: 0 }, { signal: options.signal, progress }, at + chunk >= total)
        options.progress?.({ done: Math.min(at + chunk, total), total })
      }
    }
  }

  checkLength(more: number): void {
    const { context } = this.model.description
    if (more === 0) throw new ZslabError('invalid', 'the prompt is empty: expected at least one token; give some text')
    if (this.seqLen + more > context) {
      const so = this.seqLen ? ` after the ${this.seqLen} that the session has read` : ''
      throw new ZslabError(
        'invalid',
        `the prompt has ${more} tokens${so}, but the context of ${this.model.name} holds ${context}: shorten it by ${this.seqLen + more - context} tokens`,
      )
    }
  }

  /** One native call, logged; the state changes only if it succeeds. @internal */
  async feedOnce(
    fed: Fed,
    options: CallOptions,
    wantLogits: boolean,
    targets?: Int32Array,
  ): Promise<Float64Array | undefined> {
    const model = this.model.native
    const cache = this.state.cache.native
    if (fed.shareOf && !this.state.cache.options.budgets) resolve(this.policy, fed.shareOf)
    const logits = wantLogits ? new Float32Array(this.model.description.vocabulary) : undefined
    const logprobs = targets && new Float64Array(fed.ids.length)
    await withCall({ signal: options.signal, progress: options.progress }, (call) =>
      native().modelForward(
        model,
        cache,
        { ids: fed.ids, shareOf: fed.shareOf, rows: logits && [fed.ids.length - 1], logits, targets, logprobs },
        call,
      ),
    )
    this.state.log.push(fed)
    this.state = { ...this.state, seqLen: this.state.seqLen + fed.ids.length, logits, unfed: undefined }
    return logprobs
  }

  private async copied(): Promise<Session> {
    const cache = await this.state.cache.fork()
    return new Session(this.model, this.policy, this.storage, this.trace, this.forkable, {
      ...this.state,
      log: [...this.state.log],
      cache,
    })
  }

  /** The same tokens under `policy`. @internal */
  async underPolicy(policy: Policy, trace: boolean, call: CallOptions): Promise<Session> {
    const { log, seqLen, logits, unfed, transcript, messages } = this.state
    if (log.length === 1 && this.forkable) {
      try {
        const cache = await this.state.cache.forkPolicy(policy, undefined, trace, call)
        const state = { cache, log: [...log], seqLen, logits, unfed, transcript, messages }
        return new Session(this.model, policy, this.storage, trace, false, state)
      } catch (error) {
        if (!(error instanceof ZslabError) || error.code !== 'unsupported') throw error
      }
    }
    const replayed = Session.create(this.model, { policy, storage: this.storage, trace })
    try {
      let done = 0
      for (const fed of log) {
        for (const part of cut(fed, policy.native.chunk)) await replayed.feedOnce(part, { signal: call.signal }, true)
        call.progress?.({ done: (done += fed.ids.length), total: seqLen })
      }
      replayed.state = { ...replayed.state, unfed, transcript, messages }
      return replayed
    } catch (error) {
      replayed.dispose()
      throw error
    }
  }
}

/** A call of the log in pieces that a policy's chunk allows; a prompt stays whole. @internal */
export function cut(fed: Fed, chunk: number): Fed[] {
  if (fed.shareOf || fed.ids.length <= chunk) return [fed]
  const parts: Fed[] = []
  for (let at = 0; at < fed.ids.length; at += chunk) parts.push({ ids: fed.ids.slice(at, at + chunk), shareOf: 0 })
  return parts
}
