/** What heads are given: kept as it came, for the heads that were asked for, on all ways that tokens take. */
import assert from 'node:assert/strict'
import { createCache, evictOnly, fullCache, lorc, streaming, zsmerge, type CacheOptions } from '../../../src/index.js'
import { draws } from '../model/files.js'
import { alike } from '../../scale.js'
import { inputsOf } from '../attention-inputs.js'

const shape = { layers: 2, heads: 4, kvHeads: 2, headDim: 6 }
const inputs = inputsOf(shape)

/** Rows of [heads, tokens, headDim] one token after another: [tokens, group, headDim] of one kv head. */
function rowsOf(array: Float32Array, heads: number, tokens: number, kvHead: number): number[] {
  const each = heads / shape.kvHeads
  const rows: number[] = []
  for (let t = 0; t < tokens; t++)
    for (let h = kvHead * each; h < (kvHead + 1) * each; h++)
      rows.push(...array.subarray((h * tokens + t) * shape.headDim, (h * tokens + t + 1) * shape.headDim))
  return rows
}

describe('vectors', () => {
  it('are what came, whatever left: prompts, steps, chunks, forks', async () => {
    for (let seed = 0; seed < alike(400, 40); seed++) {
      const draw = draws(seed + 1)
      const one = <T>(...from: T[]): T => from[draw(from.length)]
      const queries = one(0, 3, 600)
      const policy = one(
        () => zsmerge({ budget: 12, recent: 4, residual: 2, granularity: one('head', 'layer', 'model'), chunk: 5 }),
        () => evictOnly({ budget: 9, recent: 3, chunk: 4 }),
        () => fullCache({ chunk: 6 }),
      )()
      const options: CacheOptions = { ...shape, policy, threads: 1, trace: { level: 'vectors', layers: [1], queries } }
      let cache = createCache(options)
      const expected = { keys: [[], []], values: [[], []], queries: [[], []], outputs: [[], []] } as Record<
        string,
        number[][]
      >
      const prompt = one(3, 10, 300)
      let tokens = 0
      for (let call = 0; call < 1 + draw(9); call++) {
        const count = call === 0 ? prompt : one(1, 1, 1, 3)
        for (let layer = 0; layer < shape.layers; layer++) {
          const { q, k, v } = inputs(seed * 100 + call * 2 + layer, count)
          const out =
            call === 0
              ? await cache.prefill(layer, q, k, v)
              : await (count === 1 ? cache.step(layer, q, k, v) : cache.extend(layer, q, k, v))
          if (layer === 0) continue
          for (let g = 0; g < shape.kvHeads; g++) {
            expected.keys[g].push(...rowsOf(k, shape.kvHeads, count, g))
            expected.values[g].push(...rowsOf(v, shape.kvHeads, count, g))
            expected.queries[g].push(...rowsOf(q, shape.heads, count, g))
            if (call) expected.outputs[g].push(...rowsOf(out, shape.heads, count, g))
          }
        }
        tokens += count
        if (draw(4) === 0) {
          const fork = await cache.fork()
          if (draw(2)) cache.dispose()
          cache = fork
        }
      }
      const first = Math.max(0, prompt - queries)
      for (let kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
        const got = cache.vectors({ layer: 1, kvHead })
        const where = `seed ${seed}, ${policy.name}, kv head ${kvHead}`
        assert.deepEqual(Array.from(got.keys), expected.keys[kvHead], where)
        assert.deepEqual(Array.from(got.values), expected.values[kvHead], where)
        assert.deepEqual([got.firstQuery, got.firstOutput, got.group], [first, prompt, 2], where)
        assert.deepEqual(Array.from(got.queries), expected.queries[kvHead].slice(first * 2 * shape.headDim), where)
        assert.deepEqual(Array.from(got.outputs), expected.outputs[kvHead], where)
      }
      assert.throws(
        () => cache.vectors({ layer: 0, kvHead: 1 }),
        /the vectors of layer 0, kv head 1 were not kept \(kept: layer 1, kv head 0; layer 1, kv head 1\): make the session/,
      )
      assert.equal(tokens * shape.headDim, cache.vectors({ layer: 1, kvHead: 0 }).keys.length)
      cache.dispose()
    }
  })

  it('go with tokens that are taken back, and are rounded as the cache keeps them', async () => {
    const cache = createCache({ ...shape, policy: fullCache(), trace: 'vectors', storage: 'bfloat16' })
    for (let layer = 0; layer < 2; layer++) {
      const { q, k, v } = inputs(layer, 20)
      await cache.prefill(layer, q, k, v)
    }
    for (let step = 0; step < 5; step++)
      for (let layer = 0; layer < 2; layer++) {
        const { q, k, v } = inputs(10 + step * 2 + layer, 1)
        await cache.step(layer, q, k, v)
      }
    cache.rollback(2)
    for (const layer of [0, 1]) {
      const { keys, values, offsets } = cache.state(layer)
      for (const kvHead of [0, 1]) {
        const got = cache.vectors({ layer, kvHead })
        const slice = (of: Float32Array) => of.slice(offsets[kvHead] * 6, offsets[kvHead + 1] * 6)
        assert.deepEqual(got.keys, slice(keys))
        assert.deepEqual(got.values, slice(values))
        assert.deepEqual([got.queries.length, got.outputs.length, got.firstOutput], [23 * 12, 3 * 12, 20])
      }
    }
    cache.rollback(10)
    const got = cache.vectors({ layer: 1, kvHead: 1 })
    assert.deepEqual([got.keys.length, got.queries.length, got.outputs.length], [13 * 6, 13 * 12, 0])
    cache.dispose()
  })

  it('are refused where keys and values are not kept as they come, and for heads that there are none of', () => {
    const rows = () => [0, 1].map(() => new Float32Array(shape.kvHeads * shape.headDim * 4).fill(0.1))
    const changing: Partial<CacheOptions>[] = [
      { policy: streaming({ budget: 8, positions: 'cache' }), rotation: { dims: 6, base: 100 } },
      {
        policy: lorc({ rank: 4, ramp: 'flat' }),
        rotation: { dims: 6, base: 100 },
        projections: { width: 4, keys: rows(), values: rows() },
      },
    ]
    for (const one of changing)
      assert.throws(
        () => createCache({ ...shape, ...one, trace: 'vectors' } as CacheOptions),
        /changes keys or values as they come, so what it is given cannot be recorded: trace events/,
      )
    const create = (trace: CacheOptions['trace']) => () => createCache({ ...shape, policy: fullCache(), trace })
    assert.throws(
      create({ level: 'vectors', layers: [2] }),
      /a whole number from 0 to 1 for trace.layers\[0\] but received 2/,
    )
    assert.throws(create({ level: 'vectors', kvHeads: [] }), /numbers from 0 to 1 in an array for trace.kvHeads/)
    assert.throws(
      create({ level: 'events', layers: [0] }),
      /trace.layers says whose scores or vectors are kept, but level is 'events'/,
    )
    assert.throws(create('all' as never), /one of 'off', 'events', 'scores', 'vectors' for trace but received "all"/)
    assert.throws(
      () => createCache({ ...shape, policy: fullCache() }).vectors({ layer: 0, kvHead: 0 }),
      /were not kept \(trace was 'events'\): make the session with trace: \{ level: 'vectors', layers: \[0\], kvHeads: \[0\] \}/,
    )
  })
})
