/** Cells of frames: what is missing, what is equal, what comes first, and what a column of them is. */
import { ZslabError } from '../errors.js'

export type Cell = number | bigint | string | boolean | Date | null | undefined
export type Dtype = 'int32' | 'float32' | 'string' | 'boolean' | 'datetime'

/** null, undefined and NaN. */
export const missing = (cell: unknown): cell is null | undefined =>
  cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))

/** The same text for the same values: 1 and '1' differ, 1 and 1n do not, all that is missing is one. */
export function keyOf(cells: readonly Cell[]): string {
  return cells.map(oneKey).join(',')
}

function oneKey(cell: Cell): string {
  if (missing(cell)) return '-'
  if (typeof cell === 'string') return JSON.stringify(cell)
  if (cell instanceof Date) return `d${cell.getTime()}`
  return typeof cell === 'boolean' ? String(cell) : String(cell === 0 ? 0 : cell)
}

const place = (cell: Cell) => (typeof cell === 'string' ? 2 : cell instanceof Date ? 1 : 0)

/** A total order of all that is not missing: numbers, then dates, then texts by their UTF-16 units. */
export function compared(a: Cell, b: Cell): number {
  if (place(a) !== place(b)) return place(a) - place(b)
  return a! < b! ? -1 : a! > b! ? 1 : 0
}

/** Positions of `cells` in order; equal ones stay as they stand and what is missing is last, either way. */
export function sorted(cells: readonly Cell[], ascending = true): number[] {
  const known: number[] = []
  const rest: number[] = []
  cells.forEach((cell, at) => (missing(cell) ? rest : known).push(at))
  known.sort((a, b) => (ascending ? compared(cells[a], cells[b]) : compared(cells[b], cells[a])))
  return [...known, ...rest]
}

/** What a whole column holds, all rows looked at. Whole numbers beyond 32 bits and columns with gaps are 'float32', as danfojs says it. */
export function dtypeOf(cells: readonly Cell[]): Dtype {
  let [texts, numbers, booleans, dates, gaps, whole] = [0, 0, 0, 0, 0, true]
  for (const cell of cells) {
    if (missing(cell)) gaps++
    else if (typeof cell === 'boolean') booleans++
    else if (typeof cell === 'number') {
      numbers++
      whole &&= Number.isInteger(cell) && Math.abs(cell) < 2 ** 31
    } else if (typeof cell === 'bigint') {
      numbers++
      whole &&= cell > -(2n ** 31n) && cell < 2n ** 31n
    } else if (cell instanceof Date) dates++
    else texts++
  }
  if (texts) return 'string'
  if (numbers) return whole && !gaps && !booleans ? 'int32' : 'float32'
  if (booleans) return 'boolean'
  return dates ? 'datetime' : 'float32'
}

/** `cell` as a number of statistics (true is 1). Errors: 'invalid' for texts and dates. */
export function numeric(cell: Cell, what: string): number | bigint {
  if (typeof cell === 'number' || typeof cell === 'bigint') return cell
  if (missing(cell)) return NaN
  if (typeof cell === 'boolean') return Number(cell)
  throw new ZslabError(
    'invalid',
    `${what} needs numbers, but a column holds ${cell instanceof Date ? 'dates' : 'texts'}: choose the columns of numbers, as in frame.loc({ columns: ['score'] }) or groups.col(['score'])`,
  )
}
