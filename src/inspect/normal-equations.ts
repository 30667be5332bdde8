/** Least squares by AᵀAx = Aᵀb: Cholesky's factor of a set of unknowns that grows and shrinks, and corrections from the equations themselves. */
import type { Breaks } from './breaks.js'

/** Square of the sine between a column of unit length and those of the set, below which it counts as one that depends on them. */
const DEPENDENT = 1e-13

/** Rows of [coefficients | right-hand sides, and more that is not read]; columns of coefficients have unit length. */
export interface System {
  rows: number
  unknowns: number
  sides: number
  row(row: number): Float64Array
}

export class NormalEquations {
  /** Unknowns of the set, in order of their coming; all others are 0. */
  readonly order: number[] = []
  /** Row by row, L with L·Lᵀ = AᵀA of the set. */
  private readonly factor: Float64Array[] = []

  private constructor(
    private readonly system: System,
    private readonly gram: readonly Float64Array[],
  ) {}

  /** Time: rows × unknowns². Errors: what `breaks` throws, as in all of these. */
  static async of(system: System, breaks: Breaks): Promise<NormalEquations> {
    const { rows, unknowns } = system
    const gram = Array.from({ length: unknowns }, () => new Float64Array(unknowns))
    for (let at = 0; at < rows; at++) {
      const row = system.row(at)
      for (let i = 0; i < unknowns; i++) {
        const [value, sums] = [row[i], gram[i]]
        if (value) for (let j = 0; j <= i; j++) sums[j] += value * row[j]
      }
      if (breaks.due()) await breaks.take()
    }
    for (let i = 0; i < unknowns; i++) for (let j = 0; j < i; j++) gram[j][i] = gram[i][j]
    return new NormalEquations(system, gram)
  }

  /** Those that do not depend on the ones before them. */
  async addAll(breaks: Breaks): Promise<void> {
    for (let unknown = 0; unknown < this.system.unknowns; unknown++) {
      this.add(unknown)
      if (breaks.due()) await breaks.take()
    }
  }

  /** false: it depends on those that are there, and stays out. */
  add(unknown: number): boolean {
    const { order, factor, gram } = this
    const row = new Float64Array(order.length + 1)
    let rest = gram[unknown][unknown]
    for (let k = 0; k < order.length; k++) {
      const above = factor[k]
      let sum = gram[unknown][order[k]]
      for (let i = 0; i < k; i++) sum -= row[i] * above[i]
      row[k] = sum / above[k]
      rest -= row[k] * row[k]
    }
    if (!(rest > DEPENDENT)) return false
    row[order.length] = Math.sqrt(rest)
    factor.push(row)
    order.push(unknown)
    return true
  }

  /** Those after the first that goes are put in again. */
  async remove(goes: (unknown: number) => boolean, breaks: Breaks): Promise<void> {
    const from = this.order.findIndex(goes)
    if (from < 0) return
    const again = this.order.splice(from)
    this.factor.length = from
    for (const unknown of again) {
      if (!goes(unknown)) this.add(unknown)
      if (breaks.due()) await breaks.take()
    }
  }

  /** argmin ‖Ax − b‖ of the set: [unknowns, sides]. */
  async solution(breaks: Breaks): Promise<Float64Array> {
    const x = await this.solve(await this.gradient(undefined, breaks), breaks)
    for (let round = 0; round < CORRECTIONS; round++) {
      const more = await this.solve(await this.gradient(x, breaks), breaks)
      let [moved, most] = [0, 0]
      for (let i = 0; i < x.length; i++) {
        x[i] += more[i]
        moved = Math.max(moved, Math.abs(more[i]))
        most = Math.max(most, Math.abs(x[i]))
      }
      if (moved <= ENOUGH * most) break
    }
    return x
  }

  /** Aᵀ(b − Ax), [unknowns, sides], from the equations themselves: AᵀA has half of the digits. */
  async gradient(x: Float64Array | undefined, breaks: Breaks): Promise<Float64Array> {
    const { rows, unknowns, sides } = this.system
    const sums = new Float64Array(unknowns * sides)
    for (let at = 0; at < rows; at++) {
      if (breaks.due()) await breaks.take()
      const row = this.system.row(at)
      const rest = row.slice(unknowns, unknowns + sides)
      if (x)
        for (let i = 0; i < unknowns; i++) {
          const value = row[i]
          if (value) for (let side = 0, from = i * sides; side < sides; side++) rest[side] -= value * x[from++]
        }
      for (let i = 0; i < unknowns; i++) {
        const value = row[i]
        if (value) for (let side = 0, to = i * sides; side < sides; side++) sums[to++] += value * rest[side]
      }
    }
    return sums
  }

  private async solve(of: Float64Array, breaks: Breaks): Promise<Float64Array> {
    const { order, factor } = this
    const { sides } = this.system
    const x = new Float64Array(of.length)
    const found = new Float64Array(order.length)
    for (let side = 0; side < sides; side++) {
      if (breaks.due()) await breaks.take()
      for (let k = 0; k < found.length; k++) {
        const row = factor[k]
        let rest = of[order[k] * sides + side]
        for (let i = 0; i < k; i++) rest -= row[i] * found[i]
        found[k] = rest / row[k]
      }
      for (let k = found.length - 1; k >= 0; k--) {
        const row = factor[k]
        found[k] /= row[k]
        for (let i = 0; i < k; i++) found[i] -= row[i] * found[k]
      }
      order.forEach((unknown, k) => (x[unknown * sides + side] = found[k]))
    }
    return x
  }
}

/** Each takes an error down by some cond(A)²·ε; after one that moved so little there is nothing left to do. */
const CORRECTIONS = 3
const ENOUGH = 1e-9
