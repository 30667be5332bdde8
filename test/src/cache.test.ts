/** createCache: what users do wrong is told in a sentence and leaves the cache as it was; forks and storages; a full life by chance. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  createCache,
  evictOnly,
  fullCache,
  streaming,
  zsmerge,
  type Cache,
  type CacheOptions,
} from '../../src/index.js'
import { ZslabError } from '../../src/errors.js'
import { TOLERANCES } from '../tolerances.js'
import { inputsOf } from './attention-inputs.js'
import { cases } from '../scale.js'

const SHAPE = { layers: 2, heads: 4, kvHeads: 2, headDim: 8 }
const inputs = inputsOf(SHAPE, 1)
const tight = () => zsmerge({ budget: 12, recent: 4, residual: 2 })
const made = (options: Partial<CacheOptions> = {}) => createCache({ ...SHAPE, policy: tight(), threads: 2, ...options })

async function fill(cache: Cache, tokens: number, seed = 1): Promise<void> {
  for (let layer = 0; layer < SHAPE.layers; layer++) {
    const { q, k, v } = inputs(seed + layer, tokens)
    await cache.prefill(layer, q, k, v)
  }
}

describe('createCache', () => {
  it('refuses wrong options, each in a sentence', () => {
    const wrong: [unknown, RegExp][] = [
      [undefined, /expected an object for createCache but received undefined/],
      [null, /expected an object for createCache but received null/],
      [{ layers: 0 }, /expected a whole number from 1 to 65536 for layers but received 0/],
      [{ layers: '2' }, /for layers but received "2"/],
      [{ heads: 3 }, /expected a multiple of kvHeads \(2\) for heads but received 3/],
      [{ kvHeads: NaN }, /for kvHeads but received NaN/],
      [{ headDim: 7 }, /expected an even number from 2 to 512 for headDim but received 7/],
      [{ headDim: 514 }, /from 2 to 512 for headDim but received 514/],
      [{ headdim: 8 }, /createCache has no option "headdim", did you mean 'headDim'\?/],
      [{ n_head: 8 }, /createCache has no option "n_head"; it has: layers, heads, kvHeads/],
      [{ policy: 'zsmerge' }, /expected a policy for policy but received "zsmerge": call it/],
      [{ policy: zsmerge }, /received a function: call it, as in policy: zsmerge\(\)/],
      [{ policy: { name: 'mine' } }, /expected a policy such as zsmerge/],
      [{ policy: undefined }, /expected a policy such as/],
      [{ storage: 'int8' }, /expected one of 'float32', 'float16', 'bfloat16' for storage but received "int8"/],
      [
        { trace: 1 },
        /expected true, false, one of 'off', 'events', 'scores', 'vectors' or \{ level, … \} for trace but received 1/,
      ],
      [{ threads: 0 }, /expected a whole number from 1 to 256 for threads but received 0/],
      [{ isa: 'sse9' }, /for isa but received "sse9"/],
      [{ rotation: { dims: 8 } }, /expected none, since zsmerge .* for rotation but .*: leave it out/],
      ...(
        [
          [undefined, /expected the model's rotation, since streaming .* for rotation .* give rotation: \{ dims: 8,/],
          [8, /expected an object for rotation but received 8/],
          [{ dims: 10 }, /from 2 to 8 for rotation.dims but received 10/],
          [{ dims: 3 }, /an even number from 2 to 8 for rotation.dims but received 3/],
          [{ dims: 8, theta: 1 }, /rotation has no option "theta"; it has: dims, base, frequencies, pairs/],
          [{ dims: 8, base: 0 }, /a number above 0 for rotation.base but received 0/],
          [{ dims: 8, base: 1, frequencies: [1, 1, 1, 1] }, /they say the same: leave one out/],
          [{ dims: 8, frequencies: [1, 1, NaN, 1] }, /4 finite numbers, one for each pair for rotation.frequencies/],
          [{ dims: 8, frequencies: [1] }, /4 finite numbers/],
          [{ dims: 8, frequencies: 'abcd' }, /4 finite numbers/],
          [{ dims: 8, pairs: 'neox' }, /one of 'adjacent', 'halves' for rotation.pairs but received "neox"/],
        ] as [unknown, RegExp][]
      ).map(([rotation, says]): [unknown, RegExp] => [
        { policy: streaming({ budget: 8, positions: 'cache' }), rotation },
        says,
      ]),
    ]
    for (const [given, says] of wrong) {
      const options = (
        given && typeof given === 'object' ? { ...SHAPE, policy: tight(), ...given } : given
      ) as CacheOptions
      assert.throws(() => createCache(options), { code: 'invalid', message: says }, JSON.stringify(given))
    }
  })

  it('refuses policies that contradict themselves, before and at the prompt', async () => {
    for (const [make, says] of [
      [() => zsmerge({ budget: NaN }), /budget but received NaN/],
      [() => zsmerge({ budget: 0 }), /above 0 or a count of slots for budget but received 0/],
      [() => zsmerge({ budget: 20.5 }), /whole count of slots for budget but received 20.5: use 20/],
      [() => zsmerge({ decay: Infinity }), /decay but received Infinity/],
      [() => zsmerge({ alpha: -1 }), /alpha but received -1/],
      [() => zsmerge({ mode: 'fast' as 'fixed' }), /one of 'fixed', 'paper', 'reference' for mode but received "fast"/],
      [() => zsmerge({ cache_budget: 20, budget: 30 } as object), /both cache_budget and budget/],
      [() => zsmerge({ granularity: 'token' as 'head' }), /'head', 'layer', 'model'/],
      [() => streaming({ alpha: 1 } as object), /streaming has no option "alpha"/],
      [() => evictOnly({ residual: 1 } as object), /has no option "residual"/],
    ] as [() => unknown, RegExp][])
      assert.throws(make, { name: 'ZslabError', message: says })
    const cache = made({ policy: zsmerge({ budget: 4, recent: 4, residual: 2 }) })
    const { q, k, v } = inputs(1, 30)
    await assert.rejects(cache.prefill(0, q, k, v), (error: ZslabError) => {
      assert.equal(error.code, 'invalid')
      assert.match(error.message, /4/)
      assert.match(error.message, /budget/)
      return true
    })
    assert.equal(cache.state(0).seqLen, 0)
  })

  it('refuses arrays that do not fit, and is as it was', async () => {
    const cache = made()
    const { q, k, v } = inputs(1, 20)
    const calls: [() => Promise<unknown>, RegExp][] = [
      [
        () => cache.prefill(0, q.subarray(8), k, v),
        /Float32Array \[heads, tokens, headDim\] of 640 elements for q but received Float32Array of 632/,
      ],
      [() => cache.prefill(0, q, k, v.subarray(8)), /\[kvHeads, tokens, headDim\] of 320 elements for v/],
      [() => cache.prefill(0, q, k.subarray(5), v), /a multiple of 16 elements for k but received Float32Array of 315/],
      [() => cache.prefill(0, q, new Float32Array(0), v), /for k but received Float32Array of 0/],
      [() => cache.prefill(0, q, [...k] as unknown as Float32Array, v), /for k but received an array of 320/],
      [
        () => cache.prefill(0, new Float64Array(q) as unknown as Float32Array, k, v),
        /for q but received Float64Array of 640/,
      ],
      [() => cache.prefill(2, q, k, v), /whole number from 0 to 1 for layer but received 2/],
      [() => cache.prefill(-1, q, k, v), /for layer but received -1/],
      [() => cache.prefill(0, q, k, v, { shareOf: 3 }), /whole number ≥ 20 for shareOf but received 3/],
      [() => cache.prefill(0, q, k, v, { abort: 1 } as object), /prefill options has no option "abort"/],
      [() => cache.step(0, q.subarray(0, 32), k.subarray(0, 16), v.subarray(0, 16)), /prefill|prompt/],
    ]
    for (const [call, says] of calls) await assert.rejects(call, { code: 'invalid', message: says }, String(says))
    assert.throws(() => cache.state(5), { code: 'invalid', message: /layer but received 5/ })
    assert.equal(cache.resolved, undefined)
    await fill(cache, 20)
    const before = cache.state(0)
    await assert.rejects(cache.prefill(0, q, k, v), { code: 'invalid' })
    await assert.rejects(cache.step(0, q, k, v), { code: 'invalid', message: /q/ })
    const long = inputs(3, 300)
    await assert.rejects(cache.extend(0, long.q, long.k, long.v), {
      code: 'invalid',
      message: /a chunk of up to 256 tokens.*cut the 300 tokens/,
    })
    assert.deepEqual(cache.state(0), before)
    assert.equal(cache.receipt().ok, true)
  })

  it('says in the receipt that there is a NaN', async () => {
    const cache = made({ layers: 1 })
    const { q, k, v } = inputs(1, 20)
    v[3] = NaN
    await cache.prefill(0, q, k, v)
    const receipt = cache.receipt()
    assert.deepEqual([receipt.ok, receipt.checks.finite], [false, false])
    assert.match(receipt.notes.join(), /a NaN or an infinity/)
  })

  it('a query that is not a number gives the same on every instruction set, and the receipt names it', async () => {
    const outputs: Float32Array[] = []
    for (const isa of ['generic', 'best'] as const) {
      const cache = made({ isa, policy: fullCache({ history: 'on' }) })
      for (let layer = 0; layer < 2; layer++) {
        const { q, k, v } = inputs(1 + layer, 20)
        if (layer === 1) q[(3 * 20 + 13) * 8 + 5] = NaN
        outputs.push(await cache.prefill(layer, q, k, v))
      }
      const row = outputs.at(-1)!.subarray((3 * 20 + 13) * 8, (3 * 20 + 14) * 8)
      assert.ok(row.every(Number.isNaN))
      assert.equal(outputs.at(-1)!.filter(Number.isNaN).length, 8)
      const { ok, notes } = cache.receipt()
      assert.equal(ok, false)
      assert.match(notes.join(), /a query is not a number: layer 1, head 3, position 13/)
    }
    assert.deepEqual(outputs.slice(0, 2), outputs.slice(2))
    const cache = made()
    await fill(cache, 20)
    const { q, k, v } = inputs(9, 1)
    q[9] = Infinity
    const out = await cache.step(0, q, k, v)
    assert.deepEqual(
      Array.from(out.keys()).filter((i) => Number.isNaN(out[i])),
      [8, 9, 10, 11, 12, 13, 14, 15],
    )
    assert.match(cache.receipt().notes.join(), /layer 0, head 1, position 20/)
  })

  it('keeps its inputs apart from the caller’s arrays', async () => {
    const [one, other] = [made(), made()]
    const a = inputs(1, 20)
    const kept = { q: a.q.slice(), k: a.k.slice(), v: a.v.slice() }
    const running = one.prefill(0, a.q, a.k, a.v)
    for (const array of [a.q, a.k, a.v]) array.fill(9)
    assert.deepEqual(await running, await other.prefill(0, kept.q, kept.k, kept.v))
  })

  it('forks go on independently, to the bit', async () => {
    const cache = made()
    await fill(cache, 30)
    const fork = await cache.fork()
    const before = [cache.state(0), cache.state(1)]
    const { q, k, v } = inputs(9, 1)
    const out = await fork.step(0, q, k, v)
    assert.deepEqual([cache.state(0), cache.state(1)], before)
    assert.notDeepEqual(fork.state(0), before[0])
    assert.deepEqual(await cache.step(0, q, k, v), out)
    assert.deepEqual(cache.state(0), fork.state(0))
    fork.dispose()
    assert.throws(() => fork.state(0), { code: 'invalid', message: /this cache was disposed/ })
    await assert.rejects(fork.step(0, q, k, v), { code: 'invalid', message: /this cache was disposed/ })
    assert.equal(cache.state(0).seqLen, 31)
    fork.dispose() // twice is fine
  })

  it('events are refused where none are kept, in words', async () => {
    const cache = made({ trace: false })
    await fill(cache, 30)
    assert.throws(() => cache.events(), { code: 'invalid', message: /create it with trace: true/ })
    assert.ok(cache.receipt().ok)
  })

  it('an abort stops the call, and the cache is as it was', async () => {
    const shape = { layers: 1, heads: 8, kvHeads: 2, headDim: 64 }
    const cache = createCache({ ...shape, policy: fullCache(), threads: 1, isa: 'generic' })
    const { q, k, v } = inputsOf(shape, 1)(1, 1500)
    await assert.rejects(cache.prefill(0, q, k, v, { signal: AbortSignal.abort() }), { name: 'AbortError' })
    const stop = new AbortController()
    const call = cache.prefill(0, q, k, v, { signal: stop.signal })
    setImmediate(() => stop.abort(new Error('enough')))
    await assert.rejects(call, { message: 'enough' })
    assert.equal(cache.state(0).seqLen, 0)
    await cache.prefill(0, q.slice(0, 8 * 64), k.slice(0, 2 * 64), v.slice(0, 2 * 64))
    assert.equal(cache.state(0).seqLen, 1)
  })

  it('whatever is fed, the receipt holds and states have their shapes', async () => {
    const policy = fc.oneof(
      fc
        .record({
          budget: fc.integer({ min: 4, max: 24 }),
          recent: fc.integer({ min: 1, max: 2 }),
          residual: fc.integer({ min: 0, max: 1 }),
        })
        .map((o) => zsmerge(o)),
      fc.constantFrom('fixed', 'paper', 'reference').map((mode) => zsmerge({ mode: mode as 'fixed', budget: 10 })),
      fc.integer({ min: 6, max: 20 }).map((budget) => streaming({ budget })),
      fc.integer({ min: 4, max: 20 }).map((budget) => evictOnly({ budget, recent: 2 })),
      fc.constant(fullCache()),
    )
    const life = fc.record({
      policy,
      storage: fc.constantFrom('float32' as const, 'float16' as const, 'bfloat16' as const),
      prompt: fc.integer({ min: 1, max: 40 }),
      more: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(life, async ({ policy, storage, prompt, more }) => {
        const cache = createCache({ ...SHAPE, policy, storage, threads: 1 })
        await fill(cache, prompt)
        let seqLen = prompt
        for (const tokens of more) {
          for (let layer = 0; layer < SHAPE.layers; layer++) {
            const { q, k, v } = inputs(seqLen + layer, tokens)
            await (tokens === 1 ? cache.step(layer, q, k, v) : cache.extend(layer, q, k, v))
          }
          seqLen += tokens
        }
        const receipt = cache.receipt()
        assert.deepEqual([receipt.ok, receipt.seqLen], [true, seqLen], receipt.notes.join('; '))
        const budget = cache.resolved!.budget || seqLen
        for (let layer = 0; layer < SHAPE.layers; layer++) {
          const { slots, offsets, keys, values, weights, scores, origins } = cache.state(layer)
          assert.ok(slots.every((count) => count <= Math.max(budget, 1) && count > 0))
          const all = offsets.at(-1)!
          assert.deepEqual([keys.length, values.length, weights.length, scores.length], [all * 8, all * 8, all, all])
          assert.equal(all, slots[0] + slots[1])
          origins.forEach((head, kvHead) =>
            head.forEach((positions, slot) => assert.equal(positions.length, weights[offsets[kvHead] + slot])),
          )
        }
        const { total, byRegion } = cache.bytes()
        assert.ok(total > 0 && Object.values(byRegion).every((bytes) => bytes >= 0))
        cache.dispose()
      }),
      { numRuns: cases(2_000, 200), seed: 4 },
    )
  })

  it('turns keys that are kept before rotation: within the budget as the full cache of rotated ones, whatever the pairs', async () => {
    const { headDim } = SHAPE
    for (const pairs of ['adjacent', 'halves'] as const) {
      const rotation = { dims: 6, base: 500, pairs }
      const at = (i: number) => (pairs === 'halves' ? [i, i + 3] : [2 * i, 2 * i + 1])
      const turned = (x: Float32Array, tokens: number, first: number) => {
        const y = x.slice()
        for (let row = 0; row < x.length / headDim; row++)
          for (let i = 0; i < 3; i++) {
            const angle = (first + (row % tokens)) * 500 ** ((-2 * i) / 6)
            const [a, b] = at(i).map((dim) => row * headDim + dim)
            y[a] = x[a] * Math.cos(angle) - x[b] * Math.sin(angle)
            y[b] = x[a] * Math.sin(angle) + x[b] * Math.cos(angle)
          }
        return y
      }
      const policy = streaming({ budget: 40, sink: 2, positions: 'cache', stride: 7 })
      const own = made({ policy, rotation })
      const full = made({ policy: fullCache() })
      const [prompt, token] = [inputs(3, 30), inputs(4, 1)]
      const a = await own.prefill(0, prompt.q, prompt.k, prompt.v)
      const b = await full.prefill(0, turned(prompt.q, 30, 0), turned(prompt.k, 30, 0), prompt.v)
      const c = await own.step(0, token.q, token.k, token.v)
      const d = await full.step(0, turned(token.q, 1, 30), turned(token.k, 1, 30), token.v)
      for (const [x, y] of [
        [a, b],
        [c, d],
      ])
        x.forEach((value, i) => assert.ok(Math.abs(value - y[i]) <= TOLERANCES.element))
      assert.deepEqual(own.state(0).keys.slice(0, headDim), prompt.k.slice(0, headDim), 'keys are kept as they came')
      for (const cache of [own, full]) cache.dispose()
    }
  })
})
