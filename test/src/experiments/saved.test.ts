/** Studies as files, and as runs of kvpress are written. What other programs read of them: test/readers. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  fullCache,
  languageModelling,
  load,
  snapkv,
  streaming,
  sweep,
  zsmerge,
  type Model,
} from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'
import { smallStudy } from './small-study.js'

const quiet = { progress: false } as const

describe('saved studies', () => {
  let model: Model
  before(async () => void (model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })))
  after(() => model?.dispose())

  it('as text: what csv() and JSON say', async () => {
    const study = await smallStudy(model, undefined).run(quiet)
    const folder = ownFolder()
    for (const [name, one] of [
      ['study', study],
      ['summary', study.summary()],
      ['effects', study.effects()],
    ] as const) {
      const paths = [join(folder, `${name}.CSV`), join(folder, `${name}.json`)]
      for (const path of paths) assert.equal(await one.save(path), path)
      assert.equal(readFileSync(paths[0], 'utf8'), one.csv())
      assert.deepEqual(JSON.parse(readFileSync(paths[1], 'utf8')), JSON.parse(JSON.stringify(one)))
      assert.deepEqual(one.cards, study.cards)
      await assert.rejects(one.save(join(folder, 'x.xlsx')), {
        code: 'invalid',
        message: new RegExp(
          `^the ${name} cannot be saved as .*: expected a name ending in .arrow, .parquet, .csv or .json`,
        ),
      })
      for (const ending of ['csv', 'parquet'])
        await assert.rejects(one.save(join(folder, 'none', `x.${ending}`)), { code: 'file' })
    }
    assert.equal(study.cards[0].model.sha256, model.file.hash)
  })

  it('as kvpress: a record for each setting and seed, with the share that leaves and means over prompts', async () => {
    const text = Array.from({ length: 3 }, (_, i) => Array.from({ length: 60 }, (__, j) => (i * 31 + j * 7) % 250))
    const task = languageModelling({ text, tokens: 48, rows: 8 })
    const policy = [fullCache, streaming, snapkv, (options: object) => zsmerge({ recent: 4, ...options })]
    const study = sweep({ model, task, policy: policy.slice(1), over: { budget: [0.5, 10, 4] }, seeds: 2 })
    assert.throws(() => study.kvpress(), /has not been run/)
    await study.run(quiet)
    const records = study.kvpress()
    assert.equal(records.length, 3 * 3 * 2)
    const [first] = records
    assert.deepEqual(
      [first.name, first.config.press_name, first.config.compression_ratio, first.config.seed],
      ['language_modelling__toy.gguf__streaming_llm__0.50', 'streaming_llm', 0.5, 1],
    )
    assert.equal(first.config.query_aware, null)
    assert.equal(
      records.find(({ config }) => config.press_init_command.includes('budget: 10,'))!.config.compression_ratio,
      0.75,
    )
    for (const { config, metrics, trials } of records) {
      const own = study.rows.filter(
        ({ trial }) => trial.policy === config.press_init_command && trial.prompt.seed === config.seed,
      )
      const counted = own.flatMap(({ trial }) => (trial.values && !trial.unchanged ? [trial.values] : []))
      assert.deepEqual(trials, { done: 3, failed: 3 - counted.length, unchanged: 0 })
      const expected = counted.reduce((sum, { kl }) => sum + kl / counted.length, 0)
      if (counted.length) assert.ok(Math.abs(metrics.kl - expected) < 1e-12)
      else assert.deepEqual(metrics, {})
    }
    const failed = records.filter(({ trials }) => trials.failed)
    assert.deepEqual(
      [...new Set(failed.map(({ config }) => config.press_name))],
      ['streaming_llm', 'snapkv', 'zsmerge'],
    )
    assert.ok(failed.every(({ config }) => config.compression_ratio === null))
    const whole = await sweep({ model, task, policy: fullCache }).run(quiet)
    assert.deepEqual(
      whole.kvpress().map(({ config }) => [config.press_name, config.compression_ratio]),
      [['no_press', 0]],
    )
  })
})
