/** What the tests of frames share: small tables with missing cells, large numbers and odd keys; calls and the values that pandas documents. */
import assert from 'node:assert/strict'
import { danfojs, frame, type Columns } from '../../../src/frames.js'

export const of = (columns: Columns) => frame(columns) as any
/** Values of series and frames, missing ones as null. */
export const plain = (made: any): unknown => {
  const values = Array.isArray(made?.values) ? made.values : made
  const one = (cell: unknown): unknown =>
    Array.isArray(cell) ? cell.map(one) : cell === undefined || Number.isNaN(cell) ? null : cell
  return one(values)
}

export const a = () => of({ a: [3, NaN, 1, null, 2] }).a
export const table = () => of({ g: ['x', 'y', 'x', null, 'y'], n: [2, NaN, 1, 5, 4], t: ['b', 'B', 'a', 'Z', 'é'] })
export const numbers = () => of({ a: [1, NaN, 3], b: [4, 5, null] })
export const ints = () => of({ a: [...Array<number>(30).fill(1), 38.5] })
export const NS = 1767139200123456789n
export const sides = () => ({
  left: of({ k: ['a_b', 'a', 'c', 'c'], l: ['c', 'b_c', 'd', 'd'], n: [1, 2, 3, 4] }),
  right: of({ k: ['a', 'c', 'z'], l: ['b_c', 'd', 'z'], n: [5, 6, 7] }),
})
export const joined = (how: string) => (danfojs() as any).merge({ ...sides(), on: ['k', 'l'], how })

/** [call, values that it gives] by what it is. */
export type Calls = Record<string, [() => unknown, unknown]>

/** One test for each of `calls`. */
export function give(calls: Calls): void {
  for (const [name, [call, expected]] of Object.entries(calls))
    it(name, () => assert.deepEqual(plain(call()), expected))
}
