/** The columns of a trace, in the order of tables and files: name, type, what stands for a missing value, meaning. A line each. */
import type { EventColumns } from '../native/binding.js'
import { ACTION, ACTIONS, REASONS } from './actions.js'

/** How values lie in memory and in files; 'text': of the event's token, or of a row's own words. */
export type ColumnType = 'int32' | 'uint16' | 'uint8' | 'float32' | 'float64' | 'text'
export type Values = Int32Array | Uint16Array | Uint8Array | Float32Array | Float64Array

export const ARRAYS = {
  int32: Int32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  float32: Float32Array,
  float64: Float64Array,
  text: Int32Array,
}

/** A name that EventColumns has. */
export type EventName = Exclude<keyof EventColumns, 'count'>

export interface ColumnOf {
  name: string
  type: ColumnType
  /** What stands in EventColumns for a value that there is none of; null in tables and files. */
  none?: number
  /** What the numbers of EventColumns stand for; tables and files have the words. */
  words?: readonly string[]
  about: string
  /** Of a column that is no EventColumns' own: made of those. */
  from?: (events: EventColumns, row: number) => number
}

export const COLUMNS: readonly ColumnOf[] = [
  { name: 'step', type: 'int32', about: '0 = the prompt, then one for every token' },
  { name: 'layer', type: 'uint16', about: 'from 0' },
  { name: 'kvHead', type: 'uint16', about: 'from 0' },
  {
    name: 'position',
    type: 'int32',
    about: "the token's place in the text, from 0; of a merged slot that of its first",
  },
  { name: 'token', type: 'text', about: 'the text of that token' },
  { name: 'action', type: 'uint8', words: ACTIONS, about: 'what happened; options: in layer 0 and kvHead 0 for all' },
  {
    name: 'reason',
    type: 'uint8',
    words: REASONS,
    about: 'why: what came, the oldest, the lowest score, a choice, asked of the session',
  },
  { name: 'slot', type: 'int32', none: -1, about: 'where the token was; null: it never had a slot' },
  { name: 'target', type: 'int32', none: -1, about: 'the slot that it went to' },
  {
    name: 'rank',
    type: 'int32',
    none: -1,
    about: 'of who leaves: its place among the candidates, 0 = the first to leave',
  },
  { name: 'score', type: 'float32', none: NaN, about: 'its score at that moment' },
  {
    name: 'threshold',
    type: 'float32',
    none: NaN,
    about: "of who leaves: the lowest score of a candidate that stayed, where the head's own scores chose",
  },
  { name: 'similarity', type: 'float32', none: NaN, about: 'of a merge: as the policy measures it' },
  { name: 'targetScore', type: 'float32', none: NaN, about: 'of a merge: the score of the target, before' },
  { name: 'weight', type: 'float32', about: 'tokens that it stood for, before' },
  { name: 'targetWeight', type: 'float32', about: 'of a merge: tokens that the target stood for, before; else 0' },
  { name: 'weightAfter', type: 'float32', from: weightAfter, about: 'of the slot that the event is about, after' },
]

/** Those that EventColumns itself has. */
export const EVENT_COLUMNS = COLUMNS.filter(({ type, from }) => type !== 'text' && !from) as readonly (ColumnOf & {
  name: EventName
})[]

/** Of one event in memory: 50. */
export const EVENT_BYTES = EVENT_COLUMNS.reduce((sum, { type }) => sum + ARRAYS[type].BYTES_PER_ELEMENT, 0)

/** Of the slot merged into, or the token's own; 0 once it is gone. */
function weightAfter({ action, weight, targetWeight }: EventColumns, row: number): number {
  if (action[row] === ACTION.drop) return 0
  return action[row] === ACTION.merge ? weight[row] + targetWeight[row] : weight[row]
}

/** Values that may be made as they are asked for, piece by piece. */
export interface Slices {
  readonly length: number
  subarray(from: number, to: number): Values
}

/** A column as it goes into tables and files: a value for each event, or the number of its word. */
export interface Laid extends ColumnOf {
  values: Slices
}

/** All columns of `events`; `text` says what the token at a position is. */
export function laidOut(events: EventColumns, text: (position: number) => string): Laid[] {
  return COLUMNS.map((column) => {
    const { name, type, from } = column
    if (type === 'text') return { ...column, ...wordsOf(events.position, text) }
    if (from) return { ...column, values: made(events, from) }
    const values = events[name as EventName] as Values
    return { ...column, values: values instanceof ARRAYS[type] ? values : ARRAYS[type].from(values) }
  })
}

function made(events: EventColumns, value: NonNullable<ColumnOf['from']>): Slices {
  const subarray = (from: number, to: number) => {
    const values = new Float32Array(to - from)
    for (let row = from; row < to; row++) values[row - from] = value(events, row)
    return values
  }
  return { length: events.step.length, subarray }
}

/** Each text once, and its number for every position. */
function wordsOf(positions: Int32Array, text: (position: number) => string): { values: Slices; words: string[] } {
  const words: string[] = []
  const numbers = new Map<string, number>()
  const { length } = positions
  let most = -1
  for (let row = 0; row < length; row++) if (positions[row] > most) most = positions[row]
  const known = new Int32Array(most + 1).fill(-1)
  for (let row = 0; row < length; row++) {
    const position = positions[row]
    if (known[position] >= 0) continue
    const word = text(position)
    const number = numbers.get(word) ?? words.push(word) - 1
    numbers.set(word, number)
    known[position] = number
  }
  const subarray = (from: number, to: number) => {
    const values = new Int32Array(to - from)
    for (let row = from; row < to; row++) values[row - from] = known[positions[row]]
    return values
  }
  return { values: { length, subarray }, words }
}

export type TraceCell = number | string | null

/** One value as tables show it. */
function cell({ words, none }: Laid, value: number): TraceCell {
  if (isNone(value, none)) return null
  return words ? words[value] : value
}

/** Rows `from` … `to` − 1 of all columns as tables show them. */
export function tableOf(laid: readonly Laid[], from: number, to: number): Record<string, TraceCell[]> {
  return Object.fromEntries(
    laid.map((column) => [column.name, Array.from(column.values.subarray(from, to), (value) => cell(column, value))]),
  )
}

export const isNone = (value: number, none: number | undefined) =>
  none !== undefined && (value === none || (Number.isNaN(none) && Number.isNaN(value)))
