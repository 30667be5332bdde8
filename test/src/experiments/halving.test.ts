/** Successive halving: what is dropped follows from the trials alone, whoever did them, and what is left is confirmed where nothing was chosen. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import {
  languageModelling,
  load,
  sweep,
  zsmerge,
  type Model,
  type SweepOptions,
  type Trial,
} from '../../../src/index.js'
import type { Planned } from '../../../src/experiments/jobs.js'
import { exploredOf } from '../../../src/experiments/confirm.js'
import { designOf } from '../../../src/experiments/designs.js'
import { halvingNote, scheduleOf } from '../../../src/experiments/halving.js'
import { fullCache } from '../../../src/policies/index.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const metric = { name: 'y', about: 'made up', unit: '', better: 'less' } as const
const of = 'grid'

/** `value` at each setting and cluster; null: it failed. */
function made(settings: number, clusters: number, value: (setting: number, cluster: number) => number | null) {
  const trials = new Map<string, Trial>()
  const done = new Map<string, Trial>()
  const policy = fullCache()
  const prompts = Array.from({ length: clusters }, (_, c): Planned => {
    const facts = { name: `text ${c}`, cluster: `text ${c}`, seed: 1, tokens: 1, sha256: 'x' }
    const keys = Array.from({ length: settings }, (__, s) => `${c}-${s}`)
    keys.forEach((key, s) => {
      const y = value(s, c)
      const trial = { key, policy: 'x', prompt: facts, unchanged: false }
      // Times are ranked by as values are.
      const found: Pick<Trial, 'values' | 'times' | 'failed'> =
        y === null ? { values: null, failed: 'x' } : { values: s % 2 ? {} : { y }, ...(s % 2 && { times: { y } }) }
      trials.set(key, { ...trial, ...found })
    })
    const prompt = { name: facts.name, cluster: facts.cluster, ids: new Int32Array(1) }
    return {
      prompt,
      facts,
      keys,
      trials: keys.map((key) => ({ key, policy, budgets: undefined })),
    } as unknown as Planned
  })
  return {
    prompts,
    done,
    levels: Array.from({ length: settings }, (_, s) => ({ s })),
    carryOut: (next: readonly Planned[]) => {
      for (const one of next) for (const { key } of one.trials) done.set(key, trials.get(key)!)
    },
  }
}

describe('successive halving', () => {
  it('drops the worse after each round, tries as many trials as were planned at most, and depends on nothing but what they came to', () => {
    const shape = fc.record({
      settings: fc.integer({ min: 1, max: 14 }),
      clusters: fc.integer({ min: 2, max: 14 }),
      first: fc.integer({ min: 1, max: 5 }),
      keep: fc.constantFrom(0.25, 0.5, 0.7),
      seed: fc.nat(1e6),
    })
    fc.assert(
      fc.property(shape, ({ settings, clusters, first, keep, seed }) => {
        const draw = draws(seed)
        const table = Array.from({ length: settings * clusters }, () => (draw(12) ? draw(1000) : null))
        const study = made(settings, clusters, (s, c) => table[s * clusters + c])
        const explored = [
          ...exploredOf(
            study.prompts.map(({ facts }) => facts.cluster),
            0.5,
          ),
        ]
        const schedule = () =>
          scheduleOf({
            settings: study.levels,
            prompts: study.prompts,
            explored,
            metric,
            halving: { first, keep, of },
            get: (key) => study.done.get(key),
          })
        const most = schedule().all.reduce((sum, { trials }) => sum + trials.length, 0)
        let found = schedule()
        for (; found.next.length; found = schedule()) {
          const before = study.done.size
          study.carryOut(found.next)
          assert.ok(study.done.size > before)
        }
        assert.ok(study.done.size <= most, `${study.done.size} of at most ${most}`)
        let alive = study.levels.map(({ s }) => s)
        found.rounds.forEach(({ clusters: count, kept, dropped }, i) => {
          const tried = [...kept, ...dropped].map(({ levels }) => Number(levels.s))
          assert.deepEqual(
            tried.toSorted((a, b) => a - b),
            alive.toSorted((a, b) => a - b),
          )
          for (const { levels, mean } of [...kept, ...dropped]) {
            const own = explored
              .slice(0, count)
              .map((name) => table[Number(levels.s) * clusters + Number(name.slice(5))])
            const known = own.every((value) => value !== null)
            assert.equal(mean, known ? own.reduce<number>((sum, value) => sum + value!, 0) / own.length : null)
          }
          const worst = Math.max(-Infinity, ...kept.map(({ mean }) => mean!))
          assert.ok(dropped.every(({ mean }) => mean === null || mean >= worst))
          const last = count === explored.length
          assert.equal(last || kept.length < 2, i === found.rounds.length - 1)
          alive = kept.map(({ levels }) => Number(levels.s))
        })
        assert.equal(found.left, alive[0] ?? null)
        for (const { facts, keys } of study.prompts) {
          if (explored.includes(facts.cluster)) continue
          const own = keys.filter((key) => study.done.has(key))
          assert.deepEqual(own, found.left === null ? [] : keys.filter((_, s) => s === found.left || s === 0))
        }
        assert.ok(halvingNote(settings, explored.length, { first, keep, of }).includes(`${settings} on `))
      }),
      { numRuns: 150 },
    )
  })

  describe('in a study', () => {
    let model: Model
    before(async () => (model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })))
    after(() => model?.dispose())

    const studied = (more: Partial<SweepOptions> = {}) => {
      const draw = draws(19)
      const text = Array.from({ length: 16 }, () =>
        Array.from({ length: 48 }, () => draw(model.description.vocabulary)),
      )
      return sweep({
        model,
        task: languageModelling({ text, tokens: 40, rows: 4, storage: 'float32' }),
        policy: zsmerge,
        base: { budget: 12, recent: 4 },
        over: { alpha: [0, 0.5, 1, 2], residual: [2, 4] },
        split: 0.5,
        design: { halving: { first: 2 } },
        ...more,
      })
    }

    it('comes to the same wherever it was interrupted, and confirms what is left', async () => {
      const study = studied()
      const plan = await study.plan(quiet)
      // 8 settings on 2 texts, 4 on 2 more, 2 on 4 more, then two on the other 8.
      assert.deepEqual([plan.trials, plan.done], [8 * 2 + 4 * 2 + 2 * 4 + 2 * 8, 0])
      assert.match(plan.notes.join(), /8 on 2, 4 on 4, 2 on 8 clusters; what is left was lucky there/)
      await study.run(quiet)
      assert.deepEqual(
        study.rounds.map(({ clusters, kept, dropped }) => [clusters, kept.length, dropped.length]),
        [
          [2, 4, 4],
          [4, 2, 2],
          [8, 1, 1],
        ],
      )
      const [{ levels }] = study.rounds[2].kept
      const { chosen, confirming, exploring } = study.confirm()
      assert.deepEqual(chosen, levels)
      const base = { alpha: 0, residual: 2 }
      if (JSON.stringify(levels) === JSON.stringify(base)) assert.equal(confirming, null)
      else assert.deepEqual([confirming!.pairs, exploring!.pairs > 1], [8, true])
      assert.ok(study.all.length <= plan.trials)
      assert.match(inspect(study), /the worse dropped from 2 clusters on/)
      assert.match(inspect(study), /on 2 clusters: 4 of 8 settings kept; best so far alpha/)
      assert.equal((study.toJSON().rounds as unknown[]).length, 3)

      const store = join(ownFolder(), 'study')
      for (let stop = 1; ; stop++) {
        const again = studied({ store })
        const controller = new AbortController()
        let told = 0
        const progress = () => {
          if (++told > 8 * stop) controller.abort(new Error('enough'))
        }
        const ended = await again.run({ signal: controller.signal, progress }).then(
          () => true,
          () => false,
        )
        if (!ended) continue
        assert.ok(stop > 1, `${stop} parts`)
        assert.deepEqual(again.rounds, study.rounds)
        assert.deepEqual(again.all, study.all)
        break
      }
      assert.equal((await studied({ store }).plan(quiet)).tokens.steps, 0)
    })

    it('of settings that are spread over ranges, too, by another metric', async () => {
      const study = await studied({
        over: { alpha: { from: 0, to: 2 }, decay: { from: 0.5, to: 1 } },
        design: { halving: { first: 8, keep: 0.3, of: { latinHypercube: { runs: 5 } }, metric: 'agreement' } },
      }).run(quiet)
      const [{ kept, dropped }] = study.rounds
      assert.ok(dropped.every(({ mean }) => mean! <= kept[0].mean!))
      assert.equal(study.confirm().metric.name, 'agreement')
      assert.match(inspect(study), /a Latin hypercube of 5 runs of alpha from 0 to 2/)
    })

    it('refuses what it cannot be, or cannot say', async () => {
      assert.throws(() => studied({ split: undefined }), /0\.5, beside halving for split/)
      assert.throws(() => studied({ design: { halving: { first: 2, metric: 'kll' } } }), /'kl'/)
      assert.throws(() => designOf({ halving: {} }), /whole number ≥ 1 for design\.halving\.first/)
      assert.throws(() => designOf({ halving: { first: 2, keep: 1 } }), /0\.1 to 0\.9/)
      assert.throws(() => designOf({ halving: { first: 2, of: { halving: { first: 2 } } } }), /no option "halving"/)
      assert.throws(() => studied().rounds, /has not been run/)
      assert.throws(() => studied({ design: 'grid' }).rounds, /drops no settings/)
      const study = studied()
      await study.plan(quiet)
      assert.deepEqual(study.rounds, [])
      assert.equal(study.confirm().chosen, null)
      assert.throws(() => study.exploring.effects(), /does not tell effects/)
      const few = await studied({ split: 0.8 }).plan(quiet)
      assert.match(few.notes.join(), /3 clusters cannot show that what halving leaves is better/)
    })
  })
})
