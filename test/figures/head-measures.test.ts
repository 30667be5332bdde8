/** How measures of heads become shades, places and words. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { habitOf, HABITS } from '../../src/figures/habit.js'
import { placesOf, shadeScale } from '../../src/figures/head-measures.js'
import { HEAD_MEASURES } from '../../src/index.js'

const VALUES = fc.array(
  fc.oneof({ weight: 9, arbitrary: fc.double({ min: -5, max: 50, noNaN: true }) }, fc.constant(NaN)),
)

describe('shades of measures', () => {
  it('go from the least to the largest in their order, whatever was not measured', () => {
    fc.assert(
      fc.property(VALUES, (values) => {
        const scale = shadeScale(values)
        for (const a of values) {
          assert.equal(Number.isNaN(scale.at(a)), Number.isNaN(a))
          for (const b of values) if (a <= b) assert.ok(scale.at(a) <= scale.at(b) && scale.at(b) <= 1)
        }
        const known = values.filter((value) => !Number.isNaN(value))
        if (new Set(known).size < 2) return
        assert.deepEqual([scale.at(Math.min(...known)), scale.at(Math.max(...known))], [0, 1])
      }),
    )
  })

  it('are in equal factors where the largest is far out and nothing is 0', () => {
    const far = shadeScale([1, 2, 4, 64])
    assert.ok(far.logarithmic && Math.abs(far.at(8) - 0.5) < 1e-12)
    assert.ok(!shadeScale([0, 2, 4, 64]).logarithmic)
    assert.ok(!shadeScale([1, 2, 4, 8]).logarithmic)
    assert.equal(shadeScale([3, 3]).at(3), 0.5)
    assert.ok(Number.isNaN(shadeScale([NaN]).low))
  })

  it('places count from the largest; equals have the best of theirs', () => {
    assert.deepEqual(Array.from(placesOf([5, NaN, 7, 5, 1])), [2, NaN, 1, 2, 4])
    fc.assert(
      fc.property(VALUES, (values) => {
        const places = placesOf(values)
        values.forEach((value, i) => {
          if (!Number.isNaN(value)) assert.equal(places[i], 1 + values.filter((other) => other > value).length)
        })
      }),
    )
  })
})

describe('habits of heads', () => {
  it('are words for measures that there are, the strongest first', () => {
    for (const { measure } of HABITS)
      assert.ok(
        HEAD_MEASURES.some(({ name }) => name === measure),
        measure,
      )
    assert.deepEqual(
      habitOf((measure) => ({ sinkMass: 0.6, previous: 0.9, locality: 0.49 })[measure]),
      ['previous', 'sink'],
    )
    assert.deepEqual(
      habitOf(() => NaN),
      [],
    )
  })
})
