/** Budgets from curves: what a head loses by how much of it is kept, and who should have the next slot. */

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
