/** ThinK through createCache, sessions and the command line's rules: the fixture's channels and logits, what is kept, what is refused. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  adakv,
  createCache,
  definePolicy,
  evictOnly,
  fullCache,
  load,
  quest,
  snapkv,
  streaming,
  think,
  tova,
  zsmerge,
  type Cache,
  type Model,
  type Policy,
} from '../../../src/index.js'
import { filledCache, inputsOf, positions } from '../attention-inputs.js'
import { toyPath } from '../model/files.js'

const SHAPE = { layers: 1, heads: 6, kvHeads: 3, headDim: 10 }
const inputs = inputsOf(SHAPE)

const filled = (policy: Policy, prompt: number, steps: number): Promise<Cache> =>
  filledCache({ ...SHAPE, policy }, prompt, steps)

describe('think', () => {
  it('prunes the fixture’s channels, and its logits are those of the rest over √6', async () => {
    const golden = JSON.parse(readFileSync(new URL('../../golden/think.json', import.meta.url), 'utf8')) as {
      Q: number[][]
      K: number[][]
      lam: number
      recent: number
      score: number[]
      dropped: number[]
      q: number[]
      logits: number[]
    }
    const { Q, K, lam, recent, score, dropped, q, logits } = golden
    const policy = think({ ratio: lam, recent, window: Q.length })
    const cache = createCache({ layers: 1, heads: 1, kvHeads: 1, headDim: 6, policy, threads: 1 })
    // Rows that are no part of the window do not count; each slot's value tells it apart, six at a time.
    const queries = [...K.map(() => Array<number>(6).fill(9)).slice(Q.length), ...Q]
    const values = (from: number) => K.map((_, slot) => Array.from({ length: 6 }, (_, i) => +(slot === from + i)))
    const array = (rows: number[][]) => Float32Array.from(rows.flat())
    const none = new Float32Array(6)
    await cache.prefill(0, array(queries), array(K), array(values(0)))
    const [{ channelScores, channelMask }] = cache.inspect(0)
    assert.deepEqual([channelScores.shape, channelMask.shape], [[6], [6]])
    for (let i = 0; i < 6; i++) {
      assert.ok(Math.abs(channelScores.data[i] - score[i]) < 1e-7)
      assert.equal(channelMask.data[i], +!dropped.includes(i))
    }
    const sum = [0, ...logits].reduce((total, logit) => total + Math.exp(logit), 0) // the newest token's key is 0
    const out = await cache.step(0, Float32Array.from(q), none, none)
    for (let i = 0; i < 6; i++) assert.ok(Math.abs(out[i] - Math.exp(logits[i]) / sum) < 1e-6)
    const other = createCache({ layers: 1, heads: 1, kvHeads: 1, headDim: 6, policy, threads: 1 })
    await other.prefill(0, array(queries), array(K), array(values(6)))
    const rest = await other.step(0, Float32Array.from(q), none, none)
    for (let i = 0; i < 4; i++) assert.ok(Math.abs(rest[i] - Math.exp(logits[6 + i]) / sum) < 1e-6)
  })

  it('leaves recent and later keys and all values whole, and takes headDim · (1 − ratio) numbers and a padded value a slot', async () => {
    const [thin, full] = [await filled(think({ ratio: 0.5, recent: 8 }), 40, 5), await filled(fullCache(), 40, 5)]
    const [a, b] = [thin.state(0), full.state(0)]
    assert.deepEqual([a.slots, a.origins, a.values], [b.slots, b.origins, b.values])
    for (const [g, { channelMask }] of thin.inspect(0).entries())
      for (let slot = 0; slot < 45; slot++)
        for (let i = 0; i < 10; i++) {
          const at = (45 * g + slot) * 10 + i
          assert.equal(a.keys[at], slot < 32 && !channelMask.data[i] ? 0 : b.keys[at])
        }
    const kept = 32 * (5 + 16) * 4 + 5 * 4 + 10 * 8 // and the channels and scores of the head
    const { sink, context, recent } = thin.bytes().byLayer[0][0]
    const whole = full.bytes().byLayer[0][0]
    assert.equal(sink + context + recent, kept + ((whole.context + whole.recent) / 45) * 13)
    assert.match(thin.receipt().notes.join(), /^think keeps all 45 tokens, older ones in part$/)
    assert.equal(thin.receipt().compressed, true)
  })

  it('with ratio 0, or no more tokens than recent, is what it works on', async () => {
    const q = inputs(7, 1)
    for (const of of [fullCache(), snapkv({ budget: 12, window: 4, kernel: 3 })])
      for (const options of [{ ratio: 0 }, { recent: 40 }]) {
        const [plain, same] = [await filled(of, 40, 3), await filled(think({ of, ...options }), 40, 3)]
        assert.deepEqual(same.state(0), plain.state(0))
        assert.deepEqual(same.bytes().byLayer, plain.bytes().byLayer)
        assert.deepEqual(same.inspect(0), [{}, {}, {}])
        assert.deepEqual(await same.step(0, q.q, q.k, q.v), await plain.step(0, q.q, q.k, q.v))
      }
    const notes = (await filled(think({ ratio: 0 }), 40, 0)).receipt().notes.join()
    assert.match(notes, /the full cache holds all 40 tokens/)
    assert.match((await filled(think(), 20, 0)).receipt().notes.join(), /^think had nothing to do: all 20 tokens/)
  })

  it('works on what is done with the prompt, a wrapper and a policy of one’s own too', async () => {
    const last = definePolicy({
      name: 'last',
      acts: 'prompt',
      evict: ({ heads }) => heads.map(({ excess }) => Array.from({ length: excess }, (_, i) => i)),
    })
    const inner = snapkv({ budget: 12, window: 4, kernel: 3 })
    for (const of of [inner, adakv({ of: inner }), tova({ budget: 12, variant: 'kvpress' }), last({ budget: 12 })]) {
      const policy = think({ of, recent: 3 })
      assert.equal(policy.acts, 'prompt')
      const [thin, plain] = [await filled(policy, 40, 6), await filled(of, 40, 6)]
      assert.deepEqual(positions(thin, 0), positions(plain, 0), of.name)
      for (const [g, { channelMask }] of thin.inspect(0).entries()) {
        assert.equal(channelMask.data.filter((kept) => kept === 0).length, 4)
        const last = thin.state(0).origins[g].slice(-9).flat()
        assert.deepEqual(
          last.sort((a, b) => a - b),
          positions(plain, 0)[g].slice(-9),
          'the newest, and what came since, stand last',
        )
      }
      assert.match(thin.receipt().notes.join(), /think, which acts on prompts only, held 46 tokens/)
    }
  })

  it('refuses what goes on choosing, reads in part or turns keys, and wrong values, with the reason', () => {
    for (const [make, says] of [
      [() => think({ of: zsmerge() }), /think cannot work on zsmerge as it is set, which goes on choosing/],
      [
        () => think({ of: evictOnly() }),
        /cannot work on evict-only as it is set, which goes on choosing.*full or snapkv/,
      ],
      [() => think({ of: tova() }), /cannot work on tova as it is set/],
      [() => think({ of: streaming({ positions: 'cache' }) }), /cannot be rotated again/],
      [() => think({ of: quest() }), /cannot work on quest, which chooses what is read by whole keys/],
      [() => think({ of: think() }), /cannot work on think, which gives slots a form of its own/],
      [() => adakv({ of: think({ of: snapkv() }) }), /cannot work on think, which is a wrapper itself/],
      [() => think({ ratio: 1 }), /a share below 1 for ratio but received 1: at least one channel has to stay/],
      [() => think({ ratio: -0.1 }), /from 0 to below 1 for ratio but received -0.1/],
      [() => think({ recent: -1 }), /for recent but received -1/],
      [() => think({ window: 0 }), /for window but received 0/],
      [() => think({ of: 'full' as never }), /call it, as in of: full\(\)/],
      [() => think({ budget: 3 } as object), /think has no option "budget"/],
    ] as [() => unknown, RegExp][])
      assert.throws(make, { code: 'invalid', message: says })
    assert.match(String(think()), /^think\(\{ of: fullCache\(.*\), ratio: 0\.4, recent: 32, window: 32 \}\)$/)
  })

  it('goes back to the end of the prompt, and no further', async () => {
    const policy = think({ recent: 4 })
    const [cache, never] = [await filled(policy, 40, 9), await filled(policy, 40, 4)]
    cache.rollback(5)
    assert.deepEqual([cache.state(0), cache.inspect(0)], [never.state(0), never.inspect(0)])
    const { q, k, v } = inputs(901, 1)
    assert.deepEqual(await cache.step(0, q, k, v), await never.step(0, q, k, v))
    assert.throws(() => cache.rollback(6), { code: 'unsupported', message: /think has compressed the cache.* only 5/ })
  })

  describe('under a model', () => {
    const TEXT = 'It was the best of times, it was the worst of times. '.repeat(4)
    const more = { maxTokens: 12, ignoreEos: true, progress: false } as const
    let model: Model
    before(async () => {
      model = await load(toyPath, { progress: false, weights: 'float32' })
    })
    after(() => model.dispose())

    it('forks of a full cache equal reading under think, and snapshots come back', async () => {
      const read = model.session({ forkable: true })
      await read.prefill(TEXT)
      for (const policy of [think({ recent: 8 }), think({ of: snapkv({ budget: 40, window: 8 }), recent: 8 })]) {
        const [fork, alone] = [await read.fork({ policy }), model.session({ policy })]
        await alone.prefill(TEXT)
        for (let layer = 0; layer < model.description.layers; layer++) {
          assert.deepEqual(fork.cache.state(layer), alone.cache.state(layer))
          assert.deepEqual(fork.cache.inspect(layer), alone.cache.inspect(layer))
        }
        assert.doesNotMatch(fork.receipt().notes.join(), /read again/)
        const snapshot = await alone.snapshot()
        const run = await alone.generate(undefined, more)
        assert.deepEqual((await fork.generate(undefined, more)).tokens, run.tokens)
        await alone.restore(snapshot)
        assert.deepEqual((await alone.generate(undefined, more)).tokens, run.tokens)
      }
    })

    it('score wants to know what the prompt is, and think is nothing to fork others from', async () => {
      const policy = think({ recent: 8 })
      await assert.rejects(model.session({ policy }).score(TEXT), {
        code: 'invalid',
        message: /^think acts on prompts only, so without a prompt it would give the full cache's perplexity: say/,
      })
      const [thin, full] = [policy, fullCache()].map((policy) => model.session({ policy }).score(TEXT, { prompt: 40 }))
      assert.notEqual((await thin).perplexity, (await full).perplexity)
      assert.throws(() => model.session({ policy, forkable: true }), {
        message: /under think some of the prompt is gone/,
      })
    })
  })
})
