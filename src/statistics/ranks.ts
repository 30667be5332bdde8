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

/**
 * Kendall's τ-b: (pairs in the same order − pairs in opposite ones) / √(pairs that differ in a · in b). null where one is constant. Time: n log n,
 * the opposite pairs being the exchanges that sort b where a is in order (Knight 1966).
 */
export function kendall(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const n = a.length
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[i] - a[j] || b[i] - b[j])
  const values = Float64Array.from(order, (i) => b[i])
  const alike = tied(n, (i) => a[order[i]] === a[order[i - 1]] && values[i] === values[i - 1])
  const inA = tied(n, (i) => a[order[i]] === a[order[i - 1]])
  const opposite = exchanges(values, new Float64Array(n), 0, n)
  const inB = tied(n, (i) => values[i] === values[i - 1])
  const pairs = (n * (n - 1)) / 2
  const [differA, differB] = [pairs - inA, pairs - inB]
  // Pairs alike in a, in b, or in both are in no order.
  return differA && differB ? (pairs - inA - inB + alike - 2 * opposite) / Math.sqrt(differA * differB) : null
}

/** Pairs within runs of equals, `same(i)` telling whether the i-th is like the one before it. */
function tied(n: number, same: (i: number) => boolean): number {
  let [pairs, run] = [0, 0]
  for (let i = 1; i < n; i++) {
    run = same(i) ? run + 1 : 0
    pairs += run
  }
  return pairs
}

/** Sorts values [from, to) and counts the pairs that were the other way round. */
function exchanges(values: Float64Array, room: Float64Array, from: number, to: number): number {
  if (to - from < 2) return 0
  const middle = (from + to) >> 1
  let count = exchanges(values, room, from, middle) + exchanges(values, room, middle, to)
  let [left, right] = [from, middle]
  for (let at = from; at < to; at++) {
    if (right === to || (left < middle && values[left] <= values[right])) room[at] = values[left++]
    else {
      count += middle - left
      room[at] = values[right++]
    }
  }
  values.set(room.subarray(from, to), from)
  return count
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
