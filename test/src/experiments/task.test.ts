/** Tasks as plain data: what a user's own is made of, and that measure and prompts as JSON measure the same elsewhere. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  evictOnly,
  languageModelling,
  load,
  lorc,
  passkey,
  promptFromJSON,
  promptToJSON,
  sweep,
  timing,
  zsmerge,
  type Model,
  type Task,
  type TaskMeasure,
  type TaskPrompt,
} from '../../../src/index.js'
import { measuring } from '../../../src/experiments/measures/index.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

describe('tasks', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
  })
  after(() => model?.dispose())

  const drawn = (seed: number) => {
    const draw = draws(seed)
    return Array.from({ length: 40 }, () => draw(model.description.vocabulary))
  }
  const own = (measure: TaskMeasure, more: Partial<TaskPrompt> = {}): Task => ({
    name: 'own',
    about: 'a task of a user',
    options: {},
    measure,
    prompts: async (_, seed) =>
      [0, 1, 2].map((i) => ({
        name: `prompt ${i}`,
        cluster: `prompt ${i}`,
        ids: Int32Array.from(drawn(10 * seed + i)),
        turns: [],
        ...more,
      })),
  })
  const tails = { kind: 'tails', rows: 6, storage: 'float32' } as const
  const answers = { kind: 'answers', tokens: 4, scores: ['all'], able: 0, storage: 'float32' } as const
  const studied = (task: Task) => sweep({ model, task, policy: zsmerge, base: { budget: 12, recent: 4 } })

  it('come back from JSON as they were', () => {
    const ids = (least: number) =>
      fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: least }).map((all) => Int32Array.from(all))
    const word = fc.string({ minLength: 1, unit: 'grapheme' })
    const turn = fc.record(
      { ask: ids(0), answers: fc.array(fc.string({ unit: 'grapheme' })) },
      { noNullPrototype: true },
    )
    const prompts = fc.record({ name: word, cluster: word, ids: ids(1), turns: fc.array(turn, { maxLength: 4 }) })
    fc.assert(
      fc.property(prompts, (prompt) => {
        assert.deepEqual(promptFromJSON(JSON.parse(JSON.stringify(promptToJSON(prompt)))), { ...prompt })
      }),
    )
  })

  it('measure the same where only their JSON is', async () => {
    for (const task of [
      languageModelling({ text: [drawn(1), drawn(2)], tokens: 30, rows: 5, storage: 'float32' }),
      passkey({ lengths: [64], depths: [0.5], question: 'after' }),
    ]) {
      const { rows } = await studied(task).run(quiet)
      const prompts = await task.prompts(model, 1)
      const sent = JSON.stringify({ measure: task.measure, prompts: prompts.map(promptToJSON) })
      const { measure, prompts: there } = JSON.parse(sent) as { measure: TaskMeasure; prompts: unknown[] }
      const asked = [{ policy: zsmerge({ budget: 12, recent: 4 }), budgets: undefined }]
      for (const [i, prompt] of there.map(promptFromJSON).entries())
        await measuring(measure).run(
          model,
          prompt,
          asked,
          async (_, values) => {
            const { bytes } = rows[i].trial.values!
            assert.deepEqual({ ...values, bytes }, rows[i].trial.values)
          },
          { signal: undefined, progress: undefined },
        )
    }
  })

  it('of a user are own prompts and a measure', async () => {
    const study = await studied(own(tails)).run(quiet)
    assert.deepEqual(
      study.rows.map(({ trial }) => trial.prompt.tokens),
      [40, 40, 40],
    )
    const asked = own(answers, { turns: [{ ask: Int32Array.of(1, 2), answers: ['a', 'b'] }] })
    assert.deepEqual(
      (await studied(asked).run(quiet)).metrics.map(({ name }) => name),
      ['score', 'change', 'full', 'length', 'bytes'],
    )
  })

  it('output error is that of a session’s shadow; who changes keys or values fails, and says why', async () => {
    const text = drawn(3)
    const task = languageModelling({ text: [text], tokens: 40, rows: 6, storage: 'float32', outputError: true })
    const study = await sweep({ model, task, policy: [zsmerge, evictOnly, lorc], over: {} }).run(quiet)
    const [merging, evicting, changing] = study.rows.map(({ trial }) => trial)
    assert.match(changing.failed!, /lorc changes keys or values as they come/)
    for (const [policy, trial] of [
      [zsmerge(), merging],
      [evictOnly(), evicting],
    ] as const) {
      const session = model.session({ policy, storage: 'float32', trace: 'vectors' })
      await session.prefill(text.slice(0, -6), quiet)
      for (const id of text.slice(-6)) await session.step(id)
      const { error } = await session.trace.localShadow(quiet)
      session.dispose()
      const mean = error.reduce((sum, one) => sum + one, 0) / error.length
      assert.ok(
        mean > 0.01 && Math.abs(trial.values!.outputError - mean) < 1e-5,
        `${trial.values!.outputError}, ${mean}`,
      )
    }
    const without = languageModelling({ text: [text], tokens: 40, rows: 6, storage: 'float32' })
    const [plain] = (await sweep({ model, task: without, policy: zsmerge }).run(quiet)).rows
    const { outputError } = merging.values!
    assert.deepEqual({ ...plain.trial.values, outputError }, merging.values)
  })

  it('times are in tables and means, and not among the values that trials are compared by', async () => {
    const store = ownFolder()
    const text = [drawn(1), drawn(2), drawn(3)]
    const timed = () =>
      sweep({
        model,
        task: timing({ text, tokens: 30, steps: 4 }),
        policy: zsmerge,
        base: { budget: 12, recent: 4 },
        store,
      })
    const study = await timed().run(quiet)
    for (const { trial } of study.rows) {
      const { decode, prompt, gain } = trial.times!
      assert.ok(decode > 0 && prompt > 0 && gain > 0)
      assert.deepEqual(Object.keys(trial.values!), ['bytes'])
    }
    const [{ values }] = study.summary().rows
    const mean = study.rows.reduce((sum, { trial }) => sum + trial.times!.decode, 0) / 3
    assert.ok(Math.abs(values.decode!.mean - mean) < 1e-9)
    assert.deepEqual(
      study.table().decode,
      study.rows.map(({ trial }) => trial.times!.decode),
    )
    const kept = timed()
    assert.equal((await kept.plan(quiet)).done, 3)
    assert.deepEqual(kept.rows, study.rows)
    assert.throws(() => timing({ steps: 1 }), /steps/)
    await assert.rejects(timing({ text, tokens: 40, steps: 1e6 }).prompts(model, 1), /and 1000000 after them/)
  })

  it('have other trials where what is measured, or asked, or right differs, and the same where only names do', async () => {
    const ask = Int32Array.of(1, 2)
    const keys = async (task: Task) => (await studied(task).run(quiet)).rows.map(({ trial }) => trial.key).join()
    const base = await keys(own(answers, { turns: [{ ask, answers: ['a'] }] }))
    const others = [
      own({ ...answers, tokens: 5 }, { turns: [{ ask, answers: ['a'] }] }),
      own(answers, { turns: [{ ask, answers: ['b'] }] }),
      own(answers, { turns: [{ ask: Int32Array.of(1, 3), answers: ['a'] }] }),
      own(answers, { turns: [{ ask, answers: ['a'] }], ids: Int32Array.from(drawn(7)), cluster: 'one' }),
    ]
    for (const task of others) assert.notEqual(await keys(task), base)
    assert.equal(await keys({ ...own(answers, { turns: [{ ask, answers: ['a'] }], cluster: 'one' }), name: 'x' }), base)
  })

  it('refuse what cannot be measured, and say what it is', async () => {
    const measures: [unknown, RegExp][] = [
      [undefined, /an object for measure/],
      [{ kind: 'time' }, /'tails', 'answers', 'times'/],
      [{ ...tails, rows: 1 }, /measure\.rows/],
      [{ ...tails, row: 1 }, /no option "row"/],
      [{ ...tails, outputError: 1 }, /measure\.outputError/],
      [{ ...answers, scores: [] }, /at least one name/],
      [{ ...answers, scores: ['rogue'] }, /measure\.scores\[0\]/],
      [{ ...answers, scores: ['all', 'all'] }, /each score once/],
      [{ ...answers, able: 2 }, /measure\.able/],
      [{ ...answers, mode: 'turns' }, /'session', 'requests'/],
      [{ ...answers, storage: 'int4' }, /measure\.storage/],
    ]
    for (const [measure, message] of measures) assert.throws(() => studied(own(measure as never)), message)
    const prompts: [TaskMeasure, object, RegExp][] = [
      [tails, { ids: [1, 2, 3] }, /more than the 6 tokens that count/],
      [tails, { ids: [] }, /prompt 0\.ids/],
      [tails, { ids: [model.description.vocabulary, ...drawn(1)] }, /prompt 0\.ids\[0\]/],
      [tails, { name: 'one' }, /each is given once/],
      [tails, { cluster: '' }, /a name for prompt 0\.cluster/],
      [tails, { turns: [{ ask: [1], answers: 'x' }] }, /turns\[0\]\.answers/],
      [tails, { turn: [] }, /no option "turn"/],
      [answers, {}, /1 turns, with answers to each/],
      [answers, { turns: [{ ask: [1], answers: [] }] }, /with answers to each/],
    ]
    for (const [measure, more, message] of prompts)
      await assert.rejects(studied(own(measure, more as never)).run(quiet), message, JSON.stringify(more))
    assert.throws(() => studied({ name: 'x', about: 'x' } as never), /own one/)
    await assert.rejects(studied({ ...own(tails), prompts: async () => [] }).run(quiet), /an array of at least one/)
  })
})
