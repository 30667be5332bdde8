/** Slots of any step from the events alone: over policies, options, lengths, groups and budgets by head, and from a saved file's columns. */
import assert from 'node:assert/strict'
import {
  adakv,
  createCache,
  evictOnly,
  fullCache,
  load,
  lorc,
  minicache,
  quest,
  random,
  snapkv,
  streaming,
  think,
  tova,
  zsmerge,
  ZslabError,
  type Cache,
  type CacheOptions,
  type Policy,
} from '../../../src/index.js'
import type { EventColumns } from '../../../src/native/binding.js'
import { ACTION, REASONS } from '../../../src/trace/actions.js'
import { EVENT_COLUMNS, laidOut } from '../../../src/trace/columns.js'
import { arrowOf, arrowRead } from '../../../src/trace/files/arrow.js'
import { HeadLedger, rowsByHead } from '../../../src/trace/rebuild.js'
import { h2o } from '../../../bench/policies/h2o.js'
import { inputsOf } from '../attention-inputs.js'
import { draws, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'

const LAYERS = 3
const HEAD_DIM = 8
const WIDTH = 12

interface Run {
  options: CacheOptions
  prompt: number
  /** Tokens of each later call. */
  calls: number[]
}

function runOf(seed: number): Run {
  const draw = draws(seed * 7919 + 1)
  const one = <T>(...from: T[]): T => from[draw(from.length)]
  const kvHeads = one(1, 2, 3)
  const heads = kvHeads * one(1, 3, 4)
  const recent = one(1, 2, 5)
  const residual = one(0, 1, 3)
  const sink = one(0, 2)
  const budget = recent + residual + sink + one(1, 4, 9, 20)
  const history = one({ decay: 0.9 }, { decay: 1 }, {}, { history: 'off' } as const)
  const scored = !('history' in history)
  const plain = (): Policy =>
    one<() => Policy>(
      () => fullCache(),
      () => snapkv({ budget: budget + 8, window: one(2, 5), kernel: one(1, 3), pooling: one('avg', 'max') }),
      () => random({ budget, seed: draw(99) }),
      () => evictOnly({ budget: recent + sink + 6, recent, sink, ...history }),
      () => tova({ budget }),
      () => streaming({ budget: budget + sink, sink }),
    )()
  const aggregate = one('mean', 'mean', 'score', 'medoid')
  const policy = one<() => Policy>(
    plain,
    () =>
      zsmerge({
        budget,
        recent,
        residual,
        sink,
        ...history,
        ...(aggregate === 'mean' && { keys: one('mean', 'fixed'), values: one('mean', 'fixed') }),
        ...(scored && { aggregate }),
        init: one('position', 'similarity'),
        similarity: one('dot', 'l2', 'cosine'),
        scoreMerge: one('max', 'sum'),
        underfull: one('compress', 'first-tokens'),
        granularity: one('head', 'head', 'layer', 'model'),
      }),
    () =>
      adakv({
        of: one(snapkv({ budget: 20, window: 4 }), random({ budget: 12 }), zsmerge({ budget: 20, residual: 2 })),
      }),
    () => quest({ budget: 20 }),
    () => think({ of: one(fullCache(), snapkv({ budget: 20, window: 4 })), recent: one(0, 5), window: 4 }),
    () => minicache({ start: one(0, 1), retain: one(0, 0.3, 0.7) }),
    () => lorc({ rank: 4, ramp: 'flat' }),
    () => streaming({ budget: budget + sink, sink, positions: 'cache', stride: one(0, 7) }),
    () => h2o({ budget: 14 }),
  )()
  const layers = (count: number) =>
    Array.from({ length: LAYERS }, () => inputsOf({ heads: 1, kvHeads: 1, headDim: count })(seed, 1).q)
  const ragged = policy.name === 'zsmerge' || policy.name === 'evict-only' || policy.name === 'random'
  const budgets =
    ragged && policy.options.granularity !== 'layer' && policy.options.granularity !== 'model' && draw(2) === 1
      ? Array.from({ length: LAYERS }, () => Array.from({ length: kvHeads }, () => budget + 6 + draw(12)))
      : undefined
  return {
    options: {
      layers: LAYERS,
      heads,
      kvHeads,
      headDim: HEAD_DIM,
      policy,
      trace: true,
      threads: 1,
      ...(budgets && { budgets }),
      ...(policy.rotates && { rotation: { dims: HEAD_DIM, base: 10_000 } }),
      ...(policy.projects && {
        projections: {
          width: WIDTH,
          keys: layers(kvHeads * HEAD_DIM * WIDTH),
          values: layers(kvHeads * HEAD_DIM * WIDTH),
        },
      }),
    },
    prompt: one(1, 9, 40, 70),
    calls: Array.from({ length: one(0, 3, 30) }, () => one(1, 1, 1, 1, 6)),
  }
}

async function ran({ options, prompt, calls }: Run, seed: number, asks?: Asks): Promise<Cache> {
  const inputs = inputsOf(options)
  const draw = draws(seed * 31 + 7)
  const cache = createCache(options)
  for (const [at, tokens] of [prompt, ...calls].entries())
    for (let layer = 0; layer < LAYERS; layer++) {
      const { q, k, v } = inputs(seed + 100 * at + layer, tokens)
      if (at === 0) await cache.prefill(layer, q, k, v)
      else if (tokens === 1) await cache.step(layer, q, k, v)
      else await cache.extend(layer, q, k, v)
      if (layer === LAYERS - 1 && asks) await asked(cache, options, draw, asks)
    }
  return cache
}

type Asks = Record<'pin' | 'evict' | 'unevict' | 'refused', number>

/** Tokens are asked to leave, to stay or to come back, of those that there are; what cannot be done changes nothing. */
async function asked(cache: Cache, { kvHeads, layers }: CacheOptions, draw: (count: number) => number, asks: Asks) {
  const tokens = cache.receipt().seqLen
  for (let i = draw(4); i > 0; i--) {
    const all = draw(2) === 0
    const token = {
      position: draw(tokens),
      ...(!all && { layers: [draw(layers)] }),
      ...(draw(3) === 0 && { kvHeads: [draw(kvHeads)] }),
    }
    const what = (['pin', 'evict', 'unevict'] as const)[draw(3)]
    const one = () => Float32Array.from({ length: layers * kvHeads * HEAD_DIM }, () => draw(100) / 50 - 1)
    const before = cache.events().count
    try {
      asks[what] += what === 'unevict' ? await cache.unevict(token, one(), one()) : await cache[what](token)
    } catch (error) {
      assert.ok(error instanceof ZslabError && ['invalid', 'unsupported'].includes(error.code), String(error))
      assert.equal(cache.events().count, before)
      asks.refused++
    }
  }
}

/** What the cache holds and what its events say that it holds: [layer][kvHead] of slots. */
function compared(cache: Cache, events: EventColumns, what: string): void {
  const layers = LAYERS
  const kvHeads = cache.state(0).slots.length
  const rows = rowsByHead(events, layers, kvHeads)
  for (let layer = 0; layer < layers; layer++) {
    const { origins, weights, slots } = cache.state(layer)
    let at = 0
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const ledger = new HeadLedger()
      for (const row of rows[layer * kvHeads + kvHead]) ledger.apply(events, row)
      const rebuilt = ledger.slots()
      assert.deepEqual(
        rebuilt.map((slot) => slot.origins),
        origins[kvHead].map((all) => Array.from(all)),
        `${what}: layer ${layer}, kv head ${kvHead}`,
      )
      assert.deepEqual(
        rebuilt.map(({ weight }) => weight),
        Array.from(weights.subarray(at, (at += slots[kvHead]))),
      )
      const lost = [...rebuilt.flatMap((slot) => slot.origins), ...ledger.dropped].sort((a, b) => a - b)
      assert.deepEqual(lost, [...lost.keys()], `${what}: each position once`)
    }
  }
}

/** The same columns as a file has them. */
function filed(events: EventColumns): EventColumns {
  const { column } = arrowRead(new Uint8Array(Buffer.concat(arrowOf(laidOut(events, String), new Map()))))
  return Object.assign(
    { count: events.count },
    ...EVENT_COLUMNS.map((of) => ({ [of.name]: column(of) })),
  ) as EventColumns
}

describe('slots from events', function () {
  this.timeout(600_000)

  it('of random runs under all policies, half of them with tokens that are asked things, are those of the cache, from a file’s columns too', async () => {
    const count = alike(10_000, 500)
    const names = new Set<string>()
    const asks = { pin: 0, evict: 0, unevict: 0, refused: 0 }
    for (let seed = 0; seed < count; seed++) {
      const run = runOf(seed)
      const { policy, kvHeads } = run.options
      const what = `seed ${seed}: ${policy.name} ${JSON.stringify(policy.options)} × ${kvHeads}, ${run.prompt} then ${run.calls.join(' ')}`
      const cache = await ran(run, seed, seed % 2 ? asks : undefined).catch((error: Error) =>
        assert.fail(`${what}: ${error.message}`),
      )
      names.add(policy.name)
      compared(cache, cache.events(), what)
      if (seed % 5 === 0) compared(cache, filed(cache.events()), `${what}, from a file`)
      cache.dispose()
    }
    assert.equal(names.size, 13, [...names].join())
    assert.ok(
      Object.values(asks).every((times) => times > 200),
      JSON.stringify(asks),
    )
  })

  it('of a fork and of what came after it are its own', async () => {
    const run = { ...runOf(3), prompt: 30, calls: [1, 1, 1] }
    run.options.policy = zsmerge({ budget: 20, recent: 5, residual: 2 })
    const cache = await ran(run, 5)
    const fork = await cache.fork()
    const { q, k, v } = inputsOf(run.options)(77, 1)
    for (let layer = 0; layer < LAYERS; layer++) await fork.step(layer, q, k, v)
    compared(fork, fork.events(), 'fork')
    compared(cache, cache.events(), 'what it was made from')
  })

  it('say at every step what a run that ends there says at its end', async () => {
    const model = await load(toyPath, { progress: false })
    const run = await model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true }).generate(
      Array.from({ length: 60 }, (_, i) => (i * 7) % 250),
      { maxTokens: 9, ignoreEos: true, progress: false },
    )
    const last = run.trace.lastStep
    assert.equal(last, 8)
    const { origins } = run.data()
    const at = run.trace.cacheAt({ layer: 2, kvHead: 1 })
    assert.deepEqual(
      at.slots.map((slot) => slot.origins),
      origins[2].kvHeads[1].map((all) => Array.from(all)),
    )
    assert.deepEqual(at, run.trace.cacheAt({ step: last, layer: 2, kvHead: 1 }))
    for (let step = 0; step <= last; step++) {
      const { slots, dropped } = run.trace.cacheAt({ step, layer: 0, kvHead: 0 })
      assert.equal(slots.reduce((sum, { weight }) => sum + weight, 0) + dropped.length, 60 + step)
    }
    assert.throws(() => run.trace.cacheAt({ step: 9, layer: 0, kvHead: 0 }), /0 to 8 for step/)
    assert.throws(() => run.trace.cacheAt({ layer: 99, kvHead: 0 }), ZslabError)
    assert.throws(() => run.trace.cacheAt({ layer: 0, kvHead: -1 }), ZslabError)
    assert.throws(() => run.trace.cacheAt({ layer: 0, kvHead: 0, head: 1 } as never), /no option/)
    model.dispose()
  })

  it('are refused where the events do not tell one story', () => {
    const events = (...rows: number[][]) => ({
      step: rows.map(() => 0),
      weight: rows.map(() => 1),
      action: rows.map(([action]) => action),
      reason: rows.map(() => 0),
      position: rows.map(([, position]) => position),
      slot: rows.map(([, , slot]) => slot),
      target: rows.map(([, , , target]) => target),
    })
    const all = (...rows: number[][]) => {
      const ledger = new HeadLedger()
      rows.forEach((_, row) => ledger.apply(events(...rows), row))
      return ledger.slots()
    }
    assert.throws(() => all([ACTION.merge, 3, 1, 0]), /slot 0, where nothing is/)
    assert.throws(() => all([ACTION.leave, 3, 1, 0]), /position 3 was never admitted/)
    assert.throws(() => all([ACTION.admit, 3, 1, -1]), /nothing is in slot 0/)
    assert.throws(() => all([77, 3, 1, -1]), /no action 77/)
  })
})

describe('why somebody left', () => {
  it('a prompt: ranks follow the scores, and the threshold is the least score that stayed', async () => {
    for (const [seed, init] of [['similarity'], ['position'], ['similarity']].entries()) {
      const policy = zsmerge({ budget: 20, recent: 5, residual: 2, init: init[0] as 'position' })
      const cache = await ran(
        { options: { ...runOf(0).options, policy, budgets: undefined }, prompt: 60, calls: [] },
        seed,
      )
      const e = cache.events()
      for (const rows of rowsByHead(e, LAYERS, cache.state(0).slots.length)) {
        const of = (action: number) => Array.from(rows).filter((row) => e.action[row] === action)
        const left = of(ACTION.merge)
        const context = of(ACTION.admit).filter((row) => e.slot[row] >= 2 && e.slot[row] < 15)
        const threshold = Math.min(...context.map((row) => e.score[row]))
        for (const row of left) {
          assert.equal(REASONS[e.reason[row]], 'score')
          assert.equal(e.threshold[row], threshold)
          assert.ok(e.score[row] <= threshold)
        }
        const byRank = left.sort((a, b) => e.rank[a] - e.rank[b])
        for (let i = 1; i < byRank.length; i++) {
          const [before, after] = [byRank[i - 1], byRank[i]]
          assert.ok(e.rank[before] < e.rank[after] && e.score[before] <= e.score[after])
          if (e.score[before] === e.score[after]) assert.ok(e.position[before] > e.position[after])
        }
      }
    }
  })

  it('a step: the lowest of the candidates, and of those that stayed the lowest is the threshold', async () => {
    const options = { ...runOf(0).options, budgets: undefined, policy: evictOnly({ budget: 16, recent: 4, sink: 2 }) }
    const cache = await ran({ options, prompt: 40, calls: [] }, 1)
    let from = cache.events().count
    for (let step = 1; step < 20; step++) {
      for (let layer = 0; layer < LAYERS; layer++) {
        const { q, k, v } = inputsOf(options)(1000 * step + layer, 1)
        await cache.step(layer, q, k, v)
        const e = cache.events()
        const { scores, slots } = cache.state(layer)
        for (let row = from; row < e.count; row++) {
          if (e.action[row] === ACTION.leave) assert.equal(REASONS[e.reason[row]], 'age')
          if (e.action[row] === ACTION.admit) assert.equal(REASONS[e.reason[row]], 'token')
          if (e.action[row] !== ACTION.drop) continue
          const first = slots.slice(0, e.kvHead[row]).reduce((sum, count) => sum + count, 0)
          const context = scores.subarray(first + 2, first + 12)
          assert.equal(context.length, 10)
          assert.deepEqual([REASONS[e.reason[row]], e.rank[row]], ['score', 0])
          assert.equal(e.threshold[row], Math.min(...context))
          assert.ok(e.score[row] <= e.threshold[row])
        }
        from = e.count
      }
    }
  })

  it('a merge: the target’s score and weight before it, and the slot’s after it', async () => {
    const policy = zsmerge({ budget: 16, recent: 4, residual: 2, scoreMerge: 'sum' })
    const options = { ...runOf(0).options, budgets: undefined, policy }
    const cache = await ran({ options, prompt: 40, calls: [1] }, 2)
    const e = cache.events()
    const { scores, weights, slots } = cache.state(LAYERS - 1)
    for (let row = 0; row < e.count; row++) {
      if (e.action[row] !== ACTION.merge || e.step[row] !== 1 || e.layer[row] !== LAYERS - 1) continue
      const slot = slots.slice(0, e.kvHead[row]).reduce((sum, count) => sum + count, 0) + e.target[row]
      assert.equal(scores[slot], Math.fround(e.targetScore[row] + e.score[row]))
      assert.equal(weights[slot], e.targetWeight[row] + e.weight[row])
    }
  })

  it('without scores, and where heads choose together, there is no threshold', async () => {
    const options = { ...runOf(0).options, heads: 6, kvHeads: 2, budgets: undefined }
    const old = await ran(
      { options: { ...options, policy: streaming({ budget: 12, sink: 2 }) }, prompt: 30, calls: [1, 1] },
      1,
    )
    const together = zsmerge({ budget: 16, recent: 4, residual: 2, granularity: 'layer' })
    const layer = await ran({ options: { ...options, policy: together }, prompt: 30, calls: [1, 1] }, 1)
    const own = await ran({ options: { ...options, policy: h2o({ budget: 14 }) }, prompt: 30, calls: [1, 1] }, 1)
    for (const [cache, reason] of [
      [old, 'age'],
      [layer, 'score'],
      [own, 'choice'],
    ] as const) {
      const e = cache.events()
      const gone = Array.from(e.action.keys()).filter(
        (row) => e.action[row] === ACTION.drop || e.action[row] === ACTION.merge,
      )
      assert.ok(gone.length > 0)
      for (const row of gone) {
        assert.equal(REASONS[e.reason[row]], reason)
        assert.ok(Number.isNaN(e.threshold[row]))
        assert.equal(e.rank[row] < 0, reason === 'choice')
      }
    }
  })
})
