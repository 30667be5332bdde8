/** What users hold: models, sessions, generations and runs. They refer to one another, so they live together and delegate. */
import { budgetsOf, type Budgets } from './budgets.js'
import { askTokens, type TokensOf } from './asking.js'
import { SessionBatch } from './batch.js'
import { callOptions, flag, integer, invalid, object } from './expect.js'
import type { Prompt } from './generate/conversation.js'
import { generate, type Company, type GenerateOptions } from './generate/generate.js'
import { score, type Score, type ScoreOptions } from './generate/score.js'
import { TokenStream } from './generate/stream.js'
import type { AblationOptions, OraclesOptions, RunCompensationOptions } from './inspect/microscope.js'
import type { Compensation, CompensationAblation, Oracles } from './inspect/compensation-tables.js'
import type { HeadScores, ScoresOptions } from './inspect/scores.js'
import { shadow, type Shadow } from './inspect/shadow.js'
import type { WhatIf } from './inspect/what-if.js'
import { headVectors, type HeadOf, type HeadVectors } from './inspect/vectors.js'
import { changeOf, checkEmpty, checkRead, checkStarted } from './interventions.js'
import { LoadedModel, type TextOrIds } from './loaded-model.js'
import { withBar } from './long-work.js'
import type { Asked, HeldCache } from './native-cache.js'
import type { CallOptions } from './native/call.js'
import type { Storage } from './native/engine.js'
import { changedPolicy, policiesOf, policyOf, type Policy } from './policies/index.js'
import { Reading } from './reading.js'
import type { ForkOptions, SessionOptions } from './session-options.js'
import { showsItself } from './show/show.js'
import { modelText, sessionText, snapshotText } from './show/texts.js'
import { displayOf } from './trace/display.js'
import type { Trace } from './trace/events.js'
import { keptOf, sameKept, type Kept, type Level, type TraceOption } from './trace/level.js'
import type { TapeBytes } from './trace/memory.js'
import { shownReceipt, type CacheBytes, type Receipt } from './trace/receipt.js'
import { RunRecord } from './trace/run.js'
import { tapeBytesOf, traceOf } from './trace/whole.js'

export class Model extends LoadedModel {
  /** A new, empty session; sessions of one model are independent and take turns on its engine. */
  session(options: SessionOptions = {}): Session {
    return Session.create(this, options)
  }

  /** Sessions of this model that go on together, each as if it were alone. Errors: 'invalid' for anything else, and for one twice. */
  batch(sessions: readonly Session[]): Batch {
    return new Batch(this, sessions, (one) => one instanceof Session)
  }
}

/** Sessions that go on together. */
export class Batch extends SessionBatch<Session, Generation> {}

/** A stream of tokens (for await) and the promise of a run. */
export class Generation extends TokenStream<Run> {}

/** A run: what one generation wrote, what the cache did meanwhile, and everything needed to repeat it. */
export class Run extends RunRecord<Model> {
  /**
   * The same tokens under the full cache: how far this run's distributions were from the full cache's, token by token (the full model's own
   * pass), and what each head missed by its own queries, keys and values with nothing removed (`local`: output errors and their parts
   * [rows, layers, heads], regret of each token that was lost). Takes about as long as decoding the run's tokens under the full cache where
   * its session had a trace and room for what that takes (see the option `trace`), else as long again as the run, which is then decoded a
   * second time (`decodedAgain` says why), and reading the prompt, which `from`, a session that has read it, spares. Errors: 'invalid' for a
   * run without tokens, one longer than the model's context, and another `from`.
   */
  async shadow(options: ShadowOptions = {}): Promise<Shadow> {
    callOptions('shadow', options, ['from', 'local'])
    const { from, local: asked, ...call } = options
    const local = asked === undefined ? true : flag('local', asked)
    if (from === undefined) return shadow(this, call, undefined, local)
    if (!(from instanceof Session))
      throw invalid('from', 'a session', from, 'give the session that was forked, or leave it out')
    return shadow(this, call, from.reading, local)
  }

  /**
   * Compensation of one kv head, slot by slot and step by step: α·ln w beside the mass and probability that the slot's members have with
   * nothing removed, and the α that would have fitted. Of a run whose session kept that head's vectors (trace: 'vectors'). Errors: 'invalid'
   * where they were not kept or no token was read after the prompt, 'unsupported' for aggregate: 'score' and 'medoid'.
   */
  compensation(options: RunCompensationOptions): Compensation {
    return this.trace.compensation(options)
  }

  /**
   * Output error with keys and values of merged slots mean or fixed and compensation on or off, all eight, by head and over the heads (default:
   * all whose vectors were kept), each with its 95% interval. Errors: as of compensation().
   */
  compensationAblation(options: AblationOptions & CallOptions = {}): Promise<CompensationAblation> {
    return this.trace.compensationAblation(options)
  }

  /**
   * What could be reached with the same slots: biases and values fitted on the prompt's queries, of all slots and of merged ones alone, judged
   * on later ones (default: 8 steps), by head. Errors: as of compensation(), and where no query of the prompt was kept.
   */
  oracles(options: OraclesOptions & CallOptions = {}): Promise<Oracles> {
    return this.trace.oracles(options)
  }

  /** One kv head at one step after the prompt (1 …) under any α: `whatIf({ … }).at(alpha)`. Errors: as of compensation(). */
  whatIf(of: HeadOf & { step: number }): WhatIf {
    return this.trace.whatIf(of)
  }

  [Symbol.for('Jupyter.display')](): Record<string, unknown> {
    return displayOf(this)
  }
}

export interface ShadowOptions extends CallOptions {
  /**
   * A forkable session under the full cache that has read this run's prompt and nothing else, as the run's own session was forked
   * from: the prompt is then not read again, with the same result.
   */
  from?: Session
  /**
   * What each head missed, too (default true). Takes 64 bytes a token and query head of a kv head while it runs, for each thread, and where
   * the run is decoded again what it is given, layers × 2 (heads + kvHeads) × headDim × 4 bytes a token.
   */
  local?: boolean
}

/** A state to go back to; holds the cache's pages until disposed. */
export interface Snapshot {
  readonly session: Session
  dispose(): void
}

/** One cache of one model, fed by prompts, steps and further turns; it can be copied, put back and judged. */
export class Session {
  private constructor(
    readonly model: Model,
    /** @internal */
    readonly reading: Reading,
  ) {}

  static create(model: Model, options: SessionOptions): Session {
    return new Session(model, Reading.create(model, options))
  }

  /** As it stands: change() may have given it other options since the prompt. */
  get policy(): Policy {
    return this.reading.current.policy
  }

  get storage(): Storage {
    return this.reading.storage
  }

  /**
   * Everything that the cache has done so far, over all turns, as of now (run.trace: since the run before it ended). Its card is without sampling. A
   * restored snapshot brings its own back; a copy goes on with all of it.
   */
  get trace(): Trace {
    return traceOf(this.reading)
  }

  /**
   * What the tape will take once `tokens` further tokens (prompt, turns and what is generated) have come: at most, and exactly for 0, the
   * default. Bytes in memory and in temporary files, 50 an event, and of what calls were given; see the option `trace`. Zeros where no events are kept.
   */
  tapeBytes(tokens = 0): TapeBytes {
    return tapeBytesOf(this.reading, integer('tokens', tokens, 0))
  }

  /** What is kept of what the cache does, as in the option `trace`. */
  get traceLevel(): Level {
    return this.reading.trace.level
  }

  /** Tokens that the cache has seen. A token that generate() gave last is fed only when the session goes on. */
  get seqLen(): number {
    return this.reading.seqLen
  }

  /** Everything that was fed, in order. */
  get tokens(): number[] {
    return this.reading.tokens
  }

  get cache(): HeldCache {
    return this.reading.cache
  }

  /**
   * Reads a prompt into the empty session → logits of its last token [vocabulary] (a copy).
   * Errors: 'invalid' (empty, too long for the context, a budget that does not fit, a session that is not empty).
   */
  prefill(textOrIds: TextOrIds, options: CallOptions = {}): Promise<Float32Array> {
    callOptions('prefill options', options)
    return this.reading.exclusively(async () => {
      checkEmpty(this.seqLen)
      return this.read(textOrIds, options)
    })
  }

  /** Feeds one token → logits that follow it [vocabulary]. */
  step(id: number, options: CallOptions = {}): Promise<Float32Array> {
    callOptions('step options', options)
    return this.reading.exclusively(async () => {
      checkStarted(this.seqLen)
      return this.read([id], options)
    })
  }

  /** A further turn on the living cache, in chunks of policy.chunk tokens (§5b) → logits of its last token. */
  append(textOrIds: TextOrIds, options: CallOptions = {}): Promise<Float32Array> {
    callOptions('append options', options)
    return this.reading.exclusively(() => this.read(textOrIds, options))
  }

  private async read(textOrIds: TextOrIds, options: CallOptions): Promise<Float32Array> {
    const { reading } = this
    const ids = reading.idsOf(textOrIds)
    const kept = reading.forkable === 'all' && this.seqLen === 0 ? reading.keptBytes(ids.length) : 0
    const name = kept ? `reading, keeping ${Math.ceil(kept / 1e6)} MB of queries for forks,` : 'reading'
    await withBar(name, options, (call) => reading.feed(ids, call))
    return reading.lastLogits().slice()
  }

  /**
   * Generates after `prompt` (text, token ids or { messages }); without a prompt it goes on from where the session stands.
   * The result streams tokens (for await) and is a promise of the run.
   */
  generate(prompt?: Prompt, options: GenerateOptions = {}): Generation {
    return this.generateBeside(prompt, options)
  }

  /** As generate(), in a batch. @internal */
  generateBeside(prompt: Prompt | undefined, options: GenerateOptions, company?: Company): Generation {
    return new Generation(async (emit, left) => {
      const work = generate(this.reading, prompt, options, company)
      return this.reading.exclusively(async () => {
        const generated = await work(emit, left)
        return Run.of<Model, Run>(this.model, this.reading, generated)
      })
    })
  }

  /**
   * Log-probability of every token of `textOrIds` under this session's policy, teacher forced: on an empty session the first
   * min(n, budget) tokens are the prompt (shares refer to all n), the rest is fed `chunk` by `chunk` (default 1: a step each).
   */
  score(textOrIds: TextOrIds, options: ScoreOptions = {}): Promise<Score> {
    callOptions('score options', options, ['chunk', 'prompt'])
    const { chunk, prompt } = options
    const { reading } = this
    return reading.exclusively(() =>
      withBar('scoring', options, (call) => score(reading, reading.idsOf(textOrIds), { chunk, prompt, ...call })),
    )
  }

  /**
   * Other options for the policy from the next step on, as in change({ alpha: 0.5 }): alpha, decay, similarity, scoreMerge, where it has
   * them; a wrapper hands them on. Merged slots are compensated by the new alpha at once. On the tape it is one event `options`; card and
   * receipt say what changed and when; forks, snapshots and the shadow carry it. → the policy as it goes on. Errors: 'invalid', with the
   * reason, for an option that may not change, and before the prompt.
   */
  change(options: Record<string, unknown>): Promise<Policy> {
    return this.reading.exclusively(async () => {
      object('change', options)
      const { policy, changes } = changedPolicy(this.policy, options)
      checkRead(this.seqLen, 'change options')
      if (policy !== this.policy) await this.reading.intervene(changeOf(this.reading.lastStep, policy, changes))
      return policy
    })
  }

  /**
   * The token at `position`, or those of { text: 'a needle' } or { from, to }, leave now, dropped and never merged, wherever they have slots of
   * their own (in some `layers` and `kvHeads`, default: everywhere), be it sink or pinned; members of merged slots stay. All of it is done, or nothing. The next tokens take the room, and until a head is full again nobody leaves it. → in how many kv
   * heads, of all tokens. Errors: 'invalid' where one has a slot in none, or for part of a layer whose heads choose together; 'unsupported' under
   * policies that do not keep tokens one by one.
   */
  evict(tokens: TokensOf): Promise<number> {
    return askTokens(this.reading, 'evict', tokens)
  }

  /**
   * From now on the token (or tokens, as of evict()) never leaves and is never merged where it has a slot of its own now, wherever it is moved. → in how many kv heads. Pinned slots count in the budget. Errors as of evict(), and 'invalid' for more than a head has
   * context slots, and under policies that never drop a token after the prompt.
   */
  pin(tokens: TokensOf): Promise<number> {
    return askTokens(this.reading, 'pin', tokens)
  }

  /**
   * The token (or tokens, as of evict()) comes back where it was dropped, as a slot of weight 1 in place of the next victim and with
   * its score, so pin() it to keep it. Its key and value are those that the heads were given where trace 'vectors' kept them, else those
   * under the full cache, which then reads the text up to there. → in how many kv heads it is back. Errors as of evict(), and 'invalid'
   * where it is part of a merged slot, and for tokens of which one would leave again for another.
   */
  unevict(tokens: TokensOf, options: CallOptions = {}): Promise<number> {
    callOptions('unevict', options)
    return withBar('reading', options, (call) => askTokens(this.reading, 'unevict', tokens, call))
  }

  /** The session as it is now, to come back to with restore(). */
  snapshot(): Promise<Snapshot> {
    return this.reading.exclusively(async () => {
      const copy = new Session(this.model, await this.reading.copied())
      const snapshot: Snapshot = { session: copy, dispose: () => copy.dispose() }
      return showsItself(snapshot, () => snapshotText(copy.seqLen, copy.policy))
    })
  }

  /** Puts the session back to `snapshot`, which stays usable. */
  restore(snapshot: Snapshot): Promise<void> {
    return this.reading.exclusively(async () => {
      const from = snapshot?.session
      const own = from instanceof Session && from.model === this.model && from.storage === this.storage
      const advice = 'snapshots fit the session that made them and its forks'
      if (!own || from.reading.policy !== this.reading.policy)
        throw invalid('snapshot', 'a snapshot of this session', snapshot, advice)
      await this.reading.become(from.reading)
    })
  }

  /**
   * An independent copy. With `policy` or `budgets`: the same tokens under them — from the kept queries where only a prompt was read by
   * a forkable full cache, else by reading everything again, which its receipt says.
   */
  fork(options: ForkOptions & { policy?: Policy; budgets?: Budgets } = {}): Promise<Session> {
    callOptions('fork', options, ['policy', 'budgets', 'trace'])
    const policy = options.policy === undefined ? undefined : policyOf(options.policy)
    const { layers, kvHeads } = this.model.description
    const budgets = options.budgets === undefined ? undefined : budgetsOf(options.budgets, layers, kvHeads)
    const trace = this.keptOf(options.trace)
    const { reading } = this
    return reading.exclusively(async () => {
      if (!policy && !budgets && sameKept(trace, reading.trace))
        return new Session(this.model, await reading.copied(trace))
      // Budgets stand in for the policy's: another policy comes with its own.
      const asked = { policy: policy ?? reading.policy, budgets: budgets ?? (policy ? undefined : reading.budgets) }
      const [fork] = await this.compressed([asked], trace, options)
      return fork
    })
  }

  /**
   * One reading, many policies: a fork for each, in order, all or none. Of a forkable full cache that has read its prompt and nothing
   * else the prompt's attention is gone through once for all of them; each fork is to the bit what fork({ policy }) gives.
   */
  forks(policies: readonly Policy[], options: ForkOptions = {}): Promise<Session[]> {
    callOptions('forks', options, ['trace'])
    const asked = policiesOf(policies).map((policy) => ({ policy, budgets: undefined }))
    const trace = this.keptOf(options.trace)
    return this.reading.exclusively(() => this.compressed(asked, trace, options))
  }

  private keptOf(trace: TraceOption | undefined): Kept {
    const { layers, kvHeads } = this.model.description
    return trace === undefined ? this.reading.trace : keptOf(trace, layers, kvHeads)
  }

  /**
   * What one kv head was given so far, nothing removed: copies. Errors: 'invalid' unless the session was made with trace: { level: 'vectors' }
   * for that head.
   */
  vectors(of: HeadOf): HeadVectors {
    return headVectors(this.cache, of)
  }

  /** As run.scores(), of all that the session has read so far. */
  scores(of: ScoresOptions): HeadScores {
    return this.trace.scores(of)
  }

  private async compressed(asked: readonly Asked[], trace: Kept, options: CallOptions): Promise<Session[]> {
    const forked = withBar('compressing', options, (call) => this.reading.underPolicies(asked, trace, call), '')
    return (await forked).map((reading) => new Session(this.model, reading))
  }

  receipt(): Receipt {
    const receipt = this.reading.receipt()
    const { readAgain } = this.reading
    return readAgain ? shownReceipt({ ...receipt, notes: [...receipt.notes, readAgain] }) : receipt
  }

  bytes(): CacheBytes {
    return this.cache.bytes()
  }

  /** Frees the cache now (calls under way still end). */
  dispose(): void {
    this.reading.dispose()
  }

  get disposed(): boolean {
    return this.reading.disposed
  }
}

showsItself(Model.prototype, modelText)
showsItself(Session.prototype, sessionText)
showsItself(Run.prototype, (run) => String(displayOf(run)['text/plain']))
