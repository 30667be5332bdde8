/** What a file says beside the events, as JSON in its metadata: run card, receipt, and what figures need. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { EventColumns } from '../../native/binding.js'
import type { ScoreRows } from '../../inspect/scores.js'
import type { HeadVectors } from '../../inspect/vectors.js'
import { cardText } from '../../show/file-texts.js'
import { showsItself } from '../../show/show.js'
import type { Card } from '../card.js'
import { COLUMNS } from '../columns.js'
import type { RunData } from '../data.js'
import type { HeadOf, Recorded, RecordedKind } from '../recorded.js'
import { shownReceipt, type Receipt } from '../receipt.js'
import { listColumnsOf, listFacts, scoreRowsIn, vectorsIn, type ListFacts, type ListName } from './lists.js'
import { Unreadable, type Lists } from './read.js'
import { rowsByHead } from '../rebuild.js'
import { mergesOf } from '../shares.js'

/** What a trace belongs to: a run, or what a file says of one. */
export interface TraceOf {
  readonly card: Card
  readonly receipt: Receipt
  data(): RunData
  readonly recorded: Recorded
  /** Tokens of each call in which they were read, in order. */
  readonly calls: readonly number[]
  /** What a head was given, and what its slots were worth; of heads of which that was recorded. */
  vectors(of: HeadOf): HeadVectors
  scoreRows(of: HeadOf): ScoreRows
  /** What `card` waits for. */
  ready?(): Promise<unknown>
}

const VERSION = 4

/** The file's form of RunData: no events, tokens by column, origins packed. */
interface Facts {
  format: 'zslab.trace'
  version: number
  /** What the columns mean, for whoever opens the file elsewhere. */
  columns: Record<string, string>
  rows: number
  /** Tokens of each call in which they were read. */
  calls: readonly number[]
  /** What was recorded beside events: heads as layer × kvHeads + kvHead. */
  recorded: Omit<Recorded, RecordedKind | 'merges'> & Record<RecordedKind, number[] | undefined>
  lists: ListFacts
  /** EventColumns.count. */
  count: number
  card: Card
  receipt: Receipt
  run: Omit<RunData, 'tokens' | 'output' | 'origins'>
  output: { ids: readonly number[]; texts: readonly string[]; logprobs: number[] }
  tokens: { ids: number[]; texts: string[]; positions: number[]; read: number }
  origins: { residual: number[][]; slots: number[][]; weights: string; positions: string }
}

export function factsText(events: EventColumns, of: TraceOf): string {
  const { tokens, output, origins, ...data } = of.data()
  const slots = origins.flatMap(({ kvHeads }) => kvHeads).flat()
  const facts: Facts = {
    format: 'zslab.trace',
    version: VERSION,
    columns: Object.fromEntries([...COLUMNS, ...listColumnsOf(of.recorded)].map(({ name, about }) => [name, about])),
    rows: events.step.length,
    calls: of.calls,
    recorded: recordedFacts(of.recorded),
    lists: listFacts(of, data.promptTokens),
    count: events.count,
    card: of.card,
    receipt: of.receipt,
    run: { ...data, events: undefined },
    output: { ...output, logprobs: Array.from(output.logprobs) },
    tokens: {
      ids: tokens.map(({ id }) => id),
      texts: tokens.map(({ text }) => text),
      positions: tokens.map(({ position }) => position),
      read: tokens.filter(({ prompt }) => prompt).length,
    },
    origins: {
      residual: origins.map(({ residual }) => residual),
      slots: origins.map(({ kvHeads }) => kvHeads.map((each) => each.length)),
      weights: packed(Int32Array.from(slots, ({ length }) => length)),
      positions: packed(joined(slots)),
    },
  }
  return JSON.stringify(facts)
}

function recordedFacts({ level, layers, kvHeads, every, altered, vectors, scores }: Recorded): Facts['recorded'] {
  return { level, layers, kvHeads, every, altered, vectors: headNumbers(vectors), scores: headNumbers(scores) }
}

const headNumbers = (marks: Uint8Array | undefined) => marks && Array.from(marks.keys()).filter((i) => marks[i])

function joined(lists: readonly ArrayLike<number>[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const list of lists) {
    all.set(list, at)
    at += list.length
  }
  return all
}

/** Whole numbers as differences from one to the next, deflated, base64: neighbours are alike. */
function packed(values: Int32Array): string {
  const differences = values.map((value, i) => (i ? value - values[i - 1] : value))
  return deflateRawSync(Buffer.from(differences.buffer), { level: 1 }).toString('base64')
}

function unpacked(text: string): Int32Array {
  const bytes = inflateRawSync(Buffer.from(text, 'base64'))
  const values = new Int32Array(new Uint8Array(bytes).buffer)
  for (let i = 1; i < values.length; i++) values[i] += values[i - 1]
  return values
}

/** The facts in `text`. Throws Unreadable. */
export function factsOf(text: string): Facts {
  const facts = JSON.parse(text) as Facts
  if (facts?.format !== 'zslab.trace') throw new Unreadable('holds no trace')
  if (facts.version !== VERSION)
    throw new Unreadable(
      `holds a trace of version ${facts.version}, and this zslab reads version ${VERSION}: use the zslab that wrote it`,
    )
  return facts
}

/** What belongs to `events`, without the model; `lists`: those of the file. */
export function traceOf(facts: Facts, events: EventColumns, lists: (name: ListName) => Lists): TraceOf {
  const { run, output, card, receipt, tokens, origins } = facts
  const data: RunData = {
    ...run,
    tokens: tokens.ids.map((id, i) => ({
      id,
      text: tokens.texts[i],
      position: tokens.positions[i],
      prompt: i < tokens.read,
    })),
    output: { ...output, logprobs: Float64Array.from(output.logprobs) },
    events,
    origins: originsOf(origins),
  }
  const { layers, kvHeads } = data
  const marks = (heads: number[] | undefined) => {
    if (!heads) return undefined
    const made = new Uint8Array(layers * kvHeads)
    for (const head of heads) made[head] = 1
    return made
  }
  const { vectors, scores, ...others } = facts.recorded
  const merges = mergesOf(card.policy)
  const recorded: Recorded = { ...others, vectors: marks(vectors), scores: marks(scores), merges }
  let rows: Int32Array[] | undefined
  const rowsOf = ({ layer, kvHead }: HeadOf) => (rows ??= rowsByHead(events, layers, kvHeads))[layer * kvHeads + kvHead]
  return {
    card: showsItself(card, cardText),
    receipt: shownReceipt(receipt),
    data: () => data,
    recorded,
    calls: facts.calls,
    vectors: (of) => vectorsIn(events, rowsOf(of), of, lists, facts.lists),
    scoreRows: (of) => scoreRowsIn(events, rowsOf(of), lists, facts.lists),
  }
}

function originsOf({ residual, slots, ...lists }: Facts['origins']): RunData['origins'] {
  const weights = unpacked(lists.weights)
  const positions = unpacked(lists.positions)
  let [slot, at] = [0, 0]
  return slots.map((heads, layer) => ({
    kvHeads: heads.map((count) => Array.from({ length: count }, () => positions.subarray(at, (at += weights[slot++])))),
    residual: residual[layer],
  }))
}
