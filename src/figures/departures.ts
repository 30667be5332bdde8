/** When each token of a head left its slot, of all heads at once: what survival counts. */
import { ACTION, type EventColumns, type RunData, type Sizes } from './data.js'
import { sizesOf } from './fates.js'
import { gapsOf, type Gap } from './gaps.js'
import { pieces } from './pieces.js'

/**
 * What the events say that the slots at the end do not. Of the prompt's tokens that nobody holds at the end most went with the prompt: their
 * events, nearly all of a long run's, are not looked at one by one.
 */
export interface Departures {
  /** [heads][…]: rows of merges, drops and returns after the prompt, in order. */
  later: Int32Array[]
  /**
   * [heads, tokens]: 1: the token was merged into a slot with the prompt. Undefined where that says no more than `joined` does: every slot that
   * several share was joined with the prompt first, too.
   */
  moved: Uint8Array | undefined
  /** [heads, width]: the step at which something first went into the slot, + 1; 0: nothing did. */
  joined: Int32Array
  width: number
}

/** Of `count` heads from the one numbered `from` on. */
export function departuresOf(data: RunData, events: EventColumns, from: number, count: number): Departures {
  const width = data.origins.reduce(
    (most, { kvHeads }) => kvHeads.reduce((max, { length }) => Math.max(max, length), most),
    1,
  )
  const joined = new Int32Array(count * width)
  const { step, action, layer, kvHead, target } = events
  const headOf = (row: number) => {
    const head = layer[row] * data.kvHeads + kvHead[row] - from
    return head >= 0 && head < count ? head : -1
  }
  const join = (head: number, row: number) => {
    const slot = head * width + target[row]
    if (target[row] < width && !joined[slot]) joined[slot] = step[row] + 1
  }
  const prompt = rowsUntil(step, 1)
  let merges = false
  // Most policies only drop.
  const first = action instanceof Uint8Array ? action.indexOf(ACTION.merge) : 0
  for (let row = first < 0 ? prompt : first; row < prompt; row++) {
    if (action[row] !== ACTION.merge) continue
    const head = headOf(row)
    if (head < 0) continue
    merges = true
    join(head, row)
  }
  const moves = (row: number) =>
    action[row] === ACTION.merge || action[row] === ACTION.drop || action[row] === ACTION.unevict
  const counts = new Int32Array(count)
  for (let row = prompt; row < step.length; row++) if (moves(row) && headOf(row) >= 0) counts[headOf(row)]++
  const take = pieces(new Int32Array(counts.reduce((sum, length) => sum + length, 0)))
  const later = Array.from(counts, take)
  counts.fill(0)
  for (let row = prompt; row < step.length; row++) {
    const head = moves(row) ? headOf(row) : -1
    if (head < 0) continue
    later[head][counts[head]++] = row
    if (action[row] === ACTION.merge) join(head, row)
  }
  const shared = (at: number) => {
    const head = from + Math.floor(at / width)
    return data.origins[Math.floor(head / data.kvHeads)].kvHeads[head % data.kvHeads][at % width]?.length > 1
  }
  const joinedLater = merges && joined.some((came, at) => came > 1 && shared(at))
  return { later, moved: joinedLater ? movedUntil(prompt, data, events, headOf, count) : undefined, joined, width }
}

/** As `moved` of Departures, from the rows before `end`. */
function movedUntil(
  end: number,
  { tokens }: RunData,
  { action, position }: EventColumns,
  headOf: (row: number) => number,
  count: number,
): Uint8Array {
  const moved = new Uint8Array(count * tokens.length)
  for (let row = 0; row < end; row++) {
    const head = action[row] === ACTION.merge ? headOf(row) : -1
    if (head >= 0) moved[head * tokens.length + position[row]] = 1
  }
  return moved
}

/** How many rows come before `step`. */
function rowsUntil(steps: ArrayLike<number>, step: number): number {
  let [low, high] = [0, steps.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (steps[middle] < step) low = middle + 1
    else high = middle
  }
  return low
}

export const [DROPPED, KEPT, MERGED] = [0, 1, 2]

/** One kv head, by position; shared with the next head. */
export interface Lives {
  sizes: Sizes
  /** What became of the token by the end. */
  fate: Uint8Array
  /** The step at which it left its slot, or its slot stopped being its own; −1: it has it. */
  left: Int32Array
  /** In between of which it was gone, though it came back. */
  gaps: Gap[]
  /** [slots]: the positions that each stands for at the end. */
  held: ArrayLike<number>[]
  /** As in Departures. */
  later: Int32Array
}

/** The head numbered `at` of `departures`; `places` is written over. */
export function livesOf(
  data: RunData,
  events: EventColumns,
  { later, moved, joined, width }: Departures,
  at: number,
  layer: number,
  kvHead: number,
  { fate, left }: Pick<Lives, 'fate' | 'left'>,
): Lives {
  const count = data.tokens.length
  const { promptTokens } = data
  const { step, action, position: positions } = events
  fate.fill(DROPPED)
  // Who is not held at the end and no event after the prompt tells of left as it came.
  left.fill(0, 0, promptTokens)
  for (let position = promptTokens; position < count; position++) left[position] = position - promptTokens + 1
  const held = data.origins[layer].kvHeads[kvHead]
  for (let slot = 0; slot < held.length; slot++) {
    const members = held[slot]
    if (members.length === 1) {
      fate[members[0]] = KEPT
      left[members[0]] = -1
      continue
    }
    // The first member of a merged slot never moved: it stopped being alone when the second came.
    const second = joined[at * width + slot] - 1
    for (let i = 0; i < members.length; i++) {
      fate[members[i]] = MERGED
      if (second > left[members[i]] && !moved?.[at * count + members[i]]) left[members[i]] = second
    }
  }
  for (const row of later[at]) {
    // A group of one: it was put into a residual slot and is still alone there; or it came back.
    if (fate[positions[row]] !== KEPT && action[row] !== ACTION.unevict) left[positions[row]] = step[row]
  }
  return {
    sizes: sizesOf(data, layer, kvHead),
    fate,
    left,
    gaps: gapsOf(events, later[at], promptTokens),
    held,
    later: later[at],
  }
}
