/** Two runs of one prompt, a and b: what their caches kept, what became of each token, and where their texts part. */
import { ZslabError } from '../errors.js'
import { integer, options as checked } from '../expect.js'
import { frame } from '../frames.js'
import { cameOf } from '../recipe/recipe.js'
import { showsItself } from '../show/show.js'
import { differenceText } from '../show/difference-text.js'
import type { RunData, RunOutput } from '../trace/data.js'
import { HeadLedger, rowsByHead } from '../trace/rebuild.js'
import { comparedOf, type Comparable, type Compared, type SettingChange } from './comparable.js'
import {
  countsOfHead,
  headDifference,
  TOKEN_FATES,
  type HeadCounts,
  type HeadDifference,
  type Slots,
} from './head-difference.js'
import { idsOf, sharedLength, textChanges, type TextChange } from './text-difference.js'

/** How two caches differ once a step is over. */
export interface DifferenceAt {
  /** undefined: each run's own end. */
  step: number | undefined
  /** Tokens that both have seen by then, the same in both: what is counted. */
  tokens: number
  /** [layers, kvHeads] */
  heads: (HeadCounts & { layer: number; kvHead: number })[]
  /** Over all heads, each counting alike. */
  meanJaccard: number
}

/** One of them; `rows` of each kv head once somebody asks. */
type Side = Compared & { rows?: Int32Array[] }

const COUNTS = ['layer', 'kvHead', 'jaccard', 'both', 'onlyA', 'onlyB', 'changed', 'elsewhere'] as const

/**
 * What run.minus(other) gives: the run is a, the other b. Compared are tokens that stand at the same place of both texts, from the first
 * to where the texts part (`shared`): whoever came later is another token in each.
 */
export class Difference {
  readonly model: string
  readonly layers: number
  readonly kvHeads: number
  /** What a and b are called: policy and slots. */
  readonly labels: readonly [a: string, b: string]
  /** Tokens that both caches saw at the same places. */
  readonly shared: number
  /** What a and b wrote. */
  readonly written: readonly [a: RunOutput, b: RunOutput]
  /** The first token of the answers that differs, from 0, or that only one of them has; null: they are the same. */
  readonly firstDifference: number | null
  private ended: DifferenceAt | undefined
  private texts: TextChange[] | undefined

  /** @internal */
  constructor(
    private readonly sides: readonly [a: Side, b: Side],
    /** What the run cards say differently, by path: 'policy.options.budget'. */
    readonly settings: readonly SettingChange[],
  ) {
    const [a, b] = sides
    this.model = a.data.model
    this.layers = a.data.layers
    this.kvHeads = a.data.kvHeads
    this.labels = [a.label, b.label]
    this.shared = sharedLength(idsOf(a.data.tokens), idsOf(b.data.tokens))
    this.written = [a.data.output, b.data.output]
    const alike = sharedLength(a.data.output.ids, b.data.output.ids)
    this.firstDifference = alike === Math.max(a.data.output.ids.length, b.data.output.ids.length) ? null : alike
  }

  /** The last step that both runs have. */
  get lastStep(): number {
    return Math.min(...this.sides.map(({ data }) => data.steps))
  }

  /** The texts' tokens that both see, in order. */
  get tokens(): RunData['tokens'] {
    return this.sides[0].data.tokens.slice(0, this.shared)
  }

  /**
   * Kept sets and fates, head by head, once all events of `step` have happened; without a step at each run's own end. Errors: 'invalid' for
   * a step that one of them has not, and at a step for a run without trace: true.
   */
  at(options: { step?: number } = {}): DifferenceAt {
    checked('at', options, ['step'])
    const step = this.stepOf(options.step)
    if (step === undefined && this.ended) return this.ended
    const heads = Array.from({ length: this.layers * this.kvHeads }, (_, head) => {
      const [layer, kvHead] = [Math.floor(head / this.kvHeads), head % this.kvHeads]
      return { layer, kvHead, ...countsOfHead(this.headAt(layer, kvHead, step)) }
    })
    const meanJaccard = heads.reduce((sum, { jaccard }) => sum + jaccard, 0) / heads.length
    const made = { step, tokens: this.tokensBy(step), heads, meanJaccard }
    if (step === undefined) this.ended = made
    return made
  }

  /** One kv head: fate and slot of every token under a and b. Errors: as at(), and for a layer or head that there is none of. */
  head(of: { layer: number; kvHead: number; step?: number }): HeadDifference {
    checked('head', of, ['layer', 'kvHead', 'step'])
    const layer = integer('layer', of.layer, 0, this.layers - 1)
    const kvHead = integer('kvHead', of.kvHead, 0, this.kvHeads - 1)
    return this.headAt(layer, kvHead, this.stepOf(of.step))
  }

  /** The answers' tokens, aligned: what both have, and what only one of them has. */
  text(): TextChange[] {
    return (this.texts ??= textChanges(...this.written))
  }

  /** at() as columns: a row per kv head. */
  columns(options: { step?: number } = {}): Record<(typeof COUNTS)[number], number[]> {
    const { heads } = this.at(options)
    const columns = COUNTS.map((name) => [name, heads.map((head) => head[name])])
    return Object.fromEntries(columns) as ReturnType<Difference['columns']>
  }

  /** A frame of columns(). */
  heads(options: { step?: number } = {}): ReturnType<typeof frame> {
    return frame(this.columns(options))
  }

  /** A frame of one kv head's tokens whose fate differs, or that are merged with others. */
  lineage(of: { layer: number; kvHead: number; step?: number }): ReturnType<typeof frame> {
    const { fates, slots, changed } = this.head(of)
    const { tokens } = this.sides[0].data
    const rows = [...changed.keys()].filter((position) => changed[position])
    const slot = (run: number) => rows.map((position) => (slots[run][position] < 0 ? null : slots[run][position]))
    return frame({
      position: rows,
      token: rows.map((position) => tokens[position].text),
      a: rows.map((position) => TOKEN_FATES[fates[0][position]]),
      b: rows.map((position) => TOKEN_FATES[fates[1][position]]),
      slotA: slot(0),
      slotB: slot(1),
    })
  }

  /** A frame of what was written, a row per place: tokens and log-probabilities (natural logarithm) side by side; null: none. */
  outputs(): ReturnType<typeof frame> {
    const [a, b] = this.written
    const rows = Array.from({ length: Math.max(a.ids.length, b.ids.length) }, (_, i) => i)
    const known = (value: number | undefined) => value ?? null
    return frame({
      generated: rows,
      a: rows.map((i) => a.texts[i] ?? null),
      b: rows.map((i) => b.texts[i] ?? null),
      same: rows.map((i) => a.ids[i] === b.ids[i]),
      logprobA: rows.map((i) => known(a.logprobs?.[i])),
      logprobB: rows.map((i) => known(b.logprobs?.[i])),
    })
  }

  private stepOf(step: number | undefined): number | undefined {
    if (step === undefined) return undefined
    for (const { data, label } of this.sides)
      if (!data.events)
        throw new ZslabError(
          'invalid',
          `the caches at a step need the events of both runs, and that of ${label} kept none: make its session with trace: true`,
        )
    return integer('step', step, 0, this.lastStep)
  }

  private tokensBy(step: number | undefined): number {
    return step === undefined ? this.shared : Math.min(this.shared, this.sides[0].data.promptTokens + step)
  }

  private headAt(layer: number, kvHead: number, step: number | undefined): HeadDifference {
    const [a, b] = this.sides.map((side) => slotsOf(side, layer, kvHead, step))
    return headDifference(a, b, this.tokensBy(step))
  }
}

function slotsOf(side: Side, layer: number, kvHead: number, step: number | undefined): Slots {
  const { data } = side
  if (step === undefined) return data.origins[layer].kvHeads[kvHead]
  const events = data.events!
  side.rows ??= rowsByHead(events, data.layers, data.kvHeads)
  const ledger = new HeadLedger()
  for (const row of side.rows[layer * data.kvHeads + kvHead]) {
    if (events.step[row] > step) break
    ledger.apply(events, row)
  }
  return ledger.slots().map(({ origins }) => origins)
}

/** Compares `a` and `b`. Errors: 'invalid' for what is no run or trace, another model, another prompt. */
export function difference(a: Comparable, b: Comparable): Difference {
  const { sides, settings } = comparedOf(a, b)
  return cameOf(new Difference(sides, settings), a, 'minus', [b])
}

showsItself(Difference.prototype, differenceText)
