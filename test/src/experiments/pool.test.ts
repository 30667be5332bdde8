/** Studies in several processes, and steered from outside: the same results, whoever dies meanwhile and whatever is asked. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { definePolicy, languageModelling, load, sweep, type Model, type Row, type Study } from '../../../src/index.js'
import { alsoAsked, changeWishes, wishesOf } from '../../../src/experiments/wishes.js'
import { outlineOf, requeue } from '../../../src/experiments/outline.js'
import { TrialStore } from '../../../src/experiments/store.js'
import { draws, ownFolder, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'
import { smallStudy } from './small-study.js'

const quiet = { progress: false } as const

/** Processes of the pool that this one has. */
const workers = (): number[] =>
  spawnSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => line.includes('pool-child'))
    .map((line) => parseInt(line, 10))

describe('studies in several processes', function () {
  this.timeout(600_000)
  let model: Model
  let undisturbed: readonly Row[]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    undisturbed = (await smallStudy(model, undefined).run(quiet)).rows
  })
  after(() => model?.dispose())

  it('come to the same, bit for bit, with a store and without', async () => {
    for (const store of [undefined, ownFolder()]) {
      const study = await smallStudy(model, store).run({ ...quiet, processes: 2 })
      assert.deepEqual(study.rows, undisturbed)
      assert.deepEqual(study.room, { processes: 2, threads: 1, why: '' })
      assert.deepEqual(workers(), [])
    }
  })

  it('go on when one of them is killed', async () => {
    const draw = draws(3)
    let killed = 0
    for (let round = 0; round < alike(20, 3); round++) {
      const folder = ownFolder()
      const running = smallStudy(model, folder).run({ ...quiet, processes: 2 })
      let over = false
      void running.then(() => (over = true))
      while (!over && !readdirSync(folder).some((name) => name.endsWith('.trial'))) await sleep(2)
      await sleep(draw(60))
      const [worker] = workers()
      if (worker) {
        process.kill(worker, 'SIGKILL')
        killed++
      }
      assert.deepEqual((await running).rows, undisturbed)
    }
    assert.ok(killed > 0)
  })

  it('end when they are interrupted, with their processes, and go on later', async () => {
    const folder = ownFolder()
    const controller = new AbortController()
    const progress = ({ done }: { done: number }) => done > 300 && controller.abort(new Error('enough'))
    await assert.rejects(smallStudy(model, folder).run({ progress, processes: 2, signal: controller.signal }), /enough/)
    while (workers().length) await sleep(10)
    assert.deepEqual((await smallStudy(model, folder).run({ ...quiet, processes: 2 })).rows, undisturbed)
  })

  it('are refused policies that another process cannot have', async () => {
    const own = definePolicy({
      name: 'own',
      evict: ({ heads }) => heads.map(({ excess }) => [...Array(excess).keys()]),
    })
    const text = [Array.from({ length: 40 }, (_, i) => i), Array.from({ length: 40 }, (_, i) => 60 - i)]
    const study = sweep({
      model,
      task: languageModelling({ text, tokens: 40, rows: 6 }),
      policy: own,
      base: { budget: 12 },
    })
    await assert.rejects(study.run({ ...quiet, processes: 2 }), { code: 'unsupported', message: /processes: 1/ })
    assert.equal((await study.run(quiet)).rows.length, 2)
  })

  it('refuse a number of processes that is none', async () => {
    await assert.rejects(smallStudy(model, undefined).run({ ...quiet, processes: 0 }), /processes but received 0/)
  })
})

describe('studies that are steered from outside', function () {
  this.timeout(300_000)
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
  })
  after(() => model?.dispose())

  const done = async (folder: string) => [...(await TrialStore.open(folder)).all()].length
  const first = (folder: string): [Study, string] => {
    const study = smallStudy(model, folder)
    return [study, study.facts.policies[0]]
  }

  for (const processes of [1, 2])
    it(`wait while they are paused, and end when they are told to, by ${processes} processes`, async () => {
      const folder = ownFolder()
      await changeWishes(folder, () => ({ paused: true }))
      const running = smallStudy(model, folder).run({ ...quiet, processes })
      const stopped = assert.rejects(running, { name: 'AbortError', message: /was told to stop/ })
      await sleep(1200)
      assert.equal(await done(folder), 0)
      assert.ok((await outlineOf(folder)).running)
      await changeWishes(folder, () => ({ stopped: true }))
      await stopped
      const { state, running: who } = await outlineOf(folder)
      assert.equal(state?.state, 'stopped')
      assert.equal(who, null)
      // The next run takes that back; it still waits until it is told to go on.
      const again = smallStudy(model, folder).run({ ...quiet, processes })
      await sleep(100)
      await changeWishes(folder, () => ({ paused: false }))
      assert.equal((await again).rows.length, 60)
      assert.deepEqual((await outlineOf(folder)).state?.trials, { trials: 60, done: 60, failed: 0, unchanged: 0 })
    })

  it('leave out what is cancelled, until it is due again, and do again what failed', async () => {
    const folder = ownFolder()
    const [study] = first(folder)
    await study.plan(quiet)
    await changeWishes(folder, () => ({ cancelled: [{ prompt: 'text 3' }, { prompt: 'text 5' }] }))
    await study.run(quiet)
    assert.equal(study.rows.length, 52)
    assert.equal(await requeue(folder, { prompt: 'text 5' }), 0)
    assert.equal((await first(folder)[0].run(quiet)).rows.length, 56)
    // Of all that is left out, a part is due again, whatever it was cancelled as.
    await changeWishes(folder, ({ cancelled }) => ({ cancelled: alsoAsked(cancelled, { policy: 'zsmerge' }) }))
    assert.equal(await requeue(folder, { policy: 'alpha: 0', prompt: 'text 3' }), 0)
    assert.equal((await first(folder)[0].run(quiet)).rows.length, 58)
    assert.equal(await requeue(folder, {}), 0)
    const whole = (await first(folder)[0].run(quiet)).rows
    assert.deepEqual((await wishesOf(folder)).cancelled, [])
    assert.equal(whole.length, 60)

    const store = await TrialStore.open(folder)
    const [one] = [...store.all()]
    await store.add({ ...one, values: null, failed: 'as if' })
    await store.fold()
    assert.equal(
      (await outlineOf(folder)).settings.reduce((sum, { failed }) => sum + failed, 0),
      1,
    )
    assert.equal(await requeue(folder, {}), 1)
    assert.deepEqual((await first(folder)[0].run(quiet)).rows, whole)
    assert.deepEqual((await wishesOf(folder)).requeued, [])
  })

  it('hear several that ask at once', async () => {
    const folder = ownFolder()
    const names = Array.from({ length: 8 }, (_, i) => `text ${i}`)
    await Promise.all(
      names.map((prompt) => changeWishes(folder, ({ cancelled }) => ({ cancelled: [...cancelled, { prompt }] }))),
    )
    assert.deepEqual((await wishesOf(folder)).cancelled.map(({ prompt }) => prompt).sort(), names)
    assert.ok(readFileSync(`${folder}/asked.json`, 'utf8').startsWith('{'))
  })
})
