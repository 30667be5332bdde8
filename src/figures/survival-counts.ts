/**
 * How long tokens keep a slot of their own, counted in every kv head of a run: at the first compression by age, after it as curves of
 * Kaplan and Meier (J. Am. Stat. Assoc. 53, 1958) over age, since many tokens are still alone when the run ends.
 */
import type { EventColumns, RunData } from './data.js'
import { candidateFrom, firstCompression, livesOf, rowsByHead, type HeadLives } from './fates.js'

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

export function survivalOf(data: RunData, events: EventColumns): HeadSurvival[] {
  const rows = rowsByHead(events, data)
  return rows.map((own, i) => {
    const [layer, kvHead] = [Math.floor(i / data.kvHeads), i % data.kvHeads]
    return headSurvival(data, livesOf(data, events, layer, kvHead, own), layer, kvHead)
  })
}

function headSurvival(data: RunData, lives: HeadLives, layer: number, kvHead: number): HeadSurvival {
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
  const follows = (position: number) =>
    position >= sizes.sink && (full === Infinity || candidateFrom(data, position, sizes) > full)
  for (let position = 0; position < total; position++) {
    const gone = left[position] >= 0
    if (position < seen) {
      const age = seen - 1 - position
      made.lostAtEnd[age] = Number(gone)
      made.lostThen[age] = Number(gone && left[position] <= full)
      if (made.lostThen[age] && fate[position] === 'merged') made.mergedThen++
    }
    if (!gone || left[position] <= full) continue
    if (fate[position] === 'merged') made.later.merged++
    else made.later.dropped++
    if (left[position] <= candidateFrom(data, position, sizes)) made.later.atOnce++
  }
  follow(data, lives, made, follows)
  return made
}

function follow(data: RunData, lives: HeadLives, made: HeadSurvival, follows: (position: number) => boolean): void {
  const followed = data.tokens.map(({ position }) => position).filter(follows)
  const ageAt = (step: number, position: number) => data.promptTokens + step - 1 - position
  const last = followed.map((position) =>
    lives.left[position] < 0 ? ageAt(data.steps, position) : ageAt(lives.left[position], position),
  )
  const ages = last.reduce((most, age) => Math.max(most, age + 1), 0)
  const by = (): Float64Array => new Float64Array(ages)
  const [atRisk, merged, dropped] = [by(), by(), by()]
  // Those that come under observation at an age, less those that were last seen at the age before.
  const change = new Float64Array(ages + 1)
  followed.forEach((position, i) => {
    change[Math.max(0, ageAt(0, position))]++
    change[last[i] + 1]--
    if (lives.left[position] < 0) made.censored++
    else if (lives.fate[position] === 'merged') merged[last[i]]++
    else dropped[last[i]]++
  })
  let [risk, alone] = [0, 1]
  made.curve = by()
  for (let age = 0; age < ages; age++) {
    atRisk[age] = risk += change[age]
    if (risk > 0) alone *= 1 - (merged[age] + dropped[age]) / risk
    made.curve[age] = alone
  }
  made.tokens = followed.length
  made.followed = { atRisk, merged, dropped }
}

export interface Spread {
  /** NaN where no head knows. */
  mean: number
  /** Between them lie the middle eight tenths of the heads, by linear interpolation between neighbours. */
  low: number
  high: number
}

export function spreadOf(values: number[]): Spread {
  const known = Float64Array.from(values.filter((value) => !Number.isNaN(value))).sort()
  if (!known.length) return { mean: NaN, low: NaN, high: NaN }
  const at = (share: number) => {
    const place = share * (known.length - 1)
    const below = Math.floor(place)
    const next = known[Math.min(known.length - 1, below + 1)]
    return known[below] + (next - known[below]) * (place - below)
  }
  return { mean: known.reduce((sum, value) => sum + value, 0) / known.length, low: at(0.1), high: at(0.9) }
}

/** At each age the curves' mean and spread over heads; as long as the longest, the others go on level. */
export function meanCurve(heads: HeadSurvival[]): Spread[] {
  const ages = Math.max(0, ...heads.map(({ curve }) => curve.length))
  return Array.from({ length: ages }, (_, age) =>
    spreadOf(heads.map(({ curve }) => (curve.length ? curve[Math.min(age, curve.length - 1)] : NaN))),
  )
}

/** The least age at which at most half are still alone; undefined: more than half are at every age that was seen. */
export function medianAge(curve: Spread[]): number | undefined {
  const age = curve.findIndex(({ mean }) => mean <= 0.5)
  return age < 0 ? undefined : age
}

export interface Bin {
  /** Ages at the first compression. */
  from: number
  /** Exclusive. */
  to: number
  tokens: number
  keptThen: Spread
  keptAtEnd: Spread
}

/** Ages that are put together, so that there are at most `most` bins. */
export const binSize = (heads: HeadSurvival[], most: number) =>
  Math.max(1, Math.ceil(Math.max(0, ...heads.map(({ lostThen }) => lostThen.length)) / most))

/** Shares that are alone, of tokens of like age at the first compression; over heads that were full at some time. */
export function binsOf(heads: HeadSurvival[], most: number): Bin[] {
  const seen = Math.max(0, ...heads.map(({ lostThen }) => lostThen.length))
  const size = binSize(heads, most)
  return Array.from({ length: Math.ceil(seen / size) }, (_, i): Bin => {
    const [from, to] = [i * size, Math.min(seen, (i + 1) * size)]
    const kept = (lost: 'lostThen' | 'lostAtEnd') =>
      spreadOf(
        heads.map((head) => {
          const part = head[lost].subarray(from, to)
          return 1 - part.reduce((sum, one) => sum + one, 0) / part.length
        }),
      )
    const tokens = heads.reduce((sum, { lostThen }) => sum + lostThen.subarray(from, to).length, 0)
    return { from, to, tokens, keptThen: kept('lostThen'), keptAtEnd: kept('lostAtEnd') }
  })
}

/** Sums over heads of what is counted. */
export function totalsOf(heads: HeadSurvival[]) {
  const sum = (value: (head: HeadSurvival) => number) => heads.reduce((all, head) => all + value(head), 0)
  const ones = (flags: Uint8Array) => flags.reduce((all, one) => all + one, 0)
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
