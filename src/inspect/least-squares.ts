/** Least squares in float64. Equations come as rows of [coefficients | right-hand sides]. */
import { Breaks } from './breaks.js'
import { nonNegative } from './non-negative.js'
import { NormalEquations } from './normal-equations.js'
import { triangular } from './triangular.js'

export class Equations {
  /** [rows, unknowns + sides], row-major. */
  readonly values: Float64Array
  readonly width: number

  constructor(
    readonly rows: number,
    readonly unknowns: number,
    readonly sides: number,
  ) {
    this.width = unknowns + sides
    this.values = new Float64Array(rows * this.width)
  }

  row(row: number): Float64Array {
    return this.values.subarray(row * this.width, (row + 1) * this.width)
  }

  /** Those of min ‖Ax − b‖² + ridge · ‖x‖²: a row more for each unknown. */
  withRidge(ridge: number): Equations {
    const more = new Equations(this.rows + this.unknowns, this.unknowns, this.sides)
    more.values.set(this.values)
    for (let i = 0; i < this.unknowns; i++) more.row(this.rows + i)[i] = Math.sqrt(ridge)
    return more
  }

  /** With coefficients of unit length, so that small ones count: [unknowns] lengths by which to divide solutions. */
  private async scaled(breaks: Breaks): Promise<{ lengths: Float64Array; made: Equations }> {
    const lengths = new Float64Array(this.unknowns)
    for (let row = 0; row < this.rows; row++) {
      if (breaks.due()) await breaks.take()
      const values = this.row(row)
      for (let i = 0; i < this.unknowns; i++) lengths[i] += values[i] * values[i]
    }
    for (let i = 0; i < this.unknowns; i++) lengths[i] = Math.sqrt(lengths[i])
    const made = this.copy()
    for (let row = 0; row < this.rows; row++) {
      if (breaks.due()) await breaks.take()
      const values = made.row(row)
      for (let i = 0; i < this.unknowns; i++) if (lengths[i]) values[i] /= lengths[i]
    }
    return { lengths, made }
  }

  private copy(): Equations {
    const made = new Equations(this.rows, this.unknowns, this.sides)
    made.values.set(this.values)
    return made
  }

  /** argmin ‖Ax − b‖ over x ≥ 0 of the first right-hand side: [unknowns]. An unknown whose coefficients are all 0 is 0. */
  async nonNegative(breaks = new Breaks()): Promise<Float64Array> {
    const { lengths, made } = await this.scaled(breaks)
    const { rows, unknowns } = made
    const x = await nonNegative({ rows, unknowns, sides: 1, row: (at) => made.row(at) }, breaks)
    return x.map((value, i) => (lengths[i] ? value / lengths[i] : 0))
  }

  /** argmin ‖Ax − b‖ of every right-hand side: [unknowns, sides], the shortest x where several are as good. */
  async solution(breaks = new Breaks()): Promise<Float64Array> {
    const { lengths, made } = await this.scaled(breaks)
    const normal = await NormalEquations.of(made, breaks)
    await normal.addAll(breaks)
    if (normal.order.length < this.unknowns) return this.copy().shortest(breaks)
    const x = await normal.solution(breaks)
    return x.map((value, i) => value / lengths[Math.floor(i / this.sides)])
  }

  /**
   * Of unknowns that depend on one another. Columns whose part beyond the others is below ε · the larger side · the longest count as sums
   * of those (numpy's lstsq has this bound for singular values). Changes this one.
   */
  private async shortest(breaks: Breaks): Promise<Float64Array> {
    const { unknowns, sides } = this
    const least = Number.EPSILON * Math.max(this.rows, unknowns)
    await triangular(this, breaks)
    const { order, rank } = await triangular(this, breaks, least)
    const others = unknowns - rank
    const x = new Float64Array(unknowns * sides)
    if (!rank) return x
    // Every solution has x_basis = s − C·x_others: rows of [C | s] are R11⁻¹·[R12 | Qᵀb].
    const family = new Equations(rank, others, sides)
    for (let k = rank - 1; k >= 0; k--) {
      if (breaks.due()) await breaks.take()
      const [from, row] = [this.row(k), family.row(k)]
      row.set(from.subarray(rank))
      for (let i = k + 1; i < rank; i++) {
        const [part, below] = [from[i], family.row(i)]
        if (part) for (let j = 0; j < row.length; j++) row[j] -= part * below[j]
      }
      for (let j = 0; j < row.length; j++) row[j] /= from[k]
    }
    // The shortest: argmin ‖s − C·x_others‖² + ‖x_others‖².
    const free = others ? await family.withRidge(1).solution(breaks) : x
    for (let k = 0; k < unknowns; k++)
      for (let side = 0; side < sides; side++) {
        let value = k < rank ? family.row(k)[others + side] : free[(k - rank) * sides + side]
        if (k < rank) for (let j = 0; j < others; j++) value -= family.row(k)[j] * free[j * sides + side]
        x[order[k] * sides + side] = value
      }
    return x
  }
}
