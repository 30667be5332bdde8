/** What a list of cells comes to, as pandas documents it: missing values are left out, spreads are those of a sample (n − 1). */
import { ZslabError } from '../errors.js'
import { number } from '../expect.js'
import { compared, missing, numeric, type Cell } from './cells.js'

type Numbers = (number | bigint)[]

const present = (cells: readonly Cell[], what: string): Numbers =>
  cells.filter((cell) => !missing(cell)).map((cell) => numeric(cell, what))
const bigints = (values: Numbers): values is bigint[] => values.every((value) => typeof value === 'bigint')

/** BigInts exactly; of others with what the roundings lost (Neumaier). */
export function sum(cells: readonly Cell[], what = 'sum'): number | bigint {
  const values = present(cells, what)
  if (values.length && bigints(values)) return values.reduce((total, value) => total + value, 0n)
  let [total, lost] = [0, 0]
  for (const value of values.map(Number)) {
    const next = total + value
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total
    total = next
  }
  return Number.isFinite(lost) ? total + lost : total
}

export function mean(cells: readonly Cell[], what = 'mean'): number {
  const values = present(cells, what)
  if (!values.length) return NaN
  const all = sum(values, what)
  if (typeof all === 'number') return all / values.length
  const n = BigInt(values.length)
  return Number(all / n) + Number(all % n) / values.length
}

/** Linear between the two nearest, as pandas' default; q from 0 to 1. */
export function quantile(cells: readonly Cell[], q: number, what = 'quantile'): number | bigint {
  number('q', q, 0, 1)
  const values = present(cells, what).sort(compared)
  if (!values.length) return NaN
  const at = q * (values.length - 1)
  const [low, high] = [values[Math.floor(at)], values[Math.ceil(at)]]
  if (low === high) return low
  const share = at - Math.floor(at)
  if (typeof low === 'bigint' && typeof high === 'bigint') return Number(low) + Number(high - low) * share
  return Number(low) + (Number(high) - Number(low)) * share
}

export function variance(cells: readonly Cell[], what = 'var'): number {
  const values = present(cells, what)
  if (values.length < 2) return NaN
  // From the first value on, so that large BigInts lose nothing.
  const first = values[0]
  const near = values.map((value) =>
    typeof value === 'bigint' && typeof first === 'bigint' ? Number(value - first) : Number(value) - Number(first),
  )
  const middle = mean(near)
  return Number(sum(near.map((value) => (value - middle) ** 2))) / (values.length - 1)
}

/** The most frequent values in order. */
export function mode(cells: readonly Cell[]): Cell[] {
  const counts = new Map<Cell, number>()
  for (const cell of cells) if (!missing(cell)) counts.set(cell, (counts.get(cell) ?? 0) + 1)
  const most = Math.max(...counts.values())
  return [...counts.keys()].filter((cell) => counts.get(cell) === most).sort(compared)
}

function extreme(sign: 1 | -1) {
  return (cells: readonly Cell[]): Cell => {
    let found: Cell = NaN
    for (const cell of cells) if (!missing(cell) && (missing(found) || sign * compared(cell, found) > 0)) found = cell
    return typeof found === 'boolean' ? Number(found) : found
  }
}

export const max = extreme(1)
export const min = extreme(-1)
export const count = (cells: readonly Cell[]): number => cells.filter((cell) => !missing(cell)).length

/** Every statistic that gives one value, by danfojs' name for it. */
export const STATISTICS: Readonly<Record<string, (cells: readonly Cell[]) => Cell>> = {
  count,
  sum,
  mean,
  median: (cells) => quantile(cells, 0.5, 'median'),
  min,
  max,
  var: variance,
  std: (cells) => Math.sqrt(variance(cells, 'std')),
}

type Step = (total: number | bigint, value: number | bigint) => number | bigint
const exact = (
  a: number | bigint,
  b: number | bigint,
  big: (a: bigint, b: bigint) => bigint,
  small: (a: number, b: number) => number,
) => (typeof a === 'bigint' && typeof b === 'bigint' ? big(a, b) : small(Number(a), Number(b)))
const STEPS: Record<string, Step> = {
  sum: (a, b) =>
    exact(
      a,
      b,
      (x, y) => x + y,
      (x, y) => x + y,
    ),
  prod: (a, b) =>
    exact(
      a,
      b,
      (x, y) => x * y,
      (x, y) => x * y,
    ),
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (b > a ? b : a),
}

/** 'sum', 'prod', 'min' or 'max' of all up to each cell; missing ones stay missing. */
export function cumulative(cells: readonly Cell[], operation: string): Cell[] {
  let total: number | bigint | undefined
  return cells.map((cell) => {
    if (missing(cell)) return NaN
    const value = numeric(cell, `cum${operation}`)
    return (total = total === undefined ? value : STEPS[operation](total, value))
  })
}

/** Position of the first greatest (least) value. Errors: 'invalid' where all are missing. */
export function extremeAt(cells: readonly Cell[], sign: 1 | -1, what: string): number {
  let found = -1
  cells.forEach((cell, at) => {
    if (!missing(cell) && (found < 0 || sign * compared(cell, cells[found]) > 0)) found = at
  })
  if (found < 0)
    throw new ZslabError('invalid', `${what} needs a value, but all ${cells.length} of this column are missing`)
  return found
}

/** Places from 1 on, as pandas' rank: equal values share theirs by `method`, missing ones have none (NaN). */
export function rank(
  cells: readonly Cell[],
  method: 'average' | 'min' | 'max' | 'first' | 'dense',
  /** As sorted() gives it. */
  order: readonly number[],
): number[] {
  const ranks = cells.map(() => NaN)
  const known = order.filter((at) => !missing(cells[at]))
  let dense = 0
  for (let from = 0; from < known.length;) {
    let to = from + 1
    while (to < known.length && compared(cells[known[to]], cells[known[from]]) === 0) to++
    dense++
    const shared = { average: (from + 1 + to) / 2, min: from + 1, max: to, first: NaN, dense }[method]
    for (let i = from; i < to; i++) ranks[known[i]] = method === 'first' ? i + 1 : shared
    from = to
  }
  return ranks
}
