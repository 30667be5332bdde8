/** Calls on frames and series with missing cells, large numbers and odd keys: the values that pandas documents. */
import assert from 'node:assert/strict'
import { danfojs, frame, type Columns } from '../../../src/frames.js'

const of = (columns: Columns) => frame(columns) as any
/** Values of series and frames, missing ones as null. */
const plain = (made: any): unknown => {
  const values = Array.isArray(made?.values) ? made.values : made
  const one = (cell: unknown): unknown =>
    Array.isArray(cell) ? cell.map(one) : cell === undefined || Number.isNaN(cell) ? null : cell
  return one(values)
}

const a = () => of({ a: [3, NaN, 1, null, 2] }).a
const table = () => of({ g: ['x', 'y', 'x', null, 'y'], n: [2, NaN, 1, 5, 4], t: ['b', 'B', 'a', 'Z', 'é'] })
const numbers = () => of({ a: [1, NaN, 3], b: [4, 5, null] })
const ints = () => of({ a: [...Array<number>(30).fill(1), 38.5] })
const NS = 1767139200123456789n
const sides = () => ({
  left: of({ k: ['a_b', 'a', 'c', 'c'], l: ['c', 'b_c', 'd', 'd'], n: [1, 2, 3, 4] }),
  right: of({ k: ['a', 'c', 'z'], l: ['b_c', 'd', 'z'], n: [5, 6, 7] }),
})
const joined = (how: string) => (danfojs() as any).merge({ ...sides(), on: ['k', 'l'], how })

const CALLS: Record<string, [() => unknown, unknown]> = {
  // order
  'series sorted': [() => a().sortValues(), [1, 2, 3, null, null]],
  'series sorted down, missing still last': [() => a().sortValues({ ascending: false }), [3, 2, 1, null, null]],
  'labels follow': [() => a().sortValues().index, [2, 4, 0, 1, 3]],
  'frame sorted': [() => table().sortValues('n').n, [1, 2, 4, 5, null]],
  'frame sorted down': [() => table().sortValues('n', { ascending: false }).n, [5, 4, 2, 1, null]],
  'equal ones stay as they stand, down too': [
    () => of({ k: [1, 2, 1, 2], row: [0, 1, 2, 3] }).sortValues('k', { ascending: false }).row,
    [1, 3, 0, 2],
  ],
  'texts by their letters': [() => table().sortValues('t').t, ['B', 'Z', 'a', 'b', 'é']],
  'texts with missing ones': [() => table().sortValues('g', { ascending: false }).g, ['y', 'y', 'x', 'x', null]],
  'infinities before the missing': [
    () => of({ a: [NaN, Infinity, -Infinity, 0] }).a.sortValues(),
    [-Infinity, 0, Infinity, null],
  ],
  BigInts: [() => of({ a: [NS + 1n, NS, NS + 2n] }).a.sortValues(), [NS, NS + 1n, NS + 2n]],
  'in place': [
    () => {
      const made = table()
      made.sortValues('n', { inplace: true })
      return made.n
    },
    [1, 2, 4, 5, null],
  ],
  'by label again': [() => table().sortValues('n').sortIndex().n, [2, null, 1, 5, 4]],
  argSort: [() => a().argSort(), [2, 4, 0, 1, 3]],
  argMax: [() => a().argMax(), 0],
  argMin: [() => a().argMin(), 2],
  'argMax of large numbers': [() => of({ a: [2 ** 53 - 1, 2 ** 53] }).a.argMax(), 1],
  rank: [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank(), [3.5, null, 2, 3.5, 1]],
  'rank down': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ ascending: false }), [1.5, null, 3, 1.5, 4]],
  'rank min': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ method: 'min' }), [3, null, 2, 3, 1]],
  'rank max': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ method: 'max' }), [4, null, 2, 4, 1]],
  'rank first': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ method: 'first' }), [3, null, 2, 4, 1]],
  'rank dense': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ method: 'dense' }), [3, null, 2, 3, 1]],
  'rank pct': [() => of({ a: [7, NaN, 3, 7, 1] }).a.rank({ pct: true }), [0.875, null, 0.5, 0.875, 0.25]],
  'rank of a frame': [
    () => numbers().rank(),
    [
      [1, 1],
      [null, 2],
      [2, null],
    ],
  ],
  // statistics
  quantile: [() => of({ a: [1, NaN, 2, 4] }).a.quantile(0.25), 1.5],
  quantiles: [() => of({ a: [1, NaN, 2, 4] }).a.quantile([0, 0.5, 1]), [1, 2, 4]],
  'quantile of a frame': [() => numbers().quantile(0.5), [2, 4.5]],
  'mean, by columns': [() => numbers().mean({ axis: 0 }), [2, 4.5]],
  'mean, by rows': [() => numbers().mean(), [2.5, 5, 3]],
  'mean of nothing': [() => of({ a: [NaN, null] }).a.mean(), null],
  'sum of nothing': [() => of({ a: [NaN, null] }).a.sum(), 0],
  'sum of tenths': [() => of({ a: Array(10).fill(0.1) }).a.sum(), 1],
  median: [() => a().median(), 2],
  min: [() => a().min(), 1],
  max: [() => a().max(), 3],
  'max of nothing': [() => of({ a: [NaN] }).a.max(), null],
  std: [() => a().std(), 1],
  'std of one': [() => of({ a: [4, NaN] }).a.std(), null],
  var: [() => a().var(), 1],
  'var of BigInts': [() => of({ a: [NS, NS + 2n] }).a.var(), 2],
  mode: [() => of({ a: [2, 1, 2, 1, NaN, NaN, NaN] }).a.mode(), [1, 2]],
  count: [() => a().count(), 3],
  'count by columns': [() => numbers().count({ axis: 0 }), [2, 2]],
  cumSum: [() => a().cumSum(), [3, null, 4, null, 6]],
  cumMax: [() => of({ a: [NaN, 1, 3, 2] }).a.cumMax(), [null, 1, 3, 3]],
  'cumMin of a frame': [
    () => numbers().cumMin({ axis: 0 }),
    [
      [1, 4],
      [null, 4],
      [1, null],
    ],
  ],
  'cumSum of BigInts': [() => of({ a: [NS, 1n] }).a.cumSum(), [NS, NS + 1n]],
  'describe of a series': [() => a().describe(), [3, 2, 1, 1, 2, 3, 1]],
  unique: [() => of({ a: [NaN, 1, NaN, 1] }).a.unique(), [null, 1]],
  nUnique: [() => of({ a: [NaN, 1, NaN, 2] }).a.nUnique(), 2],
  valueCounts: [() => of({ a: [1.5, 0.5, 1.25, 0.5, NaN] }).a.valueCounts(), [2, 1, 1]],
  'labels of valueCounts': [() => of({ a: [1.5, 0.5, 1.25, 0.5, NaN] }).a.valueCounts().index, [0.5, 1.5, 1.25]],
  // missing
  isNa: [() => of({ a: ['', null, undefined] }).a.isNa(), [false, true, true]],
  fillNa: [() => a().fillNa(0), [3, 0, 1, 0, 2]],
  'fillNa with an empty text': [() => of({ a: ['x', null] }).a.fillNa(''), ['x', '']],
  'fillNa of columns': [
    () => numbers().fillNa([9], { columns: ['b'] }),
    [
      [1, 4],
      [null, 5],
      [3, 9],
    ],
  ],
  'fillNa leaves the frame alone': [
    () => {
      const made = numbers()
      made.fillNa(9, { columns: ['b'] })
      return made
    },
    [
      [1, 4],
      [null, 5],
      [3, null],
    ],
  ],
  'fillNa changes the type': [() => of({ a: [1, NaN] }).fillNa('none').dtypes, ['string']],
  dropNa: [() => numbers().dropNa(), [[1, 4]]],
  'dropNa of columns': [() => of({ a: [1, 2], b: [null, 1], c: [undefined, 1] }).dropNa({ axis: 0 }).columns, ['a']],
  'dropNa of a series': [() => a().dropNa().index, [0, 2, 4]],
  // filters
  'a mask after sorting': [
    () => {
      const s = table().sortValues('n')
      return s.query(s.n.gt(1)).n
    },
    [2, 4, 5],
  ],
  'a mask after a mask': [
    () => {
      const s = table().query(table().n.ge(2))
      return s.query(s.n.gt(2)).n
    },
    [5, 4],
  ],
  'loc with a mask': [
    () => {
      const s = table().sortValues('n')
      return s.loc({ rows: s.n.gt(1), columns: ['n'] })
    },
    [[2], [4], [5]],
  ],
  'missing is not small': [() => of({ a: [null, NaN, -1] }).a.lt(0), [false, false, true]],
  'missing equals nothing': [() => of({ a: [null, NaN, 1] }).a.eq(of({ a: [null, NaN, 1] }).a), [false, false, true]],
  'missing differs from all': [() => of({ a: [null, NaN, 1] }).a.ne(1), [true, true, false]],
  'texts have an order': [() => table().t.lt('b'), [false, true, true, true, false]],
  'BigInts and numbers': [() => of({ a: [1n, 2n] }).a.eq(2), [false, true]],
  'whole frames': [() => of({ a: [2 ** 24, 2 ** 24 + 1] }).gt(2 ** 24), [[false], [true]]],
  'the type of a mask': [() => of({ a: [1, 2] }).gt(1).dtypes, ['boolean']],
  and: [() => of({ a: [true, null] }).a.and([true, true]), [true, false]],
  // arithmetic
  nanoseconds: [() => of({ ns: [NS, NS + 7n] }).sub(NS), [[0n], [7n]]],
  'nanoseconds as numbers': [
    () => of({ ns: [1_767_139_200_123, 1_767_139_200_124] }).sub(1_767_139_200_123),
    [[0], [1]],
  ],
  'missing and one': [() => of({ a: [null, 1] }).a.add(1), [null, 2]],
  'missing and one, frame': [() => of({ a: [null, 1] }).add(1), [[null], [2]]],
  'by rows': [
    () => of({ a: [1, 2], b: [3, 4] }).mul([10, 100], { axis: 0 }),
    [
      [10, 30],
      [200, 400],
    ],
  ],
  'by columns': [
    () => of({ a: [1, 2], b: [3, 4] }).mul([10, 100], { axis: 1 }),
    [
      [10, 300],
      [20, 400],
    ],
  ],
  'div by zero': [() => of({ a: [1, 0, -1] }).a.div(0), [Infinity, null, -Infinity]],
  'mod has the sign of the divisor': [() => of({ a: [-7, 7] }).a.mod(3), [2, 1]],
  'frames in float64': [() => of({ a: [0.1] }).mul(3), [[0.1 * 3]]],
  maximum: [() => of({ a: [1, NaN, 3] }).a.maximum(2), [2, null, 3]],
  diff: [
    () => numbers().diff(1),
    [
      [null, null],
      [null, 1],
      [null, null],
    ],
  ],
  pctChange: [() => of({ a: [1, 2, 0, 3] }).pctChange(1), [[null], [1], [-1], [Infinity]]],
  round: [() => of({ a: [0.5, 1.5, 2.5, 2.675] }).a.round(0), [0, 2, 2, 3]],
  'round before the point': [() => of({ a: [1234, 1250] }).a.round(-2), [1200, 1200]],
  abs: [() => of({ a: [-1, null] }).a.abs(), [1, null]],
  // types
  'a fraction after thirty whole numbers': [() => ints().dtypes, ['float32']],
  'as a tensor': [() => ints().a.tensor.arraySync().at(-1), 38.5],
  'texts of digits are texts': [() => of({ t: ['1', ''] }).dtypes, ['string']],
  'asType by value': [() => of({ a: [5e-7, 1.9, 1e21] }).a.asType('int32'), [0, 1, 1e21]],
  'asType leaves the frame alone': [
    () => {
      const made = of({ a: [1.5] })
      made.asType('a', 'int32')
      return made.a
    },
    [1.5],
  ],
  'float of missing': [() => of({ a: [null, '2'] }).a.asType('float32'), [null, 2]],
  // groups
  'missing keys are left out': [
    () => table().groupby(['g']).col(['n']).sum(),
    [
      ['x', 3],
      ['y', 4],
    ],
  ],
  'NaN among numbers too': [
    () =>
      of({ g: [1, NaN, 1], n: [1, 2, 3] })
        .groupby(['g'])
        .sum(),
    [[1, 4]],
  ],
  'numbers in order': [
    () =>
      of({ g: [1.5, -1, 10, 2], n: [1, 2, 3, 4] })
        .groupby(['g'])
        .count(),
    [
      [-1, 1],
      [1.5, 1],
      [2, 1],
      [10, 1],
    ],
  ],
  'keys as BigInts': [
    () =>
      of({ g: [NS, NS + 1n, NS], n: [1, 2, 3] })
        .groupby(['g'])
        .sum(),
    [
      [NS, 4],
      [NS + 1n, 2],
    ],
  ],
  'size counts missing cells': [
    () => table().groupby(['g']).size(),
    [
      ['x', 2],
      ['y', 2],
    ],
  ],
  first: [
    () => table().groupby(['g']).col(['n']).first(),
    [
      ['x', 2],
      ['y', null],
    ],
  ],
  'agg of texts': [
    () =>
      table()
        .groupby(['g'])
        .agg({ t: ['min', 'max', 'count'] }),
    [
      ['x', 'a', 'b', 2],
      ['y', 'B', 'é', 2],
    ],
  ],
  // merge and concat
  'merge, inner': [
    () => joined('inner'),
    [
      ['a', 'b_c', 2, 5],
      ['c', 'd', 3, 6],
      ['c', 'd', 4, 6],
    ],
  ],
  'merge, left': [
    () => joined('left'),
    [
      ['a_b', 'c', 1, null],
      ['a', 'b_c', 2, 5],
      ['c', 'd', 3, 6],
      ['c', 'd', 4, 6],
    ],
  ],
  'merge, right': [
    () => joined('right'),
    [
      ['a', 'b_c', 2, 5],
      ['c', 'd', 3, 6],
      ['c', 'd', 4, 6],
      ['z', 'z', null, 7],
    ],
  ],
  'merge, outer': [
    () => joined('outer'),
    [
      ['a', 'b_c', 2, 5],
      ['a_b', 'c', 1, null],
      ['c', 'd', 3, 6],
      ['c', 'd', 4, 6],
      ['z', 'z', null, 7],
    ],
  ],
  'names of both sides': [() => joined('inner').columns, ['k', 'l', 'n', 'n_1']],
  'keys as numbers in their order': [
    () =>
      (danfojs() as any).merge({
        left: of({ k: [9, 1] }),
        right: of({ k: [1, 9], v: [1, 2] }),
        on: ['k'],
        how: 'left',
      }),
    [
      [9, 2],
      [1, 1],
    ],
  ],
  'concat leaves its frames alone': [
    () => {
      const made = of({ a: [1] })
      ;(danfojs() as any).concat({ dfList: [made, of({ a: [2] })], axis: 0 })
      return made.a
    },
    [1],
  ],
  // the rest
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
  for (const [name, [call, expected]] of Object.entries(CALLS))
    it(name, () => assert.deepEqual(plain(call()), expected))
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
