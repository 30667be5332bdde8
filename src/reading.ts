/**
 * The core of a session: one cache of one model, the tokens that it was fed and the logits that follow them. Generating, scoring and
 * the shadow work on it; it knows none of them, nor the public Session on top.
 */
import { budgetsOf, type Budgets } from './budgets.js'
import { cut, GivenRoom, type Fed } from './calls.js'
import { flag, oneOf, options as checked } from './expect.js'
import { ZslabError } from './errors.js'
import type { Asked as AskedFor, Intervention } from './interventions.js'
import { idsOf, type LoadedModel, type TextOrIds } from './loaded-model.js'
import type { Message } from './model/index.js'
import { HeldCache, type Asked } from './native-cache.js'
import { native } from './native/binding.js'
import { withCall, type Call, type Progress } from './native/call.js'
import { STORAGES, type Storage } from './native/engine.js'
import { fullCache, policyOf, resolve, type Policy } from './policies/index.js'
import { interventionText } from './show/interventions.js'
import type { Forkable, SessionOptions } from './session-options.js'
import { allOf, sideBySide, type Together } from './together.js'
import { keptOf, type Kept } from './trace/level.js'
import { shownReceipt, type Receipt } from './trace/receipt.js'
import { Watchers } from './watchers.js'

/** A chat whose turns this session has read. */
export interface Conversation {
  /** The chat template's text up to where the last answer begins. */
  transcript: string
  /** All messages before that answer. */
  asked: readonly Message[]
  answer: string
  /** The answer ends before the token that was chosen last: an end token, or the beginning of a stop string. */
  complete: boolean
  /** What an abort left unread of the turn. */
  unread: Int32Array
}

/** How a reading is fed, and with whom; alone where nobody is said. */
export interface Feeding extends Call {
  together?: Together
}

interface State {
  cache: HeldCache
  /** As it stands; the reading's own but for options that changed since. */
  policy: Policy
  /** This reading's own; copied where the reading is. */
  log: Fed[]
  seqLen: number
  /** The row that the next token is chosen from. */
  logits: Float32Array | undefined
  /** Chosen but not yet read by the model. */
  unfed: number | undefined
  conversation: Conversation | undefined
  /** Events that the tape had when the last run ended. */
  runEvents: number
  /** For what is kept of calls; undefined: nothing is. */
  room: GivenRoom | undefined
}

/** Rows kept for forks; true: those that zsmerge's default decay looks back on, the smallest W with 0.98^W < 1e-7. */
const rowsKept = (forkable: Forkable) => (forkable === 'all' ? 2 ** 31 - 1 : forkable ? 798 : 0)

export class Reading {
  readonly watchers = new Watchers()
  private queue: Promise<unknown> = Promise.resolve()

  private constructor(
    readonly model: LoadedModel,
    /** That the prompt is read under; state.policy may have other options by now. */
    readonly policy: Policy,
    readonly storage: Storage,
    readonly trace: Kept,
    readonly forkable: Forkable,
    private state: State,
    /** Why a fork under another policy had to read everything again; undefined where it had not. */
    readonly readAgain?: string,
  ) {}

  static create(model: LoadedModel, options: SessionOptions): Reading {
    const { layers, kvHeads } = model.description
    return Reading.created(model, options, keptOf(options?.trace, layers, kvHeads))
  }

  private static created(model: LoadedModel, options: SessionOptions, trace: Kept): Reading {
    checked('session', options, ['policy', 'budgets', 'storage', 'trace', 'origins', 'forkable'])
    const policy = options.policy === undefined ? fullCache() : policyOf(options.policy)
    const storage = options.storage === undefined ? 'float16' : oneOf('storage', options.storage, STORAGES)
    const forkable =
      options.forkable === undefined || options.forkable === 'all'
        ? (options.forkable ?? false)
        : flag('forkable', options.forkable)
    if (forkable && (policy.acts === 'prompt' || policy.acts === 'always'))
      throw new ZslabError(
        'invalid',
        `forkable: true is for the full cache; under ${policy.name} some of the prompt is gone once it has been read: fork from a session with fullCache()`,
      )
    void model.native // refuses a disposed model
    const { layers, heads, kvHeads, headDim } = model.description
    const keepQueries = rowsKept(forkable)
    const shape = { layers, heads, kvHeads, headDim }
    const origins = options.origins === undefined ? true : flag('origins', options.origins)
    const budgets = options.budgets === undefined ? undefined : budgetsOf(options.budgets, layers, kvHeads)
    const { ropeDims, ropeBase } = model.description
    // The engine holds the base as float32, and a cache's rotation must be the model's.
    const rotation = { dims: ropeDims, halves: 0, base: Math.fround(ropeBase), frequencies: undefined }
    const held = { shape, policy, budgets, rotation, storage, trace, origins, keepQueries }
    const cache = new HeldCache(model.engine, held)
    return new Reading(model, policy, storage, trace, forkable, {
      cache,
      policy,
      log: [],
      seqLen: 0,
      logits: undefined,
      unfed: undefined,
      conversation: undefined,
      runEvents: 0,
      room: trace.events ? new GivenRoom() : undefined,
    })
  }

  get seqLen(): number {
    return this.state.seqLen
  }

  /** Everything that was fed, in order. */
  get tokens(): number[] {
    return this.state.log.flatMap((fed) => Array.from(fed.ids))
  }

  get log(): readonly Fed[] {
    return this.state.log
  }

  get current(): Readonly<State> {
    return this.state
  }

  get cache(): HeldCache {
    return this.state.cache
  }

  dispose(): void {
    this.state.cache.dispose()
  }

  get disposed(): boolean {
    return this.state.cache.disposed
  }

  /** Runs `work` after everything that was asked of this session before. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.queue.then(() => {
      if (this.disposed)
        throw new ZslabError('invalid', 'this session was disposed: make a new one with model.session()')
      return work()
    })
    this.queue = turn.catch(() => undefined).then(() => this.watchers.rested())
    return turn
  }

  /** Token ids of `textOrIds`, checked. */
  idsOf(textOrIds: TextOrIds): Int32Array {
    return idsOf(this.model, textOrIds, this.seqLen === 0)
  }

  /** The row that the next token is chosen from. */
  lastLogits(): Float32Array {
    if (!this.state.logits) throw new ZslabError('invalid', 'the session is empty: give a prompt first')
    return this.state.logits
  }

  /** Marks `id` as chosen but not yet read by the model; undefined: none is. */
  choose(id: number | undefined): void {
    this.state = { ...this.state, unfed: id }
  }

  remember(conversation: Conversation): void {
    this.state = { ...this.state, conversation }
  }

  /** Feeds `ids` (after a token that was chosen and left unread), as prompt or in chunks. */
  async feed(given: Int32Array, options: Feeding = {}): Promise<void> {
    const { unfed } = this.state
    const { signal, together } = options
    const ids = unfed === undefined ? given : Int32Array.from([unfed, ...given])
    this.checkLength(given.length)
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
        await this.feedOnce({ ids: part, shareOf: 0 }, { signal, progress, together }, at + chunk >= total)
        await options.progress?.({ done: Math.min(at + chunk, total), total })
      }
    }
  }

  /** No token more fits into the model's context; never so under a policy whose positions are its own. */
  get full(): boolean {
    return !this.policy.endless && this.seqLen >= this.model.description.context
  }

  /** Errors: 'invalid' where `more` tokens, after `unfed`, are none or do not fit into the model's context. */
  checkLength(more: number, unfed = this.state.unfed): void {
    const { context } = this.model.description
    const { name } = this.model
    const held = this.seqLen + (unfed === undefined ? 0 : 1)
    if (more === 0 && unfed === undefined)
      throw new ZslabError('invalid', 'the prompt is empty: expected at least one token; give some text')
    if (held + more <= context || this.policy.endless) return
    // Where positions are absolute, room in the cache is none in the context.
    const full = `the context of ${name} is full: it holds ${context} tokens, also under policies that keep fewer (but streaming with positions 'cache'), and this session has read or written ${held}: start a new session with a shorter text`
    const so = held ? ` after the ${held} that the session has read or written` : ''
    const tooLong = `the prompt has ${more} tokens${so}, but the context of ${name} holds ${context}: shorten it by ${held + more - context} tokens`
    throw new ZslabError('invalid', more === 0 || held >= context ? full : tooLong)
  }

  /** One native call, logged; the state changes only if it succeeds. */
  async feedOnce(
    fed: Fed,
    options: Feeding,
    wantLogits: boolean,
    targets?: Int32Array,
  ): Promise<Float64Array | undefined> {
    const model = this.model.native
    const cache = this.state.cache.native
    if (fed.shareOf && !this.budgets) resolve(this.policy, fed.shareOf)
    const logits = wantLogits ? new Float32Array(this.model.description.vocabulary) : undefined
    const logprobs = targets && new Float64Array(fed.ids.length)
    const { room } = this.state
    const given = this.seqLen ? room?.attention(this.model.description, fed.ids.length) : undefined
    const { ids, shareOf } = fed
    const forward = { ids, shareOf, rows: logits && [ids.length - 1], logits, targets, logprobs, given }
    const { signal, progress, together } = options
    await withCall({ signal, progress }, (call) =>
      // A prompt is read by itself: the others have nothing to wait for but it.
      together && this.seqLen
        ? together.forward(cache, forward, call, signal)
        : native().modelForward(model, cache, forward, call),
    )
    const call = { ids, shareOf }
    if (room) room.add(this.state.log, call, given, logits)
    else this.state.log.push(call)
    this.state = { ...this.state, seqLen: this.state.seqLen + ids.length, logits, unfed: undefined }
    await this.watchers.moved()
    return logprobs
  }

  /** Everything that was asked of the cache beside its tokens, in order. */
  get interventions(): Intervention[] {
    return this.state.log.flatMap(({ then = [] }) => then.map(({ said }) => said))
  }

  /** What held, and in words what was asked beside the tokens. */
  receipt(): Receipt {
    const receipt = this.cache.receipt()
    const asked = this.interventions.map(interventionText)
    return asked.length ? shownReceipt({ ...receipt, notes: [...receipt.notes, ...asked] }) : receipt
  }

  /** The step that the last token was: 0 = the prompt. */
  get lastStep(): number {
    return this.seqLen - (this.state.log[0]?.ids.length ?? 0)
  }

  /** A run ends where the tape has so many events → how many it had when the run before ended. */
  runEnds(events: number): number {
    const { runEvents } = this.state
    this.state = { ...this.state, runEvents: events }
    return runEvents
  }

  /** Asks `asked` of the cache, and remembers it with the last call. The session has read something. */
  async intervene(asked: AskedFor): Promise<Intervention> {
    const said = await asked.of(this.cache)
    const { log } = this.state
    const last = log[log.length - 1]
    log[log.length - 1] = { ...last, then: [...(last.then ?? []), { ...asked, said }] }
    this.state = { ...this.state, policy: asked.policy ?? this.state.policy }
    return said
  }

  /** Asks what was asked after `fed`, of a reading of which it is a replay. */
  async asAfter({ then = [] }: Fed): Promise<void> {
    for (const done of then) await this.intervene(done)
  }

  /** From now on of every call what attention is given, however much. */
  keepAttention(): void {
    this.state = { ...this.state, room: new GivenRoom(Infinity) }
  }

  /** `trace`: the same level; what stays in memory may differ. */
  async copied(trace = this.trace): Promise<Reading> {
    const cache = await this.state.cache.fork(trace)
    const state = { ...this.state, log: [...this.state.log], cache, room: this.state.room?.copy() }
    return new Reading(this.model, this.policy, this.storage, trace, this.forkable, state, this.readAgain)
  }

  get budgets(): Budgets | undefined {
    return this.state.cache.options.budgets
  }

  /** Goes on from a copy of `other`, which has the same model, policy and storage. */
  async become(other: Reading): Promise<void> {
    const copy = await other.copied(this.trace)
    this.state.cache.dispose()
    this.state = copy.state
  }

  /** Bytes of queries that a prompt of `tokens` keeps for forks. */
  keptBytes(tokens: number): number {
    const { layers, heads, headDim } = this.model.description
    return layers * heads * (headDim + 2) * 4 * Math.min(tokens, rowsKept(this.forkable))
  }

  /**
   * The same tokens under each of `asked`, in order, all or none: from the kept queries in one pass where only a prompt was read; those
   * for which that is not enough read everything again.
   */
  async underPolicies(asked: readonly Asked[], trace: Kept, call: Call): Promise<Reading[]> {
    const why = this.whyReadAgain()
    if (!why) {
      try {
        const caches = await this.state.cache.forkPolicies(asked, trace, call)
        return caches.map((cache, i) => this.forked(asked[i].policy, trace, cache))
      } catch (error) {
        if (!(error instanceof ZslabError) || error.code !== 'unsupported') throw error
        if (asked.length === 1) return [await this.again(asked[0], trace, error.message, call)]
      }
    }
    // Those that read everything again go through the model side by side.
    const [done, total] = [asked.map(() => 0), asked.length * this.seqLen]
    const ended = await sideBySide(this.model.native, asked.length, async (i, together) => {
      if (!why) return (await this.underPolicies([asked[i]], trace, { signal: call.signal }))[0]
      const progress = (p: Progress) => {
        done[i] = p.done
        return call.progress?.({ done: done.reduce((sum, one) => sum + one), total })
      }
      return this.again(asked[i], trace, why, { signal: call.signal, progress, together })
    })
    if (ended.some(({ status }) => status === 'rejected'))
      for (const one of ended) if (one.status === 'fulfilled') one.value.dispose()
    return allOf(ended)
  }

  private whyReadAgain(): string | undefined {
    if (!this.forkable) return 'the session kept no queries: make it with forkable: true'
    const [prompt, ...since] = this.state.log
    if (!prompt) return 'nothing was read yet'
    if (this.interventions.length) return 'more was asked of the session than to read'
    if (since.length) return `${this.seqLen - prompt.ids.length} tokens came after the prompt: fork right after it`
    return undefined
  }

  private forked(policy: Policy, trace: Kept, cache: HeldCache): Reading {
    const room = trace.events ? new GivenRoom() : undefined
    const { logits } = this.state
    const log = this.state.log.map(({ given: _, ...fed }) => (room ? { ...fed, given: { logits } } : fed))
    return new Reading(this.model, policy, this.storage, trace, false, {
      ...this.state,
      policy,
      log,
      cache,
      runEvents: 0,
      room,
    })
  }

  private async again(asked: Asked, trace: Kept, why: string, call: Feeding): Promise<Reading> {
    const { log, seqLen, unfed, conversation } = this.state
    const { policy, budgets } = asked
    const { origins } = this.state.cache.options
    const fresh = Reading.created(this.model, { policy, budgets, storage: this.storage, origins }, trace)
    // What was asked beside the tokens was asked of this policy: another starts without it.
    const same = policy === this.policy
    const without = !same && this.interventions.length ? ', without what was asked of the old policy' : ''
    const said = log.length ? `all ${seqLen} tokens were read again${without}, since ${why}` : undefined
    const replayed = new Reading(this.model, policy, this.storage, trace, false, fresh.state, said)
    try {
      let done = 0
      for (const fed of log) {
        for (const part of cut(fed, policy.native.chunk))
          await replayed.feedOnce(part, { ...call, progress: undefined }, true)
        if (same) await replayed.asAfter(fed)
        await call.progress?.({ done: (done += fed.ids.length), total: seqLen })
      }
      replayed.state = { ...replayed.state, unfed, conversation }
      return replayed
    } catch (error) {
      replayed.dispose()
      throw error
    }
  }
}
