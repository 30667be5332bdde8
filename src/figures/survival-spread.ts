/** Survival over kv heads: means and spreads of their curves and bins. */
import { ones, type HeadSurvival } from './survival-counts.js'

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
  const values = new Float64Array(curves.length)
  return Array.from({ length: ages }, (_, age) => {
    for (let i = 0; i < curves.length; i++) values[i] = curves[i][Math.min(age, curves[i].length - 1)]
    return spreadOfKnown(values)
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

const mostSeen = (heads: HeadSurvival[]) => heads.reduce((most, { lostThen }) => Math.max(most, lostThen.length), 0)

/** Ages that are put together, so that there are at most `most` bins. */
export const binSize = (heads: HeadSurvival[], most: number) => Math.max(1, Math.ceil(mostSeen(heads) / most))

/** Shares that are alone, of tokens of like age at the first compression; over heads that were full at some time. */
export function binsOf(heads: HeadSurvival[], most: number): Bin[] {
  const seen = mostSeen(heads)
  const size = binSize(heads, most)
  return Array.from({ length: Math.ceil(seen / size) }, (_, i): Bin => {
    const [from, to] = [i * size, Math.min(seen, (i + 1) * size)]
    const tokensOf = ({ lostThen }: HeadSurvival) => Math.max(0, Math.min(to, lostThen.length) - from)
    const kept = (lost: 'lostThen' | 'lostAtEnd') =>
      spreadOf(heads.map((head) => 1 - ones(head[lost], from, to) / tokensOf(head)))
    const tokens = heads.reduce((sum, head) => sum + tokensOf(head), 0)
    return { from, to, tokens, keptThen: kept('lostThen'), keptAtEnd: kept('lostAtEnd') }
  })
}
