/** LoRC through createCache and sessions: what it keeps and counts, what is refused, full rank is the full cache, and what rank costs. */
import assert from 'node:assert/strict'
import { after, before } from 'mocha'
import {
  createCache,
  fullCache,
  load,
  lorc,
  streaming,
  type CacheOptions,
  type LorcOptions,
  type Model,
} from '../../../src/index.js'
import { inputsOf } from '../attention-inputs.js'
import { defaultModel } from '../model/default-model.js'
import { draws } from '../model/files.js'

const SHAPE = { layers: 3, heads: 4, kvHeads: 2, headDim: 16 }
const WIDTH = 24
const inputs = inputsOf(SHAPE)
const rotation = { dims: 16, base: 10_000 }
const draw = draws(5)
const rows = (count: number) => Float32Array.from({ length: count }, () => draw(2 ** 20) / 2 ** 19 - 1)
const layers = (count: number) => Array.from({ length: SHAPE.layers }, () => rows(count))
const projections = { width: WIDTH, keys: layers(2 * 16 * WIDTH), values: layers(2 * 16 * WIDTH) }

async function filled(options: LorcOptions, more: Partial<CacheOptions> = {}) {
  const cache = createCache({ ...SHAPE, policy: lorc(options), rotation, projections, threads: 1, ...more })
  const outputs: Float32Array[] = []
  for (let step = 0; step <= 3; step++)
    for (let layer = 0; layer < SHAPE.layers; layer++) {
      const { q, k, v } = inputs(100 * step + layer, step ? 1 : 40)
      outputs.push(await (step ? cache.step(layer, q, k, v) : cache.prefill(layer, q, k, v)))
    }
  return { cache, outputs }
}

describe('lorc', () => {
  it('keeps all tokens in fewer dims, falls from layer to layer, and counts what it is made of', async () => {
    const { cache } = await filled({ rank: 16, leastRank: 4 })
    const ranks = [0, 1, 2].map((layer) => cache.inspect(layer)[0].keyBasis.shape[0])
    assert.deepEqual([ranks[0], ranks[2]], [16, 4])
    assert.ok(ranks[1] > 4 && ranks[1] < 16, String(ranks))
    assert.deepEqual(cache.state(2).slots, [43, 43])
    assert.match(cache.receipt().notes.join(), /lorc keeps all 43 tokens, each in part/)
    assert.ok(cache.receipt().ok)
    const { byLayer, total } = cache.bytes()
    // 16 dims of keys and of values, each 16 · 16 and 16 singular values in float32.
    assert.ok(byLayer[0][0].bookkeeping >= 2 * (16 * 16 + 16) * 4)
    assert.ok(byLayer[2][0].bookkeeping < byLayer[0][0].bookkeeping)
    assert.ok(total > 0 && cache.bytes().peak >= total)
    const { keyBasis, keySpectrum } = cache.inspect(2)[1]
    assert.deepEqual([keyBasis.shape, keySpectrum.shape], [[4, 16], [16]])
    assert.deepEqual(
      Array.from(keySpectrum.data),
      Array.from(keySpectrum.data).sort((a, b) => b - a),
    )
  })

  it('goes on after a rollback and in a fork as if nothing had been', async () => {
    const { cache } = await filled({ ramp: 'flat', rank: 6 })
    const fork = await cache.fork()
    const before = cache.state(1)
    for (let layer = 0; layer < SHAPE.layers; layer++) {
      const { q, k, v } = inputs(700 + layer, 1)
      await cache.step(layer, q, k, v)
    }
    cache.rollback(1)
    assert.deepEqual(cache.state(1), before)
    assert.deepEqual(fork.state(1), before)
    assert.throws(() => cache.rollback(10), { code: 'unsupported', message: /lorc has compressed the cache/ })
  })

  it('takes biases, which pass unchanged', async () => {
    const biased = { ...projections, keyBiases: layers(2 * 16), valueBiases: layers(2 * 16) }
    const cache = createCache({
      ...SHAPE,
      policy: lorc({ ramp: 'flat', rank: 2 }),
      rotation,
      projections: biased,
      threads: 1,
    })
    const k = Float32Array.from(
      { length: 2 * 3 * 16 },
      (_, i) => biased.keyBiases[0][Math.trunc(i / 48) * 16 + (i % 16)],
    )
    await cache.prefill(0, new Float32Array(4 * 3 * 16), k, new Float32Array(2 * 3 * 16))
    const { keys } = cache.state(0)
    k.forEach((x, i) => assert.ok(Math.abs(keys[i] - x) <= 1e-5, `${i}: ${keys[i]}, not ${x}`))
  })

  it('refuses what contradicts itself or is missing, with the reason', async () => {
    const make =
      (options: LorcOptions, more: Record<string, unknown> = {}) =>
      () =>
        createCache({ ...SHAPE, policy: lorc(options), rotation, projections, ...more })
    for (const [action, says] of [
      [make({}, { projections: undefined }), /key and value projections, since lorc works on them/],
      [make({}, { rotation: undefined }), /the model's rotation, since lorc/],
      [make({}, { policy: fullCache(), rotation: undefined }), /since full has no use for them/],
      [make({}, { projections: { ...projections, keys: [] } }), /an array of 3 layers for projections.keys/],
      [make({}, { projections: { ...projections, width: 25 } }), /of 800 elements for projections.keys\[0\]/],
      [make({}, { projections: { ...projections, qkv: 1 } }), /projections has no option "qkv"/],
      [make({ rank: 1 }), /from 2 to 512 for rank but received 1/],
      [make({ keep: 1 }), /below 1 for keep/],
      [make({ keep: 0.5, leastRank: 4 }), /leastRank or keep for keep/],
      [make({ leastRank: 0 }), /a rank above 0, or keep for leastRank/],
      [make({ ramp: 'flat', keep: 0.5 }), /0 beside ramp 'flat'/],
      [make({ granularity: 'layer' } as LorcOptions), /lorc has no option "granularity"/],
      [make({ ramp: 'down' as 'flat' }), /one of 'progressive', 'inverse', 'flat' for ramp/],
    ] as [() => unknown, RegExp][])
      assert.throws(action, { code: 'invalid', message: says })
    await assert.rejects(filled({ rank: 20 }), {
      code: 'invalid',
      message: /rank is 20, which is 20 of a head's 16 dims/,
    })
    await assert.rejects(filled({ keep: 0.1 }), {
      code: 'invalid',
      message: /raise keep, lower rank, or take ramp flat/,
    })
  })

  describe('of smollm2-135m', function () {
    this.timeout(300_000)
    let model: Model
    before(async () => {
      model = await load((await defaultModel()).path, { weights: 'float32', progress: false })
    })
    after(() => model?.dispose())

    const TEXT =
      'The history of the lighthouse begins with fires on hilltops. As ships grew larger and harbours busier, keepers built towers of stone, ' +
      'and later of iron, and the light of burning wood gave way to oil, to gas and at last to electricity. Sailors learned to tell one light ' +
      'from another by the rhythm of its flashes, so that each tower had a signature of its own.'

    it('full rank is the full cache within rounding; what fewer dims cost is told', async () => {
      const ids = model.tokenizer.encode(TEXT)
      const perplexity = async (policy: ReturnType<typeof lorc>) => {
        const session = model.session({ policy })
        const scored = await session.score(ids, { prompt: 32, progress: false })
        const bytes = session.bytes()
        session.dispose()
        return { perplexity: scored.perplexity, bytes }
      }
      const full = await perplexity(fullCache())
      const whole = await perplexity(lorc({ ramp: 'flat', rank: 'full' }))
      assert.ok(
        Math.abs(whole.perplexity - full.perplexity) <= 1e-3 * full.perplexity,
        `${whole.perplexity}, not ${full.perplexity}`,
      )
      const told = [`full cache ${full.perplexity.toFixed(3)}`, `rank full ${whole.perplexity.toFixed(3)}`]
      for (const options of [{ rank: 48 }, { rank: 32 }, { rank: 16 }] as const) {
        const { perplexity: found, bytes } = await perplexity(lorc({ ramp: 'flat', ...options }))
        told.push(`rank ${options.rank} ${found.toFixed(3)}`)
        assert.ok(Number.isFinite(found) && bytes.total > 0)
      }
      for (const ramp of ['progressive', 'inverse'] as const)
        told.push(`${ramp} 64 to 32 ${(await perplexity(lorc({ ramp }))).perplexity.toFixed(3)}`)
      console.log(`      perplexity of ${ids.length} tokens: ${told.join(', ')}`)
    })

    it('is forked by reading again, and generates', async () => {
      const policy = lorc({ ramp: 'flat', rank: 48 })
      const session = model.session({ forkable: true })
      await session.prefill(TEXT, { progress: false })
      const fork = await session.fork({ policy, progress: false })
      assert.match(fork.receipt().notes.join(), /read again, since/)
      const direct = model.session({ policy })
      await direct.prefill(TEXT, { progress: false })
      assert.deepEqual(fork.cache.state(3), direct.cache.state(3))
      const more = { maxTokens: 8, ignoreEos: true, progress: false } as const
      assert.deepEqual((await fork.generate(undefined, more)).tokens, (await direct.generate(undefined, more)).tokens)
      assert.equal(direct.policy.projects, true)
      assert.equal(streaming().projects, false)
    })
  })
})
