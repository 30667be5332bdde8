/** Order, ranks and statistics of frames and series: the values that pandas documents. */
import { give, a, NS, numbers, of, table, type Calls } from './tables.js'

const CALLS: Calls = {
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
}

describe('frames: order and statistics', () => give(CALLS))
