/** What one generation wrote, what the cache did meanwhile, and everything needed to repeat it. */
import { ZslabError } from '../errors.js'
import type { LayerOriginsState } from '../native/binding.js'
import type { HeldCache, ResolvedHeads } from '../native-cache.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Comparable } from '../inspect/comparable.js'
import { difference, type Difference } from '../inspect/difference.js'
import type { Policy } from '../policies/index.js'
import type { Sampling } from '../sampling.js'
import type { Fed } from '../calls.js'
import type { Reading } from '../reading.js'
import { cameOf, madeBy } from '../recipe/recipe.js'
import { medianOf } from '../statistics/moments.js'
import { alphaOf, dataOf, tokensOf, type RunData, type RunToken } from './data.js'
import type { HeadRead } from '../inspect/reads.js'
import { scoreRows, type HeadScores, type ScoresOptions } from '../inspect/scores.js'
import { headVectors, type HeadOf, type HeadVectors } from '../inspect/vectors.js'
import { recordedOf } from './recorded.js'
import { cardOf, type Card } from './card.js'
import { Trace } from './events.js'
import { runRecipe } from './recipes.js'
import { tapeBytesOf } from './whole.js'
import type { CacheBytes, Receipt } from './receipt.js'

export type Stopped = 'eos' | 'stop' | 'length' | 'context' | 'aborted'

/** What generating found out; times in ms. */
export interface Generated {
  /** Ids read by this call. */
  prompt: number[]
  tokens: number[]
  /** Natural logarithms under the model, before temperature. */
  logprobs: Float64Array
  text: string
  stopped: Stopped
  sampling: Sampling
  /** The entry of the session's log whose last row the first token was chosen from. */
  logStart: number
  prefillMs: number
  stepMs: number[]
}

export interface Timings {
  /** Reading the prompt (or the further turn). */
  prefillMs: number
  prefillTokens: number
  /** Every decode step; the first token needs none. */
  stepMs: number[]
  /** Median of stepMs; NaN without steps. */
  tokenMs: number
  /** 1000 / mean of stepMs; NaN without steps. */
  tokensPerSecond: number
}

export class RunRecord<M extends LoadedModel = LoadedModel> {
  /** @internal */
  constructor(
    /** The model and policy that ran; options that changed since the prompt are in the card. */
    readonly model: M,
    readonly policy: Policy,
    /** Ids of the prompt that this run read. */
    readonly prompt: number[],
    /** Generated ids; the last may be the end token. */
    readonly tokens: number[],
    readonly logprobs: Float64Array,
    /** Generated text without control tokens and without the stop string. */
    readonly text: string,
    /** Why it ended: 'eos', 'stop' (a stop string), 'length' (maxTokens), 'context' (the model's is full), 'aborted'. */
    readonly stopped: Stopped,
    /** What held; checked on every run. */
    readonly receipt: Receipt,
    readonly card: Card,
    readonly timings: Timings,
    /** As allocated when the run ended. */
    readonly bytes: CacheBytes,
    /** Slots by region; undefined where nothing was read. */
    readonly resolved: ResolvedHeads | undefined,
    readonly trace: Trace,
    private readonly origins: LayerOriginsState[],
    /** Everything that the session had read by the run's end, in calls. @internal */
    readonly log: readonly Fed[],
    /** @internal */
    readonly logStart: number,
    /** @internal */
    readonly storage: HeldCache['options']['storage'],
    /** [layers][kvHeads] instead of the policy's budget, where given. */
    readonly budgets: HeldCache['options']['budgets'],
    /** Of the policy as it was at the end. @internal */
    private readonly alpha: number | undefined,
  ) {}

  /** @internal */
  static async of<M extends LoadedModel, R extends RunRecord<M>>(
    this: new (...facts: ConstructorParameters<typeof RunRecord<M>>) => R,
    model: M,
    reading: Reading,
    generated: Generated,
  ): Promise<R> {
    await model.file.sha256()
    const { cache, log } = reading.current
    const events = reading.trace.events ? cache.events() : undefined
    const firstEvent = reading.runEnds(events?.step.length ?? 0)
    const { tokens, stepMs } = generated
    const resolved = cache.resolved()
    const [receipt, card] = [reading.receipt(), cardOf(reading, resolved, generated.sampling)]
    // The cache as it is now, where more than events is recorded: it goes on.
    const given = reading.trace.vectors || reading.trace.scores ? await cache.fork() : undefined
    const recorded = recordedOf(reading.trace, model.description, reading.policy)
    const trace = new Trace(
      events,
      () => ({
        card,
        receipt,
        data: () => run.data(),
        recorded,
        calls: run.log.map(({ ids }) => ids.length),
        vectors: (of) => headVectors(given!, of),
        scoreRows: (of) => scoreRows(given!, of),
      }),
      firstEvent,
      tapeBytesOf(reading),
    )
    const run: R = new this(
      model,
      reading.policy,
      generated.prompt,
      tokens,
      generated.logprobs,
      generated.text,
      generated.stopped,
      receipt,
      card,
      {
        prefillMs: generated.prefillMs,
        prefillTokens: generated.prompt.length,
        stepMs,
        tokenMs: medianOf(stepMs),
        tokensPerSecond: stepMs.length ? (1000 * stepMs.length) / stepMs.reduce((a, b) => a + b, 0) : NaN,
      },
      cache.bytes(),
      resolved,
      trace,
      Array.from({ length: model.description.layers }, (_, layer) => cache.origins(layer)),
      [...log],
      generated.logStart,
      reading.storage,
      reading.budgets,
      alphaOf(reading.current.policy),
    )
    madeBy(run, runRecipe(reading, run.log, generated))
    cameOf(trace, run, 'trace')
    return run
  }

  /** Every token read up to the run's end, then the last one chosen: positions 0 … */
  get sequence(): number[] {
    return this.log.flatMap((fed) => Array.from(fed.ids)).concat(this.tokens.slice(-1))
  }

  /** The generated tokens with text and position. */
  generatedTokens(): RunToken[] {
    const read = this.readTokens
    return tokensOf(this.model.tokenizer, this.tokens, read, read)
  }

  /** Plain data that figures are drawn from: tokens, events (with trace: true), origins, bytes. */
  data(): RunData {
    if (!this.resolved)
      throw new ZslabError(
        'invalid',
        'this run read nothing, so there is nothing to draw: it was stopped while it read the prompt',
      )
    const { model, log, resolved, origins, bytes, alpha } = this
    const { firstEvent, kept: events } = this.trace
    const output = {
      ids: this.tokens,
      texts: this.tokens.map((id) => model.tokenizer.token(id)),
      logprobs: this.logprobs,
    }
    const facts = { model, policy: this.policy, alpha, log, resolved, events, origins, bytes, firstEvent }
    return dataOf({ ...facts, output, read: this.readTokens })
  }

  /**
   * What one kv head was given up to the run's end, nothing removed: copies. Errors: 'invalid' unless the session was made with
   * trace: { level: 'vectors' } for that head.
   */
  vectors(of: HeadOf): HeadVectors {
    return this.trace.vectors(of)
  }

  /**
   * What each slot of one kv head was worth, step by step: the policy's score of it and the probability that the step's query gave it. Errors:
   * 'invalid' unless the session was made with trace: { level: 'scores' } for that head, and for a step that was not kept.
   */
  scores(of: ScoresOptions): HeadScores {
    return this.trace.scores(of)
  }

  /** What the queries at positions [from, to) of one kv head read, after the first prompt (default: all). Errors: 'invalid' without events. */
  reads(of: HeadOf & { from?: number; to?: number }): HeadRead[] {
    return this.trace.reads(of)
  }

  /** Tokens read before the first one of this run was chosen. */
  private get readTokens(): number {
    return this.log.slice(0, this.logStart + 1).reduce((sum, fed) => sum + fed.ids.length, 0)
  }

  /**
   * What differs between this run (a) and `other` (b), a run or a trace from a file: kept sets, fates and lineage, texts. Errors: 'invalid'
   * for runs of two models or two prompts.
   */
  minus(other: Comparable): Difference {
    return difference(this, other)
  }

  toJSON(): Record<string, unknown> {
    const { tokens, text, stopped, receipt, card, timings, bytes } = this
    return { tokens, text, stopped, receipt, card, timings, bytes }
  }
}
