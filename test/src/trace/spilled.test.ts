/** A session whose older events went to files says, saves and goes back to the same as one that keeps them all in memory. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  figures,
  load,
  Trace,
  zsmerge,
  type Model,
  type Run,
  type Session,
  type TraceOption,
} from '../../../src/index.js'
import { EVENT_BYTES } from '../../../src/trace/columns.js'
import { defaultModel } from '../model/default-model.js'
import { ownFolder } from '../model/files.js'

const UNIT = 2 ** 16
const generated = { maxTokens: 4, ignoreEos: true, progress: false } as const

describe('a session whose older events are in files', function () {
  this.timeout(180_000)
  const folder = ownFolder()
  const spills = join(folder, 'spills')
  let model: Model
  let [few, all]: Session[] = []
  let runs: [few: Run, all: Run][]

  before(async () => {
    mkdirSync(spills)
    model = await load((await defaultModel()).path, { progress: false })
    const session = (trace: TraceOption) =>
      model.session({ policy: zsmerge({ budget: 48, recent: 16, residual: 3 }), trace })
    ;[few, all] = [session({ level: 'events', memory: 0, folder: spills }), session(true)]
    const prompt = Array.from({ length: 760 }, (_, i) => 300 + ((i * 37) % 4000))
    runs = []
    for (const turn of [prompt, [500, 501, 502], undefined]) {
      const once = await few.generate(turn, generated)
      runs.push([once, await all.generate(turn, generated)])
    }
  })
  after(() => {
    for (const session of [few, all]) session?.dispose()
    model?.dispose()
  })

  const same = (a: Trace, b: Trace) => {
    assert.deepEqual(a.tape(), b.tape())
    assert.deepEqual(a.table(), b.table())
    assert.deepEqual(a.counts(), b.counts())
    assert.deepEqual(a.receipt, b.receipt)
    const { layers, kvHeads } = model.description
    for (const step of [0, 1, a.lastStep >> 1, a.lastStep])
      for (let layer = 0; layer < layers; layer += 7)
        for (let kvHead = 0; kvHead < kvHeads; kvHead++)
          assert.deepEqual(a.cacheAt({ step, layer, kvHead }), b.cacheAt({ step, layer, kvHead }))
    assert.equal(figures.survival(a).summary, figures.survival(b).summary)
  }

  it('says where they are, and leaves no name in the folder', () => {
    const [took, whole] = [few.tapeBytes(), all.tapeBytes()]
    assert.ok(took.files >= UNIT * EVENT_BYTES && took.files % (UNIT * EVENT_BYTES) === 0, JSON.stringify(took))
    assert.deepEqual([took.events, took.memory + took.files], [whole.events, whole.memory])
    assert.equal(whole.files, 0)
    assert.equal(few.trace.bytes.files, took.files)
    assert.deepEqual(readdirSync(spills), [])
  })

  it('has the same tokens, events, slots at any step and receipt, of each run and of the session', () => {
    for (const [one, other] of runs) {
      assert.deepEqual(one.tokens, other.tokens)
      same(one.trace, other.trace)
    }
    same(few.trace, all.trace)
    assert.ok(few.receipt().ok)
    assert.deepEqual(few.receipt(), all.receipt())
    const { origins } = few.trace.data()
    origins.forEach(({ kvHeads }, layer) =>
      kvHeads.forEach((slots, kvHead) =>
        assert.deepEqual(
          few.trace.cacheAt({ layer, kvHead }).slots.map((slot) => slot.origins),
          slots.map((members) => [...members]),
        ),
      ),
    )
  })

  for (const ending of ['.arrow', '.parquet'])
    it(`${ending}: saved and opened it is the same`, async () => {
      const [one, other] = await Promise.all(
        [few, all].map(async ({ trace }, i) => Trace.open(await trace.save(join(folder, `${i}${ending}`)))),
      )
      same(one, other)
      same(one, all.trace)
    })

  it('goes back to a snapshot with the events of then, and a fork goes on with them', async () => {
    const [snapshot, before] = [await few.snapshot(), few.trace]
    const kept = before.tape().position.slice()
    const forks = [await few.fork(), await all.fork()]
    assert.ok(forks[0].tapeBytes().files > 0)
    const once = await few.generate([600, 601], generated)
    await few.restore(snapshot)
    same(few.trace, all.trace)
    const again = await few.generate([600, 601], generated)
    const plain = await all.generate([600, 601], generated)
    const [one, other] = await Promise.all(forks.map((fork) => fork.generate([700, 701, 702], generated)))
    same(one.trace, other.trace)
    for (const run of [once, again]) same(run.trace, plain.trace)
    assert.deepEqual(before.tape().position, kept, 'what is held stays')
    for (const each of [...forks, snapshot]) each.dispose()
    assert.deepEqual(readdirSync(spills), [])
  })
})
