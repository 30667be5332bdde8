/** MiniCache through createCache and a session: what pairs of layers share, what it takes, what is refused. */
import assert from 'node:assert/strict'
import { createCache, fullCache, minicache, type Cache, type CacheOptions, type Policy } from '../../../src/index.js'
import { filledCache, inputsOf, positions } from '../attention-inputs.js'

const SHAPE = { layers: 5, heads: 6, kvHeads: 3, headDim: 8 }

const filled = (policy: Policy, prompt: number, steps: number, more: Partial<CacheOptions> = {}): Promise<Cache> =>
  filledCache({ ...SHAPE, policy, ...more }, prompt, steps)

describe('minicache', () => {
  it('pairs layers from start on, keeps every token, and leaves the odd one as it is', async () => {
    const policy = minicache({ retain: 0.1 })
    assert.equal(policy.acts, 'always')
    const [cache, full] = [await filled(policy, 40, 9), await filled(fullCache(), 40, 9)]
    const all = Array.from({ length: 49 }, (_, i) => i)
    for (let layer = 0; layer < 5; layer++) {
      assert.deepEqual(cache.state(layer).slots, [49, 49, 49])
      for (const kept of positions(cache, layer))
        assert.deepEqual(
          [...kept].sort((a, b) => a - b),
          all,
        )
      const [own] = cache.inspect(layer)
      assert.deepEqual(
        Object.keys(own),
        layer === 2 || layer === 3 ? ['threshold', 'distances', 'keyLengths', 'valueLengths'] : [],
      )
    }
    for (const layer of [0, 1]) assert.deepEqual(cache.state(layer).keys, full.state(layer).keys)
    // Of 40 tokens the 4 farthest stay, and of the later ones those beyond the nearest of them.
    const [below, above] = [cache.inspect(2), cache.inspect(3)]
    for (const [head, { threshold, distances, keyLengths }] of above.entries()) {
      const merged = distances.shape[0]
      assert.ok(merged <= 36 + 9 && merged >= 36, String(merged))
      assert.deepEqual(below[head].distances, distances)
      assert.notDeepEqual(below[head].keyLengths, keyLengths)
      assert.ok(distances.data.every((one) => one > 0 && one <= threshold.data[0]))
    }
    assert.match(cache.receipt().notes.join(), /minicache keeps all 49 tokens, older ones in part/)
  })

  it('is the full cache with retain 1, and otherwise not', async () => {
    const { q, k, v } = inputsOf(SHAPE)(901, 1)
    const next = async (policy: Policy) => {
      const cache = await filled(policy, 40, 9)
      const outputs = []
      for (let layer = 0; layer < SHAPE.layers; layer++) outputs.push(await cache.step(layer, q, k, v))
      return outputs
    }
    const full = await next(fullCache())
    for (const retention of ['topk', 'range'] as const) {
      assert.deepEqual(await next(minicache({ start: 0, retain: 1, retention })), full)
      const merged = await next(minicache({ start: 0, retain: 0.1, retention }))
      assert.notDeepEqual(merged.slice(0, 4), full.slice(0, 4))
      assert.deepEqual(merged[4], full[4], 'a layer alone')
    }
  })

  it('takes tokens back in every pair, in a fork as well', async () => {
    for (const retention of ['topk', 'range'] as const) {
      const policy = minicache({ start: 1, retain: 0.2, retention })
      const [cache, never] = [await filled(policy, 40, 9), await filled(policy, 40, 4)]
      const fork = await cache.fork()
      const before = [0, 1, 2, 3, 4].map((layer) => fork.state(layer))
      cache.rollback(5)
      for (let layer = 0; layer < 5; layer++) {
        assert.deepEqual(cache.state(layer), never.state(layer))
        assert.deepEqual(cache.inspect(layer), never.inspect(layer))
        assert.deepEqual(fork.state(layer), before[layer])
      }
    }
  })

  it('takes for two layers the bytes of one and their lengths', async () => {
    const shape = { layers: 4, heads: 2, kvHeads: 2, headDim: 128, storage: 'bfloat16' } as const
    const [cache, full] = [await filled(minicache(), 512, 0, shape), await filled(fullCache(), 512, 0, shape)]
    const sum = ({ byRegion }: ReturnType<Cache['bytes']>) => byRegion.context + byRegion.recent
    assert.ok(
      Math.abs(sum(cache.bytes()) / sum(full.bytes()) - 0.77) < 0.01,
      String(sum(cache.bytes()) / sum(full.bytes())),
    )
    assert.ok(cache.bytes().total < 0.8 * full.bytes().total, `${cache.bytes().total} of ${full.bytes().total}`)
  })

  it('refuses what cannot be', async () => {
    for (const [make, says] of [
      [() => minicache({ start: 1.5 }), /a share below 1 or a whole count/],
      [() => minicache({ t: 2 }), /for t but received 2/],
      [() => minicache({ retain: -1 }), /for retain but received -1/],
      [() => minicache({ retention: 'all' as 'topk' }), /one of 'topk', 'range' for retention/],
    ] as [() => unknown, RegExp][])
      assert.throws(make, { code: 'invalid', message: says })
    const { q, k, v } = inputsOf(SHAPE)(1, 20)
    const late = createCache({ ...SHAPE, policy: minicache({ start: 4 }) })
    await assert.rejects(late.prefill(0, q, k, v), { code: 'invalid', message: /start 4 is layer 4 of 5.*lower start/ })
    const cache = createCache({ ...SHAPE, policy: minicache() })
    await assert.rejects(cache.prefill(1, q, k, v), { code: 'invalid', message: /layer 0 is due/ })
  })
})
