/** Householder's QR of equations in float64, with column pivoting where it is asked how many unknowns depend on others. */
import type { Breaks } from './breaks.js'

/** [rows, width] row-major, in each row the coefficients of the unknowns, then right-hand sides. */
interface Rows {
  readonly rows: number
  readonly unknowns: number
  readonly width: number
  readonly values: Float64Array
}

/**
 * Householder's R in place of A, and Qᵀb in place of b, in the first min(rows, unknowns) rows. With `least` the longest column that is
 * left comes next, until none has `least` of the first one's length: `rank` is how many came, `order` which.
 */
export async function triangular(
  system: Rows,
  breaks: Breaks,
  least?: number,
): Promise<{ order: number[]; rank: number }> {
  const { unknowns, width, values } = system
  const rows = least === undefined ? system.rows : Math.min(system.rows, unknowns)
  const count = Math.min(rows, unknowns)
  const order = Array.from({ length: unknowns }, (_, i) => i)
  const dots = new Float64Array(width)
  let longest = 0
  for (let k = 0; k < count; k++) {
    if (breaks.due()) await breaks.take()
    if (least !== undefined) swap(k, next(k))
    let length = 0
    for (let i = k; i < rows; i++) length += values[i * width + k] ** 2
    length = Math.sqrt(length)
    if (k === 0) longest = length
    if (least !== undefined && length <= least * longest) return { order, rank: k }
    if (!length) continue
    const head = values[k * width + k]
    const first = head + (head < 0 ? -length : length)
    dots.fill(0)
    for (let i = k; i < rows; i++) {
      const v = i === k ? first : values[i * width + k]
      if (v) for (let j = k; j < width; j++) dots[j] += v * values[i * width + j]
    }
    const scale = 1 / (length * Math.abs(first))
    for (let i = k; i < rows; i++) {
      const v = (i === k ? first : values[i * width + k]) * scale
      if (v) for (let j = k; j < width; j++) values[i * width + j] -= v * dots[j]
      if (i > k) values[i * width + k] = 0
    }
  }
  return { order, rank: count }

  /** The longest column from row k on. */
  function next(k: number): number {
    const lengths = dots.fill(0)
    for (let i = k; i < rows; i++) for (let j = k; j < unknowns; j++) lengths[j] += values[i * width + j] ** 2
    let best = k
    for (let j = k + 1; j < unknowns; j++) if (lengths[j] > lengths[best]) best = j
    return best
  }

  function swap(a: number, b: number): void {
    if (a === b) return
    ;[order[a], order[b]] = [order[b], order[a]]
    for (let i = 0; i < rows; i++) {
      const row = i * width
      ;[values[row + a], values[row + b]] = [values[row + b], values[row + a]]
    }
  }
}
