/**
 * How long tokens keep a slot of their own, counted in every kv head of a run: at the first compression by age, after it as curves of
 * Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over age, since many tokens are still alone when the run ends.
 */
import { ACTION, type EventColumns, type RunData, type Sizes } from './data.js'
import { candidateFrom, firstCompression, sizesOf } from './fates.js'

/** Departures and those who might have departed, by age: steps since the token came, for the prompt's the tokens after it, too. */
export interface ByAge {
  atRisk: Float64Array
  merged: Float64Array
  dropped: Float64Array
}

/** One kv head. A token leaves when it is dropped or when its slot stops standing for it alone. */
export interface HeadSurvival {
  layer: number
  kvHead: number
  /** Steps at which a new token is protected, and the step at which the cache is first full; Infinity: never. */
  recent: number
  full: number
  /** Tokens seen by then that had lost their slot then, by the run's end; [age then]. Nothing where it never was full. */
  lostThen: Uint8Array
  lostAtEnd: Uint8Array
  /** Of `lostThen`. */
  mergedThen: number
  /** Tokens that left after that; `atOnce`: at the first step at which they could. */
  later: { merged: number; dropped: number; atOnce: number }
  /**
   * Of the tokens that were protected at the first compression or came after it: `followed`. The share that is still alone when as
   * old as that, a product over ages up to it of 1 − left / at risk; level where nobody is at risk; as long as the oldest
   * of them was followed.
   */
  curve: Float64Array
  followed: ByAge
  tokens: number
  /** Followed tokens that are still alone at the end, so that nobody knows how old they would have become. */
  censored: number
}

/** Of every kv head, or of those of `layer`. Time: one pass over the events and one over each head's tokens. */
export function survivalOf(data: RunData, events: EventColumns, layer?: number): HeadSurvival[] {
  const [first, last] = layer === undefined ? [0, data.layers] : [layer, layer + 1]
  const heads = Array.from({ length: (last - first) * data.kvHeads }, (_, i) => first * data.kvHeads + i)
  const departures = departuresOf(data, events, heads[0], heads.length)
  const places = { fate: new Uint8Array(data.tokens.length), slot: new Int32Array(data.tokens.length) }
  return heads.map((head, i) => {
    const [of, kvHead] = [Math.floor(head / data.kvHeads), head % data.kvHeads]
    return headSurvival(data, livesOf(data, departures, i, of, kvHead, places), of, kvHead)
  })
}

interface Departures {
  /** [heads, tokens]: the step of the last event that took the token from its slot, + 1; 0: none did. */
  left: Int32Array
  /** [heads, width]: the step at which something first went into the slot, + 1; 0: nothing did. */
  joined: Int32Array
  width: number
}

/** Of `count` heads from the one numbered `from` on. */
function departuresOf(data: RunData, events: EventColumns, from: number, count: number): Departures {
  const tokens = data.tokens.length
  const width = data.origins.reduce(
    (most, { kvHeads }) => kvHeads.reduce((max, { length }) => Math.max(max, length), most),
    1,
  )
  const left = new Int32Array(count * tokens)
  const joined = new Int32Array(count * width)
  const { step, action, layer, kvHead, position, target } = events
  const { kvHeads } = data
  for (let row = 0; row < step.length; row++) {
    const what = action[row]
    if (what !== ACTION.merge && what !== ACTION.drop) continue
    const head = layer[row] * kvHeads + kvHead[row] - from
    if (head < 0 || head >= count) continue
    left[head * tokens + position[row]] = step[row] + 1
    if (what !== ACTION.merge || target[row] >= width) continue
    const slot = head * width + target[row]
    if (!joined[slot]) joined[slot] = step[row] + 1
  }
  return { left, joined, width }
}

const [DROPPED, KEPT, MERGED] = [0, 1, 2]

/** One kv head, by position. */
interface Lives {
  sizes: Sizes
  /** What became of the token by the end; shared with the next head. */
  fate: Uint8Array
  /** The step at which it left its slot, or its slot stopped being its own; −1: it has it. */
  left: Int32Array
}

/** The head numbered `at` of `departures`; `places` is written over. */
function livesOf(
  data: RunData,
  { left: all, joined, width }: Departures,
  at: number,
  layer: number,
  kvHead: number,
  { fate, slot }: { fate: Uint8Array; slot: Int32Array },
): Lives {
  const count = data.tokens.length
  fate.fill(DROPPED)
  slot.fill(-1)
  data.origins[layer].kvHeads[kvHead].forEach((members, own) => {
    const become = members.length > 1 ? MERGED : KEPT
    for (let i = 0; i < members.length; i++) {
      fate[members[i]] = become
      slot[members[i]] = own
    }
  })
  const left = all.subarray(at * count, (at + 1) * count)
  const { promptTokens } = data
  for (let position = 0; position < count; position++) {
    const step = left[position] - 1
    // A group of one at the prompt: it was put into a residual slot and is still alone there.
    if (fate[position] === KEPT) left[position] = -1
    else if (step >= 0) left[position] = step
    else {
      // The first member of a merged slot never moved: it stopped being alone when the second came.
      const came = Math.max(0, position - promptTokens + 1)
      left[position] = slot[position] < 0 ? came : Math.max(came, joined[at * width + slot[position]] - 1)
    }
  }
  return { sizes: sizesOf(data, layer, kvHead), fate, left }
}

function headSurvival(data: RunData, lives: Lives, layer: number, kvHead: number): HeadSurvival {
  const { sizes, fate, left } = lives
  const total = data.tokens.length
  const first = firstCompression(data, sizes)
  const full = first > data.steps ? Infinity : first
  const seen = full === Infinity ? 0 : data.promptTokens + full
  const made: HeadSurvival = {
    layer,
    kvHead,
    recent: sizes.recent,
    full,
    lostThen: new Uint8Array(seen),
    lostAtEnd: new Uint8Array(seen),
    mergedThen: 0,
    later: { merged: 0, dropped: 0, atOnce: 0 },
    curve: new Float64Array(0),
    followed: { atRisk: new Float64Array(0), merged: new Float64Array(0), dropped: new Float64Array(0) },
    tokens: 0,
    censored: 0,
  }
  const { lostThen, lostAtEnd, later } = made
  for (let position = 0; position < total; position++) {
    const step = left[position]
    if (step < 0) continue
    const merged = fate[position] === MERGED
    if (position < seen) lostAtEnd[seen - 1 - position] = 1
    if (step <= full) {
      if (position >= seen) continue
      lostThen[seen - 1 - position] = 1
      if (merged) made.mergedThen++
      continue
    }
    if (merged) later.merged++
    else later.dropped++
    if (step <= candidateFrom(data, position, sizes)) later.atOnce++
  }
  follow(data, lives, made)
  return made
}

function follow(data: RunData, { sizes, fate, left }: Lives, made: HeadSurvival): void {
  const total = data.tokens.length
  // Those that may leave only after the cache is first full, first tokens that never leave aside.
  const protectedThen = made.full === Infinity ? 0 : data.promptTokens + made.full - sizes.recent
  const from = Math.min(total, Math.max(sizes.sink, protectedThen, 0))
  const ageAt = (step: number, position: number) => data.promptTokens + step - 1 - position
  const last = new Int32Array(total - from)
  let ages = 0
  for (let position = from; position < total; position++) {
    const age = ageAt(left[position] < 0 ? data.steps : left[position], position)
    last[position - from] = age
    ages = Math.max(ages, age + 1)
  }
  const by = (): Float64Array => new Float64Array(ages)
  const [atRisk, merged, dropped] = [by(), by(), by()]
  // Those that come under observation at an age, less those that were last seen at the age before.
  const change = new Float64Array(ages + 1)
  for (let position = from; position < total; position++) {
    const age = last[position - from]
    change[Math.max(0, ageAt(0, position))]++
    change[age + 1]--
    if (left[position] < 0) made.censored++
    else if (fate[position] === MERGED) merged[age]++
    else dropped[age]++
  }
  let [risk, alone] = [0, 1]
  made.curve = by()
  for (let age = 0; age < ages; age++) {
    atRisk[age] = risk += change[age]
    if (risk > 0) alone *= 1 - (merged[age] + dropped[age]) / risk
    made.curve[age] = alone
  }
  made.tokens = total - from
  made.followed = { atRisk, merged, dropped }
}

/** Of `flags`, from `from` to `to` − 1. */
export function ones(flags: Uint8Array, from = 0, to = flags.length): number {
  let sum = 0
  for (let i = from, end = Math.min(to, flags.length); i < end; i++) sum += flags[i]
  return sum
}

/** Sums over heads of what is counted. */
export function totalsOf(heads: HeadSurvival[]) {
  const sum = (value: (head: HeadSurvival) => number) => heads.reduce((all, head) => all + value(head), 0)
  return {
    seen: sum(({ lostThen }) => lostThen.length),
    lostThen: sum(({ lostThen }) => ones(lostThen)),
    mergedThen: sum(({ mergedThen }) => mergedThen),
    merged: sum(({ later }) => later.merged),
    dropped: sum(({ later }) => later.dropped),
    later: sum(({ later }) => later.merged + later.dropped),
    atOnce: sum(({ later }) => later.atOnce),
    tokens: sum(({ tokens }) => tokens),
    censored: sum(({ censored }) => censored),
  }
}
