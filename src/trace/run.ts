/** What one generation wrote, what the cache did meanwhile, and everything needed to repeat it. */
import { ZslabError } from '../errors.js'
import type { LayerOriginsState } from '../native/binding.js'
import type { HeldCache, ResolvedHeads } from '../native-cache.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Comparable } from '../inspect/comparable.js'
import { difference, type Difference } from '../inspect/difference.js'
import type { Policy } from '../policies/index.js'
import type { Sampling } from '../sampling.js'
import type { Fed, Reading } from '../reading.js'
import { alphaOf, dataOf, tokensOf, type RunData, type RunToken } from './data.js'
import type { Measured } from '../inspect/microscope.js'
import { headReads, callStarts, type HeadRead } from '../inspect/reads.js'
import { headVectors, type HeadOf, type HeadVectors } from '../inspect/vectors.js'
import { integer, options } from '../expect.js'
import { rowsByHead } from './rebuild.js'
import { cardOf, type Card } from './card.js'
import { Trace } from './events.js'
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
    /** The cache as it was at the run's end, where it keeps vectors. */
    private readonly given: HeldCache | undefined,
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
    const sorted = [...stepMs].sort((a, b) => a - b)
    const middle = sorted.length >> 1
    const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    const resolved = cache.resolved()
    const run: R = new this(
      model,
      reading.policy,
      generated.prompt,
      tokens,
      generated.logprobs,
      generated.text,
      generated.stopped,
      reading.receipt(),
      cardOf(reading, resolved, generated.sampling),
      {
        prefillMs: generated.prefillMs,
        prefillTokens: generated.prompt.length,
        stepMs,
        tokenMs: stepMs.length ? median : NaN,
        tokensPerSecond: stepMs.length ? (1000 * stepMs.length) / stepMs.reduce((a, b) => a + b, 0) : NaN,
      },
      cache.bytes(),
      resolved,
      new Trace(events, () => run, firstEvent),
      Array.from({ length: reading.model.description.layers }, (_, layer) => cache.origins(layer)),
      [...log],
      generated.logStart,
      reading.storage,
      reading.budgets,
      reading.trace.vectors && (await cache.fork()),
      alphaOf(reading.current.policy),
    )
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
    if (this.given) return headVectors(this.given, of)
    throw new ZslabError(
      'invalid',
      `this run kept no vectors: make its session with trace: 'vectors', or { level: 'vectors', layers, kvHeads } for some heads`,
    )
  }

  /** As vectors(), but undefined where they were not kept. @internal */
  vectorsOf(of: HeadOf): HeadVectors | undefined {
    const marks = this.given?.options.trace.vectors
    return marks?.[of.layer * this.model.description.kvHeads + of.kvHead] ? headVectors(this.given!, of) : undefined
  }

  /** What the queries at positions [from, to) of one kv head read, after the first prompt (default: all). Errors: 'invalid' without events. */
  reads(of: HeadOf & { from?: number; to?: number }): HeadRead[] {
    options('reads', of, ['layer', 'kvHead', 'from', 'to'])
    const { layers, kvHeads } = this.model.description
    const layer = integer('layer', of.layer, 0, layers - 1)
    const kvHead = integer('kvHead', of.kvHead, 0, kvHeads - 1)
    const events = this.trace.tape()
    const rows = rowsByHead(events, layers, kvHeads)[layer * kvHeads + kvHead]
    return [...headReads(events, rows, this.log[0].ids.length, callStarts(this.log), of.from, of.to)]
  }

  /** @internal */
  measured(): Measured {
    const { layers, kvHeads } = this.model.description
    const marks = this.given?.options.trace.vectors
    return {
      card: this.card,
      layers,
      kvHeads,
      promptTokens: this.log[0]?.ids.length ?? 0,
      events: this.trace.tape(),
      tokens: this.resolved ? this.data().tokens : [],
      kept: marks ? headsIn(marks, kvHeads) : [],
      vectors: (of) => this.vectors(of),
      reads: (of) => this.reads(of),
    }
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

const headsIn = (marks: Uint8Array, kvHeads: number): HeadOf[] =>
  Array.from(marks.keys())
    .filter((i) => marks[i])
    .map((i) => ({ layer: Math.floor(i / kvHeads), kvHead: i % kvHeads }))
