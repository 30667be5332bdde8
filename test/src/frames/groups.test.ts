/** Groups, merge and concat of frames: the values that pandas documents. */
import { danfojs } from '../../../src/frames.js'
import { give, joined, NS, of, table, type Calls } from './tables.js'

const CALLS: Calls = {
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
}

describe('frames: groups and merge', () => give(CALLS))
