/** Pairs of tokens of a text: who could look at whom for a reason that a measure names. */
import type { NativePattern } from '../native/heads.js'

/** Of each row t the positions that `of` names, each at most t. */
export function pattern(tokens: number, of: (t: number) => Iterable<number>): NativePattern {
  const starts = new Int32Array(tokens + 1)
  const positions: number[] = []
  for (let t = 0; t < tokens; t++) {
    for (const s of of(t)) positions.push(s)
    starts[t + 1] = positions.length
  }
  return { starts, positions: Int32Array.from(positions) }
}

export const pairs = ({ positions }: NativePattern): number => positions.length

/** Without column 0 and the diagonal. */
export function excluding({ starts, positions }: NativePattern): NativePattern {
  return pattern(starts.length - 1, (t) =>
    positions.subarray(starts[t], starts[t + 1]).filter((s) => s !== 0 && s !== t),
  )
}

/** Earlier positions of each token's own id. */
function earlier(ids: Int32Array): Int32Array[] {
  const seen = new Map<number, number[]>()
  return Array.from(ids, (id, t) => {
    const before = seen.get(id)
    const found = Int32Array.from(before ?? [])
    if (before) before.push(t)
    else seen.set(id, [t])
    return found
  })
}

/** s = t − 1. */
export const previousOf = (ids: Int32Array): NativePattern => pattern(ids.length, (t) => (t > 0 ? [t - 1] : []))

/** s < t with the id of t. */
export function duplicatesOf(ids: Int32Array): NativePattern {
  const before = earlier(ids)
  return pattern(ids.length, (t) => before[t])
}

/** s ≥ 1 with s − 1 < t and the id of t at s − 1: what followed each earlier one, t itself where the token before it is the same. */
export function inductionOf(ids: Int32Array): NativePattern {
  const before = earlier(ids)
  return pattern(ids.length, (t) => before[t].map((s) => s + 1))
}
