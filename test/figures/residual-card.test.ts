/** The residual slot card: its numbers by hand, and of any run what the members' events say. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { firstCompression } from '../../src/figures/fates.js'
import { barsOf } from '../../src/figures/histogram.js'
import { residualCard } from '../../src/figures/index.js'
import { membersOf } from '../../src/figures/members.js'
import { counted } from '../../src/figures/scale.js'
import { anyRun, fullRun, lineageByHand, positionsDrawn, runMade } from './made-runs.js'
import { alike } from '../scale.js'

const runs = { numRuns: alike(2000, 100), seed: 31 }

describe('figures: residual card', function () {
  this.timeout(600_000)

  it('is what a small run comes to by hand', () => {
    const data = { ...lineageByHand(), alpha: 0.5 }
    const { summary, columns, plot } = residualCard(data, { slot: 1 })
    const [first, newest] = [3, 7].map((position) => data.tokens[position].text.trim())
    assert.equal(
      summary,
      `Layer 0, kv head 0, residual slot 1 stands for 4 tokens. 36% of the 11 tokens seen, at positions 3 to 7, the first “${first}” at 3. ` +
        `α·ln w is 0.5 · ln 4 = 0.69 on its logits. 2 came when it was made, 2 after that, the newest “${newest}” at 7 in step 3; ` +
        'at arrival a median similarity of 0.5 and a median score of 0.75. ' +
        'The fonts of its png and pdf lack 1 character, drawn there as □U+9BE8.',
    )
    assert.deepEqual(columns.position, [3, 4, 5, 7])
    assert.deepEqual(columns.step, [0, 0, 1, 3])
    assert.deepEqual(columns.compensation, [0, 0.5 * Math.log(2), 0.5 * Math.log(3), 0.5 * Math.log(4)])
    assert.deepEqual(
      plot.panels.map(({ title }) => title),
      [
        undefined,
        'similarity at arrival: median 0.5',
        'score at arrival: median 0.75',
        'members in order of arrival, the first and the newest',
      ],
    )
  })

  it('leaves out what it is not told', () => {
    const unknown = residualCard(lineageByHand(), { slot: 0 })
    assert.doesNotMatch(unknown.summary, /α/)
    assert.deepEqual(unknown.columns.compensation, [null, null, null])
    const data = lineageByHand()
    const none = new Float32Array(data.events!.step.length).fill(NaN)
    const bare = residualCard({ ...data, events: { ...data.events!, score: none, similarity: none } })
    assert.equal(bare.plot.panels.length, 2)
    assert.deepEqual(bare.plot.notes, ['No similarity and no score was measured as its members came.'])
    assert.doesNotMatch(bare.summary, /at arrival/)
  })

  it('draws each member once, and each value that is known in a bar', () => {
    fc.assert(
      fc.property(anyRun, fc.nat(), (made, any) => {
        const data = runMade(made)
        if (!made.residual || firstCompression(data) > data.steps) return
        const all = membersOf(data, data.events!, 0, 0)
        const slot = any % all.length
        const members = all[slot]
        const { plot, columns } = residualCard(data, { layer: 0, slot })
        assert.ok(
          plot.title.endsWith(`residual slot ${slot} stands for ${counted(members.length, 'token')}`),
          plot.title,
        )
        assert.deepEqual(
          columns.position,
          members.map(({ position }) => position),
        )
        const [map, ...others] = plot.panels
        const drawn = positionsDrawn(map.marks)
        assert.deepEqual(
          drawn,
          members.map(({ position }) => position).sort((a, b) => a - b),
        )
        for (const name of ['similarity', 'score'] as const) {
          const known = members.filter((member) => !Number.isNaN(member[name])).length
          const panel = others.find(({ title }) => title?.startsWith(name))
          const bars = panel?.marks.find((mark) => mark.kind === 'boxes')
          const counts = bars?.kind === 'boxes' ? bars.y1 : []
          assert.equal(
            counts.reduce((a, b) => a + b, 0),
            known,
          )
        }
      }),
      runs,
    )
  })

  it('counts values in bars of one width', () => {
    assert.deepEqual(barsOf([0, 1, 1.9, 2, 4, NaN, Infinity], 2), [
      { from: 0, to: 2, count: 3 },
      { from: 2, to: 4, count: 2 },
    ])
    assert.deepEqual(barsOf([3, 3], 8), [{ from: 2.5, to: 3.5, count: 2 }])
    assert.deepEqual(barsOf([NaN], 8), [])
  })

  it('says what is wrong with a call', () => {
    const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 10, layers: 2 }
    assert.throws(
      () => residualCard(runMade({ ...small, trace: false })),
      /the residual card shows what happened step by step, and this run kept no events: make the session with trace: true/,
    )
    assert.throws(
      () => residualCard(runMade(small), { slot: 2 }),
      /expected a whole number from 0 to 1 for slot but received 2/,
    )
    assert.throws(() => residualCard(runMade(small), { layer: -1 }), /from 0 to 1 for layer but received -1/)
    assert.throws(
      () => residualCard(runMade({ ...small, residual: 0 })),
      /has no residual slot: zsmerge drops what leaves/,
    )
    assert.throws(
      () => residualCard(fullRun({ prompt: 40, steps: 5, layers: 2 })),
      /has no residual slot: full never had more tokens than slots/,
    )
    assert.throws(
      () => residualCard(runMade(small), { step: 3 } as never),
      /residualCard has no option "step".*it has: layer, kvHead, slot/,
    )
  })
})
