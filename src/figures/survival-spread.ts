/** Survival over kv heads: means and spreads of their curves and bins. */
import type { Bits } from './bits.js'
import type { Span } from './part.js'
import type { HeadSurvival } from './survival-counts.js'

export interface Spread {
  /** NaN where no head knows. */
  mean: number
  /** Between them lie the middle eight tenths of the heads, by linear interpolation between neighbours. */
  low: number
  high: number
}

export const spreadOf = (values: ArrayLike<number>): Spread => {
  const known = new Float64Array(values.length)
  let count = 0
  for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i])) known[count++] = values[i]
  return spreadOfKnown(known.subarray(0, count))
}

/** Sorts `known` in place. */
function spreadOfKnown(known: Float64Array): Spread {
  if (!known.length) return { mean: NaN, low: NaN, high: NaN }
  known.sort()
  const at = (share: number) => {
    const place = share * (known.length - 1)
    const below = Math.floor(place)
    const next = known[Math.min(known.length - 1, below + 1)]
    return known[below] + (next - known[below]) * (place - below)
  }
  let sum = 0
  for (const value of known) sum += value
  return { mean: sum / known.length, low: at(0.1), high: at(0.9) }
}

/** At each age the curves' mean and spread over heads; as long as the longest, the others go on level. */
export function meanCurve(heads: HeadSurvival[]): Spread[] {
  const curves = heads.map(({ curve }) => curve).filter(({ length }) => length)
  const ages = curves.reduce((most, { length }) => Math.max(most, length), 0)
  const [values, sorted] = [new Float64Array(curves.length), new Float64Array(curves.length)]
  let spread: Spread | undefined
  return Array.from({ length: ages }, (_, age) => {
    // Where no head's curve falls, as while all are protected, nothing changes.
    let level = spread !== undefined
    for (let i = 0; i < curves.length; i++) {
      const curve = curves[i]
      const value = curve[age < curve.length ? age : curve.length - 1]
      if (value === values[i]) continue
      values[i] = value
      level = false
    }
    if (level) return spread!
    sorted.set(values)
    return (spread = spreadOfKnown(sorted))
  })
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

/** Bins of ages, at most. */
const BINS = 120
export const binSizeOf = ([from, to]: Span) => Math.max(1, Math.ceil((to - from) / BINS))

/** Shares that are alone, of tokens of like age at the first compression; over heads that were full at some time. Of ages in `span`. */
export function binsOf(heads: HeadSurvival[], [first, end]: Span = [0, seenBy(heads)]): Bin[] {
  const seen = Math.min(end, seenBy(heads))
  const binSize = binSizeOf([first, seen])
  const [then, atEnd] = [heads.map(({ lostThen }) => lostThen), heads.map(({ lostAtEnd }) => lostAtEnd)]
  const [tokens, shares] = [new Int32Array(heads.length), new Float64Array(heads.length)]
  return Array.from({ length: Math.max(0, Math.ceil((seen - first) / binSize)) }, (_, bin): Bin => {
    const from = first + bin * binSize
    const to = Math.min(seen, from + binSize)
    let all = 0
    for (let i = 0; i < heads.length; i++) all += tokens[i] = Math.max(0, Math.min(to, then[i].length) - from)
    const kept = (lost: readonly Bits[]) => {
      for (let i = 0; i < lost.length; i++) shares[i] = 1 - lost[i].count(from, to) / tokens[i]
      return spreadOf(shares)
    }
    return { from, to, tokens: all, keptThen: kept(then), keptAtEnd: kept(atEnd) }
  })
}

/** Tokens seen when a head's cache was first full, the most of any head. */
export const seenBy = (heads: HeadSurvival[]) => heads.reduce((most, { seen }) => Math.max(most, seen), 0)
