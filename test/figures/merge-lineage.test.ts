/** Merge lineage: members, their order and the words, by hand and against the slots as they were after every step. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ACTION } from '../../src/figures/data.js'
import { firstCompression } from '../../src/figures/fates.js'
import { mergeLineage } from '../../src/figures/index.js'
import { membersOf, stretches } from '../../src/figures/members.js'
import { noWords, spell } from '../../src/figures/member-words.js'
import { percent } from '../../src/figures/scale.js'
import { styleOf } from '../../src/figures/style.js'
import { anyRun, fullRun, lineageByHand, positionsDrawn, runMade } from './made-runs.js'
import { alike } from '../scale.js'
import { layoutsMade } from './synthetic.js'

const runs = { numRuns: alike(2000, 100), seed: 29 }

describe('figures: merge lineage', function () {
  this.timeout(600_000)

  it('is what a small run comes to by hand', () => {
    const { summary, columns } = mergeLineage(lineageByHand())
    assert.equal(
      summary,
      'Layer 0, kv head 0: 67% of later merges went into residual slot 1. 2 residual slots stand for 7 of 11 tokens ' +
        '(64% of all tokens, 3 to 4 a slot): 4 came when the slots were made, 3 one by one after that, at a median similarity of 2. ' +
        'The fonts of its png and pdf lack 1 character, drawn there as □U+9BE8.',
    )
    assert.deepEqual(columns.slot, [0, 0, 0, 1, 1, 1, 1])
    assert.deepEqual(columns.position, [0, 1, 6, 3, 4, 5, 7])
    assert.deepEqual(columns.step, [0, 0, 2, 0, 0, 1, 3])
    assert.deepEqual(columns.score, [null, 0.5, 1, null, 0.25, 0.75, 2])
    assert.deepEqual(columns.similarity, [null, null, 4, null, null, 2, -1])
    assert.deepEqual(columns.weight, [1, 2, 3, 1, 2, 3, 4])
    assert.deepEqual(columns.prompt, [true, true, true, true, true, true, true])
  })

  it('has in every slot at every step whom the cache had there', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const compressed = firstCompression(data)
        if (!made.residual || compressed > data.steps) {
          assert.throws(() => mergeLineage(data, { layer: 0 }), /has no residual slot/)
          return
        }
        const members = membersOf(data, data.events!, 0, 0)
        const layouts = layoutsMade(made)
        for (let step = compressed; step <= data.steps; step++)
          members.forEach((each, slot) => {
            const now = each.filter((member) => member.step <= step)
            assert.deepEqual(
              now.map(({ position }) => position).sort((a, b) => a - b),
              [...layouts[step][slot]].sort((a, b) => a - b),
              `step ${step}, slot ${slot}`,
            )
            // In order of arrival, so the last is as heavy as the slot.
            if (now.length) assert.equal(now[now.length - 1].weight, layouts[step][slot].length)
          })
        const { columns, plot } = mergeLineage(data, { layer: 0 })
        assert.equal(columns.slot.length, members.flat().length)
        const later = members.map((each) => each.filter(({ step }) => step > compressed).length)
        const all = later.reduce((a, b) => a + b, 0)
        if (all && members.length > 1)
          assert.match(
            plot.title,
            new RegExp(
              `: ${percent(Math.max(...later) / all)} of later merges went into residual slot ${later.indexOf(Math.max(...later))}$`,
            ),
          )
        else assert.match(plot.title, new RegExp(`: ${members.length} residual slots? stands? for `))
      }),
      runs,
    )
  })

  it('weighs a slot as the events do', () => {
    const data = runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 })
    const events = data.events!
    const weights = new Map(
      membersOf(data, events, 1, 2)
        .flat()
        .map(({ position, weight }) => [position, weight]),
    )
    let rows = 0
    for (let row = 0; row < events.step.length; row++) {
      if (events.layer[row] !== 1 || events.kvHead[row] !== 2 || events.action[row] !== ACTION.merge) continue
      assert.equal(weights.get(events.position[row]), events.targetWeight[row] + events.weight[row])
      rows++
    }
    assert.ok(rows > 30)
  })

  it('draws every member once', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        if (!made.residual || firstCompression(data) > data.steps) return
        const members = membersOf(data, data.events!, 0, 0).flat()
        const { marks } = mergeLineage(data, { layer: 0 }).plot.panels[0]
        const drawn = positionsDrawn(marks)
        assert.deepEqual(
          drawn,
          members.map(({ position }) => position).sort((a, b) => a - b),
        )
      }),
      runs,
    )
  })

  it('puts neighbours together, and those near enough where it has to', () => {
    assert.deepEqual(stretches([7, 1, 2, 4], 0), [
      { from: 1, to: 3, tokens: 2 },
      { from: 4, to: 5, tokens: 1 },
      { from: 7, to: 8, tokens: 1 },
    ])
    assert.deepEqual(stretches([7, 1, 2, 4], 1), [
      { from: 1, to: 5, tokens: 3 },
      { from: 7, to: 8, tokens: 1 },
    ])
    assert.deepEqual(stretches([], 3), [])
  })

  it('spells the first and the newest, never more than a line holds', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 12, max: 120 }), (count, columns) => {
        const data = runMade({ prompt: 60, budget: 24, recent: 12, residual: 1, steps: 0, layers: 1 })
        const [all] = membersOf(data, data.events!, 0, 0)
        const members = all.slice(0, count)
        const words = noWords()
        const shown = spell(data, members, words, 0, 7, columns, 'tint0', styleOf({}))
        assert.equal(words.boxes.x0.length, shown)
        assert.ok(Math.max(7, ...words.boxes.x1) <= columns)
        words.boxes.x0.forEach((x0, i) => assert.ok(!i || x0 > words.boxes.x1[i - 1]))
        assert.equal(words.labels.text.includes(' … '), shown < members.length)
      }),
      runs,
    )
  })

  it('says what is wrong with a call', () => {
    const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 10, layers: 2 }
    assert.throws(
      () => mergeLineage(runMade({ ...small, trace: false })),
      /merge lineage shows what happened step by step, and this run kept no events: make the session with trace: true/,
    )
    assert.throws(
      () => mergeLineage(runMade({ ...small, residual: 0 })),
      /layer 1, kv head 0 has no residual slot: zsmerge drops what leaves; zsmerge with residual > 0 merges it/,
    )
    assert.throws(
      () => mergeLineage(fullRun({ prompt: 40, steps: 5, layers: 2 })),
      /has no residual slot: full never had more tokens than slots/,
    )
    assert.throws(() => mergeLineage(runMade(small), { layer: 2 }), /from 0 to 1 for layer but received 2/)
    assert.throws(() => mergeLineage(runMade(small), { kvHead: 3 }), /from 0 to 2 for kvHead but received 3/)
    assert.throws(
      () => mergeLineage(runMade(small), { slot: 0 } as never),
      /mergeLineage has no option "slot".*it has: layer, kvHead/,
    )
  })
})
