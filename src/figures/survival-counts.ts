/**
 * How long tokens keep a slot of their own, counted in every kv head of a run: at the first compression by age, after it as curves of
 * Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over age, since many tokens are still alone when the run ends.
 */
import { Bits } from './bits.js'
import type { EventColumns, RunData, Sizes } from './data.js'
import { departuresOf, livesOf, MERGED, type Lives } from './departures.js'
import { candidateFrom, firstCompression, sizesOf } from './fates.js'

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
  const spans = heads.map((head) => spanOf(data, sizesOf(data, Math.floor(head / data.kvHeads), head % data.kvHeads)))
  const tokens = data.tokens.length
  const places = { fate: new Uint8Array(tokens), left: new Int32Array(tokens) }
  return heads.map((head, i) => {
    const [of, kvHead] = [Math.floor(head / data.kvHeads), head % data.kvHeads]
    const lives = livesOf(data, events, departures, i, of, kvHead, places)
    return headSurvival(data, lives, { layer: of, kvHead, recent: lives.sizes.recent, ...spans[i] })
  })
}

/** The step at which a cache of that size is first full, and how many tokens were seen by then. */
function spanOf(data: RunData, sizes: Sizes): Pick<HeadSurvival, 'full' | 'seen'> {
  const first = firstCompression(data, sizes)
  return first > data.steps ? { full: Infinity, seen: 0 } : { full: first, seen: data.promptTokens + first }
}

type Known = Pick<HeadSurvival, 'layer' | 'kvHead' | 'recent' | 'full' | 'seen'>

function headSurvival(data: RunData, lives: Lives, known: Known): HeadSurvival {
  const { sizes, fate, left, gaps } = lives
  const { seen } = known
  // A whole number: the loop below sees every token of every head.
  const full = Math.min(known.full, data.steps) | 0
  const none = new Int32Array(0)
  const made: HeadSurvival = {
    ...known,
    lostThen: new Bits(seen),
    lostAtEnd: new Bits(seen),
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
  // The tokens of every head of a long run pass here: 32 ages are put together before they are written down.
  let mergedThen = 0
  for (let word = 0; word * 32 < seen; word++) {
    let [then, atEnd] = [0, 0]
    const first = seen - 1 - word * 32
    const last = Math.max(0, first - 31)
    for (let position = first; position >= last; position--) {
      const step = left[position]
      if (step < 0) continue
      const bit = 1 << (first - position)
      atEnd |= bit
      if (step > full) leftLater(position)
      else {
        then |= bit
        if (fate[position] === MERGED) mergedThen++
      }
    }
    lostThen.words[word] = then
    lostAtEnd.words[word] = atEnd
  }
  made.mergedThen = mergedThen
  for (const gap of gaps) {
    if (gap.left > full) {
      later.dropped++
      if (gap.left <= candidateFrom(data, gap.position, sizes)) later.atOnce++
    } else if (gap.position < seen && gap.back > full) lostThen.set(seen - 1 - gap.position)
  }
  for (let position = seen; position < left.length; position++) if (left[position] > full) leftLater(position)
  follow(data, lives, made)
  return made
}

function follow(data: RunData, { sizes, fate, left, gaps }: Lives, made: HeadSurvival): void {
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
  for (const gap of gaps) {
    if (gap.position < from) continue
    const age = ageAt(gap.left, gap.position)
    dropped[age]++
    change[age + 1]--
    change[Math.max(age + 1, ageAt(gap.back, gap.position))]++
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
