/** Keys and values of slots at any step, rebuilt from what heads were given: those that the cache holds. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import {
  adakv,
  createCache,
  evictOnly,
  load,
  minicache,
  quest,
  snapkv,
  think,
  Trace,
  zsmerge,
  type CacheOptions,
  type Policy,
} from '../../../src/index.js'
import { slotVectors } from '../../../src/inspect/slot-vectors.js'
import { rowsByHead } from '../../../src/trace/rebuild.js'
import { mergesOf } from '../../../src/trace/shares.js'
import { inputsOf } from '../attention-inputs.js'
import { draws, ownFolder, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'

const LAYERS = 2

function policyOf(seed: number): Policy {
  const draw = draws(seed * 31 + 7)
  const one = <T>(...from: T[]): T => from[draw(from.length)]
  const aggregate = one('mean' as const, 'mean' as const, 'score' as const, 'medoid' as const)
  const merging = zsmerge({
    budget: one(9, 16, 24),
    recent: one(1, 4),
    residual: one(1, 2, 3),
    decay: one(0.9, 1),
    aggregate,
    ...(aggregate === 'mean' && { keys: one('mean', 'fixed'), values: one('mean', 'fixed') }),
    init: one('position', 'similarity'),
    similarity: one('dot', 'l2', 'cosine'),
    scoreMerge: one('max', 'sum'),
    underfull: one('compress', 'first-tokens'),
    granularity: one('head', 'head', 'layer', 'model'),
    chunk: 6,
  })
  const others = [
    evictOnly({ budget: 12, recent: 3 }),
    adakv({ of: zsmerge({ budget: 20, residual: 2 }) }),
    snapkv({ budget: 16, window: 4 }),
    quest({ budget: 32 }),
  ]
  return seed % 5 === 0 ? one(...others) : merging
}

const near = (found: Float32Array, expected: Float32Array, what: string) => {
  assert.equal(found.length, expected.length, what)
  found.forEach((value, i) =>
    assert.ok(
      Math.abs(value - expected[i]) <= 4e-6 * Math.max(1, Math.abs(expected[i])),
      `${what}: ${value}, ${expected[i]}`,
    ),
  )
}

describe('keys and values of slots', function () {
  this.timeout(300_000)
  const folder = ownFolder()

  it('of random runs are those of the cache', async () => {
    for (let seed = 0; seed < alike(1000, 60); seed++) {
      const draw = draws(seed + 9)
      const one = <T>(...from: T[]): T => from[draw(from.length)]
      const policy = policyOf(seed)
      const kvHeads = one(1, 2)
      const options: CacheOptions = {
        layers: LAYERS,
        heads: kvHeads * one(1, 2),
        kvHeads,
        headDim: 8,
        policy,
        threads: 1,
        storage: one('float32', 'bfloat16', 'float16'),
        trace: { level: 'vectors', queries: 0 },
      }
      const cache = createCache(options)
      const calls = [one(5, 12, 60), ...Array.from({ length: draw(40) }, () => one(1, 1, 1, 5))]
      for (const [at, tokens] of calls.entries())
        for (let layer = 0; layer < LAYERS; layer++) {
          const { q, k, v } = inputsOf(options)(seed + 100 * at + layer, tokens)
          if (at === 0) await cache.prefill(layer, q, k, v)
          else await (tokens === 1 ? cache.step(layer, q, k, v) : cache.extend(layer, q, k, v))
        }
      const events = cache.events()
      const rows = rowsByHead(events, LAYERS, kvHeads)
      for (let layer = 0; layer < LAYERS; layer++) {
        const { keys, values, offsets } = cache.state(layer)
        for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
          const what = `seed ${seed}, ${policy.name} ${JSON.stringify(policy.options)}, ${calls.join(' ')}, layer ${layer}`
          const own = (of: Float32Array) => of.subarray(offsets[kvHead] * 8, offsets[kvHead + 1] * 8)
          const given = cache.vectors({ layer, kvHead })
          const found = slotVectors(given, events, rows[layer * kvHeads + kvHead], Infinity, mergesOf(policy))!
          near(found.keys, own(keys), `${what}, keys`)
          near(found.values, own(values), `${what}, values`)
        }
      }
      cache.dispose()
    }
  })

  it('and scores of slots go with what was asked of the session, from its file too', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    const path = join(folder, 'asked.arrow')
    for (const policy of [zsmerge({ budget: 24, recent: 8, residual: 2 }), evictOnly({ budget: 24 })]) {
      const session = model.session({ policy, trace: { level: 'vectors', layers: [1], scores: true } })
      await session.prefill(Array.from({ length: 60 }, (_, i) => (i * 7) % 250))
      await session.step(1)
      const of = { layer: 1, kvHead: 0 }
      const { position } = session.trace.cacheAt(of).slots[5]
      await session.evict({ position, layers: [1], kvHeads: [0] })
      await session.step(7)
      await session.unevict({ position, layers: [1], kvHeads: [0] }, { progress: false })
      await session.pin({ position: 61 })
      for (const id of [9, 10, 11]) await session.step(id)
      const { keys, values, offsets } = session.cache.state(1)
      for (const trace of [session.trace, await Trace.open(await session.trace.save(path))]) {
        const head = trace.cacheAt(of)
        const d = head.keys!.length / head.slots.length
        near(head.keys!, keys.subarray(0, offsets[1] * d), `${policy.name}, keys`)
        near(head.values!, values.subarray(0, offsets[1] * d), `${policy.name}, values`)
        assert.deepEqual(Array.from(trace.scores(of).steps), [0, 1, 2, 3, 4, 5])
      }
      session.dispose()
    }
    model.dispose()
  })

  it('of a model’s run, keys rotated, at every step those of a run that ends there; elsewhere there are none', async () => {
    const model = await load(toyPath, { progress: false })
    const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
    const policy = zsmerge({ budget: 24, recent: 8, residual: 2 })
    const session = model.session({ policy, trace: { level: 'vectors', layers: [1] } })
    const run = await session.generate(prompt, { maxTokens: 9, ignoreEos: true, progress: false })
    const again = model.session({ policy })
    await again.prefill(prompt)
    const of = { layer: 1, kvHead: 1 }
    for (let step = 0; step <= run.trace.lastStep; step++) {
      if (step) await again.step(run.tokens[step - 1])
      const { keys, values, offsets } = again.cache.state(1)
      const head = run.trace.cacheAt({ step, ...of })
      const d = head.keys!.length / head.slots.length
      near(head.keys!, keys.subarray(offsets[1] * d, offsets[2] * d), `step ${step}, keys`)
      near(head.values!, values.subarray(offsets[1] * d, offsets[2] * d), `step ${step}, values`)
    }
    assert.equal(run.trace.cacheAt({ layer: 0, kvHead: 1 }).keys, undefined)
    for (const altering of [think({ of: snapkv({ budget: 20, window: 4 }) }), minicache()]) {
      const other = model.session({ policy: altering, trace: 'vectors' })
      await other.prefill(prompt)
      await other.model.file.sha256()
      assert.equal(other.trace.cacheAt(of).keys, undefined, altering.name)
      assert.ok(altering.alters && !policy.alters)
    }
    model.dispose()
  })
})
