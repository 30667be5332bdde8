/** Sessions that go on together: each as if it were alone, whoever is beside it, fails or is stopped. */
import assert from 'node:assert/strict'
import { after, before } from 'mocha'
import {
  definePolicy,
  evictOnly,
  fullCache,
  load,
  minicache,
  quest,
  snapkv,
  streaming,
  think,
  tova,
  zsmerge,
  type Generation,
  type Model,
  type Policy,
  type Run,
  type Session,
  type SessionOptions,
} from '../../src/index.js'
import { toyPath } from './model/files.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
const quiet = { progress: false } as const

/** More of them than go through products at once. */
const OPTIONS: SessionOptions[] = [
  { policy: fullCache() },
  { policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: 'events' },
  { policy: zsmerge({ budget: 24, recent: 8, residual: 2, granularity: 'model' }), storage: 'bfloat16' },
  { policy: streaming({ budget: 20, sink: 2, positions: 'cache', stride: 16 }) },
  { policy: streaming({ budget: 20, sink: 2, positions: 'cache' }), storage: 'float16' },
  { policy: evictOnly({ budget: 16 }), trace: { level: 'vectors', scores: true } },
  { policy: minicache({ start: 0, retain: 0.1 }) },
  { policy: quest({ budget: 16, page: 4 }), storage: 'float16' },
  { policy: snapkv({ budget: 40, window: 8, kernel: 3 }) },
  { policy: tova({ budget: 18 }) },
  { policy: think({ of: fullCache(), ratio: 0.4 }) },
  ...Array.from({ length: 16 }, (_, i) => ({ policy: zsmerge({ budget: 16 + i, recent: 4, residual: 1 }) })),
]

describe('batch', function () {
  this.timeout(300_000)
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
  })
  after(() => model?.dispose())

  async function read(options: SessionOptions, text = TEXT): Promise<Session> {
    const session = model.session(options)
    await session.prefill(text, quiet)
    return session
  }
  const several = () => Promise.all(OPTIONS.map((options, i) => read(options, TEXT.slice(0, 60 + 2 * i))))
  const disposed = (...sessions: readonly Session[]) => sessions.forEach((session) => session.dispose())

  /** Reads a generation to its end, and does something at a token of it. */
  async function at(generation: Generation, token: number, work: () => void): Promise<void> {
    let count = 0
    for await (const { id } of generation) if (id >= 0 && ++count === token) work()
  }

  /** A policy of one's own that fails once in a while. */
  function failing(): Policy {
    let asked = 0
    return definePolicy({
      name: 'failing',
      budget: 12,
      evict({ heads }) {
        if (++asked % 5 === 0) throw new Error('not now')
        return heads.map(({ excess }) => Array.from({ length: excess }, (_, i) => i))
      },
    })()
  }

  function same(a: Session, b: Session): void {
    assert.equal(a.seqLen, b.seqLen)
    for (let layer = 0; layer < model.description.layers; layer++)
      assert.deepEqual(a.cache.state(layer), b.cache.state(layer), a.policy.toString())
    assert.deepEqual(a.receipt(), b.receipt())
    assert.deepEqual(a.tokens, b.tokens)
    assert.deepEqual(a.cache.events(), b.cache.events())
  }

  it('steps each session as it steps alone, to the bit, under policies of every kind', async () => {
    const [alone, together] = [await several(), await several()]
    const batch = model.batch(together)
    for (let step = 0; step < 6; step++) {
      const ids = alone.map((_, i) => (step * 31 + i * 7) % model.description.vocabulary)
      const rows = await batch.step(ids)
      for (const [i, session] of alone.entries()) assert.deepEqual(rows[i], await session.step(ids[i]))
    }
    alone.forEach((session, i) => same(session, together[i]))
    disposed(...alone)
    batch.dispose()
    assert.ok(together.every((session) => session.disposed))
  })

  it('generates for each with its own sampling, stop and length, as alone', async () => {
    const [alone, together] = [await several(), await several()]
    const each = OPTIONS.map((_, i) => ({
      prompt: i % 3 ? undefined : ' and then',
      maxTokens: 3 + (i % 9),
      ignoreEos: i % 2 === 0,
      ...(i % 2 ? { temperature: 0.9, topK: 20, seed: i } : { stop: i % 4 ? undefined : [' t', 'e'] }),
    }))
    const counts: { done: number; total: number }[] = []
    const runs = await Promise.all(model.batch(together).generate(each, { progress: (one) => counts.push({ ...one }) }))
    for (const [i, session] of alone.entries()) {
      const { prompt, ...options } = each[i]
      const run = await session.generate(prompt, { ...options, ...quiet })
      const facts = (one: Run) => [one.tokens, one.logprobs, one.text, one.stopped, one.receipt]
      assert.deepEqual(facts(runs[i]), facts(run))
      same(session, together[i])
    }
    assert.equal(
      counts.at(-1)?.done,
      runs.reduce((sum, { tokens }) => sum + tokens.length, 0),
    )
    const shadows = await Promise.all([runs[1], runs[5]].map((run) => run.shadow(quiet)))
    assert.deepEqual(
      shadows.map(({ decodedAgain }) => decodedAgain),
      [undefined, undefined],
    )
    disposed(...alone, ...together)
  })

  it('scores each text as alone', async () => {
    const policies = [evictOnly({ budget: 16 }), fullCache(), zsmerge({ budget: 24, recent: 8, residual: 2 })]
    const sessions = policies.map((policy) => model.session({ policy }))
    const texts = [TEXT, TEXT.slice(0, 50), TEXT.slice(5)]
    const scores = await model.batch(sessions).score(texts, { ...quiet, prompt: 9 })
    for (const [i, policy] of policies.entries()) {
      const alone = model.session({ policy })
      assert.deepEqual(scores[i], await alone.score(texts[i], { ...quiet, prompt: 9 }))
      alone.dispose()
    }
    disposed(...sessions)
  })

  it('one that fails or is full is told alone, and the others go on', async () => {
    const sessions = [
      await read({}),
      await read({ policy: failing() }),
      model.session(),
      await read({}),
      await read({}),
    ]
    const alone = await read({})
    sessions[3].dispose()
    const batch = model.batch([...sessions.slice(0, 3), sessions[4]])
    sessions[4].dispose()
    let failed = 0
    for (let step = 0; step < 30; step++) {
      const before = sessions[1].seqLen
      const [first, own, empty, gone] = await batch.step([step, step, step, step])
      assert.deepEqual(first, await alone.step(step))
      if (own instanceof Error) {
        failed++
        assert.match(own.message, /not now/)
        assert.equal(sessions[1].seqLen, before)
      }
      assert.match(String(empty), /the session is empty: prefill a prompt/)
      assert.match(String(gone), /this session was disposed/)
    }
    assert.ok(failed > 0 && failed < 30, `${failed} of 30`)
    same(alone, sessions[0])
    disposed(alone, ...sessions)
  })

  it("a session's own signal ends it alone, and that of all ends all", async () => {
    const [alone, together] = [await several(), await several()]
    const ends = new AbortController()
    const options = { maxTokens: 12, ignoreEos: true }
    const generations: Generation[] = model.batch(together).generate(
      together.map((_, i) => (i === 4 ? { ...options, signal: ends.signal } : options)),
      quiet,
    )
    await at(generations[4], 3, () => ends.abort())
    const runs = await Promise.all(generations)
    runs.forEach((run, i) => assert.equal(run.stopped, i === 4 ? 'aborted' : 'length'))
    for (const [i, session] of alone.entries()) {
      const run = await session.generate(undefined, { ...options, maxTokens: runs[i].tokens.length, ...quiet })
      assert.deepEqual(run.tokens, runs[i].tokens)
    }
    const all = new AbortController()
    const stopped = model
      .batch(together)
      .generate({ ...options, maxTokens: 2000 }, { signal: all.signal, progress: false })
    await at(stopped[0], 2, () => all.abort())
    for (const run of await Promise.all(stopped)) assert.equal(run.stopped, 'aborted')
    const rows = await model.batch(together).step(
      together.map(() => 5),
      { signal: AbortSignal.abort() },
    )
    assert.ok(rows.every((row) => row instanceof Error && row.name === 'AbortError'))
    disposed(...alone, ...together)
  })

  it('who waits for others is stopped at once, and who leaves is not waited for', async () => {
    const [first, second] = [await read({}), await read({})]
    const [slow] = [model.session()]
    const ends = new AbortController()
    const [waiting, reading] = model.batch([first, slow]).generate(
      [
        { maxTokens: 20, ignoreEos: true, signal: ends.signal },
        { prompt: TEXT.repeat(15), maxTokens: 2 },
      ],
      quiet,
    )
    await at(waiting, 1, () => ends.abort())
    assert.equal((await waiting).stopped, 'aborted')
    assert.equal(reading.count, 0, 'the other has read its prompt already')
    assert.equal((await reading).tokens.length, 2)
    const generations = model.batch([first, second]).generate({ maxTokens: 9, ignoreEos: true }, quiet)
    const reader = generations[0][Symbol.asyncIterator]()
    await reader.next()
    await reader.return?.()
    assert.equal((await generations[0]).stopped, 'aborted')
    assert.equal((await generations[1]).tokens.length, 9)
    disposed(first, second, slow)
  })

  it('forks that read again, side by side, are as read one by one', async () => {
    const session = await read({})
    for (let i = 0; i < 5; i++) await session.step(40 + i)
    const policies = [evictOnly({ budget: 16 }), zsmerge({ budget: 24, recent: 8, residual: 2 }), tova({ budget: 12 })]
    const counts: { done: number; total: number }[] = []
    const forks = await session.forks(policies, { progress: (one) => counts.push({ ...one }) })
    for (const [i, policy] of policies.entries()) {
      const one = await session.fork({ policy, ...quiet })
      same(one, forks[i])
      one.dispose()
    }
    assert.deepEqual(counts.at(-1), { done: 3 * session.seqLen, total: 3 * session.seqLen })
    disposed(session, ...forks)
  })

  it('says what is wrong', async () => {
    const other = await load(toyPath, { weights: 'float32', progress: false })
    const [session, gone, strange] = [await read({}), model.session(), other.session()]
    gone.dispose()
    const refused = (sessions: unknown, message: RegExp) =>
      assert.throws(() => model.batch(sessions as Session[]), { code: 'invalid', message })
    refused([], /expected an array of sessions of this model, at least one/)
    refused(session, /expected an array of sessions/)
    refused([session, model], /a session of this model for sessions\[1\]/)
    refused([session, strange], /sessions\[1\] is of .* loaded another time/)
    refused([session, gone], /sessions\[1\] was disposed/)
    refused([session, session], /sessions\[1\] is sessions\[0\]: give each session once, or a fork\(\)/)
    const batch = model.batch([session])
    await assert.rejects(batch.step([1, 2]), { code: 'invalid', message: /1 token ids, one for each session in order/ })
    await assert.rejects(batch.step([-1]), { code: 'invalid', message: /ids\[0\]/ })
    await assert.rejects(batch.step([1], { bar: true } as never), { code: 'invalid', message: /no option "bar"/ })
    await assert.rejects(batch.score([TEXT, TEXT]), { code: 'invalid', message: /1 texts, one for each session/ })
    assert.throws(() => batch.generate([{}, {}]), { code: 'invalid', message: /options for 1 sessions in order/ })
    assert.throws(() => batch.generate({ progress: true as never }), {
      code: 'invalid',
      message: /a function for each\[0\].progress/,
    })
    await assert.rejects(async () => batch.generate({ maxTokens: 0 })[0], { code: 'invalid', message: /maxTokens/ })
    other.dispose()
    disposed(session, strange)
  })
})
