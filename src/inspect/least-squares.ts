/** Least squares in float64: the one door to ml-matrix. Equations come as rows of [coefficients | right-hand sides]. */
import { createRequire } from 'node:module'
import type { Matrix } from 'ml-matrix'
import { Breaks } from './breaks.js'
import { nonNegative } from './non-negative.js'
import { NormalEquations } from './normal-equations.js'

const requireHere = createRequire(import.meta.url)
// Loaded by who fits something: nobody else waits for it.
const matrices = () => requireHere('ml-matrix') as typeof import('ml-matrix')

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
  private async triangular(breaks: Breaks): Promise<Equations> {
    const { rows, unknowns, width } = this
    const count = Math.min(rows, unknowns)
    const dots = new Float64Array(width)
    for (let k = 0; k < count; k++) {
      let length = 0
      for (let i = k; i < rows; i++) length += this.values[i * width + k] ** 2
      length = Math.sqrt(length)
      if (!length) continue
      if (breaks.due()) await breaks.take()
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

  /** argmin ‖Ax − b‖ over x ≥ 0 of the first right-hand side: [unknowns]. An unknown whose coefficients are all 0 is 0. */
  async nonNegative(breaks = new Breaks()): Promise<Float64Array> {
    const { lengths, made } = this.scaled()
    const { rows, unknowns } = made
    const x = await nonNegative({ rows, unknowns, sides: 1, row: (at) => made.row(at) }, breaks)
    return x.map((value, i) => (lengths[i] ? value / lengths[i] : 0))
  }

  /** argmin ‖Ax − b‖ of every right-hand side: [unknowns, sides], the shortest x where several are as good. */
  async solution(breaks = new Breaks()): Promise<Float64Array> {
    const { lengths, made } = this.scaled()
    const normal = await NormalEquations.of(made, breaks)
    await normal.addAll(breaks)
    if (normal.order.length < this.unknowns) return this.shortest(breaks)
    const x = await normal.solution(breaks)
    return x.map((value, i) => value / lengths[Math.floor(i / this.sides)])
  }

  /** Of unknowns that depend on one another: singular values below ε · the larger side · the largest are 0, as in numpy's lstsq. */
  private async shortest(breaks: Breaks): Promise<Float64Array> {
    const copy = new Equations(this.rows, this.unknowns, this.sides)
    copy.values.set(this.values)
    const { a, b } = (await copy.triangular(breaks)).matrices()
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
