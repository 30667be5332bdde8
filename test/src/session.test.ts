/** Sessions on the toy model: one result however it is reached, and what users may do wrong. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { after, before } from 'mocha'
import {
  adakv,
  cacheClear,
  createCache,
  evictOnly,
  fullCache,
  load,
  minicache,
  snapkv,
  streaming,
  zsmerge,
  type Model,
} from '../../src/index.js'
import { TOLERANCES } from '../tolerances.js'
import { toyPath } from './model/files.js'
import { near } from './near.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
const tight = () => zsmerge({ budget: 24, recent: 8, residual: 2 })
const more = { maxTokens: 40, ignoreEos: true, progress: false }

describe('session', function () {
  this.timeout(300_000)
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
  })
  after(() => model?.dispose())

  async function alone(threads?: number) {
    const own = threads ? await load(toyPath, { weights: 'float32', threads, progress: false }) : model
    const session = own.session({ policy: tight() })
    const run = await session.generate(TEXT, more)
    session.dispose()
    return { tokens: run.tokens, receipt: run.receipt }
  }

  it('gives the same alone, beside another, in a fork, after restore, with 1 and 2 threads', async () => {
    const expected = await alone()
    assert.equal(expected.tokens.length, 40)
    assert.ok(expected.receipt.ok)
    assert.deepEqual(await alone(1), expected)
    assert.deepEqual(await alone(2), expected)
    const beside = await Promise.all([alone(), model.session().generate('another', more), alone()])
    assert.deepEqual([beside[0], beside[2]], [expected, expected])
    const session = model.session({ policy: tight() })
    await session.prefill(TEXT)
    const snapshot = await session.snapshot()
    const fork = await session.fork()
    for (const one of [session, fork]) {
      const run = await one.generate(undefined, more)
      assert.deepEqual({ tokens: run.tokens, receipt: run.receipt }, expected)
    }
    await session.restore(snapshot)
    assert.deepEqual((await session.generate(undefined, more)).tokens, expected.tokens)
  })

  it('goes through the layers in order where a policy wants them so', async () => {
    for (const policy of [
      zsmerge({ budget: 24, recent: 8, residual: 2, granularity: 'model' }),
      minicache({ start: 0, retain: 0.1 }),
    ]) {
      const session = model.session({ policy })
      const run = await session.generate(TEXT, more)
      assert.equal(run.tokens.length, 40)
      assert.ok(run.receipt.ok, run.receipt.notes.join())
      const chunks = model.session({ policy })
      await chunks.prefill(TEXT)
      await chunks.append(' and it was the season of light')
      assert.ok((await chunks.generate(undefined, more)).receipt.ok)
      for (const fork of [await session.fork(), chunks]) fork.dispose()
    }
  })

  it('a fork under another policy equals reading under that policy', async () => {
    const expected = await alone()
    for (const forkable of [true, false]) {
      const full = model.session({ policy: fullCache(), forkable })
      await full.prefill(TEXT)
      const fork = await full.fork({ policy: tight() })
      const run = await fork.generate(undefined, more)
      assert.deepEqual({ tokens: run.tokens, receipt: run.receipt }, expected)
    }
  })

  it('forks of many policies at once equal single forks, to the bit, and are all or none', async () => {
    const policies = [
      tight(),
      zsmerge({ budget: 24, recent: 8, residual: 2, decay: 0.9 }),
      zsmerge({ budget: 20, recent: 4, residual: 1, decay: 1 }),
      snapkv({ budget: 40, window: 8, kernel: 3 }),
      adakv({ of: evictOnly({ budget: 16, decay: 1 }) }),
      streaming({ budget: 16 }),
    ]
    const read = model.session({ forkable: 'all' })
    await read.prefill(TEXT)
    const forks = await read.forks(policies)
    for (const [i, policy] of policies.entries()) {
      const single = await read.fork({ policy })
      const alone = model.session({ policy })
      await alone.prefill(TEXT)
      for (const other of [single, alone])
        for (let layer = 0; layer < model.description.layers; layer++)
          assert.deepEqual(forks[i].cache.state(layer), other.cache.state(layer), policy.name)
      assert.deepEqual(
        (await forks[i].generate(undefined, more)).tokens,
        (await alone.generate(undefined, more)).tokens,
      )
      assert.doesNotMatch(forks[i].receipt().notes.join(), /read again/)
    }
    await assert.rejects(read.forks([tight(), zsmerge({ budget: 4, recent: 4 })]), {
      code: 'invalid',
      message: /budget is 4 slots/,
    })
    assert.throws(() => read.forks([]), { code: 'invalid', message: /an array of policies/ })
    assert.throws(() => read.forks([tight(), 'zsmerge' as never]), {
      code: 'invalid',
      message: /a policy for policies\[1\]/,
    })
  })

  it('a fork that must read again says so, and why', async () => {
    const read = model.session({ forkable: true })
    await read.prefill(TEXT)
    await read.step(7)
    const [fork] = await read.forks([tight()])
    assert.match(fork.receipt().notes.join(), /all \d+ tokens were read again, since 1 tokens came after the prompt/)
    const plain = model.session()
    await plain.prefill(TEXT)
    const other = await plain.fork({ policy: tight() })
    assert.match(
      other.receipt().notes.join(),
      /read again, since the session kept no queries: make it with forkable: true/,
    )
    assert.ok(other.receipt().ok)
  })

  it('budgets by head go with forks and shadows, and score needs a prompt where a policy acts on prompts only', async () => {
    const { layers, kvHeads } = model.description
    const budgets = Array.from({ length: layers }, (_, l) => Array.from({ length: kvHeads }, (_, g) => 12 + l + 4 * g))
    const session = model.session({ policy: zsmerge({ recent: 4, residual: 1 }), budgets })
    const run = await session.generate(TEXT, more)
    assert.ok(run.receipt.ok, run.receipt.notes.join())
    assert.deepEqual(session.cache.state(1).slots, budgets[1])
    assert.ok((await run.shadow({ progress: undefined })).meanKl > 0)
    const copy = await session.fork()
    assert.deepEqual(copy.cache.state(1), session.cache.state(1))
    const judged = model.session({ policy: snapkv({ budget: 40, window: 8 }) })
    await assert.rejects(judged.score(TEXT), {
      code: 'invalid',
      message: /snapkv acts on prompts only, .*prompt: \d+, --prompt-tokens/,
    })
    const scored = await judged.score(TEXT, { prompt: 60 })
    assert.equal(scored.prefilled, 60)
    assert.ok(scored.perplexity > 1 && scored.receipt.ok)
  })

  it('a budget that holds everything is the full cache, to the bit', async () => {
    const sessions = [fullCache(), zsmerge({ budget: 1000 })].map((policy) => model.session({ policy }))
    const [full, lossless] = await Promise.all(sessions.map((session) => session.prefill(TEXT)))
    assert.deepEqual(lossless, full)
    const [a, b] = await Promise.all(sessions.map((session) => session.generate(undefined, more)))
    assert.deepEqual(b.tokens, a.tokens)
    assert.deepEqual(sessions[1].reading.current.logits, sessions[0].reading.current.logits)
    assert.match(b.receipt.notes.join(), /could not act/)
  })

  it('the shadow of the full cache is 0, that of a tight one is not', async () => {
    const full = await (await model.session().generate(TEXT, more)).shadow()
    assert.equal(full.meanKl, 0)
    assert.equal(full.flipCount, 0)
    const run = await model.session({ policy: tight() }).generate(TEXT, more)
    const shadow = await run.shadow()
    assert.ok(shadow.meanKl > 0)
    near(shadow.policyLogprobs, run.logprobs)
  })

  it('a shadow from the session that was forked is the same, and refuses another', async () => {
    const session = model.session({ forkable: true })
    await session.prefill(TEXT)
    const run = await (await session.fork({ policy: tight() })).generate(undefined, more)
    const read = session.tokens
    assert.deepEqual(await run.shadow({ from: session }), await run.shadow())
    assert.deepEqual(session.tokens, read)
    const other = model.session({ forkable: true })
    await other.prefill(TEXT + '!')
    await assert.rejects(
      run.shadow({ from: other }),
      /just this run's prompt of \d+ tokens, but it is one under full that has read \d+: give the session that was forked/,
    )
    await assert.rejects(run.shadow({ from: run as never }), /expected a session for from/)
  })

  it('score is the chain of step by step log-probabilities', async () => {
    for (const policy of [fullCache(), tight()]) {
      const scored = await model.session({ policy, storage: 'float32' }).score(TEXT)
      assert.equal(scored.prefilled, policy.name === 'full' ? scored.tokens.length : 24)
      assert.ok(Number.isNaN(scored.logprobs[0]))
      assert.equal(scored.scored, scored.tokens.length - 1)
      const session = model.session({ policy, storage: 'float32' })
      let logits = await session.prefill(scored.tokens.slice(0, 24))
      for (let i = 24; i < scored.tokens.length; i++) {
        const sum = logits.reduce((total, l) => total + Math.exp(l), 0)
        const expected = logits[scored.tokens[i]] - Math.log(sum)
        assert.ok(Math.abs(scored.logprobs[i] - expected) < 1e-4, `token ${i}`)
        logits = await session.step(scored.tokens[i])
      }
    }
  })

  it('sampling is fixed by the seed, stop strings and abort end it', async () => {
    const options = { ...more, temperature: 1, seed: 5 }
    const [a, b] = [await model.session().generate(TEXT, options), await model.session().generate(TEXT, options)]
    assert.deepEqual(a.tokens, b.tokens)
    assert.equal(a.card.seed, 5)
    const abort = new AbortController()
    const generation = model.session().generate(TEXT, { ...more, maxTokens: 1000, signal: abort.signal })
    let seen = 0
    for await (const token of generation) if (token && ++seen === 5) abort.abort()
    const run = await generation
    assert.equal(run.stopped, 'aborted')
    assert.ok(run.tokens.length >= 5 && run.tokens.length < 1000)
    assert.ok(run.receipt.ok)
  })

  it('the interrupt of a notebook cell ends whatever runs, and the session is as it was', async () => {
    const HOST = Symbol.for('Jupyter.host')
    const globals = globalThis as Record<symbol, unknown>
    const session = model.session({ policy: tight() })
    const cell = new AbortController()
    globals[HOST] = { version: 1, display: () => undefined, update: () => undefined, signal: cell.signal }
    try {
      cell.abort()
      await assert.rejects(session.prefill(TEXT), { name: 'AbortError' })
      assert.equal(session.seqLen, 0)
      await assert.rejects(session.score(TEXT), { name: 'AbortError' })
      await assert.rejects(model.session().append(TEXT), { name: 'AbortError' })
    } finally {
      delete globals[HOST]
    }
    await session.prefill(TEXT)
    assert.ok(session.seqLen > 0)
    session.dispose()
  })

  it('says that the context is full, whichever policy, and what a prompt has too much', async () => {
    for (const policy of [fullCache(), streaming({ budget: 64 })]) {
      const session = model.session({ policy })
      const run = await session.generate(Array(2040).fill(40), { ...more, maxTokens: 100 })
      assert.equal(run.stopped, 'context')
      const full = /context of .* is full: it holds 2048 tokens.* read or written 2049: start a new session/
      await assert.rejects(Promise.resolve(session.generate()), full)
      await assert.rejects(session.step(40), full)
      await assert.rejects(session.append('more'), full)
      await assert.rejects(session.score('more'), full)
      session.dispose()
    }
    const session = model.session()
    await session.prefill(Array(2000).fill(40))
    await assert.rejects(session.append(Array(50).fill(40)), /50 tokens after the 2000 .* holds 2048: shorten it by 2 /)
  })

  it('goes on beyond the context where positions are within the cache', async () => {
    const policy = streaming({ budget: 64, positions: 'cache', stride: 128 })
    const session = model.session({ policy, trace: true })
    const text = Array.from({ length: 3000 }, (_, i) => 40 + ((i * i) % 97))
    await assert.rejects(session.prefill(text, { signal: AbortSignal.abort() }), /abort/i)
    assert.deepEqual([session.seqLen, session.cache.seqLen], [0, 0])
    const run = await session.generate(text, { ...more, maxTokens: 80, ignoreEos: true })
    assert.deepEqual([run.stopped, session.seqLen], ['length', 3079])
    assert.ok(run.receipt.ok, run.receipt.notes.join('; '))
    const kept = session.cache.state(1).origins[0].flat()
    kept.sort((a, b) => a - b)
    const due = [...Array(4).keys(), ...Array.from({ length: 60 }, (_, i) => 3019 + i)]
    assert.deepEqual(kept, due, 'the sinks and the newest')
    const steps = session.cache.events().step
    assert.deepEqual([steps[0], Math.max(...steps)], [0, 79], 'all of the prompt is step 0')
    await assert.rejects(run.shadow(), /read and wrote 3079 tokens .* ends at the 2048 of the model's context/)
    await session.append(text.slice(0, 300))
    const { perplexity, scored } = await session.score(text.slice(0, 50))
    assert.ok(Number.isFinite(perplexity) && scored === 50)
    assert.match(inspect(session), /3,430 tokens read, with no end/)
    const [fork, score] = [await session.fork(), await model.session({ policy }).score(text, { chunk: 128 })]
    assert.deepEqual(await fork.step(50), await session.step(50), 'a fork goes on alike')
    assert.ok(score.receipt.ok && Number.isFinite(score.perplexity) && score.scored === 2999)
    const greedy = model.session({ policy: streaming({ budget: 1949, positions: 'cache', stride: 100 }) })
    await assert.rejects(
      greedy.prefill(text),
      /budget is 1949 slots; with the 256 tokens of a chunk that is more than the model's context of 2048, .* at most 1792 slots/,
    )
  })

  it('within the budget positions within the cache are the full cache, and forks to or from it read again', async () => {
    const policy = streaming({ budget: 256, positions: 'cache', stride: 16 })
    const [own, full] = [
      model.session({ policy, storage: 'float32' }),
      model.session({ storage: 'float32', forkable: true }),
    ]
    const [a, b] = [await own.prefill(TEXT), await full.prefill(TEXT)]
    a.forEach((logit, i) => assert.ok(Math.abs(logit - b[i]) <= TOLERANCES.logit))
    const [there, back] = [await full.fork({ policy }), await own.fork({ policy: fullCache() })]
    assert.match(there.receipt().notes.join(), /read again, since one policy keeps keys before rotation/)
    assert.match(back.receipt().notes.join(), /read again/)
    assert.deepEqual([await there.step(9), await back.step(9)], [await own.step(9), await full.step(9)])
  })

  it('every long call takes a signal and progress alike, and refuses other values in a sentence', async () => {
    const read = async () => {
      const session = model.session({ forkable: true })
      await session.prefill(TEXT)
      return session
    }
    const rows = () => new Float32Array(8)
    const cache = () => createCache({ layers: 1, heads: 1, kvHeads: 1, headDim: 4, policy: fullCache() })
    type Call = (options: object) => PromiseLike<unknown>
    const calls: Record<string, Call> = {
      load: (o) => load(toyPath, { weights: 'float32', ...o }).then((other) => other.dispose()),
      prefill: (o) => model.session().prefill(TEXT, o),
      append: async (o) => (await read()).append('x', o),
      step: async (o) => (await read()).step(5, o),
      score: (o) => model.session().score(TEXT, o),
      fork: async (o) => (await read()).fork({ policy: tight(), ...o }),
      forks: async (o) => (await read()).forks([tight(), fullCache()], o),
      generate: (o) => model.session().generate(TEXT, { maxTokens: 2, ...o }),
      shadow: async (o) => (await model.session().generate(TEXT, { maxTokens: 2, progress: false })).shadow(o),
    }
    const own: Record<string, Call> = {
      'cache.prefill': (o) => cache().prefill(0, rows(), rows(), rows(), o),
      'cache.step': async (o) => {
        const one = cache()
        await one.prefill(0, rows(), rows(), rows())
        return one.step(0, rows().subarray(4), rows().subarray(4), rows().subarray(4), o)
      },
    }
    const { signal } = new AbortController()
    for (const [name, call] of Object.entries({ ...calls, ...own })) {
      const works = [{ progress: false }, { progress: () => undefined }, { signal }, { signal: undefined }]
      for (const options of works) await call(options)
      const refuses = (options: object, message: RegExp) =>
        assert.rejects(async () => call(options), { name: 'ZslabError', code: 'invalid', message }, name)
      for (const signal of [5, 'stop', null, {}, new AbortController()])
        await refuses({ signal }, /expected an AbortSignal for signal but received/)
      for (const progress of [5, 'no', null, {}]) await refuses({ progress }, /or false|or a function for progress/)
      // It is called from a timer too: what it throws comes out of the call, and nowhere else.
      const broken = () => {
        throw new Error('broken')
      }
      if (!(name in own)) await assert.rejects(async () => call({ progress: broken }), /^Error: broken$/, name)
      if (name in own) await refuses({ progress: true }, /expected a function or false for progress but received true/)
      else await call({ progress: true })
    }
    await assert.rejects(cacheClear({ signal: 5 } as object), /expected an AbortSignal for signal but received 5/)
  })

  it('is whole after a progress function threw, early or at the last count', async () => {
    const reference = model.session({ policy: fullCache({ chunk: 16 }) })
    await reference.prefill(TEXT)
    await reference.append(TEXT)
    for (const at of [16, 32, 48, reference.seqLen / 2]) {
      const session = model.session({ policy: fullCache({ chunk: 16 }) })
      await session.prefill(TEXT)
      const progress = ({ done }: { done: number }) => {
        if (done >= at) throw new Error('broken')
      }
      await assert.rejects(session.append(TEXT, { progress }), /^Error: broken$/)
      assert.equal(session.seqLen, session.cache.seqLen)
      assert.deepEqual(session.tokens, reference.tokens.slice(0, session.seqLen))
      await session.append(reference.tokens.slice(session.seqLen).concat(5))
      assert.equal(session.seqLen, reference.seqLen + 1)
      assert.ok(session.receipt().ok)
    }
  })

  it('says what is wrong', async () => {
    const says = (work: PromiseLike<unknown>, expected: RegExp) => assert.rejects(Promise.resolve(work), expected)
    await says(model.session().generate(''), /the prompt is empty/)
    await says(model.session().generate('a '.repeat(5000)), /context of .* holds 2048: shorten it by/)
    await says(model.session().generate(), /give generate\(\) a prompt/)
    await says(model.session().generate('a', { maxTokens: NaN }), /maxTokens but received NaN/)
    await says(model.session().generate('a', { max: 1 } as object), /generate has no option "max"/)
    await says(model.session().prefill([0, 1.5]), /token 1 but received 1.5/)
    await says(model.session().step(1), /prefill a prompt before/)
    await says(model.session({ policy: zsmerge({ budget: 8, recent: 7, residual: 2 }) }).prefill(TEXT), /budget/)
    const session = model.session({ policy: streaming() })
    session.dispose()
    await says(session.generate('a'), /was disposed: make a new one/)
    assert.throws(() => session.receipt(), /was disposed/)
    assert.throws(() => model.session({ polices: 1 } as object), /session has no option "polices"/)
  })
})
