/** How far two orders of the same things agree. What depends on one of them alone is worked out once, for all that it is compared with. */

/** Values with what comparing their order takes. */
export interface Ranked {
  values: Float64Array
  /** Indices, the least value first. */
  order: Int32Array
  /** By index, from 1 on; equals share the mean of theirs. */
  ranks: Float64Array
  /** Pairs of equals. */
  equals: number
  /** Of ranks: Σ (rank − mean)². */
  squares: number
}

export function ranked(given: ArrayLike<number>): Ranked {
  const values = Float64Array.from(given)
  const n = values.length
  const order = Int32Array.from(values.keys()).sort((a, b) => values[a] - values[b] || a - b)
  const ranks = new Float64Array(n)
  let equals = 0
  for (let from = 0; from < n;) {
    let to = from + 1
    while (to < n && values[order[to]] === values[order[from]]) to++
    for (let i = from; i < to; i++) ranks[order[i]] = (from + 1 + to) / 2
    equals += ((to - from) * (to - from - 1)) / 2
    from = to
  }
  return { values, order, ranks, equals, squares: products(ranks, ranks) }
}

/** Σ (a − mean)(b − mean) of two sets of ranks of as many things: all of them have the mean (n + 1)/2. */
function products(a: Float64Array, b: Float64Array): number {
  const mean = (a.length + 1) / 2
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - mean) * (b[i] - mean)
  return sum
}

/** Spearman's ρ: Pearson's correlation of the ranks. null where one of them is constant. */
export function spearman(a: Ranked, b: Ranked): number | null {
  if (!(a.squares > 0 && b.squares > 0)) return null
  return Math.min(1, Math.max(-1, products(a.ranks, b.ranks) / Math.sqrt(a.squares * b.squares)))
}

/**
 * Kendall's τ-b: (pairs in the same order − pairs in opposite ones) / √(pairs that differ in a · in b). null where one is constant. Time: n log n,
 * the opposite pairs being the exchanges that sort b where a is in order (Knight 1966).
 */
export function kendall(a: Ranked, b: Ranked): number | null {
  const n = a.order.length
  const pairs = (n * (n - 1)) / 2
  const [differA, differB] = [pairs - a.equals, pairs - b.equals]
  if (!differA || !differB) return null
  const { ranks, order } = a
  const values = Float64Array.from(order, (i) => b.ranks[i])
  // Equals of a are put into b's order, which leaves nothing to exchange between them.
  let alike = 0
  for (let from = 0; from < n;) {
    let to = from + 1
    while (to < n && ranks[order[to]] === ranks[order[from]]) to++
    if (to > from + 1) alike += equalPairs(values.subarray(from, to).sort())
    from = to
  }
  const opposite = exchanges(values, new Float64Array(n), 0, n)
  // Pairs alike in a, in b, or in both are in no order.
  return (pairs - a.equals - b.equals + alike - 2 * opposite) / Math.sqrt(differA * differB)
}

function equalPairs(sorted: Float64Array): number {
  let [pairs, run] = [0, 0]
  for (let i = 1; i < sorted.length; i++) {
    run = sorted[i] === sorted[i - 1] ? run + 1 : 0
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
  for (let at = from; at < to; at++) values[at] = room[at]
  return count
}

/**
 * Share of a's largest ⌈share · n⌉ that are among b's; null of nothing. Where the last places are shared by more equals than there is room
 * for, each counts with the part that fits, as which of them came first would be chance; what two have in common is the smaller part.
 */
export function topOverlap(a: Ranked, b: Ranked, share = 0.25): number | null {
  const count = Math.ceil(share * a.values.length)
  if (!count) return null
  const [inA, inB] = [membership(a, count), membership(b, count)]
  let both = 0
  for (let i = 0; i < a.values.length; i++) both += Math.min(inA(a.ranks[i]), inB(b.ranks[i]))
  return both / count
}

/** By rank, of the largest `count`: 1, of equals at the border the part of them that fits, else 0. */
function membership({ order, ranks }: Ranked, count: number): (rank: number) => number {
  const n = order.length
  const border = ranks[order[n - count]]
  let [from, to] = [n - count, n - count]
  while (from > 0 && ranks[order[from - 1]] === border) from--
  while (to < n && ranks[order[to]] === border) to++
  const part = (to - (n - count)) / (to - from)
  return (rank) => (rank > border ? 1 : rank === border ? part : 0)
}
