/** Studies on the toy model: what each trial measures, that it is kept and done once, and what differences of levels come to. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  adakv,
  evictOnly,
  fullCache,
  languageModelling,
  load,
  random,
  snapkv,
  sweep,
  zsmerge,
  type Model,
  type Study,
  type SweepOptions,
  type Task,
  type Trial,
} from '../../../src/index.js'
import { checkMergingOff, mergingOff } from '../../../src/experiments/merging-off.js'
import { klDivergence } from '../../../src/sampling.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const TOKENS = 48
const ROWS = 8

describe('studies', () => {
  let model: Model
  let task: Task
  let ids: number[][]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(19)
    ids = Array.from({ length: 8 }, () => Array.from({ length: 60 }, () => draw(model.description.vocabulary)))
    const text = ids.map((one, i) => ({ text: one, name: `text ${i}`, cluster: `book ${i >> 1}` }))
    task = languageModelling({ text, tokens: TOKENS, rows: ROWS, storage: 'float32' })
  })
  after(() => model?.dispose())

  const studied = (more: Partial<SweepOptions> = {}) =>
    sweep({
      model,
      task,
      policy: zsmerge,
      base: { budget: 12, recent: 4 },
      over: { alpha: [0, 1], residual: [2, 4] },
      ...more,
    })

  const means = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

  it('measure each setting on each prompt as a session of its own does', async () => {
    const study = await studied({ seeds: [3] }).run(quiet)
    assert.equal(study.rows.length, 4 * 8)
    for (const row of [study.rows[0], study.rows[5], study.rows[31]]) {
      const { trial, levels } = row
      const prompt = (await task.prompts(model, 3)).find(({ name }) => name === trial.prompt.name)!
      const [read, tail] = [prompt.ids.slice(0, -ROWS), prompt.ids.slice(-ROWS)]
      const rows = async (policy: ReturnType<typeof zsmerge>) => {
        const session = model.session({ policy, storage: 'float32' })
        await session.prefill(read, quiet)
        const made: Float32Array[] = []
        for (const id of tail) made.push(Float32Array.from(await session.step(id)))
        const bytes = session.bytes().total
        session.dispose()
        return { made, bytes }
      }
      const full = await rows(fullCache())
      const own = await rows(zsmerge({ budget: 12, recent: 4, ...levels } as never))
      const best = (logits: Float32Array) => logits.indexOf(Math.max(...logits))
      const lnP = (logits: Float32Array, id: number) => {
        const most = Math.max(...logits)
        return logits[id] - most - Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0))
      }
      const loss = (made: Float32Array[]) => means(made.slice(0, -1).map((logits, i) => -lnP(logits, tail[i + 1])))
      const expected = {
        kl: means(full.made.map((logits, i) => klDivergence(logits, own.made[i]))),
        change: loss(own.made) - loss(full.made),
        loss: loss(own.made),
        agreement: means(full.made.map((logits, i) => Number(best(logits) === best(own.made[i])))),
        bytes: own.bytes,
      }
      for (const [name, value] of Object.entries(expected))
        assert.ok(Math.abs(trial.values![name] - value) < 1e-6, `${name}: ${trial.values![name]} for ${value}`)
    }
  })

  it('draw excerpts with their seeds, the same again for the same', async () => {
    const [a, b, again] = await Promise.all([1, 2, 1].map((seed) => task.prompts(model, seed)))
    assert.deepEqual(a, again)
    assert.notDeepEqual(a, b)
    for (const [i, { ids: own, cluster }] of a.entries()) {
      assert.equal(own.length, TOKENS)
      assert.equal(cluster, `book ${i >> 1}`)
      assert.ok(ids[i].join().includes(Array.from(own).join()))
    }
    const study = await sweep({ model, task, policy: random, base: { budget: 8 }, seeds: 2 }).run(quiet)
    assert.deepEqual([...new Set(study.rows.map(({ trial }) => trial.policy.match(/seed: (\d+)/)![1]))], ['1', '2'])
  })

  it('keep what is done, and do only what is missing, also of an amended design', async () => {
    const store = join(ownFolder(), 'study')
    const first = await studied({ store }).run(quiet)
    const again = studied({ store, over: { alpha: [0, 1, 2], residual: [2, 4] } })
    const plan = await again.plan(quiet)
    assert.deepEqual([plan.trials, plan.done], [48, 32])
    assert.deepEqual(plan.tokens, { read: 8 * (TOKENS - ROWS), steps: 8 * 3 * ROWS })
    let total = 0
    await again.run({ progress: (told) => (total = told.total) })
    assert.equal(total, plan.tokens.read + plan.tokens.steps)
    const key = ({ trial, levels }: Study['rows'][number]) => JSON.stringify([levels, trial])
    const kept = new Set(again.rows.map(key))
    assert.ok(first.rows.every((row) => kept.has(key(row))))
    const { over } = JSON.parse(readFileSync(join(store, 'study.json'), 'utf8')) as { over: { alpha: number[] } }
    assert.equal(over.alpha.length, 3)
  })

  it('go by the clusters and names of the study that asks, whoever did the trials', async () => {
    const store = join(ownFolder(), 'study')
    await studied({ store }).run(quiet)
    const text = ids.map((one, i) => ({ text: one, name: `other ${i}`, cluster: `shelf ${i % 4}` }))
    const again = studied({ store, task: languageModelling({ text, tokens: TOKENS, rows: ROWS, storage: 'float32' }) })
    const plan = await again.plan(quiet)
    assert.deepEqual([plan.done, plan.trials], [32, 32])
    assert.deepEqual(
      [...new Set(again.rows.map(({ trial }) => `${trial.prompt.name}, ${trial.prompt.cluster}`))],
      text.map(({ name, cluster }) => `${name}, ${cluster}`),
    )
  })

  it('come to the same whether they were interrupted or not, kept in a folder or not', async () => {
    const whole = await studied().run(quiet)
    for (const store of [join(ownFolder(), 'study'), undefined]) {
      const controller = new AbortController()
      const study = studied({ store })
      const progress = ({ done, total }: { done: number; total: number }) => {
        if (done > total / 3) controller.abort(new Error('enough'))
      }
      await assert.rejects(study.run({ signal: controller.signal, progress }), /enough/)
      const before = study.rows.length
      assert.ok(before > 4 && before < 32, String(before))
      const resumed = store === undefined ? study : studied({ store })
      assert.equal((await resumed.plan(quiet)).done, before)
      assert.deepEqual((await resumed.run(quiet)).rows, whole.rows)
    }
  })

  it('leave out, and count, policies that did nothing and those that could not be', async () => {
    const study = await sweep({
      model,
      task,
      policy: zsmerge,
      base: { recent: 2, residual: 2 },
      over: { budget: [3, 12, TOKENS] },
    }).run(quiet)
    const summary = study.summary()
    assert.deepEqual(
      summary.rows.map(({ trials, failed, unchanged, values }) => [trials, failed, unchanged, values.kl === null]),
      [
        [0, 8, 0, true],
        [8, 0, 0, false],
        [0, 0, 8, true],
      ],
    )
    assert.match(study.rows[0].trial.failed!, /budget/)
    const effects = study.effects()
    assert.deepEqual(
      effects.main.map(({ found, holm }) => [found, holm]),
      [
        [null, null],
        [null, null],
      ],
    )
    assert.match(inspect(summary), /8 failed/)
    assert.match(inspect(summary), /8 changed nothing/)
  })

  it('tell effects and interactions, each level against the first, by cluster', async () => {
    const study = await studied({ over: { alpha: [0, 1, 2], residual: [2, 4] } }).run(quiet)
    const kl = (alpha: number, residual: number, text: number) =>
      study.rows.find(
        ({ levels, trial }) =>
          levels.alpha === alpha && levels.residual === residual && trial.prompt.name === `text ${text}`,
      )!.trial.values!.kl
    const texts = [0, 1, 2, 3, 4, 5, 6, 7]
    const effects = study.effects()
    assert.deepEqual(
      effects.main.map(({ dimensions, from, to }) => [dimensions, from, to]),
      [
        [['alpha'], [0], [1]],
        [['alpha'], [0], [2]],
        [['residual'], [2], [4]],
      ],
    )
    const alpha2 = means(
      texts.flatMap((text) => [2, 4].map((residual) => kl(2, residual, text) - kl(0, residual, text))),
    )
    const both = means(texts.map((text) => kl(2, 4, text) - kl(0, 4, text) - kl(2, 2, text) + kl(0, 2, text)))
    assert.ok(Math.abs(effects.main[1].found!.difference.mean - alpha2) < 1e-12)
    assert.ok(Math.abs(effects.interactions[1].found!.difference.mean - both) < 1e-12)
    assert.deepEqual([effects.main[1].found!.clusters, effects.main[1].found!.pairs], [4, 16])
    assert.equal(effects.main[0].found!.difference.method, 'none')
    assert.match(effects.main[0].found!.why, /at least 6/)
    const compared = study.compare({ alpha: 2 }, { alpha: 0 })!
    assert.deepEqual(compared, effects.main[1].found)
    assert.equal(study.compare({ alpha: 2, residual: 4 }, { alpha: 0, residual: 2 })!.pairs, 8)
    assert.equal(effects.table().effect.length, 5)
    const { notes } = await study.plan(quiet)
    assert.match(notes.join(), /4 clusters cannot show any of 5 effects and interactions/)
  })

  it('go one at a time around the first levels', async () => {
    const study = await studied({ design: 'one-at-a-time', over: { alpha: [0, 1, 2], residual: [2, 4] } }).run(quiet)
    assert.equal(study.rows.length, 4 * 8)
    const { main, interactions } = study.effects()
    assert.deepEqual(
      main.map(({ found }) => [found!.pairs, found!.left]),
      [
        [8, 0],
        [8, 0],
        [8, 0],
      ],
    )
    assert.ok(interactions.every(({ found }) => found === null))
  })

  it('try a fraction of the grid, with the means of the grid’s own rows', async () => {
    const over = { alpha: [0, 1], residual: [2, 4], decay: [0.98, 0.5] }
    const [study, grid] = await Promise.all([
      studied({ over, design: { fractional: 3 } }).run(quiet),
      studied({ over }).run(quiet),
    ])
    assert.deepEqual([study.rows.length, grid.rows.length], [4 * 8, 8 * 8])
    const kept = new Set(grid.rows.map((row) => JSON.stringify(row)))
    assert.ok(study.rows.every((row) => kept.has(JSON.stringify(row))))
    const { main, interactions } = study.effects()
    assert.deepEqual([main.length, interactions.length, main[0].aliases], [3, 0, [['residual', 'decay']]])
    const of = (alpha: number) =>
      means(study.rows.filter((row) => row.levels.alpha === alpha).map((row) => row.trial.values!.kl))
    assert.ok(Math.abs(main[0].found!.difference.mean - (of(1) - of(0))) < 1e-12)
    assert.deepEqual(study.compare({ alpha: 1 }, { alpha: 0 }), main[0].found)
    assert.match(inspect(study), /a fraction of resolution 3 of alpha 0, 1/)
    assert.throws(
      () => studied({ over: { alpha: [0, 1, 2], residual: [2, 4] }, design: { fractional: 4 } }),
      /alpha has 3/,
    )
  })

  it('check that without merging it is eviction by history, and say so where it is not', async () => {
    const store = join(ownFolder(), 'study')
    await studied({ store }).run(quiet)
    const kept = readdirSync(store).filter((name) => name.endsWith('.trials'))
    const lines = kept.flatMap((name) => readFileSync(join(store, name), 'utf8').trimEnd().split('\n').slice(1))
    const trials = lines.map((text) => JSON.parse(text.slice(17)) as Trial)
    const [off, base] = ['residual: 0', 'evictOnly('].map((call) =>
      trials.filter(({ policy }) => policy.includes(call)),
    )
    assert.deepEqual([off.length, base.length, trials.length], [1, 1, 34])
    assert.deepEqual(off[0].values, base[0].values)
    checkMergingOff(off[0], base[0])
    const failed = { values: null, failed: 'in other words' }
    checkMergingOff({ ...off[0], ...failed }, { ...base[0], ...failed, failed: 'otherwise' })
    const other = { ...base[0], values: { ...base[0].values, kl: base[0].values!.kl + 1e-15 } }
    assert.throws(() => checkMergingOff(off[0], other), /should be the same to the last bit/)
    assert.equal(mergingOff([snapkv(), zsmerge({ granularity: 'layer' })]), undefined)
    const [without] = mergingOff([snapkv(), zsmerge({ history: 'off' })])!
    assert.match(String(without), /history: 'off'/)
  })

  it('choose on one half of the clusters and confirm on the other', async () => {
    const over = { alpha: [0, 1, 2], residual: [2, 4] }
    const study = await studied({ over, split: 0.5 }).run(quiet)
    const { exploring, confirming } = study
    const clusters = [exploring, confirming].map(({ rows }) => new Set(rows.map(({ trial }) => trial.prompt.cluster)))
    assert.deepEqual(
      clusters.map(({ size }) => size),
      [2, 2],
    )
    assert.ok([...clusters[0]].every((cluster) => !clusters[1].has(cluster)))
    assert.equal(exploring.rows.length + confirming.rows.length, study.all.length)
    assert.throws(() => study.effects(), /the study is split/)
    assert.throws(() => studied().exploring, /split: 0\.5/)
    for (const metric of ['kl', 'agreement']) {
      const { chosen, exploring: there, confirming: here } = study.confirm({ metric })
      const { rows } = exploring.summary()
      const sorted = rows.map(({ values }) => values[metric]!.mean).sort((a, b) => (metric === 'kl' ? a - b : b - a))
      const found = rows.find(({ levels }) => JSON.stringify(levels) === JSON.stringify(chosen))!
      assert.equal(found.values[metric]!.mean, sorted[0])
      const base = { alpha: 0, residual: 2 }
      if (there === null) assert.deepEqual(chosen, base)
      else
        assert.deepEqual(
          [there, here],
          [exploring, confirming].map((half) => half.compare(chosen!, base, { metric })),
        )
    }
    assert.match(inspect(study.confirm()), /Chosen by kl/)
    const whole = await studied({ over }).run(quiet)
    assert.deepEqual(whole.rows, study.all)
    const { notes, seconds, bytes } = await studied({ over, split: 0.5 }).plan(quiet)
    assert.equal(notes.filter((note) => note.startsWith('2 clusters cannot show any of 5 ')).length, 2)
    assert.ok(seconds > 0 && bytes > 0)
    assert.equal((await study.plan(quiet)).seconds, 0)
  })

  it('compare policies as a dimension, wrappers too', async () => {
    const byHead = (options: object) => adakv({ of: snapkv(options) })
    const study = await sweep({ model, task, policy: [zsmerge, evictOnly, byHead], over: { budget: [12, 16] } }).run(
      quiet,
    )
    const { policy, budget } = study.summary(['policy', 'budget']).table()
    assert.deepEqual([...new Set(policy)], ['zsmerge', 'evict-only', 'adakv'])
    assert.deepEqual([...new Set(budget)], [12, 16])
    assert.equal(study.compare({ policy: 'evict-only' }, { policy: 'zsmerge' })!.pairs, 16)
    assert.match(
      study.csv(),
      /^policy,budget,call,prompt,cluster,seed,tokens,kl,change,loss,agreement,bytes,unchanged,failed\n/,
    )
  })

  it('have a column for each dimension, also for the seed of a policy beside that of prompts', async () => {
    const study = await studied({ policy: random, base: { budget: 12 }, over: { seed: [5, 6] }, seeds: [3] }).run(quiet)
    const { 'over.seed': own, seed } = study.table()
    assert.deepEqual([[...new Set(own)], [...new Set(seed)]], [[5, 6], [3]])
    assert.match(study.csv(), /^over\.seed,call,prompt,cluster,seed,/)
    assert.deepEqual(study.summary().table()['over.seed'], [5, 6])
    assert.deepEqual(study.effects().table().effect, ['seed'])
  })

  it('refuse what they cannot do, and say why', async () => {
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ policy: zsmerge() }, /policy function such as zsmerge/],
      [{ task: {} }, /languageModelling\(\)/],
      [{ over: { alpha: 1 } }, /over\.alpha/],
      [{ over: { alpha: [1, 1] } }, /once/],
      [{ over: { alpha: [1, NaN] } }, /a finite number, a word, true or false for over\.alpha\[1\] but received NaN/],
      [{ over: { alpha: { from: 0 } } }, /over\.alpha\.to but received undefined/],
      [{ over: { of: { one: snapkv() } } }, /the setting \{ budget: 12, recent: 4, of: "snapkv\(/],
      [{ over: { budget: [0.1] } }, /budget is in both/],
      [{ over: { alpa: [1] } }, /alpa/],
      [{ over: { alpha: [1, -1] } }, /the setting .* cannot be/],
      [{ design: 'all' }, /'grid', 'one-at-a-time', \{ fractional/],
      [{ seeds: 0 }, /seeds/],
      [{ seeds: [1, 1] }, /each seed once/],
      [{ store: '' }, /folder/],
      [{ store: toyPath }, /path of a folder for store.*a file has that name/],
      [{ stores: 'x' }, /did you mean 'store'/],
      [{ policy: () => zsmerge(), over: { kl: [1] }, base: {} }, /called as no metric is for over but received "kl"/],
    ]
    for (const [more, message] of cases) assert.throws(() => studied(more as never), message, JSON.stringify(more))
    const study = studied()
    assert.throws(() => study.rows, /has not been run/)
    assert.throws(() => languageModelling({ storage: 'int4' as never }), /'float16'/)
    assert.throws(() => languageModelling({ text: 'moby' as never }), /'sotu', 'moby-dick'/)
    assert.throws(() => languageModelling({ text: 'moby-dick', texts: 140 }), /at most 139 for texts but received 140/)
    assert.throws(() => languageModelling({ text: ids, texts: 9 }), /at most 8 for texts but received 9/)
    await assert.rejects(languageModelling({ text: ids }).prompts(model, 1), /fewer than the 1024|do not fit/)
  })

  it('say what they are and what comes next', async () => {
    const study = studied()
    assert.match(inspect(study), /nothing has run yet/)
    await study.run(quiet)
    assert.match(inspect(study), /32 of 32 trials are done/)
    assert.match(inspect(study.effects()), /alpha from 0 to 1/)
    assert.throws(() => study.summary('alpha' as never), /an array of dimensions/)
    assert.throws(() => study.summary(['beta']), /'alpha', 'residual'/)
    assert.throws(() => study.compare({ alpha: 1 }, { residual: 2 }), /same dimensions/)
    assert.throws(() => study.compare({ alpha: 1 }, { alpha: 7 }), /one of 0, 1/)
    assert.throws(() => study.compare({ alpha: 1 }, { alpha: 1 }), /a and b are the same/)
    assert.throws(
      () => study.compare({ beta: 1 }, { beta: 1 }),
      /"beta", which the study does not vary; it varies alpha/,
    )
    assert.throws(() => study.summary(['alpha'], { lvel: 0.9 } as never), /summary has no option "lvel"/)
    await assert.rejects(studied({ split: 0.1 }).plan(quiet), /a split of 0\.1 leaves none of 4 clusters to choose on/)
    await assert.rejects(study.plan({ seed: 1 } as never), /plan has no option "seed"/)
    assert.throws(() => study.effects({ metric: 'kll' }), /'kl'/)
  })
})
