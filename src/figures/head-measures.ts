/** Measures of heads as figures and the explorer take them (what headImportance() finds is one), and how values become shades. */

export interface HeadMeasures {
  layers: number
  heads: number
  kvHeads: number
  measures: Readonly<Record<string, MeasureOfHeads>>
  /** Of the measure `distance`. */
  distances?: HeadDistances | null
  card?: { model: { name: string } }
}

export interface HeadDistances {
  /** Tokens back, both ends included. */
  bins: readonly { from: number; to: number }[]
  /** [layers][heads][bins] */
  shares: readonly (readonly ArrayLike<number>[])[]
}

export interface MeasureOfHeads {
  name: string
  unit: string
  /** How values of query heads become one of their kv head; own: it is one of the kv head, repeated. */
  kv: 'max' | 'mean' | 'own'
  /** [layers][heads]; NaN: not measured. */
  values: readonly ArrayLike<number>[]
}

/** ' nats'; '' of pure numbers and shares. */
export const unitAfter = (unit: string): string => (unit === '1' || unit === 'share' ? '' : ` ${unit}`)

export interface ShadeScale {
  low: number
  high: number
  logarithmic: boolean
  /** 0 … 1 from low to high; NaN: not measured. */
  at(value: number): number
}

/** So many times the median: further out than equal steps can show. */
const FAR = 10

/** From the least to the largest value; logarithmic where all are above 0 and the largest is over ten times the median. */
export function shadeScale(values: Iterable<number>): ShadeScale {
  const known = Float64Array.from(values)
    .filter((value) => Number.isFinite(value))
    .sort()
  if (!known.length) return { low: NaN, high: NaN, logarithmic: false, at: () => NaN }
  const [low, high] = [known[0], known[known.length - 1]]
  const logarithmic = low > 0 && high > FAR * known[known.length >> 1]
  const to = logarithmic ? Math.log : (value: number) => value
  const span = to(high) - to(low)
  const at = (value: number) => {
    if (Number.isNaN(value)) return NaN
    return span > 0 ? Math.min(1, Math.max(0, (to(value) - to(low)) / span)) : 0.5
  }
  return { low, high, logarithmic, at }
}

/** 1: the largest; equals have the best place of theirs. NaN: not measured. */
export function placesOf(values: ArrayLike<number>): Float64Array {
  const known = Float64Array.from(values)
    .filter((value) => !Number.isNaN(value))
    .sort()
  return Float64Array.from(values, (value) => (Number.isNaN(value) ? NaN : known.length - endOf(known, value) + 1))
}

/** Elements of `sorted` up to and with the last that equals `value`. */
function endOf(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] <= value) low = middle + 1
    else high = middle
  }
  return low
}
