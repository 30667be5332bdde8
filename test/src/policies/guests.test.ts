/** Policies in rooms of their own, through createCache: what each keeps, when it acts, what is refused; budgets by head. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import {
  adakv,
  createCache,
  evictOnly,
  fullCache,
  quest,
  random,
  snapkv,
  streaming,
  tova,
  zsmerge,
  type Cache,
  type CacheOptions,
  type Policy,
} from '../../../src/index.js'
import { filledCache, inputsOf, positions } from '../attention-inputs.js'

const SHAPE = { layers: 2, heads: 6, kvHeads: 3, headDim: 8 }
const inputs = inputsOf(SHAPE)

const filled = (policy: Policy, prompt: number, steps: number, more: Partial<CacheOptions> = {}): Promise<Cache> =>
  filledCache({ ...SHAPE, policy, ...more }, prompt, steps)

describe('guests', () => {
  it('snapkv acts on the prompt alone: its window stays, and every token since', async () => {
    const policy = snapkv({ budget: 12, window: 4, kernel: 3 })
    assert.equal(policy.acts, 'prompt')
    const cache = await filled(policy, 40, 6)
    for (let layer = 0; layer < SHAPE.layers; layer++)
      for (const kept of positions(cache, layer)) {
        assert.equal(kept.length, 12 + 6)
        assert.deepEqual(kept.slice(-10), [36, 37, 38, 39, 40, 41, 42, 43, 44, 45])
      }
    assert.match(
      cache.receipt().notes.join(),
      /acts on prompts only, held 46 tokens in 12 slots per kv head and all tokens since/,
    )
    const { recent, context } = cache.bytes().byLayer[0][0]
    assert.equal(recent / context, 10 / 8)
  })

  it('tova keeps the same positions in all heads of a layer, and may drop the newest', async () => {
    const cache = await filled(tova({ budget: 10 }), 40, 64)
    for (let layer = 0; layer < SHAPE.layers; layer++) {
      const [first, ...others] = positions(cache, layer)
      assert.equal(first.length, 10)
      for (const head of others) assert.deepEqual(head, first)
    }
    const { action, slot, target, step } = cache.events()
    const drops = Array.from(action.keys()).filter((i) => action[i] === 3 && step[i] > 0)
    assert.equal(drops.length, 64 * SHAPE.layers * SHAPE.kvHeads)
    assert.ok(
      drops.some((i) => slot[i] === -1),
      'no new token ever left at once',
    )
    assert.ok(drops.every((i) => target[i] === -1))
    assert.equal(tova({ variant: 'kvpress' }).acts, 'prompt')
  })

  it('random keeps the same for a seed, other tokens for another, and each head its own', async () => {
    const kept = async (seed: number) => positions(await filled(random({ budget: 16, seed }), 60, 20), 0)
    const first = await kept(1)
    assert.deepEqual(await kept(1), first)
    assert.notDeepEqual(await kept(2), first)
    assert.notDeepEqual(first[0], first[1])
    assert.ok(first.every((head) => head.length === 16 && head.at(-1) === 79))
    // Over many seeds each of the older positions is kept about equally often: 15 of 79.
    const counts = new Float64Array(79)
    for (let seed = 0; seed < 60; seed++)
      for (const head of await kept(seed)) for (const position of head) if (position < 79) counts[position]++
    assert.ok(
      counts.every((count) => count > 10 && count < 65),
      String(counts),
    )
  })

  it('quest keeps every token, and those after the prompt read the pages of their budget', async () => {
    const policy = quest({ budget: 12, page: 4, wholeLayers: 1 })
    assert.equal(policy.acts, 'reading')
    const cache = await filled(policy, 40, 9)
    assert.deepEqual(cache.state(0).slots, [49, 49, 49])
    assert.deepEqual(cache.state(0).read, [0, 0, 0])
    assert.deepEqual(cache.state(1).read, [9, 9, 9], 'two pages, and one token of the newest')
    assert.deepEqual(
      positions(cache, 1)[2],
      Array.from({ length: 49 }, (_, i) => i),
    )
    assert.match(cache.receipt().notes.join(), /keeps all 49 tokens; after the prompt a token reads at most 12 slots/)
    const { q, k, v } = inputs(901, 1)
    const [fork, whole] = [await cache.fork(), await filled(quest({ budget: 64, page: 4 }), 40, 9)]
    const full = await (await filled(fullCache(), 40, 9)).step(1, q, k, v)
    assert.deepEqual(await whole.step(1, q, k, v), full, 'a budget of all tokens')
    const part = await cache.step(1, q, k, v)
    assert.notDeepEqual(part, full)
    assert.deepEqual(await fork.step(1, q, k, v), part)
  })

  it('quest shows the least and largest of each page, as its keys are; who keeps nothing shows nothing', async () => {
    const cache = createCache({ ...SHAPE, policy: quest({ budget: 12, page: 4, wholeLayers: 1 }), threads: 1 })
    assert.deepEqual(cache.inspect(0), [{}, {}, {}], 'before the prompt')
    const full = await filled(quest({ budget: 12, page: 4, wholeLayers: 1 }), 40, 9)
    const { keys, offsets, slots } = full.state(1)
    const { headDim } = SHAPE
    const inspected = full.inspect(1)
    assert.equal(inspected.length, SHAPE.kvHeads)
    for (const [g, { pageLeast, pageLargest, ...others }] of inspected.entries()) {
      assert.deepEqual([pageLeast.shape, pageLargest.shape, others], [[13, headDim], [13, headDim], {}])
      for (let page = 0; page < 13; page++)
        for (let i = 0; i < headDim; i++) {
          const from = offsets[g] + 4 * page
          const column = Array.from(
            { length: Math.min(4, offsets[g] + slots[g] - from) },
            (_, slot) => keys[(from + slot) * headDim + i],
          )
          assert.equal(pageLeast.data[page * headDim + i], Math.min(...column))
          assert.equal(pageLargest.data[page * headDim + i], Math.max(...column))
        }
    }
    assert.match(inspect(inspected), /beside its slots, 3 kv heads: arrays of each[^]*pageLeast \[13, 8\], pageLargest/)
    const none = (await filled(snapkv({ budget: 12, window: 4 }), 40, 1)).inspect(0)
    assert.deepEqual(none, [{}, {}, {}])
    assert.match(inspect(none), /kv heads: nothing$/)
    assert.throws(() => full.inspect(2), { code: 'invalid', message: /from 0 to 1 for layer but received 2/ })
  })

  it('rollback takes tokens back where only their slots came of them, and says so where more did', async () => {
    for (const policy of [
      fullCache(),
      quest({ budget: 12, page: 4, wholeLayers: 0 }),
      snapkv({ budget: 12, window: 4 }),
    ]) {
      const [cache, never] = [
        await filled(policy, 40, 9, { trace: true }),
        await filled(policy, 40, 4, { trace: true }),
      ]
      cache.rollback(5)
      assert.equal(cache.receipt().seqLen, 44)
      assert.deepEqual(cache.events(), never.events())
      const { q, k, v } = inputs(901, 1)
      assert.deepEqual(await cache.step(1, q, k, v), await never.step(1, q, k, v), policy.name)
    }
    const kept = await filled(zsmerge({ budget: 12, recent: 4, residual: 1 }), 40, 9)
    const before = kept.state(1)
    assert.throws(() => kept.rollback(1), {
      code: 'unsupported',
      message: /attention of the last 1 tokens is in the scores of all: fork before them/,
    })
    assert.deepEqual(kept.state(1), before)
    const cache = await filled(fullCache(), 4, 0)
    assert.throws(() => cache.rollback(4), { code: 'invalid', message: /tokens is 4 of 4 seen/ })
    assert.throws(() => cache.rollback(0.5), { code: 'invalid', message: /for tokens but received 0.5/ })
  })

  it('quest reads several tokens one after another, query heads apart or together', async () => {
    const one = async (granularity: 'query' | 'head', together: boolean) => {
      const cache = await filled(quest({ budget: 12, page: 4, wholeLayers: 0, granularity }), 40, 0)
      const { q, k, v } = inputs(77, 3)
      if (together) return cache.extend(0, q, k, v)
      const { heads, kvHeads, headDim } = SHAPE
      const row = (from: Float32Array, count: number, t: number) =>
        Float32Array.from({ length: count * headDim }, (_, i) => {
          const head = Math.trunc(i / headDim)
          return from[(head * 3 + t) * headDim + (i % headDim)]
        })
      const out = new Float32Array(heads * 3 * headDim)
      for (let t = 0; t < 3; t++) {
        const found = await cache.step(0, row(q, heads, t), row(k, kvHeads, t), row(v, kvHeads, t))
        for (let i = 0; i < found.length; i++)
          out[(Math.trunc(i / headDim) * 3 + t) * headDim + (i % headDim)] = found[i]
      }
      return out
    }
    const apart = await one('query', true)
    assert.deepEqual(await one('query', false), apart)
    const together = await one('head', true)
    assert.deepEqual(await one('head', false), together)
    assert.notDeepEqual(together, apart)
  })

  it('adakv gives a layer the same slots, shared out by score, and keeps what its policy always keeps', async () => {
    for (const of of [
      snapkv({ budget: 12, window: 4, kernel: 3 }),
      zsmerge({ budget: 14, recent: 4, residual: 2, sink: 1 }),
      evictOnly({ budget: 12, recent: 4 }),
      random({ budget: 12 }),
    ]) {
      const cache = await filled(adakv({ of, floor: 0.2 }), 60, of.acts === 'prompt' ? 0 : 30)
      const resolved = cache.resolved!
      const budgets = resolved.heads?.map((heads) => heads.map(({ budget }) => budget))
      for (let layer = 0; layer < SHAPE.layers; layer++) {
        const { slots } = cache.state(layer)
        assert.equal(
          slots.reduce((a, b) => a + b),
          SHAPE.kvHeads * of.native.budget,
          of.name,
        )
        if (budgets) assert.deepEqual(slots, budgets[layer])
        for (const { recent, residual, sink, context, budget } of resolved.heads?.[layer] ?? [])
          assert.deepEqual([budget - context, context >= 0], [recent + residual + sink, true])
      }
      if (of.name !== 'random') assert.ok(budgets, `${of.name}: heads are all alike`)
    }
  })

  it('adakv with floor 1 is its policy, and refuses what cannot be shared out, with the reason', async () => {
    const of = snapkv({ budget: 12, window: 4, kernel: 3 })
    const [plain, whole] = [await filled(of, 60, 3), await filled(adakv({ of, floor: 1 }), 60, 3)]
    assert.deepEqual(whole.state(1), plain.state(1))
    for (const [make, says] of [
      [() => adakv({ of: fullCache() }), /cannot work on full, which keeps every token/],
      [() => adakv({ of: quest() }), /cannot work on quest/],
      [() => quest({ page: 0 }), /for page but received 0/],
      [() => adakv({ of: streaming() }), /cannot work on streaming as it is set, which keeps no scores/],
      [
        () => adakv({ of: tova() }),
        /cannot work on tova as it is set, since the heads of a layer keep the same positions/,
      ],
      [() => adakv({ of: zsmerge({ granularity: 'layer' }) }), /cannot work on zsmerge as it is set, since the heads/],
      [
        () => adakv({ of: evictOnly({ history: 'off' }) }),
        /cannot work on evict-only as it is set, which keeps no scores/,
      ],
      [() => adakv({ of: adakv({ of }) }), /which is a wrapper itself/],
      [() => adakv({} as never), /expected a policy such as zsmerge/],
      [() => adakv({ of, floor: 2 }), /for floor but received 2/],
      [() => snapkv({ kernel: 4 }), /an odd number for kernel but received 4/],
      [() => snapkv({ variant: 'mine' as 'kvpress' }), /one of 'official', 'kvpress' for variant/],
      [() => random({ seed: 1.5 }), /seed but received 1.5/],
    ] as [() => unknown, RegExp][])
      assert.throws(make, { code: 'invalid', message: says })
    const cache = createCache({ ...SHAPE, policy: snapkv({ budget: 4, window: 4 }) })
    const { q, k, v } = inputs(1, 30)
    await assert.rejects(cache.prefill(0, q, k, v), {
      code: 'invalid',
      message: /budget is 4 slots; more than recent \(4\)/,
    })
    const small = createCache({ ...SHAPE, policy: quest({ budget: 8, page: 16 }) })
    await assert.rejects(small.prefill(0, q, k, v), {
      code: 'invalid',
      message: /budget is 8 slots, less than a page of 16/,
    })
    const press = createCache({ ...SHAPE, policy: snapkv({ variant: 'kvpress', budget: 0.5 }) })
    await assert.rejects(press.prefill(0, q, k, v), { code: 'invalid', message: /more than its window of 64/ })
  })
})

describe('budgets by head', () => {
  const budgets = [
    [8, 16, 0.25],
    [30, 9, 12],
  ]

  it('are held head by head, allocated as such, and errors name the head', async () => {
    const cache = await filled(zsmerge({ budget: 12, recent: 0.5, residual: 1 }), 40, 70, { budgets })
    assert.deepEqual(
      [cache.state(0).slots, cache.state(1).slots],
      [
        [8, 16, 16],
        [30, 9, 12],
      ],
    )
    const heads = cache.resolved!.heads!
    assert.deepEqual(
      heads.map((layer) => layer.map(({ recent }) => recent)),
      [
        [4, 8, 8],
        [15, 4, 6],
      ],
    )
    assert.equal(cache.resolved!.budget, Math.trunc((8 + 16 + 16 + 30 + 9 + 12) / 6))
    const { byLayer } = cache.bytes()
    const used = byLayer.map((layer) => layer.map(({ context, recent }) => (context + recent) / (2 * 4 * 16)))
    assert.ok(used[1][0] > used[1][1] && used[0][2] > used[0][0], String(used))
    const { q, k, v } = inputs(1, 40)
    const tight = createCache({
      ...SHAPE,
      policy: zsmerge({ budget: 20, recent: 8 }),
      budgets: [
        [20, 20, 20],
        [20, 6, 20],
      ],
    })
    await tight.prefill(0, q, k, v)
    await assert.rejects(tight.prefill(1, q, k, v), {
      code: 'invalid',
      message: /^layer 1, kv head 1: budget is 6 slots/,
    })
  })

  it('equal ones are the policy’s own, to the bit', async () => {
    const policy = zsmerge({ budget: 12, recent: 4, residual: 2 })
    const plain = await filled(policy, 30, 20)
    const given = await filled(policy, 30, 20, {
      budgets: [
        [12, 12, 12],
        [12, 12, 12],
      ],
    })
    for (let layer = 0; layer < SHAPE.layers; layer++) assert.deepEqual(given.state(layer), plain.state(layer))
  })

  it('are refused where they cannot hold', () => {
    for (const [policy, given, says] of [
      [zsmerge(), [[1, 2]], /an array \[2 layers\]\[3 kv heads\] of slots or shares for budgets/],
      [
        zsmerge(),
        [
          [8, 8],
          [8, 8, 8],
        ],
        /3 numbers, one a kv head for budgets\[0\]/,
      ],
      [
        zsmerge(),
        [
          [8, 8, 8],
          [8, -1, 8],
        ],
        /for budgets\[1\]\[1\] but received -1/,
      ],
      [fullCache(), budgets, /budgets are given, but full keeps every token/],
      [tova({ budget: 8 }), budgets, /the heads of a layer keep the same positions/],
      [adakv({ of: random({ budget: 8 }) }), budgets, /adakv shares the slots out itself/],
    ] as [Policy, number[][], RegExp][])
      assert.throws(() => createCache({ ...SHAPE, policy, budgets: given }), { code: 'invalid', message: says })
  })

  it('granularity model chooses after the last layer, for all layers alike', async () => {
    const policy = zsmerge({ budget: 14, recent: 4, residual: 0, granularity: 'model' })
    const cache = await filled(policy, 40, 30)
    const all = [0, 1].flatMap((layer) => positions(cache, layer))
    for (const head of all) assert.deepEqual(head, all[0])
    const { q, k, v } = inputs(7, 1)
    await assert.rejects(cache.step(1, q, k, v), {
      code: 'invalid',
      message: /layer 1 comes out of turn, layer 0 is due/,
    })
    await cache.step(0, q, k, v)
    await assert.rejects(cache.step(0, q, k, v), {
      code: 'invalid',
      message: /layer 0 comes out of turn, layer 1 is due/,
    })
  })

  it('origins can be left out: the same slots, fewer bytes', async () => {
    const policy = zsmerge({ budget: 14, recent: 4, residual: 2 })
    const [full, counted] = [await filled(policy, 300, 30), await filled(policy, 300, 30, { origins: false })]
    assert.deepEqual(counted.state(0).weights, full.state(0).weights)
    assert.equal(counted.receipt().checks.positionsOnce, undefined)
    assert.ok(counted.bytes().byRegion.bookkeeping < full.bytes().byRegion.bookkeeping / 2)
  })

  it('bookkeeping at a budget of 10%: without origins at most 5% of keys and values, with them 4 bytes a token more', async function () {
    this.timeout(300_000)
    const [tokens, budget, shape] = [20_000, 2000, { layers: 1, heads: 1, kvHeads: 1, headDim: 64 }]
    const { q, k, v } = inputsOf(shape)(5, budget)
    for (const storage of ['float32', 'bfloat16'] as const) {
      const held = []
      for (const origins of [false, true]) {
        const policy = zsmerge({ budget, chunk: budget })
        const cache = createCache({ ...shape, policy, storage, origins, trace: false })
        await cache.prefill(0, q, k, v)
        for (let seen = budget; seen < tokens; seen += budget) await cache.extend(0, q, k, v)
        const { residual, sink, context, recent, bookkeeping } = cache.bytes().byRegion
        held.push(bookkeeping)
        const share = bookkeeping / (residual + sink + context + recent)
        assert.ok(origins || share <= 0.05, `${storage}: ${share}`)
        cache.dispose()
      }
      const each = (held[1] - held[0]) / tokens
      assert.ok(each >= 4 && each < 4.5, `${storage}: ${each} bytes a token`)
    }
  })
})
