/** How slots are shared out among kv heads by a measure of their importance. */
import { invalid, number } from '../expect.js'

export interface AllocationOptions {
  /** Mean slots of a kv head (1 and more), or its share of the first prompt (below 1), as a policy's budget is. */
  total: number
  /** Share of `total` that every head gets whatever its score, in [0, 1]. Default 0.2. */
  floor?: number
}

/** All of a prompt, as a share: 1 would be one slot. */
export const WHOLE = 1 - Number.EPSILON

/** Share of `total` that no head goes without, where nothing is said: AdaKV's safeguard. */
export const FLOOR = 0.2

/**
 * [layers][kvHeads] in proportion to scores ≥ 0 (below 0 counts as 0): total·(floor + (1 − floor)·N·s_h/Σs) for N heads; all alike where every
 * score is 0. Shares stay below 1 (WHOLE at most): what is beyond goes to the others in the same proportion. Slots are whole numbers, at least 1 each, that
 * add up to N·total, rounded: those with the largest remainders get one more, the first among equals. Errors: 'invalid' naming the option or the
 * head that has no score.
 */
export function proportional(scores: readonly ArrayLike<number>[], options: AllocationOptions): number[][] {
  const { total, floor } = checked(options)
  const flat = scores.flatMap((row, layer) =>
    Array.from(row, (score, kvHead) => {
      if (Number.isFinite(score)) return Math.max(0, score)
      throw invalid(
        `the score of layer ${layer}, kv head ${kvHead}`,
        'a number: budgets need all heads measured',
        score,
      )
    }),
  )
  const least = floor * total
  const made = shared(flat, (total - least) * flat.length, total < 1 ? 1 - least : Infinity).map((part) => least + part)
  if (total >= 1) return shapedAs(scores, whole(made, Math.round(total * flat.length)))
  return shapedAs(
    scores,
    made.map((share) => Math.min(share, WHOLE)),
  )
}

/**
 * HeadKV's (arXiv 2410.19258, head-level allocation): with a base of b slots, of which each head puts b//β into a pool, query head q gets
 * b − b//β + p_q·(b//β)·N for its part p_q of all scores; a kv head the most that one of its query heads gets. Here β = 1/(1 − floor), N are
 * the model's query heads, and what a kv head gets from the pool is scaled so that all have N·b together, which the public code leaves open.
 * `scores`: [layers][heads]. Whole slots only: `total` at least 1.
 */
export function headkv(scores: readonly ArrayLike<number>[], group: number, options: AllocationOptions): number[][] {
  const { total, floor } = checked(options)
  if (total < 1) throw invalid('total', "slots (1 and more): HeadKV's rule divides whole slots", total)
  const pool = Math.floor(total * (1 - floor))
  const most = scores.map((row) => {
    const all = Array.from(row)
    return Array.from({ length: all.length / group }, (_, kv) => Math.max(...all.slice(kv * group, (kv + 1) * group)))
  })
  return proportional(most, { total, floor: (total - pool) / total })
}

/**
 * As AdaKV (arXiv 2407.11550) shares out: among the heads of a layer alone, each layer having as much as every other, in proportion to scores:
 * total·(floor + (1 − floor)·kvHeads·s_h/Σs of the layer). AdaKV itself counts, for each text, whose tokens are in the layer's top: that is the
 * policy adakv(); this is what it comes to for one score a head. Whole slots of all layers add up to N·total, rounded, so that some
 * layers have one more than others where total·kvHeads is no whole number. Errors: as of proportional().
 */
export function adakv(scores: readonly ArrayLike<number>[], options: AllocationOptions): number[][] {
  const { total } = checked(options)
  let heads = 0
  return scores.flatMap((row, layer) => {
    const head = Array.from(row).findIndex((score) => !Number.isFinite(score))
    if (head >= 0)
      throw invalid(
        `the score of layer ${layer}, kv head ${head}`,
        'a number: budgets need all heads measured',
        row[head],
      )
    const before = Math.round(total * heads)
    heads += row.length
    // Whole slots: what is left of one layer goes to a next one.
    const own = total < 1 ? total : (Math.round(total * heads) - before) / row.length
    return proportional([row], { ...options, total: own })
  })
}

export function checked(options: AllocationOptions): Required<AllocationOptions> {
  const total = number('total', options.total, Number.MIN_VALUE, 2 ** 31 - 1)
  const floor = options.floor === undefined ? FLOOR : number('floor', options.floor, 0, 1)
  return { total, floor }
}

/** `pool` in proportion to `weights`, none more than `most`; all alike where all weights are 0. */
function shared(weights: readonly number[], pool: number, most: number): number[] {
  const made = weights.map(() => 0)
  const open = new Set(weights.keys())
  let left = pool
  while (open.size && left > 0) {
    let sum = 0
    for (const i of open) sum += weights[i]
    const part = (i: number) => (sum > 0 ? (weights[i] / sum) * left : left / open.size)
    const full = Array.from(open).filter((i) => part(i) >= most)
    if (!full.length) {
      for (const i of open) made[i] = part(i)
      break
    }
    for (const i of full) {
      made[i] = most
      open.delete(i)
      left -= most
    }
  }
  return made
}

/** Whole numbers of at least 1 that add up to `total` (or to as many ones), by largest remainders. */
export function whole(parts: readonly number[], total: number): number[] {
  const made = parts.map((part) => Math.max(1, Math.floor(part)))
  let left = total - made.reduce((sum, one) => sum + one, 0)
  // Who was lifted to 1 has had more than its part.
  const remainders = parts.map((part, i) => part - made[i])
  const order = Array.from(parts.keys()).sort((a, b) => remainders[b] - remainders[a] || a - b)
  for (let i = 0; left > 0; i = (i + 1) % order.length, left--) made[order[i]]++
  // Heads that were lifted to 1 took what others have to give.
  for (let i = order.length - 1; left < 0 && made.some((one) => one > 1); i = (i || order.length) - 1)
    if (made[order[i]] > 1) {
      made[order[i]]--
      left++
    }
  return made
}

export function shapedAs(rows: readonly { readonly length: number }[], flat: readonly number[]): number[][] {
  let from = 0
  return rows.map(({ length }) => flat.slice(from, (from += length)))
}
