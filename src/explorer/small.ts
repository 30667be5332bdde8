/** Every kv head as a small picture: which parts of the text still had slots of their own, step by step. In one pass over the events. */
import type { EventColumns } from '../figures/data.js'
import { ACTION } from '../trace/actions.js'
import type { HeadRows } from '../trace/head-rows.js'

export interface Small {
  rows: number
  columns: number
  /** [head][row][column], as in ExplorerRun.small. */
  values: Uint8Array
}

/** None of a column's tokens has come yet. */
export const NOT_YET = 255
const FULL = 254

type Events = Pick<EventColumns, 'step' | 'action' | 'position' | 'slot'>

/** `rows`: of `heads` heads, layers × kvHeads. A slot that several tokens share is counted as its first token's. */
export function smallOf(events: Events, rows: HeadRows, heads: number, tokens: number, lastStep: number): Small {
  const [most, across] = heads > 256 ? [16, 32] : [24, 48]
  const shape = { rows: Math.min(most, lastStep + 1), columns: Math.min(across, Math.max(1, tokens)) }
  const size = shape.rows * shape.columns
  // Of long runs there are millions of events: what is divided is looked up.
  const rowAt = Int32Array.from(
    { length: lastStep + 1 },
    (_, step) => shape.columns * Math.floor((step * shape.rows) / (lastStep + 1)),
  )
  const columnAt = Int32Array.from({ length: tokens }, (_, position) => Math.floor((position * shape.columns) / tokens))
  const { step, action, position, slot } = events
  const place = (row: number) => rowAt[Math.min(lastStep, step[row])] + columnAt[position[row]]
  // What a row has more than the one before. Tokens come to all heads at once: they are counted in the first.
  const [came, held] = [new Int32Array(size), new Int32Array(heads * size)]
  const known = new Uint8Array(heads)
  const first = rows.first()
  if (first >= 0) for (const row of rows.of(first)) if (comes(events, row)) came[place(row)]++
  rows.each((head, from, to) => {
    known[head] = 1
    const own = head * size
    for (let row = from; row < to; row++) {
      const what = action[row]
      if (what === ACTION.drop || what === ACTION.merge) {
        // Most of a long run's: a token of the prompt that never had a slot, which is not looked at further.
        if (slot[row] >= 0) held[own + place(row)]--
      } else if (what === ACTION.admit || what === ACTION.unevict) held[own + place(row)]++
    }
  })
  for (let i = shape.columns; i < size; i++) came[i] += came[i - shape.columns]
  const values = new Uint8Array(heads * size).fill(NOT_YET)
  for (let head = 0; head < heads; head++) {
    if (!known[head]) continue
    for (let i = 0, at = head * size; i < size; i++, at++) {
      if (i >= shape.columns) held[at] += held[at - shape.columns]
      if (came[i]) values[at] = Math.round((FULL * Math.max(0, held[at])) / came[i])
    }
  }
  return { ...shape, values }
}

/** Also a token of the prompt that never had a slot, which comes and goes at once. */
const comes = ({ action, slot }: Events, row: number) =>
  action[row] === ACTION.admit || ((action[row] === ACTION.drop || action[row] === ACTION.merge) && slot[row] < 0)
