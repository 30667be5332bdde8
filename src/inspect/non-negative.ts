/** Least squares over x ≥ 0: Lawson and Hanson's active set. */
import { ZslabError } from '../errors.js'
import type { Breaks } from './breaks.js'
import { NormalEquations, type System } from './normal-equations.js'

/**
 * argmin ‖Ax − b‖ over x ≥ 0 of one right-hand side: [unknowns]; of columns that depend on one another one is taken. It begins with all of
 * them and lets go what would be below 0, as most slots have a part of the mass. Errors: 'internal' where rounding lets it come to no end.
 */
export async function nonNegative(system: System, breaks: Breaks): Promise<Float64Array> {
  const { rows, unknowns } = system
  const set = await NormalEquations.of(system, breaks)
  let length = 0
  for (let at = 0; at < rows; at++) length += system.row(at)[unknowns] ** 2
  const least = 10 * Math.max(rows, unknowns) * Number.EPSILON * Math.sqrt(length)

  await set.addAll(breaks)
  let x: Float64Array = await set.solution(breaks)
  while (set.order.some((i) => x[i] <= 0)) {
    await set.remove((i) => x[i] <= 0, breaks)
    x = await set.solution(breaks)
  }
  const refused = new Set<number>()
  for (let round = 0; round <= 30 * unknowns; round++) {
    const next = steepest(await set.gradient(x, breaks))
    if (next < 0) return x
    if (!set.add(next)) {
      refused.add(next)
      continue
    }
    let wanted = await set.solution(breaks)
    if (wanted[next] <= 0) {
      // By rounding alone: its slope said that more of it would help.
      await set.remove((i) => i === next, breaks)
      refused.add(next)
      continue
    }
    refused.clear()
    while (set.order.some((i) => wanted[i] <= 0)) {
      const gone = towards(wanted)
      await set.remove((i) => gone.has(i), breaks)
      wanted = await set.solution(breaks)
    }
    x = wanted
  }
  throw new ZslabError('internal', `${rows} equations of ${unknowns} weights ≥ 0 have no solution found`)

  /** Outside the set; −1: nothing there would help. */
  function steepest(slope: Float64Array): number {
    const inside = new Set(set.order)
    let best = -1
    for (let i = 0; i < unknowns; i++)
      if (slope[i] > least && !(slope[i] <= slope[best]) && !inside.has(i) && !refused.has(i)) best = i
    return best
  }

  /** Moves x towards `wanted` until some are 0: those. */
  function towards(wanted: Float64Array): Set<number> {
    const falling = set.order.filter((i) => wanted[i] <= 0)
    const shares = falling.map((i) => x[i] / (x[i] - wanted[i]))
    const share = Math.min(...shares)
    x = x.map((value, i) => Math.max(0, value + share * (wanted[i] - value)))
    const gone = new Set(falling.filter((_, i) => shares[i] === share))
    gone.forEach((i) => (x[i] = 0))
    return gone
  }
}
