/** Slots shared out by scores: totals to the slot, floors, and what more score brings, whatever the scores. */
import assert from 'node:assert/strict'
import { adakv, headkv, proportional } from '../../../src/heads/allocation.js'
import { draws } from '../model/files.js'
import { alike } from '../../scale.js'

const total = (budgets: number[][]) => budgets.flat().reduce((sum, one) => sum + one, 0)

describe('slots by scores', () => {
  it('proportional: by hand', () => {
    // 4 heads, 100 slots each in the mean: 20 for all, 320 by score 1 : 3 : 0 : 4.
    assert.deepEqual(
      proportional(
        [
          [1, 3],
          [0, 4],
        ],
        { total: 100 },
      ),
      [
        [60, 140],
        [20, 180],
      ],
    )
    assert.deepEqual(proportional([[5, -2]], { total: 10, floor: 0.5 }), [[15, 5]])
    assert.deepEqual(
      proportional(
        [
          [0, 0],
          [0, 0],
        ],
        { total: 7 },
      ),
      [
        [7, 7],
        [7, 7],
      ],
    )
  })

  it('proportional: the largest remainders have what is left, none of them a head that was lifted to 1', () => {
    // Parts 0.86, 1.71, 3.43 of 6 slots.
    assert.deepEqual(proportional([[1, 2, 4]], { total: 2, floor: 0 }), [[1, 2, 3]])
    // Parts 3.2, 3.8, 5.
    assert.deepEqual(proportional([[32, 38, 50]], { total: 4, floor: 0 }), [[3, 4, 5]])
  })

  it('AdaKV’s: each layer has as much as the others, whatever its scores', () => {
    assert.deepEqual(
      adakv(
        [
          [3, 1],
          [30, 10],
          [0, 0],
        ],
        { total: 10, floor: 0.2 },
      ),
      [
        [14, 6],
        [14, 6],
        [10, 10],
      ],
    )
    assert.throws(
      () =>
        adakv(
          [
            [1, 1],
            [1, NaN],
          ],
          { total: 5 },
        ),
      /layer 1, kv head 1/,
    )
  })

  it('shares: none above the whole prompt, what is beyond goes to the others', () => {
    const [[a, b]] = proportional([[99, 1]], { total: 0.8, floor: 0.25 })
    assert.ok(a < 1, 'a budget of 1 is one slot')
    assert.ok(Math.abs(a - 1) < 1e-12 && Math.abs(b - 0.6) < 1e-12, `${a}, ${b}`)
  })

  it('any scores: the total to the slot, at least the floor, more for more, one place for one order', () => {
    for (let seed = 0; seed < alike(2000, 200); seed++) {
      const draw = draws(seed * 9973 + 1)
      const [layers, heads] = [1 + draw(6), 1 + draw(5)]
      const scores = Array.from({ length: layers }, () =>
        Array.from({ length: heads }, () => (draw(4) ? draw(1000) / 1000 : draw(2) ? 0 : draw(1000) * 100)),
      )
      const [mean, floor] = [1 + draw(300), draw(11) / 10]
      const made = proportional(scores, { total: mean, floor })
      assert.equal(total(made), mean * layers * heads, `seed ${seed}`)
      const flat = made.flat()
      const sum = scores.flat().reduce((a, b) => a + b, 0)
      scores.flat().forEach((score, i) => {
        assert.ok(Number.isInteger(flat[i]) && flat[i] >= 1)
        if (floor * mean >= 1) assert.ok(flat[i] >= Math.floor(floor * mean + 1e-9), `seed ${seed}`)
        scores.flat().forEach((other, j) => assert.ok(score <= other || flat[i] >= flat[j] - 1, `seed ${seed}`))
        if (!sum) assert.equal(flat[i], mean)
      })
    }
  })

  it('HeadKV’s rule: whole slots go into the pool, query heads count by the largest of a group', () => {
    // Base 100, floor 0.25: 75 of each of 2 kv heads go into the pool; the groups' largest scores are 3 and 1.
    const made = headkv([[1, 3, 1, 0.5]], 2, { total: 100, floor: 0.25 })
    assert.equal(total(made), 200)
    assert.deepEqual(made, [[138, 62]])
    // Of 10 slots 7 (7.5 without its rest) go into the pool, 3 stay.
    assert.deepEqual(headkv([[1, 0]], 1, { total: 10, floor: 0.25 }), [[17, 3]])
    assert.throws(() => headkv([[1, 1]], 1, { total: 0.5 }), /whole slots/)
  })

  it('every rule: the total to the slot where it is no whole number, too, and at its ends', () => {
    for (let seed = 0; seed < alike(1000, 100); seed++) {
      const draw = draws(seed * 7919 + 5)
      const [layers, kvHeads, group] = [1 + draw(7), 1 + draw(5), 1 + draw(3)]
      const scores = Array.from({ length: layers }, () =>
        Array.from({ length: kvHeads * group }, () => (draw(3) ? draw(100) - 20 : 0)),
      )
      const grouped = scores.map((row) =>
        Array.from({ length: kvHeads }, (_, kv) => Math.max(...row.slice(kv * group, (kv + 1) * group))),
      )
      const options = { total: draw(3) ? 1 + draw(4000) / 37 : 1, floor: [0, 1, draw(100) / 99][draw(3)] }
      const expected = Math.round(options.total * layers * kvHeads)
      const by = { proportional: proportional(grouped, options), adakv: adakv(grouped, options) }
      for (const [rule, made] of Object.entries({ ...by, headkv: headkv(scores, group, options) })) {
        assert.equal(total(made), expected, `${rule}, seed ${seed}`)
        assert.ok(made.flat().every((one) => Number.isInteger(one) && one >= 1))
      }
      const layer = by.adakv.map((row) => total([row]))
      assert.ok(Math.max(...layer) - Math.min(...layer) <= 1, `layers of adakv, seed ${seed}`)
      if (options.floor === 1) {
        const flat = by.proportional.flat()
        assert.ok(Math.max(...flat) - Math.min(...flat) <= 1)
      }
      const shares = proportional(grouped, { ...options, total: options.total / 120 })
      assert.ok(Math.abs(total(shares) - (options.total / 120) * layers * kvHeads) < 1e-9, `shares, seed ${seed}`)
    }
  })

  it('says which head has no score, and what is no total', () => {
    assert.throws(() => proportional([[1, NaN]], { total: 5 }), /layer 0, kv head 1/)
    assert.throws(() => proportional([[1]], { total: 0 }), /total/)
    assert.throws(() => proportional([[1]], { total: 5, floor: 2 }), /floor/)
  })
})
