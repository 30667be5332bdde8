/** Ternary designs: budgets shared out between recent, context and residual slots as they say, and what comes of them. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import fc from 'fast-check'
import {
  figures,
  languageModelling,
  load,
  snapkv,
  sweep,
  zsmerge,
  type Model,
  type SweepOptions,
} from '../../../src/index.js'
import { designOf } from '../../../src/experiments/designs.js'
import { partOptions, withParts } from '../../../src/experiments/ternary.js'
import { triedOf } from '../../../src/experiments/tried.js'
import { resolve } from '../../../src/policies/index.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

describe('ternary designs', () => {
  it('share every slot out, as near to their shares as whole slots can be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 12 }), fc.integer({ min: 40, max: 2000 }), (steps, budget) => {
        const ternary = { steps }
        const { settings } = triedOf(withParts({}, {}, ternary), { ternary })
        assert.equal(settings.length, (steps * (steps - 1)) / 2)
        assert.equal(new Set(settings.map((levels) => JSON.stringify(levels))).size, settings.length)
        for (const levels of settings) {
          const sizes = resolve(zsmerge({ budget, ...partOptions(levels, ternary) }), 4 * budget)
          const [recent, residual] = [Number(levels.recent), Number(levels.residual)]
          assert.equal(sizes.recent + sizes.residual + sizes.context, budget)
          for (const [found, share] of [
            [sizes.recent, recent],
            [sizes.residual, residual],
            [sizes.context, 1 - recent - residual],
          ])
            assert.ok(Math.abs(found - share * budget) < 2.5, `${found} of ${budget} for ${share}`)
        }
      }),
      { numRuns: 30 },
    )
  })

  describe('run', () => {
    let model: Model
    before(async () => (model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })))
    after(() => model?.dispose())

    const studied = (more: Partial<SweepOptions> = {}) => {
      const draw = draws(23)
      const text = Array.from({ length: 6 }, () => Array.from({ length: 60 }, () => draw(model.description.vocabulary)))
      const task = languageModelling({ text, tokens: 48, rows: 4, storage: 'float32' })
      return sweep({ model, task, policy: zsmerge, base: { budget: 20 }, design: { ternary: { steps: 4 } }, ...more })
    }

    it('and tell what recent and residual slots do in place of context, and where it was best', async () => {
      const study = await studied({ over: { alpha: [0, 1] } }).run(quiet)
      assert.equal(study.rows.length, 6 * 2 * 6)
      assert.match(
        inspect(study),
        /recent, context and residual in steps of 1\/4 of the budget, with all combinations of alpha 0, 1/,
      )
      const { main, interactions } = study.effects()
      assert.deepEqual(
        main.map(({ dimensions, from, to }) => [dimensions, from, to].flat()),
        [
          ['alpha', 0, 1],
          ['recent', 0.25, 0.75],
          ['residual', 0, 0.5],
        ],
      )
      assert.equal(interactions.length, 0)
      assert.match((await study.plan(quiet)).notes.join(), /12 settings are too few for 3 interactions/)
      const { rows } = study.summary(['recent', 'residual'])
      const best = rows.reduce((least, row) => (row.values.kl!.mean < least.values.kl!.mean ? row : least))
      const { summary, data } = figures.ternary(study)
      assert.ok(summary.includes(`recent ${100 * Number(best.levels.recent)}%`), summary)
      assert.deepEqual(data.shape, [6, data.columns.length])
    })

    it('refuse what they cannot be', async () => {
      assert.throws(() => designOf({ ternary: { steps: 2 } }), /3 to 50 for design\.ternary\.steps/)
      assert.throws(() => designOf({ ternary: 5 }), /an object for design\.ternary/)
      assert.throws(() => studied({ over: { recent: [0.5] } }), /no level of its own in a ternary design/)
      assert.throws(() => studied({ base: { budget: 20, residual: 0.1 } }), /no level of its own in a ternary design/)
      assert.throws(() => studied({ policy: snapkv }), /no option "recent"/)
      const grid = await studied({ design: 'grid', over: { alpha: [0] } }).run(quiet)
      assert.throws(() => figures.ternary(grid), /ternary: \{ steps: 5 \}/)
      assert.throws(() => figures.ternary(studied()), /has not been run/)
      assert.throws(() => figures.ternary(undefined as never), /ternary: \{ steps: 5 \}/)
    })
  })
})
