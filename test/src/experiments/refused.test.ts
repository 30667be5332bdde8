/** What a policy refuses only while it runs is a trial that failed, whoever shares its prompt; what nobody could do ends the study. */
import assert from 'node:assert/strict'
import {
  definePolicy,
  figures,
  languageModelling,
  load,
  lorc,
  sweep,
  timing,
  zsmerge,
  type Model,
  type Task,
} from '../../../src/index.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

describe('what a policy refuses while it runs', () => {
  let model: Model
  let text: number[][]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(23)
    text = Array.from({ length: 2 }, () => Array.from({ length: 48 }, () => draw(model.description.vocabulary)))
  })
  after(() => model?.dispose())

  const reading = () => languageModelling({ text, tokens: 40, rows: 6, storage: 'float32' })

  it('is a trial that failed, and says why; those beside it are as they are without it', async () => {
    const keep = [0.9, 0.01, 0.8, 0.02, 0.7]
    const study = await sweep({ model, task: reading(), policy: lorc, over: { keep } }).run(quiet)
    const able = [0.9, 0.8, 0.7]
    const alone = await sweep({ model, task: reading(), policy: lorc, over: { keep: able } }).run(quiet)
    const { rows } = study
    const refused = rows.filter(({ levels }) => !able.includes(levels.keep as number))
    assert.equal(refused.length, 4)
    for (const { trial, levels } of refused) {
      assert.equal(trial.values, null)
      assert.match(trial.failed!, new RegExp(`^keep is ${String(levels.keep)} of 16 dims.*raise keep`))
    }
    assert.deepEqual(
      rows.filter((row) => !refused.includes(row)),
      alone.rows,
    )
    assert.match(figures.failures(study).summary, /keep is 0\.01 of 16 dims/)
  })

  it('also where each policy reads the prompt itself', async () => {
    const task = timing({ text, tokens: 40, steps: 3, storage: 'float32' })
    const { rows } = await sweep({ model, task, policy: lorc, over: { keep: [0.01, 0.9] } }).run(quiet)
    assert.deepEqual(
      rows.map(({ trial }) => trial.failed?.slice(0, 12)),
      ['keep is 0.01', undefined, 'keep is 0.01', undefined],
    )
  })

  it('of your own, too, after the prompt; what it throws of another kind ends the study', async () => {
    const breaks = (fault: () => number[]) =>
      definePolicy<{ bad: boolean }>({
        name: 'breaks',
        budget: 16,
        options: { bad: false },
        evict: ({ heads, step, options: { bad } }) =>
          heads.map(({ excess }) => (bad && step > 2 ? fault() : Array.from({ length: excess }, (_, i) => i))),
      })
    const of = (fault: () => number[]) =>
      sweep({ model, task: reading(), policy: breaks(fault), over: { bad: [false, true] } })
    const { rows } = await of(() => [-1]).run(quiet)
    assert.deepEqual(
      rows.map(({ trial }) => [trial.failed?.slice(0, 15), trial.values === null]),
      [
        [undefined, false],
        ['evict of breaks', true],
        [undefined, false],
        ['evict of breaks', true],
      ],
    )
    const broken = of(() => {
      throw new RangeError('my own fault')
    })
    await assert.rejects(broken.run(quiet), { name: 'RangeError', message: 'my own fault' })
  })

  it('what the full cache cannot be given either ends the study, whatever the policy', async () => {
    const { context } = model.description
    const long: Task = {
      name: 'too long',
      about: 'more than the context holds',
      options: {},
      measure: { kind: 'tails', rows: 3, storage: 'float32' },
      prompts: () =>
        Promise.resolve([{ name: 'a', cluster: 'a', ids: new Int32Array(context + 1).fill(1), turns: [] }]),
    }
    const study = sweep({ model, task: long, policy: zsmerge, over: { alpha: [0, 1] } })
    await assert.rejects(study.run(quiet), { code: 'invalid', message: /the context of .* holds/ })
  })
})
