/** definePolicy: H2O in a few lines equals the built-in one, errors are the user's own, and nothing is lost by them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  createCache,
  definePolicy,
  evictOnly,
  load,
  lowest,
  type Cache,
  type OwnView,
  type Policy,
} from '../../src/index.js'
import { inputsOf, positions } from './attention-inputs.js'
import { h2o } from '../../bench/policies/h2o.js'
import { toyPath } from './model/files.js'

const SHAPE = { layers: 2, heads: 4, kvHeads: 2, headDim: 8 }
const inputs = inputsOf(SHAPE)

async function feed(cache: Cache, seed: number, tokens: number, first = false): Promise<void> {
  for (let layer = 0; layer < SHAPE.layers; layer++) {
    const { q, k, v } = inputs(seed + layer, tokens)
    await (first
      ? cache.prefill(layer, q, k, v)
      : tokens === 1
        ? cache.step(layer, q, k, v)
        : cache.extend(layer, q, k, v))
  }
}

async function filled(policy: Policy, prompt: number, steps: number): Promise<Cache> {
  const cache = createCache({ ...SHAPE, policy, threads: 1 })
  await feed(cache, 1, prompt, true)
  for (let step = 0; step < steps; step++) await feed(cache, 100 + 10 * step, 1)
  await feed(cache, 5000, 7)
  return cache
}

const kept = (cache: Cache) => [0, 1].map((layer) => positions(cache, layer))

describe('definePolicy', () => {
  it('H2O keeps what the built-in one keeps, step by step, traced and checked', async () => {
    for (const prompt of [60, 9]) {
      const [own, built] = [
        await filled(h2o({ budget: 16 }), prompt, 40),
        await filled(evictOnly({ budget: 16, recent: 8, decay: 1, window: 'all' }), prompt, 40),
      ]
      assert.deepEqual(kept(own), kept(built))
      assert.ok(own.receipt().ok, own.receipt().notes.join())
      assert.deepEqual([own.receipt().dropped, own.receipt().seqLen], [built.receipt().dropped, built.receipt().seqLen])
      assert.match(own.receipt().notes.join(), /^h2o held \d+ tokens in 16 slots/)
      const drops = (cache: Cache) => {
        const { action, step, layer, kvHead, position } = cache.events()
        return Array.from(action.keys())
          .filter((i) => action[i] === 3)
          .map((i) => [step[i], layer[i], kvHead[i], position[i]].join())
          .sort()
      }
      assert.deepEqual(drops(own), drops(built))
    }
  })

  it('is told shapes, keys and values, and its own options', async () => {
    const seen: OwnView<{ ratio: number }>[] = []
    const spy = definePolicy({
      name: 'spy',
      keys: true,
      values: true,
      acts: 'prompt',
      options: { ratio: 3 },
      evict: (view) => {
        seen.push(view)
        return view.heads.map(({ slots, excess }) => Array.from({ length: excess }, (_, i) => slots - 1 - i))
      },
    })
    const policy = spy({ budget: 20, ratio: 5 })
    assert.deepEqual([policy.name, policy.acts, policy.options.ratio], ['spy', 'prompt', 5])
    const cache = await filled(policy, 30, 2)
    assert.equal(seen.length, SHAPE.layers)
    const [{ layer, step, position, headDim, heads, options }] = seen
    assert.deepEqual([layer, step, position, headDim, options.ratio], [0, 0, 29, 8, 5])
    const { k, v } = inputs(1, 30)
    assert.deepEqual([heads[1].keys, heads[1].values], [k.subarray(240), v.subarray(240)])
    assert.deepEqual([heads[0].slots, heads[0].excess, heads[0].budget], [30, 10, 20])
    assert.deepEqual(kept(cache)[0][0].slice(0, 21), [...Array(20).keys(), 30])
    assert.equal(cache.state(0).slots[0], 20 + 9)
  })

  it('an error in the hook is told with its line, and the cache is as it was', async () => {
    let broken = false
    const policy = definePolicy({
      name: 'breaks',
      evict: ({ heads, layer }) => {
        if (broken && layer === 1) throw new RangeError('my own fault')
        return heads.map(({ excess, slots }) => Array.from({ length: excess }, (_, i) => (broken ? slots + i : i)))
      },
    })({ budget: 16 })
    const cache = createCache({ ...SHAPE, policy, threads: 1 })
    await feed(cache, 1, 40, true)
    const before = [cache.state(0), cache.state(1), cache.receipt()]
    broken = true
    const { q, k, v } = inputs(7, 1)
    await assert.rejects(cache.step(0, q, k, v), {
      code: 'invalid',
      message: /evict of breaks in layer 0, step 1, kv head 0: expected 1 different slots from 0 to 16 but received/,
    })
    await assert.rejects(cache.step(1, q, k, v), (error: Error) => {
      assert.ok(error instanceof RangeError)
      assert.match(error.stack!, /own-policy\.test\.ts:\d+/)
      return true
    })
    assert.deepEqual([cache.state(0), cache.state(1), cache.receipt()], before)
    broken = false
    await feed(cache, 9, 1)
    assert.ok(cache.receipt().ok)
  })

  it('runs a model, forks, and can be defined again', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    try {
      const first = definePolicy({ name: 'mine', evict: ({ heads }) => heads.map(() => [0]) })
      const session = model.session({ policy: h2o({ budget: 24 }), trace: true })
      const text = 'It was the best of times, it was the worst of times, it was the age of wisdom'
      const run = await session.generate(text, { maxTokens: 20, ignoreEos: true, progress: false })
      assert.ok(run.receipt.ok, run.receipt.notes.join())
      const builtIn = model.session({ policy: evictOnly({ budget: 24, recent: 12, decay: 1, window: 'all' }) })
      const expected = await builtIn.generate(text, { maxTokens: 20, ignoreEos: true, progress: false })
      assert.deepEqual(run.tokens, expected.tokens)
      const read = model.session({ forkable: 'all' })
      await read.prefill(text)
      const [fork] = await read.forks([h2o({ budget: 24 })])
      const again = await fork.generate(undefined, { maxTokens: 20, ignoreEos: true, progress: false })
      assert.deepEqual(again.tokens, run.tokens)
      const second = definePolicy({ name: 'mine', evict: ({ heads }) => heads.map(({ slots }) => [slots - 1]) })
      assert.notEqual(first, second)
      const short = model.session({ policy: first({ budget: 1000 }) })
      assert.ok((await short.generate(text, { maxTokens: 3, progress: false })).receipt.ok)
    } finally {
      model.dispose()
    }
  })

  it('refuses definitions that make no sense, in a sentence', () => {
    const evict = () => []
    for (const [given, says] of [
      [undefined, /an object for definePolicy/],
      [{ name: 'a b', evict }, /a word of letters, digits and dashes for name but received "a b"/],
      [{ name: 'a' }, /a function that says who leaves for evict/],
      [{ name: 'a', evict, scores: { decay: 2 } }, /for decay but received 2/],
      [{ name: 'a', evict, acts: 'never' }, /one of 'prompt', 'always' for acts/],
      [{ name: 'a', evict, onAppend: evict }, /definePolicy has no option "onAppend"/],
      [{ name: 'a', evict, budget: 0 }, /above 0/],
    ] as [never, RegExp][])
      assert.throws(() => definePolicy(given), { code: 'invalid', message: says })
    assert.throws(() => h2o({ bugdet: 3 } as never), { message: /h2o has no option "bugdet"/ })
    assert.deepEqual([...lowest(Float32Array.of(3, NaN, 1, 1, 2), 3)], [2, 3, 4])
    assert.deepEqual([...lowest(Float32Array.of(3, NaN, 1, 1, 2), 1, (slot) => slot !== 2)], [3])
  })

  it('a process that ends while caches still ask it ends well', () => {
    // Several: which of them Node lets go of first is not said.
    const script = `
      import { createCache } from './src/index.ts'
      import { h2o } from './bench/policies/h2o.ts'
      const rows = () => new Float32Array(30 * 8).fill(0.1)
      globalThis.held = [1, 2, 3, 4].map((layers) =>
        createCache({ layers, heads: 1, kvHeads: 1, headDim: 8, policy: h2o({ budget: 16 }), threads: 1 }))
      for (const cache of globalThis.held) await cache.prefill(0, rows(), rows(), rows())
      console.log('done')`
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const words = ['--import', 'tsx', '--input-type=module', '-e', script]
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, words, { cwd, encoding: 'utf8' })
    assert.deepEqual([stdout, signal, status], ['done\n', null, 0], stderr)
  })
})
