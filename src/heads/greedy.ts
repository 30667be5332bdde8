/** Budgets from curves: what a head loses by how much of it is kept, and who should have the next slot. */
import { ZslabError } from '../errors.js'
import { invalid } from '../expect.js'
import { meanOf } from '../statistics/moments.js'
import { checked, shapedAs, whole, WHOLE, type AllocationOptions } from './allocation.js'
import { decodedRows } from './measure.js'

/** What greedy budgets need of measured curves: see BudgetCurves. */
export interface MeasuredCurves {
  shares: readonly number[]
  others: number
  /** [layers][kvHeads][shares] */
  losses: readonly (readonly (readonly number[] | null)[])[]
  facts: { texts: readonly { tokens: number }[]; rows: number }
}

/** What is lost at each of some kept shares, both ascending in share. */
export interface LossCurve {
  shares: readonly number[]
  losses: readonly number[]
}

interface Piece {
  head: number
  /** Share from which on, and how long. */
  from: number
  length: number
  /** What it saves for each unit of share. */
  gain: number
}

/** Corners of the greatest convex function below a curve: indices, first and last included. */
export function convexCorners({ shares, losses }: LossCurve): number[] {
  const corners: number[] = []
  for (let i = 0; i < shares.length; i++) {
    while (corners.length > 1) {
      const [a, b] = corners.slice(-2)
      const straight = losses[a] + ((losses[i] - losses[a]) * (shares[b] - shares[a])) / (shares[i] - shares[a])
      if (losses[b] < straight) break
      corners.pop()
    }
    corners.push(i)
  }
  return corners
}

/**
 * [layers][kvHeads] from curves L_h(s), loss by kept share, means over texts, and 0 at s = 1, since what keeps everything loses nothing. Every head
 * begins with floor·total; then each next slot goes to the head with the greatest marginal gain −dL_h/ds at what it has so far, of the greatest
 * convex function below its curve, until their mean is total; below the first measured share the gain is taken to be as just above it. A total of
 * slots is of a prompt as long as those of the measured texts are in the mean; slots are whole and add up as those of proportional() do. Errors: 'invalid' for
 * curves of some heads only, or with others than all kept, and for more slots than such a prompt has tokens.
 */
export function greedy({ shares, others, losses, facts }: MeasuredCurves, options: AllocationOptions): number[][] {
  const { total, floor } = checked(options)
  if (others !== 1)
    throw new ZslabError(
      'invalid',
      `greedy budgets need curves whose other heads keep everything, and these were measured with others: ${others}: measure with others: 1, or give another rule`,
    )
  const curves = losses.flatMap((row, layer) =>
    row.map((own, kvHead): LossCurve => {
      if (own) return { shares: [...shares, 1], losses: [...own, 0] }
      throw new ZslabError('invalid', `layer ${layer}, kv head ${kvHead} has no curve: budgets need all heads measured`)
    }),
  )
  if (total < 1) {
    const made = greedyShares(curves, total, floor * total).map((share) => Math.min(share, WHOLE))
    return shapedAs(losses, made)
  }
  const prompt = meanOf(facts.texts.map(({ tokens }) => tokens - decodedRows({ length: tokens }, facts.rows)))
  if (total > prompt)
    throw invalid(
      'total',
      `at most the ${Math.round(prompt)} tokens that the measured texts' prompts have in the mean, or a share below 1`,
      total,
      'measure on longer texts, or give a share',
    )
  const made = greedyShares(curves, total / prompt, (floor * total) / prompt).map((share) => share * prompt)
  return shapedAs(losses, whole(made, Math.round(total * made.length)))
}

/**
 * Kept share of each curve's head, their mean `total`: everybody begins with `least`, then the stretch of a curve's convex lower bound that saves
 * most for its length is given next, equal ones to the first head; where nothing is saved any more the rest is shared out evenly. None gets more
 * than 1. For convex curves no other shares of that mean lose less.
 */
export function greedyShares(curves: readonly LossCurve[], total: number, least: number): number[] {
  const made = curves.map(() => least)
  const pieces = curves.flatMap((curve, head): Piece[] => {
    const corners = convexCorners(curve)
    return corners.slice(1).flatMap((to, i) => {
      const [start, end] = [curve.shares[corners[i]], curve.shares[to]]
      const gain = (curve.losses[corners[i]] - curve.losses[to]) / (end - start)
      // Below the first share that was measured a head is as eager as just above it.
      const from = Math.max(least, i ? start : 0)
      return end > from && gain > 0 ? [{ head, from, length: end - from, gain }] : []
    })
  })
  pieces.sort((a, b) => b.gain - a.gain || a.head - b.head || a.from - b.from)
  let left = (total - least) * curves.length
  for (const { head, length } of pieces) {
    const given = Math.min(length, left)
    made[head] += given
    left -= given
    if (left <= 0) return made
  }
  for (let open = made.filter((share) => share < 1).length; left > 1e-12 && open;) {
    const each = left / open
    open = 0
    made.forEach((share, head) => {
      if (share >= 1) return
      const given = Math.min(each, 1 - share)
      made[head] += given
      left -= given
      if (made[head] < 1) open++
    })
  }
  return made
}
