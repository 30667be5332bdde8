/** The passport says what was measured of its head. */
import assert from 'node:assert/strict'
import { headPassport } from '../../src/figures/index.js'
import { fatesAtEnd } from '../../src/figures/fates.js'
import { runMade } from './made-runs.js'
import { importanceMade, NAMES } from './synthetic-heads.js'

const importance = importanceMade()

describe('head passport', () => {
  it('has each measure with its place among all heads, and attention by distance', () => {
    const { columns } = headPassport(importance, { layer: 7, head: 2 })
    NAMES.forEach((name, row) => {
      const own = importance.measures[name].values[7][2]
      const all = importance.measures[name].values.flatMap((each) => Array.from(each))
      assert.equal(columns.measure[row], name)
      assert.equal(columns.value[row], own)
      assert.equal(columns.place[row], 1 + all.filter((value) => value > own).length)
      assert.equal(columns.of[row], 270)
    })
    assert.deepEqual(Array.from(columns.measure).slice(-1), ['attention from 128 to 255 back']) // nobody looks further
    assert.deepEqual(
      Array.from(columns.value).slice(NAMES.length),
      Array.from(importance.distances!.shares[7][2]).slice(0, -1),
    )
  })

  it('says its habits, and what a run kept for its kv head', () => {
    const values = [Float64Array.of(0.8, 0.2)]
    const measures = { sinkMass: { name: 'sinkMass', unit: 'share', kv: 'mean' as const, values } }
    const of = (head: number) => headPassport({ layers: 1, heads: 2, kvHeads: 1, measures }, { layer: 0, head }).summary
    assert.equal(of(0), 'Layer 0, query head 0: sink. SinkMass 0.8 (1st of 2), the largest first.')
    assert.match(of(1), /^Layer 0, query head 1: 2nd of 2 by sinkMass\./)
    const run = runMade()
    const { fate } = fatesAtEnd(run, 3, 1)
    const kept = fate.filter((one) => one === 'kept').length
    assert.match(
      headPassport(importance, { layer: 3, head: 4, run }).summary,
      new RegExp(`Its kv head 1 holds ${kept} of [\\d,]+ tokens on their own, `),
    )
  })

  it('says what is wrong with a call', () => {
    const says = (options: object, words: RegExp, of = importance) =>
      assert.throws(() => headPassport(of, options as never), { code: 'invalid', message: words })
    says({ layer: 30, head: 0 }, /from 0 to 29 for layer but received 30/)
    says({ layer: 0 }, /for head/)
    says({ layer: 0, head: 0, slot: 1 }, /slot/)
    says(
      { layer: 0, head: 0, run: runMade({ layers: 2, prompt: 60, budget: 24, recent: 12 }) },
      /has 2 of 3: give a run/,
    )
    says({ layer: 0, head: 0 }, /what headImportance\(\) found/, {} as never)
    const few = importanceMade({ share: 0 })
    says({ layer: 3, head: 1 }, /layer 3, head 1 was not measured: leave `heads` out, or name it there/, few)
  })
})
