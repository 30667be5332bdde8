/** Every kv head as a small picture: which parts of the text still had slots of their own, step by step. In one pass over the events. */
import type { EventColumns } from '../figures/data.js'
import { ACTION } from '../trace/actions.js'

export interface Small {
  rows: number
  columns: number
  /** [head][row][column], as in ExplorerRun.small. */
  values: Uint8Array
}

/** None of a column's tokens has come yet. */
export const NOT_YET = 255
const FULL = 254

type Events = Pick<EventColumns, 'step' | 'layer' | 'kvHead' | 'action' | 'position' | 'slot'>

/** `heads` = layers × kvHeads. A slot that several tokens share is counted as its first token's. */
export function smallOf(events: Events, kvHeads: number, heads: number, tokens: number, lastStep: number): Small {
  const [rows, columns] = heads > 256 ? [16, 32] : [24, 48]
  const shape = { rows: Math.min(rows, lastStep + 1), columns: Math.min(columns, Math.max(1, tokens)) }
  const size = shape.rows * shape.columns
  // Of long runs there are millions of events: what is divided is looked up.
  const rowAt = Int32Array.from(
    { length: lastStep + 1 },
    (_, step) => shape.columns * Math.floor((step * shape.rows) / (lastStep + 1)),
  )
  const columnAt = Int32Array.from({ length: tokens }, (_, position) => Math.floor((position * shape.columns) / tokens))
  // What a row has more than the one before.
  const [came, held] = [new Int32Array(heads * size), new Int32Array(heads * size)]
  const { step, layer, kvHead, action, position, slot } = events
  const count = step.length
  for (let row = 0; row < count; row++) {
    const what = action[row]
    if (what !== ACTION.admit && what !== ACTION.merge && what !== ACTION.drop && what !== ACTION.unevict) continue
    const head = layer[row] * kvHeads + kvHead[row]
    const at = head * size + rowAt[Math.min(lastStep, step[row])] + columnAt[position[row]]
    if (what === ACTION.admit) {
      came[at]++
      held[at]++
    } else if (what === ACTION.unevict) {
      held[at]++
    } else if (slot[row] < 0) {
      // A token of the prompt that never had a slot comes and goes at once.
      came[at]++
    } else held[at]--
  }
  const values = new Uint8Array(heads * size)
  for (let head = 0; head < heads; head++)
    for (let i = 0; i < size; i++) {
      const at = head * size + i
      if (i >= shape.columns) {
        came[at] += came[at - shape.columns]
        held[at] += held[at - shape.columns]
      }
      values[at] = came[at] ? Math.round((FULL * Math.max(0, held[at])) / came[at]) : NOT_YET
    }
  return { ...shape, values }
}
