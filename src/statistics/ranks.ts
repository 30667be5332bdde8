/** How far two orders of the same things agree. */

/** From 1 on; equals share the mean of theirs. */
export function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b])
  const ranks = new Float64Array(values.length)
  for (let from = 0; from < order.length;) {
    let to = from + 1
    while (to < order.length && values[order[to]] === values[order[from]]) to++
    for (let i = from; i < to; i++) ranks[order[i]] = (from + 1 + to) / 2
    from = to
  }
  return ranks
}

/** Pearson's correlation; null where one of them is constant. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const n = a.length
  let [meanA, meanB] = [0, 0]
  for (let i = 0; i < n; i++) {
    meanA += a[i] / n
    meanB += b[i] / n
  }
  let [product, squaresA, squaresB] = [0, 0, 0]
  for (let i = 0; i < n; i++) {
    product += (a[i] - meanA) * (b[i] - meanB)
    squaresA += (a[i] - meanA) ** 2
    squaresB += (b[i] - meanB) ** 2
  }
  if (!(squaresA > 0 && squaresB > 0)) return null
  return Math.min(1, Math.max(-1, product / Math.sqrt(squaresA * squaresB)))
}

/** Spearman's ρ: Pearson's correlation of the ranks. null where one of them is constant. */
export const spearman = (a: ArrayLike<number>, b: ArrayLike<number>): number | null => pearson(ranksOf(a), ranksOf(b))

/** Kendall's τ-b: (pairs in the same order − pairs in opposite ones) / √(pairs that differ in a · in b). null where one is constant. */
export function kendall(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  let [agreeing, inA, inB] = [0, 0, 0]
  for (let i = 1; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const [signA, signB] = [Math.sign(a[i] - a[j]), Math.sign(b[i] - b[j])]
      agreeing += signA * signB
      inA += signA * signA
      inB += signB * signB
    }
  return inA && inB ? agreeing / Math.sqrt(inA * inB) : null
}

/**
 * Share of a's largest ⌈share · n⌉ that are among b's. Where the last places are shared by more equals than there is room for, each counts
 * with the part that fits, as which of them came first would be chance; what two have in common is the smaller part.
 */
export function topOverlap(a: ArrayLike<number>, b: ArrayLike<number>, share = 0.25): number {
  const count = Math.ceil(share * a.length)
  const [inA, inB] = [membershipOf(a, count), membershipOf(b, count)]
  let both = 0
  for (let i = 0; i < a.length; i++) both += Math.min(inA[i], inB[i])
  return both / count
}

/** Of the largest `count`: 1, of equals at the border the part of them that fits, else 0. */
function membershipOf(values: ArrayLike<number>, count: number): Float64Array {
  const border = Float64Array.from(values).sort()[values.length - count]
  let [above, equal] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    if (values[i] > border) above++
    else if (values[i] === border) equal++
  }
  const part = (count - above) / equal
  return Float64Array.from(values, (value) => (value > border ? 1 : value === border ? part : 0))
}
