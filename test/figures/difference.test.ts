/** The difference figure: what it draws and says is what the two caches hold. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { difference } from '../../src/figures/index.js'
import { percent } from '../../src/figures/scale.js'
import { anyRun, runMade } from './made-runs.js'
import { full } from '../scale.js'
import { differenceMade } from './synthetic.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }

describe('figures: difference', function () {
  this.timeout(600_000)

  it('draws each kept token once, in the lane of who keeps it, and a cell for each head', () => {
    fc.assert(
      fc.property(anyRun, fc.integer({ min: 1, max: 20 }), fc.nat({ max: 45 }), (made, recent, part) => {
        const other = { ...made, recent, budget: recent + made.residual + 5, residual: made.residual }
        const [a, b] = [runMade(made), runMade(other)]
        const compared = differenceMade(a, b, part)
        const figure = difference(compared, { layer: 0, kvHead: 0 })
        const [cells, strip, texts] = figure.plot.panels
        const [, frame] = cells.marks
        assert.equal(frame.kind === 'boxes' && frame.outline, true)
        const shades = cells.marks[0].kind === 'boxes' ? cells.marks[0].colors! : []
        assert.equal(shades.length, made.layers * made.kvHeads)
        const alone = [a, b].map(
          (data) =>
            new Set(
              data.origins[0].kvHeads[0]
                .filter(({ length }) => length === 1)
                .map((members) => members[0])
                .filter((position) => position < compared.shared),
            ),
        )
        const both = [...alone[0]].filter((position) => alone[1].has(position))
        const either = new Set([...alone[0], ...alone[1]]).size
        const jaccard = either ? both.length / either : 1
        assert.equal((figure.columns.jaccard as number[])[0], jaccard)
        assert.equal(shades[0], `shade:${Math.round(jaccard * 100) / 100}`)
        const drawn = strip.marks.map((mark) => {
          assert.ok(mark.kind === 'boxes')
          return mark.x0.flatMap((x0, i) => Array.from({ length: mark.x1[i] - x0 }, (_, at) => x0 + at))
        })
        const only = (x: Set<number>, y: Set<number>) => [...x].filter((position) => !y.has(position))
        const sorted = (positions: number[]) => positions.sort((x, y) => x - y)
        assert.deepEqual(drawn, [only(alone[0], alone[1]), both, only(alone[1], alone[0])].map(sorted))
        assert.equal(texts === undefined, part >= made.steps)
      }),
      { numRuns: full ? 1000 : 40, seed: 8 },
    )
  })

  it('draws the head that differs most where none is asked for, and bins long texts', () => {
    const compared = differenceMade(runMade({ layers: 2 }), runMade({ layers: 2, recent: 60, budget: 240 }))
    const { heads, meanJaccard } = compared.at()
    const least = heads.reduce((x, y) => (y.jaccard < x.jaccard ? y : x))
    const figure = difference(compared)
    assert.ok(figure.summary.startsWith(`a and b share ${percent(meanJaccard)} of the tokens that either keeps.`))
    const [, strip] = figure.plot.panels
    assert.equal(strip.title, `layer ${least.layer}, kv head ${least.kvHead}: who keeps which tokens`)
    const [onlyA, both, onlyB] = strip.marks.map((mark) => {
      assert.ok(mark.kind === 'boxes')
      return mark
    })
    assert.match(figure.plot.notes[0], /One bar is 7 tokens/)
    const most = Math.max(...[onlyA, both, onlyB].flatMap((mark, i) => mark.y1.map((y) => y - (2 - i)))) / 0.92
    assert.ok(Math.abs(most - 1) < 1e-9, String(most))
  })

  it('marks the first token that differs, with what came before', () => {
    const compared = differenceMade(runMade(small), runMade({ ...small, recent: 4 }), 3)
    const [, , texts] = difference(compared).plot.panels
    assert.equal(texts.title, 'the texts part at generated token 4')
    const [marked, words] = texts.marks
    assert.ok(marked.kind === 'boxes' && words.kind === 'labels')
    assert.equal(marked.x0.length, 2)
    assert.equal(marked.x0[0], marked.x0[1])
    const lead = words.text.filter((_, i) => words.colors![i] === 'muted')
    assert.equal(lead[0], lead[1])
  })

  it('says what is wrong with a call', () => {
    const compared = differenceMade(runMade(small), runMade(small))
    assert.throws(() => difference(runMade(small) as never), /figures\.difference\(runA\.minus\(runB\)\)/)
    assert.throws(() => difference(compared, { layer: 2 }), /from 0 to 1 for layer but received 2/)
    assert.throws(() => difference(compared, { step: 31 }), /from 0 to 30 for step but received 31/)
    assert.throws(
      () => difference(compared, { slot: 1 } as never),
      /difference has no option "slot".*it has: layer, kvHead, step/,
    )
  })
})
