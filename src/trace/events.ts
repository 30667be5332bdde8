/** Events as columns with words for actions: what run.trace hands out, saves and opens. */
import { ZslabError } from '../errors.js'
import { callOptions, integer, oneOf, options } from '../expect.js'
import { csvOf, frame } from '../frames.js'
import type { Compensation, CompensationAblation, Oracles } from '../inspect/compensation-tables.js'
import { autopsy, type Autopsy, type AutopsyOptions, type Examined } from '../inspect/autopsy.js'
import type { Comparable } from '../inspect/comparable.js'
import { difference, type Difference } from '../inspect/difference.js'
import { lineage, type Lineage, type LineageOptions } from '../inspect/lineage.js'
import {
  compensation,
  compensationAblation,
  oracles,
  whatIfOf,
  type AblationOptions,
  type Measured,
  type OraclesOptions,
  type RunCompensationOptions,
} from '../inspect/microscope.js'
import { callStarts, headReads, type HeadRead } from '../inspect/reads.js'
import type { LocalShadow } from '../inspect/local.js'
import { recordedShadow } from '../inspect/recorded-shadow.js'
import { slotVectors } from '../inspect/slot-vectors.js'
import { headScores, type HeadScores, type ScoresOptions } from '../inspect/scores.js'
import type { HeadVectors } from '../inspect/vectors.js'
import type { WhatIf } from '../inspect/what-if.js'
import { withBar } from '../long-work.js'
import type { CallOptions } from '../native/call.js'
import type { EventColumns } from '../native/binding.js'
import { cameOf, madeBy, Place, Recipe } from '../recipe/recipe.js'
import { headAtText } from '../show/head-at-text.js'
import { showsItself } from '../show/show.js'
import { traceText } from '../show/texts.js'
import { ACTIONS } from './actions.js'
import type { Card } from './card.js'
import { EVENT_BYTES, EVENT_COLUMNS, laidOut, tableOf, type Laid, type TraceCell } from './columns.js'
import { countsOf } from './counts.js'
import type { RunData } from './data.js'
import type { TraceOf } from './files/facts.js'
import { openTrace, saveTrace } from './files/index.js'
import type { TapeBytes } from './memory.js'
import { HeadLedger, rowsByHead, type HeadAt } from './rebuild.js'
import { checkRecorded, isRecorded, type HeadOf, type Recorded } from './recorded.js'
import type { Receipt } from './receipt.js'

/** Rows that are made text at once. */
const PIECE = 1 << 14

/**
 * What happened to the cache, in order. Of a run's trace columns(), table(), events(), counts(), csv() and length are the run's own part,
 * all since the session's run before it ended; what asks how the cache stood (cacheAt(), autopsy(), data() and figures) takes the whole tape,
 * as session.trace does, and save() writes it. Step 0 is the prompt, then one step per token. admit: a token enters `slot`; leave: the
 * oldest recent token moves from `slot` to `target`; merge: `slot` goes into the residual slot `target`; drop: it is gone. Two actions
 * only change where a token is: place (a full cache is compressed for the first time) and settle (into slots of the policy's own form:
 * taken out at `slot`, put in at `target`). options: the policy goes on with others from `position` on, one event for the whole cache, in
 * layer 0 and kv head 0; which, the card says.
 *
 * Why it happened: `reason` prompt or token (what came), age (the oldest of the recent, or of all without scores), score (the lowest of the
 * candidates), choice (of a policy of one's own), asked (of the session, for just this). `rank` is the leaver's place among the candidates, 0 the first to leave, and `threshold`
 * the lowest score of a candidate that stayed: missing (−1, NaN) where there was no such order, or where several heads chose together.
 * `targetScore`, `targetWeight`: of the slot merged into, before; `weightAfter`: of that slot, after.
 */
export class Trace {
  /** Once somebody asks. */
  private own: EventColumns | undefined
  private heads: ReturnType<typeof headsOf> | undefined

  /** @internal */
  constructor(
    /** The whole tape; undefined without trace: true. @internal */
    readonly kept: EventColumns | undefined,
    private readonly of: () => TraceOf,
    /** Row of the tape that the own part begins at. */
    readonly firstEvent = 0,
    private readonly took?: TapeBytes,
  ) {}

  /**
   * A trace that save() wrote, with all that figures need: no model is loaded. Errors: 'file' for what is missing, cut, damaged or no
   * trace.
   */
  static async open(path: string): Promise<Trace> {
    const { events, of } = await openTrace(path)
    return madeBy(new Trace(events, () => of, of.data().firstEvent), Recipe.of('Trace.open', [new Place(path)]))
  }

  /**
   * Writes everything to one file by the path's ending, .arrow (IPC, LZ4) or .parquet (Snappy), which pandas, polars and DuckDB open: a row
   * for each event as in table(), and run card, receipt and what figures need as JSON in the schema's metadata. What was recorded beside events
   * are columns of lists (float32), each on the row by which its token came to its head: key, value, query, output; slotScores,
   * slotProbabilities. `level: 'events'` leaves them out. The file appears whole or not at all. Returns the path. Errors: 'invalid' for another
   * ending, without trace: true, and for more in lists than 1 GB (.arrow) or 200 MB (.parquet), 'file' where it cannot be written.
   */
  async save(path: string, given: { level?: 'events' } = {}): Promise<string> {
    options('save', given, ['level'])
    if (given.level !== undefined) oneOf('level', given.level, ['events'])
    const of = this.of()
    await of.ready?.()
    const { card, receipt, calls, recorded } = of
    const alone: TraceOf = {
      ...{ card, receipt, calls, data: () => of.data(), vectors: of.vectors, scoreRows: of.scoreRows },
      recorded: { ...recorded, level: 'events', every: 1, vectors: undefined, scores: undefined },
    }
    await saveTrace(path, this.tape(), given.level ? alone : of)
    return path
  }

  /** What was recorded: level, and whose scores and vectors. @internal */
  get recorded(): Recorded {
    return this.of().recorded
  }

  /** All that the run depended on. */
  get card(): Card {
    return this.of().card
  }

  /** What held at the run's end. */
  get receipt(): Receipt {
    return this.of().receipt
  }

  /** Plain data that figures are drawn from; figures take a trace as they take a run. */
  data(): RunData {
    return this.of().data()
  }

  /** As run.minus(): what differs between this run (a) and `other` (b). Errors: 'invalid' for two models or two prompts. */
  minus(other: Comparable): Difference {
    return difference(this, other)
  }

  /**
   * The native columns of the own part (views of the tape: copy before you change them); action and reason are numbers, in the order of admit, leave, merge, drop, place, settle, options and prompt,
   * token, age, score, choice, asked. Errors: 'invalid' without trace: true.
   */
  columns(): EventColumns {
    return (this.own ??= partFrom(this.tape(), this.firstEvent))
  }

  /** columns() of the whole tape, what came before the own part included. Errors: 'invalid' without trace: true. */
  tape(): EventColumns {
    if (this.kept) return this.kept
    throw new ZslabError('invalid', 'this session kept no events: make it with model.session({ trace: true, … })')
  }

  /** A danfojs frame of table(): one row per event of the own part. Errors: 'invalid' without trace: true, 'unsupported' without danfojs. */
  events(): ReturnType<typeof frame> {
    return frame(this.table())
  }

  /** Events of the own part. */
  get length(): number {
    return this.columns().step.length
  }

  /** What the whole tape took when the run ended, or takes as opened: bytes in memory and in temporary files. */
  get bytes(): TapeBytes {
    const events = this.kept?.step.length ?? 0
    return this.took ?? { events, memory: events * EVENT_BYTES, files: 0, given: 0 }
  }

  /** The last step that something happened at; −1: nothing ever did. */
  get lastStep(): number {
    const { step } = this.tape()
    return step.length ? step[step.length - 1] : -1
  }

  /**
   * One kv head as it was once all events of `step` had happened (default: the last), from the events alone: slots in the cache's own order
   * with positions, weights and origins, exactly; where the head's vectors were recorded, keys and values too. Errors: 'invalid' without trace: true, and for a step, layer or head that there is none of.
   */
  cacheAt(of: { step?: number; layer: number; kvHead: number }): HeadAt {
    options('cacheAt', of, ['step', 'layer', 'kvHead'])
    const { events, rows, layer, kvHead } = this.rowsOf(of)
    const step = integer('step', of.step ?? Math.max(0, this.lastStep), 0, Math.max(0, this.lastStep))
    const ledger = new HeadLedger()
    for (const row of rows) {
      if (events.step[row] > step) break
      ledger.apply(events, row)
    }
    const head = showsItself<HeadAt>(
      { layer, kvHead, step, slots: ledger.slots(), dropped: ledger.dropped },
      headAtText,
    )
    const { recorded } = this.of()
    if (recorded.altered || !isRecorded('vectors', { layer, kvHead }, recorded)) return head
    return Object.assign(head, slotVectors(this.vectors({ layer, kvHead }), events, rows, step, recorded.merges))
  }

  /**
   * Why an answer failed: what became of a piece of the text in every kv head by the end of `step` (default: the last), from the events alone.
   * `{ from, to }` (positions, `to` exclusive; default: all), or `{ text }`, words that stand in the text once. Errors: 'invalid' without
   * trace: true, for a step that there is none of, positions that nobody had seen by it, and words that are not there or several times.
   */
  autopsy(of: AutopsyOptions = {}): Autopsy {
    return cameOf(autopsy(this.examined(), of), this, 'autopsy', [of])
  }

  /**
   * Who is in a slot of a kv head by the end of `step` (default: the last): members in order of arrival with step, similarity, share of the
   * slot's key and value, and text; of a run that kept the head's vectors also drift, coherence and key gap. Errors: 'invalid' without trace: true, and for a step, layer, head or slot that there is none of.
   */
  lineage(of: LineageOptions): Lineage {
    const examined = this.examined()
    const { rows } = (this.heads ??= headsOf(examined.events, examined.data))
    const { recorded } = this.of()
    return lineage(examined, rows, of, (head) =>
      isRecorded('vectors', head, recorded) ? this.vectors(head) : undefined,
    )
  }

  /**
   * What one kv head was given, nothing removed: copies. Errors: 'invalid' unless it was recorded at level 'vectors' for that head, with what
   * was and how to.
   */
  vectors(of: HeadOf): HeadVectors {
    const { layer, kvHead } = options('vectors', of, ['layer', 'kvHead']) as unknown as HeadOf
    checkRecorded('vectors', { layer, kvHead }, this.of().recorded)
    return this.of().vectors({ layer, kvHead })
  }

  /**
   * What each slot of one kv head was worth, step by step: the policy's score of it and the probability that the step's query gave it. Errors:
   * 'invalid' unless it was recorded at level 'scores' for that head, and for a step that was not kept, with what was and how to.
   */
  scores(of: ScoresOptions): HeadScores {
    const { layer, kvHead } = options('scores', of, ['layer', 'kvHead', 'step']) as unknown as HeadOf
    const { recorded } = this.of()
    checkRecorded('scores', { layer, kvHead }, recorded)
    const { events, rows } = this.rowsOf({ layer, kvHead })
    const { tokens } = this.data()
    const text = (position: number) => tokens[position]?.text ?? ''
    return headScores(of, this.of().scoreRows({ layer, kvHead }), { events, rows, recorded, text })
  }

  /** What the queries at positions [from, to) of one kv head read, after the first prompt (default: all). Errors: 'invalid' without events. */
  reads(of: HeadOf & { from?: number; to?: number }): HeadRead[] {
    const { from, to, ...head } = options('reads', of, ['layer', 'kvHead', 'from', 'to']) as unknown as typeof of
    const { events, rows } = this.rowsOf(head)
    const { calls } = this.of()
    return [...headReads(events, rows, calls[0], callStarts(calls), from, to)]
  }

  /** As run.compensation(). */
  compensation(of: RunCompensationOptions): Compensation {
    return cameOf(compensation(this.measured(), of), this, 'compensation', [of])
  }

  /** As run.compensationAblation(). */
  compensationAblation(of: AblationOptions & CallOptions = {}): Promise<CompensationAblation> {
    callOptions('compensationAblation', of, ['layers', 'kvHeads', 'seed', 'resamples', 'block'])
    return withBar('measuring', of, (call) => compensationAblation(this.measured(), of, call), 'heads')
  }

  /** As run.oracles(). */
  oracles(of: OraclesOptions & CallOptions = {}): Promise<Oracles> {
    callOptions('oracles', of, ['layers', 'kvHeads', 'judged', 'equations', 'ridge'])
    return withBar('fitting', of, (call) => oracles(this.measured(), of, call), 'fits')
  }

  /** As run.whatIf(). */
  whatIf(of: HeadOf & { step: number }): WhatIf {
    return whatIfOf(this.measured(), of)
  }

  /**
   * The local part of run.shadow() from what was recorded, without the model: of every token after the prompt that was read by itself, of all
   * heads whose vectors were kept (of others NaN). Errors: 'invalid' where none were.
   */
  localShadow(given: CallOptions = {}): Promise<LocalShadow> {
    callOptions('localShadow', given)
    const { recorded, calls, card } = this.of()
    const run = { recorded, calls, policy: card.policy, events: this.tape(), vectors: (of: HeadOf) => this.vectors(of) }
    return withBar('comparing', given, (call) => recordedShadow(run, call), 'heads')
  }

  private measured(): Measured {
    const { card, recorded, calls } = this.of()
    const events = this.tape()
    const { layers, kvHeads, tokens } = this.data()
    const promptTokens = calls[0] ?? 0
    const given = { card, layers, kvHeads, promptTokens, events, tokens, recorded }
    return { ...given, vectors: (of) => this.vectors(of), reads: (of) => this.reads(of) }
  }

  /** A head's rows of the tape. Errors: 'invalid' without events, and for a head that there is none of. */
  private rowsOf(of: HeadOf): { events: EventColumns; rows: Int32Array; layer: number; kvHead: number } {
    const events = this.tape()
    const { layers, kvHeads, rows } = (this.heads ??= headsOf(events, this.data()))
    const layer = integer('layer', of.layer, 0, layers - 1)
    const kvHead = integer('kvHead', of.kvHead, 0, kvHeads - 1)
    return { events, rows: rows[layer * kvHeads + kvHead], layer, kvHead }
  }

  private examined(): Examined {
    return { events: this.tape(), data: this.data(), card: this.card, lastStep: this.lastStep }
  }

  /** How often each action happened and for which reasons, those that never did left out. */
  counts(): ReturnType<typeof countsOf> {
    return countsOf(this.columns())
  }

  /** Columns of plain arrays, as in files: `token` (text), actions by name, null where a value is missing. */
  table(): Record<string, TraceCell[]> {
    return tableOf(this.laidOut(), 0, this.length)
  }

  /** table() as CSV in pieces that end with a line, the names first. */
  *csv(): Generator<string> {
    const laid = this.laidOut()
    for (let from = 0; from === 0 || from < this.length; from += PIECE)
      yield csvOf(tableOf(laid, from, Math.min(from + PIECE, this.length)), { header: from === 0 })
  }

  private laidOut(): Laid[] {
    const events = this.columns()
    const tokens = events.step.length ? this.data().tokens : []
    return laidOut(events, (position) => tokens[position]?.text ?? '')
  }
}

/** Events from row `from` on: views. */
function partFrom(events: EventColumns, from: number): EventColumns {
  if (from === 0) return events
  const part = { count: Math.max(0, events.step.length - from) } as EventColumns
  for (const { name } of EVENT_COLUMNS) Object.assign(part, { [name]: events[name].subarray(from) })
  return part
}

/** Rows of each kv head: [layer * kvHeads + kvHead]. */
const headsOf = (events: EventColumns, { layers, kvHeads }: RunData) => ({
  layers,
  kvHeads,
  rows: rowsByHead(events, layers, kvHeads),
})

showsItself(Trace.prototype, (trace) => traceText(trace.kept && trace.columns().action, ACTIONS, trace.bytes))
