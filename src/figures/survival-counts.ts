/**
 * How long tokens keep a slot of their own, counted in every kv head of a run: at the first compression by age, after it as curves of
 * Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over age, since many tokens are still alone when the run ends.
 */
import { ACTION, type EventColumns, type RunData, type Sizes } from './data.js'
import { candidateFrom, firstCompression, sizesOf } from './fates.js'

/** Departures and those who might have departed, by age: steps since the token came, for the prompt's the tokens after it, too. */
export interface ByAge {
  atRisk: Int32Array
  merged: Int32Array
  dropped: Int32Array
}

/** One kv head. A token leaves when it is dropped or when its slot stops standing for it alone. */
export interface HeadSurvival {
  layer: number
  kvHead: number
  /** Steps at which a new token is protected, and the step at which the cache is first full; Infinity: never. */
  recent: number
  full: number
  /** Tokens seen by then; 0 where it never was full. */
  seen: number
  /** Ages then that are counted together: as many for every head. */
  binSize: number
  /** Of the tokens seen by then, how many had lost their slot then, by the run's end; [bin of ages then]. */
  lostThen: Int32Array
  lostAtEnd: Int32Array
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

/** Bins of ages then, at most. */
const BINS = 120

/** Of every kv head, or of those of `layer`. Time: one pass over the actions, one over what followed the prompt, one over each head's tokens. */
export function survivalOf(data: RunData, events: EventColumns, layer?: number): HeadSurvival[] {
  const [first, last] = layer === undefined ? [0, data.layers] : [layer, layer + 1]
  const heads = Array.from({ length: (last - first) * data.kvHeads }, (_, i) => first * data.kvHeads + i)
  const departures = departuresOf(data, events, heads[0], heads.length)
  const spans = heads.map((head) => spanOf(data, sizesOf(data, Math.floor(head / data.kvHeads), head % data.kvHeads)))
  const binSize = Math.max(1, Math.ceil(Math.max(...spans.map(({ seen }) => seen)) / BINS))
  const tokens = data.tokens.length
  const places = { fate: new Uint8Array(tokens), left: new Int32Array(tokens) }
  return heads.map((head, i) => {
    const [of, kvHead] = [Math.floor(head / data.kvHeads), head % data.kvHeads]
    const lives = livesOf(data, events, departures, i, of, kvHead, places)
    return headSurvival(data, lives, { layer: of, kvHead, recent: lives.sizes.recent, ...spans[i], binSize })
  })
}

/** The step at which a cache of that size is first full, and how many tokens were seen by then. */
function spanOf(data: RunData, sizes: Sizes): Pick<HeadSurvival, 'full' | 'seen'> {
  const first = firstCompression(data, sizes)
  return first > data.steps ? { full: Infinity, seen: 0 } : { full: first, seen: data.promptTokens + first }
}

/**
 * What the events say that the slots at the end do not. Of the prompt's tokens that nobody holds at the end most went with the prompt: their
 * events, nearly all of a long run's, are not looked at one by one.
 */
interface Departures {
  /** [heads][…]: rows of merges and drops after the prompt, in order. */
  later: Int32Array[]
  /** [heads, tokens]: 1: the token was merged into a slot with the prompt. Undefined where none was. */
  moved: Uint8Array | undefined
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
  const joined = new Int32Array(count * width)
  const { step, action, layer, kvHead, position, target } = events
  const headOf = (row: number) => {
    const head = layer[row] * data.kvHeads + kvHead[row] - from
    return head >= 0 && head < count ? head : -1
  }
  const join = (head: number, row: number) => {
    const slot = head * width + target[row]
    if (target[row] < width && !joined[slot]) joined[slot] = step[row] + 1
  }
  const prompt = rowsUntil(step, 1)
  let moved: Uint8Array | undefined
  for (let row = 0; row < prompt; row++) {
    if (action[row] !== ACTION.merge) continue
    const head = headOf(row)
    if (head < 0) continue
    moved ??= new Uint8Array(count * tokens)
    moved[head * tokens + position[row]] = 1
    join(head, row)
  }
  const leaves = (row: number) => action[row] === ACTION.merge || action[row] === ACTION.drop
  const counts = new Int32Array(count)
  for (let row = prompt; row < step.length; row++) if (leaves(row) && headOf(row) >= 0) counts[headOf(row)]++
  const later = Array.from(counts, (length) => new Int32Array(length))
  counts.fill(0)
  for (let row = prompt; row < step.length; row++) {
    const head = leaves(row) ? headOf(row) : -1
    if (head < 0) continue
    later[head][counts[head]++] = row
    if (action[row] === ACTION.merge) join(head, row)
  }
  return { later, moved, joined, width }
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

const [DROPPED, KEPT, MERGED] = [0, 1, 2]

/** One kv head, by position; shared with the next head. */
interface Lives {
  sizes: Sizes
  /** What became of the token by the end. */
  fate: Uint8Array
  /** The step at which it left its slot, or its slot stopped being its own; −1: it has it. */
  left: Int32Array
}

/** The head numbered `at` of `departures`; `places` is written over. */
function livesOf(
  data: RunData,
  { step, position: positions }: EventColumns,
  { later, moved, joined, width }: Departures,
  at: number,
  layer: number,
  kvHead: number,
  { fate, left }: Pick<Lives, 'fate' | 'left'>,
): Lives {
  const count = data.tokens.length
  const { promptTokens } = data
  fate.fill(DROPPED)
  // Who is not held at the end and no event after the prompt tells of left as it came.
  left.fill(0, 0, promptTokens)
  for (let position = promptTokens; position < count; position++) left[position] = position - promptTokens + 1
  data.origins[layer].kvHeads[kvHead].forEach((members, slot) => {
    if (members.length === 1) {
      fate[members[0]] = KEPT
      left[members[0]] = -1
      return
    }
    for (let i = 0; i < members.length; i++) {
      fate[members[i]] = MERGED
      // The first member of a merged slot never moved: it stopped being alone when the second came.
      if (!moved?.[at * count + members[i]])
        left[members[i]] = Math.max(left[members[i]], joined[at * width + slot] - 1)
    }
  })
  for (const row of later[at]) {
    // A group of one: it was put into a residual slot and is still alone there.
    if (fate[positions[row]] !== KEPT) left[positions[row]] = step[row]
  }
  return { sizes: sizesOf(data, layer, kvHead), fate, left }
}

type Known = Pick<HeadSurvival, 'layer' | 'kvHead' | 'recent' | 'full' | 'seen' | 'binSize'>

function headSurvival(data: RunData, lives: Lives, known: Known): HeadSurvival {
  const { sizes, fate, left } = lives
  const { seen, binSize } = known
  const bins = Math.ceil(seen / binSize)
  // A whole number: the loop below sees every token of every head.
  const full = Math.min(known.full, data.steps) | 0
  const none = new Int32Array(0)
  const made: HeadSurvival = {
    ...known,
    lostThen: new Int32Array(bins),
    lostAtEnd: new Int32Array(bins),
    mergedThen: 0,
    later: { merged: 0, dropped: 0, atOnce: 0 },
    curve: new Float64Array(0),
    followed: { atRisk: none, merged: none, dropped: none },
    tokens: 0,
    censored: 0,
  }
  const { lostThen, lostAtEnd, later } = made
  const leftLater = (position: number) => {
    if (fate[position] === MERGED) later.merged++
    else later.dropped++
    if (left[position] <= candidateFrom(data, position, sizes)) later.atOnce++
  }
  for (let bin = 0; bin < bins; bin++) {
    const to = seen - bin * binSize
    const from = Math.max(0, to - binSize)
    let [kept, since, merged] = [0, 0, 0]
    for (let position = from; position < to; position++) {
      const step = left[position]
      if (step < 0) kept++
      else if (step > full) {
        leftLater(position)
        since++
      } else if (fate[position] === MERGED) merged++
    }
    lostAtEnd[bin] = to - from - kept
    lostThen[bin] = lostAtEnd[bin] - since
    made.mergedThen += merged
  }
  for (let position = seen; position < left.length; position++) if (left[position] > full) leftLater(position)
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
  const by = () => new Int32Array(ages)
  const [atRisk, merged, dropped, curve] = [by(), by(), by(), new Float64Array(ages)]
  // Those that come under observation at an age, less those that were last seen at the age before.
  const change = new Int32Array(ages + 1)
  for (let position = from; position < total; position++) {
    const age = last[position - from]
    change[Math.max(0, ageAt(0, position))]++
    change[age + 1]--
    if (left[position] < 0) made.censored++
    else if (fate[position] === MERGED) merged[age]++
    else dropped[age]++
  }
  let [risk, alone] = [0, 1]
  made.curve = curve
  for (let age = 0; age < ages; age++) {
    atRisk[age] = risk += change[age]
    if (risk > 0) alone *= 1 - (merged[age] + dropped[age]) / risk
    curve[age] = alone
  }
  made.tokens = total - from
  made.followed = { atRisk, merged, dropped }
}

/** Sums over heads of what is counted. */
export function totalsOf(heads: HeadSurvival[]) {
  const sum = (value: (head: HeadSurvival) => number) => heads.reduce((all, head) => all + value(head), 0)
  return {
    seen: sum(({ seen }) => seen),
    lostThen: sum(({ lostThen }) => lostThen.reduce((all, lost) => all + lost, 0)),
    mergedThen: sum(({ mergedThen }) => mergedThen),
    merged: sum(({ later }) => later.merged),
    dropped: sum(({ later }) => later.dropped),
    later: sum(({ later }) => later.merged + later.dropped),
    atOnce: sum(({ later }) => later.atOnce),
    tokens: sum(({ tokens }) => tokens),
    censored: sum(({ censored }) => censored),
  }
}
