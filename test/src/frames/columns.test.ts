/** Missing cells, filters, arithmetic and types of frames and series: the values that pandas documents. */
import { give, a, ints, NS, numbers, of, table, type Calls } from './tables.js'

const CALLS: Calls = {
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
}

describe('frames: columns', () => give(CALLS))
