/** Marks that would hide each other stand side by side, in their order, and nobody else moves. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { besideEachOther } from '../../src/figures/beside.js'

const [pixels, width, room] = [200, 8, 400]
const mark = fc.record({ at: fc.double({ min: 1, max: 7, noNaN: true }), low: fc.integer({ min: 0, max: 200 }) })
const marks = fc
  .array(mark, { minLength: 1, maxLength: 12 })
  .map((all) => all.map(({ at, low }) => ({ at, low, high: low + 20 })))

describe('marks side by side', () => {
  it('keep their order, and stay within half of the way to the next place', () => {
    fc.assert(
      fc.property(marks, (given) => {
        const { at, within } = besideEachOther(given, { pixels, width, room })
        const order = given.map((_, i) => i).sort((a, b) => given[a].at - given[b].at)
        order.slice(1).forEach((i, before) => assert.ok(at[i] >= at[order[before]] - 1e-9))
        const moved = given.filter((one, i) => Math.abs(Math.log(at[i] / one.at)) * pixels > 1e-6)
        if (moved.length) assert.ok(within !== null && within <= Math.exp((2 * width) / pixels) + 1e-9)
      }),
      { numRuns: 500, seed: 3 },
    )
  })

  it('of one place are a mark apart where there is room, and share it where there is not', () => {
    const same = (count: number) => Array.from({ length: count }, () => ({ at: 5, low: 0, high: 10 }))
    const gaps = (at: readonly number[]) => at.slice(1).map((one, i) => Math.log(one / at[i]) * pixels)
    for (const gap of gaps(besideEachOther(same(6), { pixels, width, room }).at))
      assert.ok(Math.abs(gap - 1.3 * width) < 1e-6)
    const many = besideEachOther(same(64), { pixels, width, room }).at
    assert.ok(Math.log(many[63] / many[0]) * pixels < 0.8 * room)
    assert.ok(Math.abs(Math.log(many[0] / 5) + Math.log(many[63] / 5)) < 1e-9, 'around their place')
  })

  it('do not move where one stands above the other, or far from it', () => {
    const above = [
      { at: 5, low: 0, high: 10 },
      { at: 5, low: 60, high: 90 },
      { at: 9, low: 0, high: 90 },
    ]
    assert.deepEqual(besideEachOther(above, { pixels, width, room }), { at: [5, 5, 9], within: null })
  })
})
