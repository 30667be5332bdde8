/** Of several turns: each run's trace is its own part, the session's is all of them, and snapshots and forks bring theirs along. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { load, Trace, zsmerge, type Model, type Run, type Session } from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'

const PROMPT = Array.from({ length: 40 }, (_, i) => (i * 7) % 250)
const TURN = [5, 6, 7, 8, 9]
const generated = { maxTokens: 6, ignoreEos: true, progress: false } as const

describe('a trace of several turns', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  let model: Model
  let session: Session
  const runs: Run[] = []
  const steps = (trace: Trace) => trace.columns().step
  /** Every head at the trace's last step: positions by slot. */
  const stands = (trace: Trace) =>
    trace
      .data()
      .origins.map(({ kvHeads }, layer) =>
        kvHeads.map((_, kvHead) => trace.cacheAt({ layer, kvHead }).slots.map(({ origins }) => origins)),
      )
  const held = (trace: Trace) => trace.data().origins.map(({ kvHeads }) => kvHeads.map((s) => s.map((p) => [...p])))

  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    for (const prompt of [PROMPT, TURN, undefined]) runs.push(await session.generate(prompt, generated))
  })
  after(() => model.dispose())

  it('each run has its own part, one after another, and the session has all', () => {
    const all = session.trace
    assert.deepEqual(
      runs.flatMap(({ trace }) => Array.from(steps(trace))),
      Array.from(steps(all)),
    )
    assert.equal(
      runs.reduce((sum, { trace }) => sum + trace.length, 0),
      all.length,
    )
    // 40 tokens are step 0, and five of those chosen are read; the sixth and the turn begin the second run.
    assert.deepEqual(
      runs.map(({ trace }) => steps(trace)[0]),
      [0, 6, 17],
    )
    for (const { trace } of runs) {
      assert.equal(trace.table().step.length, trace.length)
      assert.equal(trace.events().shape[0], trace.length)
      assert.equal([...trace.csv()].join('').trimEnd().split('\n').length, trace.length + 1)
    }
    const counted = (trace: Trace) => trace.counts().admit!.events
    assert.equal(
      counted(all),
      runs.reduce((sum, { trace }) => sum + counted(trace), 0),
    )
    assert.equal(counted(runs[1].trace), model.description.layers * model.description.kvHeads * 11)
  })

  it('how the cache stood is known from all of it, in every run', () => {
    for (const trace of [...runs.map((run) => run.trace), session.trace]) assert.deepEqual(stands(trace), held(trace))
    const [first, second] = runs
    const at = { step: 3, layer: 1, kvHead: 0 }
    assert.deepEqual(second.trace.cacheAt(at), first.trace.cacheAt(at))
    assert.equal(second.data().events!.step.length, first.trace.length + second.trace.length)
  })

  for (const ending of ['.arrow', '.parquet'])
    it(`${ending}: a file has all and where the own part begins`, async () => {
      const { trace } = runs[1]
      const opened = await Trace.open(await trace.save(join(folder, `second${ending}`)))
      assert.equal(opened.firstEvent, runs[0].trace.length)
      assert.deepEqual(opened.columns(), trace.columns())
      assert.deepEqual(opened.table(), trace.table())
      assert.deepEqual(stands(opened), held(trace))
      const whole = await Trace.open(await session.trace.save(join(folder, `all${ending}`)))
      assert.deepEqual([whole.firstEvent, whole.length], [0, session.trace.length])
      assert.equal(whole.card.sampling, undefined)
      assert.deepEqual(whole.receipt, session.receipt())
    })

  it('a restored snapshot brings its own tape back, and a fork carries it on', async () => {
    const own = model.session({ policy: session.policy, trace: true })
    await own.prefill(PROMPT)
    const before = own.trace
    const snapshot = await own.snapshot()
    const fork = await own.fork()
    const once = await own.generate(undefined, generated)
    assert.deepEqual(own.trace.table(), once.trace.table(), 'what was read before the first run is its own')
    await own.restore(snapshot)
    assert.deepEqual(own.trace.table(), before.table())
    assert.equal(once.trace.tape().step.length, once.trace.length, 'a run keeps what it had')
    const [again, beside] = [await own.generate(undefined, generated), await fork.generate(undefined, generated)]
    for (const run of [again, beside]) {
      assert.deepEqual(run.trace.table(), once.trace.table())
      assert.deepEqual(stands(run.trace), held(run.trace))
    }
    for (const each of [fork, snapshot, own]) each.dispose()
  })

  it('what is asked between two runs is of the second', async () => {
    const fork = await session.fork()
    await fork.change({ alpha: 0.5 })
    const run = await fork.generate(undefined, generated)
    assert.equal(run.trace.table().action[0], 'options')
    assert.equal(run.trace.tape().step.length, session.trace.length + run.trace.length)
    const other = await session.fork({ policy: zsmerge({ budget: 20, recent: 8, residual: 2 }) })
    const first = await other.generate(undefined, generated)
    assert.deepEqual([first.trace.firstEvent, first.trace.table().step[0]], [0, 0])
    for (const each of [fork, other]) each.dispose()
  })

  it('of a session that reads or steps there is one, too, and of one without events none', async () => {
    const reads = model.session({ policy: session.policy, trace: true })
    assert.deepEqual([reads.trace.length, reads.trace.lastStep], [0, -1])
    assert.throws(() => reads.trace.data(), /has read nothing/)
    await reads.prefill(PROMPT)
    await reads.step(3)
    assert.equal(reads.trace.lastStep, 1)
    assert.deepEqual(stands(reads.trace), held(reads.trace))
    const quiet = model.session()
    assert.deepEqual([reads.traceLevel, quiet.traceLevel], ['events', 'off'])
    assert.throws(() => quiet.trace.events(), { code: 'invalid', message: /trace: true/ })
    for (const each of [reads, quiet]) each.dispose()
  })
})
