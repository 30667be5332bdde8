/** The index of a kv head's events: each row is in exactly one head's list, in order. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { HeadRows } from '../../../src/trace/head-rows.js'

describe('trace: rows of a kv head', () => {
  it('are those that say so, in order, however heads take turns', () => {
    const turns = fc.array(fc.record({ head: fc.nat(5), rows: fc.integer({ min: 1, max: 4 }) }), { maxLength: 30 })
    fc.assert(
      fc.property(turns, (made) => {
        const heads = made.flatMap(({ head, rows }) => Array<number>(rows).fill(head))
        const events = {
          layer: Uint16Array.from(heads, (head) => Math.floor(head / 2)),
          kvHead: Uint16Array.from(heads, (head) => head % 2),
          step: new Int32Array(heads.length),
        }
        const index = new HeadRows(events, 2, 6)
        for (let head = 0; head < 6; head++)
          assert.deepEqual(
            [...index.of(head)],
            [...heads.keys()].filter((row) => heads[row] === head),
          )
      }),
      { numRuns: 100, seed: 5 },
    )
  })
})
