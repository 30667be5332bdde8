/**
 * What each slot of one kv head was worth, step by step: the policy's own score of it and the probability that the step's query gave it.
 * Slots are those that the query read, its own token the last, before anybody left at that step.
 */
import { integer, options } from '../expect.js'
import { ZslabError } from '../errors.js'
import { native, type NativeScored } from '../native/binding.js'
import type { HeldCache } from '../native-cache.js'
import { scoresText } from '../show/scores-text.js'
import { showsItself } from '../show/show.js'
import { ordinal } from '../show/texts.js'
import type { TraceCell } from '../trace/columns.js'
import { HeadLedger, type Happened } from '../trace/rebuild.js'
import { checkRecorded, recordedOf, type HeadOf, type Recorded } from '../trace/recorded.js'
import { Tabular } from './tabular.js'

export interface ScoresOptions extends HeadOf {
  /** Of this step alone; default: of all that were kept. */
  step?: number
}

/** As recorded: a row for each step. */
export type ScoreRows = Omit<NativeScored, 'bytes'>

/** Copies, of the first `upTo` tokens (default: all). Errors: 'invalid' for a head that there is none of, or whose scores were not kept. */
export function scoreRows(cache: HeldCache, of: HeadOf, upTo = Infinity): ScoreRows {
  const { layer, kvHead } = options('scores', of, ['layer', 'kvHead', 'step']) as unknown as HeadOf
  const { shape, trace, policy } = cache.options
  checkRecorded('scores', { layer, kvHead }, recordedOf(trace, shape, policy))
  const all = native().cacheScored(cache.native, layer, kvHead)
  const later = all.positions.findIndex((position) => position >= upTo)
  return later < 0 ? all : rowsOf(all, 0, later)
}

/** Scores and probabilities of one kv head: a row for each slot at each step that was kept, in order. */
export class HeadScores extends Tabular {
  readonly layer: number
  readonly kvHead: number
  /** [steps] those that were kept: 0 = the prompt; of a call that read several tokens that of its last. */
  readonly steps: Int32Array
  /** [steps] position of the token whose query it was. */
  readonly queryPositions: Int32Array
  /** Rows of step i are [starts[i], starts[i + 1]), slot by slot; [steps + 1]. */
  readonly starts: Float64Array
  /** [rows] the position that the slot is known by: of its first token. */
  readonly positions: Int32Array
  /** [rows] tokens that it stands for. */
  readonly weights: Int32Array
  /**
   * [rows] as the policy keeps it, after the step's update (decay and this query's attention) and before it chooses: what the choice at this
   * step goes by. NaN where the policy keeps none: full cache, streaming, quest, history: 'off' at all steps, snapkv and others that act on
   * prompts after step 0.
   */
  readonly scores: Float32Array
  /** [rows] softmax probability that the query gave to the slot under the policy: mean over the query heads of the kv head; 1 in sum at each step. */
  readonly probabilities: Float32Array

  /** @internal */
  constructor(
    { layer, kvHead }: HeadOf,
    rows: ScoreRows,
    slots: { positions: Int32Array; weights: Int32Array },
    private readonly text: (position: number) => string,
  ) {
    super()
    this.layer = layer
    this.kvHead = kvHead
    this.steps = rows.steps
    this.queryPositions = rows.positions
    this.starts = rows.starts
    this.positions = slots.positions
    this.weights = slots.weights
    this.scores = rows.scores
    this.probabilities = rows.probabilities
  }

  /** A row for each slot at each step: step, slot, position, token, weight, score, probability; null where there is none. */
  table(): Record<string, TraceCell[]> {
    const { steps, starts, positions, weights, scores, probabilities, text } = this
    const rows = Array.from(steps, (step, i) =>
      Array.from({ length: starts[i + 1] - starts[i] }, (_, slot) => ({ step, slot })),
    ).flat()
    const known = (value: number) => (Number.isNaN(value) ? null : value)
    return {
      step: rows.map(({ step }) => step),
      slot: rows.map(({ slot }) => slot),
      position: Array.from(positions),
      token: Array.from(positions, text),
      weight: Array.from(weights),
      score: Array.from(scores, known),
      probability: Array.from(probabilities, known),
    }
  }
}

/** What the slots were, from the events; `text`: of the token at a position. */
export interface ScoredHead {
  events: Happened
  /** Those of the head, in order. */
  rows: ArrayLike<number>
  recorded: Recorded
  text?: (position: number) => string
}

/** `all`: what was recorded of the head. Errors: 'invalid' for a step that was not, with those that were. */
export function headScores(given: ScoresOptions, all: ScoreRows, head: ScoredHead): HeadScores {
  options('scores', given, ['layer', 'kvHead', 'step'])
  const kept = given.step === undefined ? all : atStep(all, integer('step', given.step, 0), head.recorded)
  const slots = slotsRead(kept, head)
  return new HeadScores(given, kept, slots, head.text ?? (() => ''))
}

function atStep(all: ScoreRows, step: number, { every }: Recorded): ScoreRows {
  const row = all.steps.indexOf(step)
  if (row < 0) throw stepNotKept(all.steps, step, every)
  return rowsOf(all, row, row + 1)
}

function rowsOf(all: ScoreRows, from: number, to: number): ScoreRows {
  const [start, end] = [all.starts[from], all.starts[to]]
  return {
    steps: all.steps.slice(from, to),
    first: all.first.slice(from, to),
    positions: all.positions.slice(from, to),
    starts: all.starts.slice(from, to + 1).map((at) => at - start),
    scores: all.scores.slice(start, end),
    probabilities: all.probabilities.slice(start, end),
  }
}

function stepNotKept(steps: Int32Array, step: number, every: number): ZslabError {
  const last = steps.length ? steps[steps.length - 1] : -1
  const near = [steps.filter((one) => one < step).at(-1), steps.find((one) => one > step)].filter(
    (one) => one !== undefined,
  )
  const kept = steps.length
    ? `${steps.length} steps from ${steps[0]} to ${last} were kept${every > 1 ? `, every ${ordinal(every)}` : ''}, the nearest ${near.join(' and ')}`
    : 'nothing was read while they were kept'
  const how =
    step > last
      ? 'generate more tokens'
      : every > 1
        ? `make the session with every: 1 beside level 'scores', or a divisor of ${step}`
        : 'tokens of a prompt, or of a further turn, are read together: steps are kept of the last of them; feed them one by one with step()'
  return new ZslabError('invalid', `the scores of step ${step} were not kept (${kept}): ${how}`)
}

/** First positions and weights of the slots that each row's query read. */
function slotsRead(all: ScoreRows, { events, rows }: ScoredHead): { positions: Int32Array; weights: Int32Array } {
  const [positions, weights] = [new Int32Array(all.scores.length), new Int32Array(all.scores.length)]
  const ledger = new HeadLedger()
  let next = 0
  all.steps.forEach((step, i) => {
    const [first, position] = [all.first[i], all.positions[i]]
    const before = first - (position - step + 1) // the last step before the call, −1 or less before the prompt
    for (; next < rows.length && events.step[rows[next]] <= before; next++) ledger.apply(events, rows[next])
    let at = all.starts[i]
    ledger.each((_, origins) => {
      positions[at] = origins[0]
      weights[at++] = origins.length
    })
    for (let token = first; token <= position; token++) {
      positions[at] = token
      weights[at++] = 1
    }
    if (at !== all.starts[i + 1])
      throw new ZslabError(
        'internal',
        `step ${step} has ${all.starts[i + 1] - all.starts[i]} scores for ${at - all.starts[i]} slots: this is a fault of zslab, please report it`,
      )
  })
  return { positions, weights }
}

showsItself(HeadScores.prototype, scoresText)
