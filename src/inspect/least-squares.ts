/** Least squares in float64: the one door to ml-matrix and ml-fcnnls. Equations come as rows of [coefficients | right-hand sides]. */
import { createRequire } from 'node:module'
import type { Matrix } from 'ml-matrix'
import { ZslabError } from '../errors.js'

const requireHere = createRequire(import.meta.url)
// Loaded by who fits something: nobody else waits for them.
const matrices = () => requireHere('ml-matrix') as typeof import('ml-matrix')
const active = () => requireHere('ml-fcnnls') as typeof import('ml-fcnnls')

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
  private scaled(): { lengths: Float64Array; made: Equations } {
    const lengths = new Float64Array(this.unknowns)
    for (let row = 0; row < this.rows; row++)
      this.row(row)
        .subarray(0, this.unknowns)
        .forEach((value, i) => (lengths[i] += value * value))
    lengths.forEach((sum, i) => (lengths[i] = Math.sqrt(sum)))
    const made = new Equations(this.rows, this.unknowns, this.sides)
    made.values.set(this.values)
    for (let row = 0; row < this.rows; row++) {
      const values = made.row(row)
      for (let i = 0; i < this.unknowns; i++) if (lengths[i]) values[i] /= lengths[i]
    }
    return { lengths, made }
  }

  /** The same solutions from as many rows as unknowns: Householder's QR, of which R and Qᵀb stay. Changes this one. */
  private triangular(): Equations {
    const { rows, unknowns, width } = this
    const count = Math.min(rows, unknowns)
    const dots = new Float64Array(width)
    for (let k = 0; k < count; k++) {
      let length = 0
      for (let i = k; i < rows; i++) length += this.values[i * width + k] ** 2
      length = Math.sqrt(length)
      if (!length) continue
      const head = this.values[k * width + k]
      const first = head + (head < 0 ? -length : length)
      dots.fill(0)
      for (let i = k; i < rows; i++) {
        const v = i === k ? first : this.values[i * width + k]
        for (let j = k; j < width; j++) dots[j] += v * this.values[i * width + j]
      }
      const scale = 1 / (length * Math.abs(first))
      for (let i = k; i < rows; i++) {
        const v = (i === k ? first : this.values[i * width + k]) * scale
        for (let j = k; j < width; j++) this.values[i * width + j] -= v * dots[j]
      }
    }
    const made = new Equations(count, unknowns, this.sides)
    made.values.set(this.values.subarray(0, count * width))
    for (let k = 0; k < count; k++) made.row(k).fill(0, 0, k)
    return made
  }

  private matrices(): { a: Matrix; b: Matrix } {
    const part = (from: number, to: number) =>
      new (matrices().Matrix)(Array.from({ length: this.rows }, (_, row) => this.row(row).subarray(from, to)))
    return { a: part(0, this.unknowns), b: part(this.unknowns, this.width) }
  }

  /**
   * argmin ‖Ax − b‖ over x ≥ 0 of the first right-hand side: [unknowns]. An unknown whose coefficients are all 0 is 0. Lawson and Hanson's
   * active set in the form of Van Benthem and Keenan (10.1002/cem.889).
   */
  nonNegative(): Float64Array {
    const { lengths, made } = this.scaled()
    const { a, b } = made.triangular().matrices()
    const told = Array.from(lengths.keys()).filter((i) => lengths[i])
    const x = new Float64Array(this.unknowns)
    if (!told.length) return x
    try {
      const maxIterations = 30 * told.length
      const found = active().fcnnlsVector(a.subMatrixColumn(told), b.getColumn(0), { maxIterations }).K.getColumn(0)
      found.forEach((value, i) => (x[told[i]] = value / lengths[told[i]]))
    } catch (error) {
      throw new ZslabError('internal', `${this.rows} equations of ${told.length} weights ≥ 0 have no solution found`, {
        cause: error,
      })
    }
    return x
  }

  /** argmin ‖Ax − b‖ of every right-hand side: [unknowns, sides], the shortest x where several are as good. */
  solution(): Float64Array {
    const { lengths, made } = this.scaled()
    const r = made.triangular()
    const diagonal = Array.from({ length: r.rows }, (_, k) => Math.abs(r.row(k)[k]))
    const full = r.rows === this.unknowns && Math.min(...diagonal) > DEPENDENT * Math.max(...diagonal)
    if (!full) return this.shortest()
    const { unknowns, sides } = this
    const x = new Float64Array(unknowns * sides)
    for (let k = unknowns - 1; k >= 0; k--) {
      const row = r.row(k)
      for (let side = 0; side < sides; side++) {
        let rest = row[unknowns + side]
        for (let j = k + 1; j < unknowns; j++) rest -= row[j] * x[j * sides + side]
        x[k * sides + side] = rest / row[k]
      }
    }
    return x.map((value, i) => value / lengths[Math.floor(i / sides)])
  }

  /** Of unknowns that depend on one another: singular values below ε · the larger side · the largest are 0, as in numpy's lstsq. */
  private shortest(): Float64Array {
    const copy = new Equations(this.rows, this.unknowns, this.sides)
    copy.values.set(this.values)
    const { a, b } = copy.triangular().matrices()
    const {
      diagonal,
      leftSingularVectors: u,
      rightSingularVectors: v,
    } = new (matrices().SingularValueDecomposition)(a, {
      autoTranspose: true,
    })
    const least = Number.EPSILON * Math.max(this.rows, this.unknowns) * Math.max(...diagonal)
    const parts = u.transpose().mmul(b)
    diagonal.forEach((value, i) => parts.mulRow(i, value > least ? 1 / value : 0))
    return Float64Array.from(v.mmul(parts).to1DArray())
  }
}

/** Share of the largest diagonal of R (of unit columns) below which unknowns count as dependent. */
const DEPENDENT = 1e-10
