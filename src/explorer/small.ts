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
  const rowOf = (step: number) => Math.floor((Math.min(lastStep, step) * shape.rows) / (lastStep + 1))
  // What a row has more than the one before.
  const [came, held] = [new Int32Array(heads * size), new Int32Array(heads * size)]
  for (let row = 0; row < events.step.length; row++) {
    const action = events.action[row]
    if (action !== ACTION.admit && action !== ACTION.merge && action !== ACTION.drop) continue
    const column = Math.floor((events.position[row] * shape.columns) / tokens)
    const head = events.layer[row] * kvHeads + events.kvHead[row]
    const at = head * size + rowOf(events.step[row]) * shape.columns + column
    // A token of the prompt that never had a slot comes and goes at once.
    const comes = action === ACTION.admit || events.slot[row] < 0
    const goes = action !== ACTION.admit
    came[at] += Number(comes)
    held[at] += Number(comes) - Number(goes)
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
