/** Regret by token: what heads missed of each token after they had lost its slot, from the lost-events of a shadow. */
import type { LocalData } from './data.js'

/** Arrays by position: sums over kv heads and rows, split by how the token was lost, as shares of one row of one head. */
export interface Regret {
  merged: Float64Array
  dropped: Float64Array
  /** Kv heads that lost it. */
  heads: Int32Array
  /** The largest probability that one head missed of it in one row, and where; −1: nowhere. */
  worst: Float64Array
  worstRow: Int32Array
  /** First and last step at which a head lost it; −1: none did. */
  first: Int32Array
  last: Int32Array
  /** Kv heads that were looked at. */
  of: number
}

export type Measure = 'probability' | 'change'

/** Of all kv heads, or of those that `chosen` picks. */
export function regretOf(
  local: LocalData,
  tokens: number,
  measure: Measure,
  chosen: { layer?: number; kvHead?: number },
): Regret {
  const { lost, layers, kvHeads, steps } = local
  const of = (chosen.layer === undefined ? layers : 1) * (chosen.kvHead === undefined ? kvHeads : 1)
  const made: Regret = {
    merged: new Float64Array(tokens),
    dropped: new Float64Array(tokens),
    heads: new Int32Array(tokens),
    worst: new Float64Array(tokens),
    worstRow: new Int32Array(tokens).fill(-1),
    first: new Int32Array(tokens).fill(-1),
    last: new Int32Array(tokens).fill(-1),
    of,
  }
  for (let row = 0; row < lost.position.length; row++) {
    if (chosen.layer !== undefined && lost.layer[row] !== chosen.layer) continue
    if (chosen.kvHead !== undefined && lost.kvHead[row] !== chosen.kvHead) continue
    const [position, step] = [lost.position[row], lost.step[row]]
    made[lost.merged[row] ? 'merged' : 'dropped'][position] += lost[measure][row] / (of * steps.length)
    made.heads[position]++
    if (made.first[position] < 0 || step < made.first[position]) made.first[position] = step
    if (step > made.last[position]) made.last[position] = step
    if (lost.worst[row] <= made.worst[position]) continue
    made.worst[position] = lost.worst[row]
    made.worstRow[position] = row
  }
  return made
}
