/** Studies on a cluster: a real controller and a real node, on this machine. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { languageModelling, load, snapkv, sweep, type Model, type Study } from '../../src/index.js'
import { outlineOf, requeue } from '../../src/experiments/outline.js'
import { ranges, slurmOptions } from '../../src/experiments/slurm.js'
import { TrialStore } from '../../src/experiments/store.js'
import { changeWishes } from '../../src/experiments/wishes.js'
import { leftOut } from '../left-out.js'
import { draws, ownFolder, toyPath } from '../src/model/files.js'
import { cases } from '../scale.js'
import { Cluster, noCluster } from './cluster.js'

const quiet = { progress: false } as const

const reason = noCluster()
if (reason) leftOut(`studies on a cluster: ${reason}`, 'apt-get install slurm-wlm munge, as root')
else
  describe('studies on a cluster', function () {
    this.timeout(600_000)
    let cluster: Cluster
    let model: Model
    before(async () => {
      const folder = join(ownFolder(), 'cluster')
      mkdirSync(folder)
      cluster = await Cluster.start(folder)
      process.env.SLURM_CONF = cluster.conf
      model = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
    })
    after(async () => {
      delete process.env.SLURM_CONF
      model?.dispose()
      await cluster?.stop()
    })

    /** A task for each prompt, a trial for each task. */
    function study(prompts: number, store: string | undefined): Study {
      const draw = draws(9)
      const text = Array.from({ length: prompts }, () =>
        Array.from({ length: 40 }, () => draw(model.description.vocabulary)),
      )
      const task = languageModelling({ text, tokens: 40, rows: 6 })
      return sweep({ model, task, policy: snapkv, base: { budget: 12, window: 4 }, store })
    }

    const done = (store: string) => outlineOf(store).then(({ state }) => state?.trials.done ?? 0)

    it('come to the same as here, though a task is killed and the node goes down and comes back', async () => {
      const count = cases(40, 6)
      const here = (await study(count, undefined).run(quiet)).rows
      const store = ownFolder()
      const running = study(count, store).submit({ ...quiet, engine: 'slurm', array: 2 })
      let over = false
      const settled = running.finally(() => (over = true))
      // One that runs is killed, and then the node with all of its tasks.
      const runningTasks = () =>
        cluster.say('squeue', '--noheader', '--array', '--states=RUNNING', '--format=%i').split('\n')
      while (!over && !runningTasks()[0]) await sleep(50)
      cluster.say('scancel', '--signal=KILL', runningTasks()[0])
      while (!over && (await done(store)) < count / 3) await sleep(50)
      await cluster.killNode()
      await sleep(500)
      cluster.node()
      assert.deepEqual((await settled).rows, here)
      assert.deepEqual(
        readdirSync(store).filter((name) => name.startsWith('work-') || name.endsWith('.trial')),
        [],
      )
      assert.equal((await outlineOf(store)).state?.state, 'finished')
    })

    it('go on while nobody follows, are followed again, held, released and cancelled as they are told', async () => {
      const store = ownFolder()
      const controller = new AbortController()
      cluster.say('scontrol', 'update', 'PartitionName=all', 'State=DOWN')
      const followed = study(3, store).submit({ ...quiet, engine: 'slurm', signal: controller.signal })
      const waits = assert.rejects(followed, /enough/)
      while (!cluster.say('squeue', '--noheader')) await sleep(50)
      controller.abort(new Error('enough'))
      await waits
      const tasks = (of: string) =>
        cluster
          .say('squeue', '--noheader', '--array', `--format=${of}`)
          .split('\n')
          .filter((line) => line)
      const reasons = async (held: boolean) => {
        while (!tasks('%r').length || tasks('%r').some((why) => why.startsWith('JobHeld') !== held)) await sleep(100)
      }
      // What waits is followed, held and let go, and told to stop, each time anew.
      await changeWishes(store, () => ({ paused: true }))
      for (const array of [undefined, 1]) {
        const again = study(3, store).submit({ ...quiet, engine: 'slurm', array })
        const stopped = assert.rejects(again, { name: 'AbortError' })
        await reasons(true)
        await changeWishes(store, () => ({ paused: false }))
        await reasons(false)
        assert.equal(tasks('%i').length, 3)
        assert.equal(/ArrayTaskThrottle=1\b/.test(cluster.say('scontrol', 'show', 'job')), array === 1)
        await changeWishes(store, () => ({ paused: true }))
        await reasons(true)
        await changeWishes(store, () => ({ stopped: true }))
        await stopped
        while (tasks('%i').length) await sleep(100)
      }
      await changeWishes(store, () => ({ paused: false }))
      // What is cancelled while it waits is not done; what is to be done again is.
      const third = study(3, store).submit({ ...quiet, engine: 'slurm' })
      while (tasks('%i').length < 3) await sleep(50)
      await changeWishes(store, () => ({ cancelled: [{ prompt: 'text 2' }] }))
      cluster.say('scontrol', 'update', 'PartitionName=all', 'State=UP')
      const { rows } = await third
      assert.deepEqual(
        rows.map(({ trial }) => trial.prompt.name),
        ['text 0', 'text 1'],
      )
      const kept = await TrialStore.open(store)
      await kept.add({ ...rows[0].trial, values: null, failed: 'as if' })
      await kept.fold()
      assert.equal(await requeue(store, {}), 1)
      const whole = await study(3, store).submit({ ...quiet, engine: 'slurm' })
      assert.deepEqual(whole.rows.slice(0, 2), rows)
      assert.equal(whole.rows.length, 3)
    })

    it('say what a task said that never comes to its end', async () => {
      const store = ownFolder()
      const failing = study(1, store).submit({
        ...quiet,
        engine: 'slurm',
        retries: 0,
        sbatch: ['--export=NODE_OPTIONS=--none'],
      })
      await assert.rejects(failing, /task 0 \(text 0\) ended 1 times without its trials; it said last: .*not allowed/)
    })
  })

describe('options of Slurm', () => {
  it('are checked, and tasks are named briefly', () => {
    for (const [given, says] of [
      [{}, /engine/],
      [{ engine: 'slurm', array: 0 }, /array but received 0/],
      [{ engine: 'slurm', sbatch: '--mem=1' }, /sbatch/],
      [{ engine: 'slurm', memory: '1G' }, /no option "memory"/],
      [{ engine: 'slurm', signal: 5 }, /an AbortSignal for signal but received 5/],
    ] as const)
      assert.throws(() => slurmOptions(given), says)
    assert.equal(ranges([7, 1, 2, 3, 9]), '1-3,7,9')
  })
})
