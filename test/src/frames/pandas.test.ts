/** Other calls on frames and series, with the values that pandas documents; what is refused; large tables. */
import assert from 'node:assert/strict'
import { danfojs } from '../../../src/frames.js'
import { give, NS, numbers, of, sides, table, type Calls } from './tables.js'

const CALLS: Calls = {
  'dropDuplicates, last': [() => of({ a: [1, 2, 1] }).a.dropDuplicates({ keep: 'last' }), [2, 1]],
  'dropDuplicates leaves the series alone': [
    () => {
      const made = of({ a: [1, 2, 1] }).a
      made.dropDuplicates({ keep: 'last' })
      return made
    },
    [1, 2, 1],
  ],
  'drop of a column whose name holds another': [() => of({ a: [1], ab: [2] }).drop({ columns: 'ab' }), [[1]]],
  'drop of row 0': [() => of({ a: [1, 2] }).drop({ index: 0 }), [[2]]],
  'apply sees whole rows': [() => numbers().apply((row: unknown[]) => row.length), [2, 2, 2]],
  'a copy is one': [
    () => {
      const made = of({ a: [1], b: [2] })
      made.copy().addColumn('a', [9], { inplace: true })
      return made
    },
    [[1, 2]],
  ],
  'a column in another place': [
    () => of({ a: [1], b: ['x'] }).addColumn('c', [2.5], { atIndex: 0 }).dtypes,
    ['float32', 'int32', 'string'],
  ],
  'a column named as a method': [
    () =>
      of({ count: [1, 2], values: [3, 4] })
        .column('values')
        .sum(),
    7,
  ],
  'map by own names only': [() => of({ t: ['constructor', 'a'] }).t.map({ a: 'b' }), ['constructor', 'b']],
  'missing first': [() => of({ a: [undefined, 1] }).a.values, [null, 1]],
  'CSV of a series': [() => of({ t: ['a,b', null] }).t.toCSV(), 't\n"a,b"\n\n'],
  'CSV in full': [
    () => of({ n: [NS, 123456789.123], d: [new Date(0), null] }).toCSV(),
    `n,d\n${NS},1970-01-01T00:00:00.000Z\n123456789.123,\n`,
  ],
}

const REFUSED: Record<string, [() => unknown, RegExp]> = {
  'a tensor that would be another number': [() => of({ a: [2 ** 24 + 1, 0.5] }).a.tensor, /float32 holds.*use values/],
  'a mean of texts': [() => table().mean(), /holds texts: choose the columns of numbers/],
  'a mean of texts by groups': [() => table().groupby(['g']).mean(), /groups\.col/],
  'argMax of nothing': [() => of({ a: [NaN] }).a.argMax(), /all 1 of this column are missing/],
  'a whole number of missing': [() => of({ a: [NaN] }).a.asType('int32'), /fillNa\(\) or dropNa\(\) first/],
  'merge by a column that one lacks': [
    () => (danfojs() as any).merge({ ...sides(), on: ['q'] }),
    /columns that both frames have/,
  ],
  'a mask of another length': [() => table().query([true]), /expected 5 of true and false/],
  'a row that is not there': [() => table().iloc({ rows: [5] }), /whole numbers from 0 to 4/],
  'an order of texts and numbers': [() => table().t.lt(3), /expected a text to compare with/],
  'a column that is not there': [() => table().loc({ columns: ['q'] }), /expected one of g, n, t/],
  'options that are not known': [() => table().sortValues('n', { descending: true }), /has no option "descending"/],
}

describe('frames as pandas documents them', () => {
  give(CALLS)
  for (const [name, [call, expected]] of Object.entries(REFUSED))
    it(`refuses ${name}`, () => assert.throws(call, expected))

  it('takes a sample by place, the same for the same seed', async () => {
    const sample = async (seed: number) => (await table().sortValues('n').sample(3, { seed })).values
    assert.deepEqual(await sample(7), await sample(7))
    assert.equal((await sample(7)).length, 3)
  })

  it('sorts, filters, groups and merges 50,000 rows', () => {
    const rows = 50_000
    const k = Int32Array.from({ length: rows }, (_, i) => (i * 7919) % rows)
    const made = of({ k, n: Float64Array.from(k, (one) => (one % 3 ? one : NaN)) })
    const sorted = made.sortValues('n')
    assert.equal(sorted.query(sorted.n.ge(0)).shape[0], rows - Math.ceil(rows / 3))
    assert.equal(made.groupby(['k']).count().shape[0], rows)
    assert.equal((danfojs() as any).merge({ left: made, right: made, on: ['k'], how: 'inner' }).shape[0], rows)
    assert.equal((danfojs() as any).concat({ dfList: [made, made], axis: 0 }).shape[0], 2 * rows)
  })
})
