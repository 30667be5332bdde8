/** Least squares of few unknowns, once for many right-hand sides: what each value adds to each unknown. */

/** Part of a column that its predecessors leave, below which it counts as made of them. */
const DEPENDENT = 1e-10

/**
 * [unknowns][rows] weights: of values y [rows], argmin ‖Xx − y‖ is x[j] = Σ weights[j][i]·y[i]. `columns`: X by column. By Gram and Schmidt, each column
 * twice, so that the basis is orthogonal to rounding (Giraud et al. 2005). undefined: the columns depend on one another, or rows are too few.
 */
export function leastSquares(columns: readonly Float64Array[]): Float64Array[] | undefined {
  const basis: Float64Array[] = []
  const parts: number[][] = []
  for (const column of columns) {
    const rest = Float64Array.from(column)
    const own = basis.map(() => 0)
    for (let again = 0; again < 2; again++)
      basis.forEach((q, j) => {
        const part = dot(q, rest)
        own[j] += part
        for (let i = 0; i < rest.length; i++) rest[i] -= part * q[i]
      })
    const length = Math.sqrt(dot(rest, rest))
    if (!(length > DEPENDENT * Math.sqrt(dot(column, column)))) return undefined
    basis.push(rest.map((value) => value / length))
    parts.push([...own, length])
  }
  // X = QR, so x = R⁻¹·Qᵀy: from the last unknown up, less what later ones take.
  const weights = basis.map((q) => Float64Array.from(q))
  for (let j = weights.length - 1; j >= 0; j--) {
    for (let k = j + 1; k < weights.length; k++)
      for (let i = 0; i < weights[j].length; i++) weights[j][i] -= parts[k][j] * weights[k][i]
    for (let i = 0; i < weights[j].length; i++) weights[j][i] /= parts[j][j]
  }
  return weights
}

/** Σ a[i]·b[i] */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
