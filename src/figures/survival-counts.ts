/**
 * How long tokens keep a slot of their own, counted in every kv head of a run: at the first compression by age, after it as curves of
 * Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over age, since many tokens are still alone when the run ends.
 */
import { Bits, wordsOf } from './bits.js'
import type { EventColumns, RunData } from './data.js'
import { departuresOf, livesOf, MERGED, type Lives } from './departures.js'
import { candidateFrom, firstCompression, sizesOf } from './fates.js'
import { pieces } from './pieces.js'

/** Departures and those who might have departed, by age: steps since the token came, for the prompt's the tokens after it, too. */
export interface ByAge {
  atRisk: Int32Array
  merged: Int32Array
  dropped: Int32Array
}

/**
 * One kv head. A token leaves when it is dropped or when its slot stops standing for it alone. One that was brought back was gone in between: it
 * left, each time that it did, and is at risk again from its return on.
 */
export interface HeadSurvival {
  layer: number
  kvHead: number
  /** Steps at which a new token is protected, and the step at which the cache is first full; Infinity: never. */
  recent: number
  full: number
  /** Tokens seen by then; 0 where it never was full. */
  seen: number
  /** Of the tokens seen by then, who had no slot of their own then, and who has none at the run's end; [age then]. */
  lostThen: Bits
  lostAtEnd: Bits
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

/** Of every kv head, or of those of `layer`. Time: one pass over the actions, one over what followed the prompt, one over each head's tokens. */
export function survivalOf(data: RunData, events: EventColumns, layer?: number): HeadSurvival[] {
  const [first, last] = layer === undefined ? [0, data.layers] : [layer, layer + 1]
  const heads = Array.from({ length: (last - first) * data.kvHeads }, (_, i) => first * data.kvHeads + i)
  const departures = departuresOf(data, events, heads[0], heads.length)
  const known = heads.map((head) => knownOf(data, Math.floor(head / data.kvHeads), head % data.kvHeads))
  const room = roomFor(data.tokens.length, known)
  return known.map((each, i) => {
    const lives = livesOf(data, events, departures, i, each.layer, each.kvHead, room)
    return headSurvival(data, events, lives, each, room)
  })
}

type Known = Pick<HeadSurvival, 'layer' | 'kvHead' | 'recent' | 'full' | 'seen' | 'tokens'>

/** What a head's sizes say before its events are looked at. */
function knownOf(data: RunData, layer: number, kvHead: number): Known {
  const sizes = sizesOf(data, layer, kvHead)
  const first = firstCompression(data, sizes)
  const full = first > data.steps ? Infinity : first
  const protectedThen = full === Infinity ? 0 : data.promptTokens + full - sizes.recent
  // Those that may leave only after the cache is first full, first tokens that never leave aside.
  const tokens = Math.max(0, data.tokens.length - Math.max(sizes.sink, protectedThen, 0))
  const seen = full === Infinity ? 0 : data.promptTokens + full
  return { layer, kvHead, recent: sizes.recent, full, seen, tokens }
}

/**
 * `fate`, `left` [tokens], `change` [tokens + 1]: every head writes over what the head before it left there. The others hand out what heads keep:
 * of a thousand heads thousands of arrays of their own would cost more than the counting.
 */
interface Room extends Pick<Lives, 'fate' | 'left'> {
  change: Int32Array
  words: (length: number) => Uint32Array
  counts: (length: number) => Int32Array
  curves: (length: number) => Float64Array
}

function roomFor(tokens: number, heads: Known[]): Room {
  const followed = heads.reduce((sum, { tokens: own }) => sum + own, 0)
  return {
    fate: new Uint8Array(tokens),
    left: new Int32Array(tokens),
    change: new Int32Array(tokens + 1),
    words: pieces(new Uint32Array(heads.reduce((sum, { seen }) => sum + 2 * wordsOf(seen), 0))),
    counts: pieces(new Int32Array(3 * followed)),
    curves: pieces(new Float64Array(followed)),
  }
}

function headSurvival(data: RunData, events: EventColumns, lives: Lives, known: Known, room: Room): HeadSurvival {
  const { sizes, fate, left, gaps, held } = lives
  const { seen } = known
  const full = Math.min(known.full, data.steps)
  const lost = () => new Bits(seen, room.words(wordsOf(seen)))
  const made: HeadSurvival = {
    ...known,
    lostThen: lost(),
    lostAtEnd: lost(),
    mergedThen: 0,
    later: { merged: 0, dropped: 0, atOnce: 0 },
    ...follow(data, lives, known.tokens, room),
  }
  const { lostThen, lostAtEnd, later } = made
  const leftLater = (position: number) => {
    if (fate[position] === MERGED) later.merged++
    else later.dropped++
    if (left[position] <= candidateFrom(data, position, sizes)) later.atOnce++
  }
  // Who was seen by then, is not held and has no event of its own was lost then: of a long prompt nearly all, so only the others are looked at.
  lostThen.setAll()
  lostAtEnd.setAll()
  let mergedThen = 0
  for (const members of held) {
    const first = members[0]
    if (members.length === 1) {
      if (first >= seen) continue
      lostThen.clear(seen - 1 - first)
      lostAtEnd.clear(seen - 1 - first)
      continue
    }
    for (let i = 0; i < members.length; i++) {
      const position = members[i]
      if (position >= seen) continue
      if (left[position] <= full) mergedThen++
      else {
        lostThen.clear(seen - 1 - position)
        leftLater(position)
      }
    }
  }
  made.mergedThen = mergedThen
  for (const row of lives.later) {
    const position = events.position[row]
    if (position < seen && left[position] > full && lostThen.has(seen - 1 - position)) {
      lostThen.clear(seen - 1 - position)
      leftLater(position)
    }
  }
  for (const gap of gaps) {
    if (gap.left > full) {
      later.dropped++
      if (gap.left <= candidateFrom(data, gap.position, sizes)) later.atOnce++
    } else if (gap.position < seen && gap.back > full) lostThen.set(seen - 1 - gap.position)
  }
  for (let position = seen; position < left.length; position++) if (left[position] > full) leftLater(position)
  return made
}

/** The newest `tokens` of them. */
function follow(
  data: RunData,
  { fate, left, gaps }: Lives,
  tokens: number,
  room: Room,
): Pick<HeadSurvival, 'curve' | 'followed' | 'censored'> {
  const total = data.tokens.length
  const from = total - tokens
  const ageAt = (step: number, position: number) => data.promptTokens + step - 1 - position
  const { change } = room
  const [atRisk, merged, dropped] = [room.counts(tokens), room.counts(tokens), room.counts(tokens)]
  const curve = room.curves(tokens)
  // `change`: those that come under observation at an age, less those that were last seen at the age before.
  change.fill(0, 0, tokens + 1)
  let [ages, censored] = [0, 0]
  for (let position = from; position < total; position++) {
    const gone = left[position] >= 0
    const age = ageAt(gone ? left[position] : data.steps, position)
    if (age >= ages) ages = age + 1
    change[Math.max(0, ageAt(0, position))]++
    change[age + 1]--
    if (!gone) censored++
    else if (fate[position] === MERGED) merged[age]++
    else dropped[age]++
  }
  for (const gap of gaps) {
    if (gap.position < from) continue
    const age = ageAt(gap.left, gap.position)
    dropped[age]++
    change[age + 1]--
    change[Math.max(age + 1, ageAt(gap.back, gap.position))]++
  }
  let [risk, alone] = [0, 1]
  for (let age = 0; age < ages; age++) {
    atRisk[age] = risk += change[age]
    if (risk > 0) alone *= 1 - (merged[age] + dropped[age]) / risk
    curve[age] = alone
  }
  const seen = <T extends Int32Array | Float64Array>(values: T) => values.subarray(0, ages) as T
  return {
    curve: seen(curve),
    followed: { atRisk: seen(atRisk), merged: seen(merged), dropped: seen(dropped) },
    censored,
  }
}

/** Sums over heads of what is counted. */
export function totalsOf(heads: HeadSurvival[]) {
  const sum = (value: (head: HeadSurvival) => number) => heads.reduce((all, head) => all + value(head), 0)
  return {
    seen: sum(({ seen }) => seen),
    lostThen: sum(({ lostThen }) => lostThen.count()),
    mergedThen: sum(({ mergedThen }) => mergedThen),
    merged: sum(({ later }) => later.merged),
    dropped: sum(({ later }) => later.dropped),
    later: sum(({ later }) => later.merged + later.dropped),
    atOnce: sum(({ later }) => later.atOnce),
    tokens: sum(({ tokens }) => tokens),
    censored: sum(({ censored }) => censored),
  }
}
