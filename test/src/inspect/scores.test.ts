/** What slots were worth, step by step: as the tape and attention by hand have it, over policies and all ways that tokens take. */
import assert from 'node:assert/strict'
import {
  adakv,
  createCache,
  evictOnly,
  fullCache,
  load,
  minicache,
  quest,
  random,
  snapkv,
  streaming,
  think,
  tova,
  zsmerge,
  type Cache,
  type CacheOptions,
  type HeadVectors,
  type Model,
  type Policy,
} from '../../../src/index.js'
import type { EventColumns } from '../../../src/native/binding.js'
import { ACTION } from '../../../src/trace/actions.js'
import { seedOf, seedsOf } from '../../../src/trace/lineage.js'
import { HeadLedger, rowsByHead } from '../../../src/trace/rebuild.js'
import { h2o } from '../../../bench/policies/h2o.js'
import { inputsOf } from '../attention-inputs.js'
import { MOST_SCORES } from '../../../src/trace/level.js'
import { checkRoom } from '../../../src/trace/room.js'
import { draws, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'

const LAYERS = 2

/** Policies, and whether attention over their slots can be had by hand from what the heads were given. */
const POLICIES: (readonly [() => Policy, boolean])[] = [
  [() => zsmerge({ budget: 14, recent: 4, residual: 2, chunk: 5, alpha: 0.7 }), true],
  [() => zsmerge({ budget: 14, recent: 4, residual: 2, chunk: 5, keys: 'fixed', values: 'fixed' }), true],
  [() => zsmerge({ budget: 14, recent: 4, residual: 2, granularity: 'model' }), true],
  [() => zsmerge({ budget: 14, recent: 4, residual: 2, granularity: 'layer', init: 'similarity' }), true],
  [() => zsmerge({ budget: 14, recent: 4, residual: 2, history: 'off', underfull: 'first-tokens' }), true],
  [() => evictOnly({ budget: 11, recent: 3, sink: 2, chunk: 4 }), true],
  [() => fullCache({ chunk: 6 }), true],
  [() => snapkv({ budget: 16, window: 4 }), true],
  [() => tova({ budget: 12 }), true],
  [() => random({ budget: 12, seed: 3 }), true],
  [() => streaming({ budget: 12, sink: 2 }), true],
  [() => streaming({ budget: 12, sink: 2, positions: 'cache', stride: 7 }), false],
  [() => streaming({ budget: 12, sink: 2, positions: 'cache' }), false],
  [() => quest({ budget: 32, wholeLayers: 0 }), false],
  [() => adakv({ of: snapkv({ budget: 20, window: 4 }) }), true],
  [() => think({ of: fullCache(), recent: 5, window: 4 }), false],
  [() => minicache({ start: 0 }), false],
  [() => h2o({ budget: 14 }), true],
]

async function fed(cache: Cache, options: CacheOptions, seed: number, calls: readonly number[], from = 0) {
  const inputs = inputsOf(options)
  for (const [at, tokens] of calls.entries())
    for (let layer = 0; layer < LAYERS; layer++) {
      const { q, k, v } = inputs(seed + 100 * (from + at) + layer, tokens)
      if (from + at === 0) await cache.prefill(layer, q, k, v)
      else await (tokens === 1 ? cache.step(layer, q, k, v) : cache.extend(layer, q, k, v))
    }
}

/** Probabilities that the query at `position` gives to slots of these members: mean of the group. */
function byHand(given: HeadVectors, position: number, slots: number[][], { options }: Policy): number[] {
  const { headDim: d, group, keys, queries, firstQuery } = given
  const mean = new Array<number>(slots.length).fill(0)
  for (let h = 0; h < group; h++) {
    const q = queries.subarray(((position - firstQuery) * group + h) * d, ((position - firstQuery) * group + h + 1) * d)
    const logits = slots.map((members) => {
      const of = options.keys === 'fixed' ? members.slice(0, 1) : members
      let sum = 0
      for (const m of of) for (let i = 0; i < d; i++) sum += (q[i] * keys[m * d + i]) / of.length
      return sum / Math.sqrt(d) + (Number(options.alpha) || 0) * Math.log(members.length)
    })
    const e = logits.map((logit) => Math.exp(logit - Math.max(...logits)))
    const all = e.reduce((sum, one) => sum + one)
    e.forEach((one, i) => (mean[i] += one / all / group))
  }
  return mean
}

/** Members of the slots that a call's last query read, whose key a slot began with at the front. */
function membersAt(
  events: EventColumns,
  rows: Int32Array,
  first: number,
  position: number,
  prompt: number,
): number[][] {
  const ledger = new HeadLedger()
  for (const row of rows) if (events.step[row] <= first - prompt) ledger.apply(events, row)
  const seeds = seedsOf(events, rows)
  const slots: number[][] = []
  ledger.each((_, origins) => {
    const seed = seedOf(seeds, origins) ?? origins[0]
    slots.push([seed, ...origins.filter((one) => one !== seed)])
  })
  for (let at = first; at <= position; at++) slots.push([at])
  return slots
}

describe('scores of slots', function () {
  this.timeout(300_000)

  it('are those that the tape and attention by hand have, under all policies', async () => {
    for (let seed = 0; seed < alike(400, 54); seed++) {
      const draw = draws(seed + 5)
      const one = <T>(...from: T[]): T => from[draw(from.length)]
      const [make, plain] = POLICIES[seed % POLICIES.length]
      const policy = make()
      const kvHeads = one(1, 2)
      const shape = { layers: LAYERS, heads: kvHeads * one(1, 3), kvHeads, headDim: 8 }
      const chosen = { layers: [1], every: one(1, 1, 2, 3) }
      const options: CacheOptions = {
        ...shape,
        policy,
        threads: 1,
        trace: plain ? { level: 'vectors', scores: true, ...chosen } : { level: 'scores', ...chosen },
        ...(policy.rotates && { rotation: { dims: 8, base: 10_000 } }),
      }
      const prompt = one(5, 12, 40, 300)
      // Under quest the tokens of a call read one after another.
      const most = policy.name === 'quest' ? 1 : 4
      const calls = [
        prompt,
        ...Array.from({ length: draw(20) }, () => one(1, 1, 1, 1, 1, Math.min(most, policy.native.chunk))),
      ]
      let cache = createCache(options)
      const half = 1 + draw(calls.length)
      await fed(cache, options, seed, calls.slice(0, half))
      const fork = await cache.fork()
      if (draw(2)) [cache] = [fork, cache.dispose()]
      await fed(cache, options, seed, calls.slice(half), half)
      const events = cache.events()
      const rows = rowsByHead(events, LAYERS, kvHeads)
      const starts = calls.reduce<number[]>((all, count) => [...all, all.at(-1)! + count], [0])
      const strided = Number(policy.options.stride) > 0
      const due = calls.flatMap((count, i) => {
        const [first, last] = i ? [starts[i] - prompt + 1, starts[i + 1] - prompt] : [0, 0]
        return Math.floor(last / chosen.every) * chosen.every < first || (strided && !i) ? [] : [last]
      })
      for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
        const what = `seed ${seed}, ${policy.name} ${JSON.stringify(policy.options)}, calls ${calls.join(' ')}, kv head ${kvHead}`
        const found = cache.scores({ layer: 1, kvHead })
        assert.deepEqual(Array.from(found.steps), due, what)
        const given = plain ? cache.vectors({ layer: 1, kvHead }) : undefined
        found.steps.forEach((step, i) => {
          const [from, to] = [found.starts[i], found.starts[i + 1]]
          const scores = found.scores.subarray(from, to)
          const probabilities = found.probabilities.subarray(from, to)
          const sum = probabilities.reduce((all, p) => all + p, 0)
          assert.ok(Math.abs(sum - 1) < 1e-5, `${what}: step ${step} adds up to ${sum}`)
          const alone = step === 0 || calls[starts.indexOf(found.queryPositions[i] + 1) - 1] === 1
          if (alone)
            for (const row of rows[kvHeads + kvHead]) {
              const { [row]: action } = events.action
              if (events.step[row] !== step || action === ACTION.settle || action === ACTION.place) continue
              const slot =
                step === 0 ? events.position[row] : action === ACTION.admit ? to - from - 1 : events.slot[row]
              const at = slot < 0 ? to - from - 1 : slot
              assert.equal(scores[at], events.score[row], `${what}: step ${step}, event ${row}`)
              assert.equal(found.positions[from + at], events.position[row], `${what}: step ${step}, event ${row}`)
            }
          if (!given) return
          const position = found.queryPositions[i]
          const first = starts[starts.indexOf(position + 1) - 1]
          const members = membersAt(events, rows[kvHeads + kvHead], first, position, prompt)
          const expected = byHand(given, position, members, policy)
          expected.forEach((p, slot) =>
            assert.ok(
              Math.abs(p - probabilities[slot]) < 2e-5,
              `${what}: step ${step}, slot ${slot}: ${p}, ${probabilities[slot]}`,
            ),
          )
        })
        if (found.steps.length) {
          const last = found.steps[found.steps.length - 1]
          const alone = cache.scores({ layer: 1, kvHead, step: last })
          assert.deepEqual(alone.scores, found.scores.slice(found.starts.at(-2)))
          assert.deepEqual(alone.positions, found.positions.slice(found.starts.at(-2)))
          assert.equal(alone.table().slot.length, alone.scores.length)
        }
      }
      cache.dispose()
      if (fork !== cache) fork.dispose()
    }
  })

  it('go with tokens that are taken back', async () => {
    const options: CacheOptions = {
      layers: LAYERS,
      heads: 2,
      kvHeads: 1,
      headDim: 8,
      policy: fullCache(),
      trace: 'scores',
    }
    const cache = createCache(options)
    await fed(cache, options, 1, [10, 1, 1, 1])
    const before = cache.scores({ layer: 1, kvHead: 0 })
    cache.rollback(2)
    const after = cache.scores({ layer: 1, kvHead: 0 })
    assert.deepEqual(after.steps, Int32Array.of(0, 1))
    assert.deepEqual(after.probabilities, before.probabilities.slice(0, 21))
    cache.dispose()
  })

  it('are refused above a size that is said, with how it comes about and what would fit', () => {
    const asked = { heads: 256, first: 0, steps: 32_768, every: 1, slots: 3277, most: 3277, held: 0 }
    assert.throws(
      () => checkRoom(asked),
      /would take 219\.9 GB \(32,768 steps × 256 heads × 3,277 slots × 8 B\), and a session keeps 2\.0 GB at most: name fewer heads .*every 110th step \(every: 110\)/,
    )
    checkRoom({ ...asked, every: 110 })
    checkRoom({ ...asked, heads: 1, slots: 1, most: Infinity, steps: 22_000 })
    assert.throws(() => checkRoom({ ...asked, heads: 1, slots: 1, most: Infinity, steps: 23_000 }), /11,501 slots/)
    assert.throws(() => checkRoom({ ...asked, every: 109 }), /every 109th of 32,768 steps/)
    checkRoom({ ...asked, heads: 2 })
    assert.throws(() => checkRoom({ ...asked, heads: 2, held: 3e8 }), /beside 300\.0 MB that the session has/)
    const exact = { ...asked, heads: 1, steps: 3, slots: 10, most: 12, first: MOST_SCORES / 8 - 33 }
    checkRoom(exact)
    assert.throws(() => checkRoom({ ...exact, first: exact.first + 1 }), /slots when the prompt has been read/)
  })

  it('errors say what was recorded and how to record it', async () => {
    const shape = { layers: LAYERS, heads: 2, kvHeads: 2, headDim: 8 }
    const create = (trace: CacheOptions['trace']) => createCache({ ...shape, policy: fullCache(), trace })
    const fails = (call: () => unknown, message: RegExp) => assert.throws(call, { code: 'invalid', message })
    for (const [trace, message] of [
      [{ level: 'scores', every: 0 }, /a whole number ≥ 1|from 1 to \d+ for trace\.every but received 0/],
      [
        { level: 'vectors', every: 2 },
        /trace\.every says at which steps scores are kept, but level 'vectors' keeps none/,
      ],
      [{ level: 'events', every: 2 }, /trace\.every says/],
      [{ level: 'scores', queries: 2 }, /trace\.queries says .* but level is 'scores': give level 'vectors'/],
      [{ level: 'scores', scores: true }, /trace\.scores asks for scores beside vectors/],
      [{ level: 'scores', kvHeads: [2] }, /from 0 to 1 for trace\.kvHeads\[0\] but received 2/],
      [{ level: 'scores', layer: 1 }, /trace has no option "layer", did you mean 'layers'\?/],
    ] as [CacheOptions['trace'], RegExp][])
      fails(() => create(trace), message)
    const options: CacheOptions = { ...shape, policy: fullCache(), trace: { level: 'scores', layers: [1], every: 3 } }
    const cache = createCache(options)
    fails(() => cache.scores({ layer: 1, kvHead: 0, step: 0 }), /nothing was read while they were kept/)
    await fed(cache, options, 1, [10, 1, 1, 1, 4])
    assert.deepEqual(cache.scores({ layer: 1, kvHead: 0 }).steps, Int32Array.of(0, 3, 7))
    fails(
      () => cache.scores({ layer: 1, kvHead: 0, step: 4 }),
      /scores of step 4 were not kept \(3 steps from 0 to 7 were kept, every 3rd, the nearest 3 and 7\): make the session with every: 1/,
    )
    fails(() => cache.scores({ layer: 1, kvHead: 0, step: 9 }), /nearest 7\): generate more tokens/)
    fails(
      () => cache.scores({ layer: 0, kvHead: 1 }),
      /the scores of layer 0, kv head 1 were not kept \(kept: layer 1, kv head 0; layer 1, kv head 1\): make the session with trace: \{ level: 'scores', layers: \[0\], kvHeads: \[1\] \}/,
    )
    fails(() => cache.scores({ layer: 2, kvHead: 0 }), /from 0 to 1 for layer but received 2/)
    fails(() => cache.scores({} as never), /for layer but received undefined/)
    fails(() => cache.scores(undefined as never), /for layer but received undefined/)
    fails(() => cache.vectors({ layer: 1, kvHead: 0 }), /vectors of .* were not kept \(trace was 'scores'\)/)
    cache.dispose()
  })
})

describe('scores of a run', function () {
  this.timeout(300_000)
  const PROMPT = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
  const CALL = { maxTokens: 8, ignoreEos: true, progress: false as const }
  const policy = zsmerge({ budget: 24, recent: 8, residual: 2 })
  let model: Model
  before(async () => void (model = await load(toyPath, { weights: 'float32', progress: false })))
  after(() => model.dispose())

  it('are the run’s, the session’s and its trace’s; forks and snapshots have their own', async () => {
    const session = model.session({ policy, trace: { level: 'scores', layers: [1] } })
    const run = await session.generate(PROMPT, CALL)
    const of = { layer: 1, kvHead: 1 }
    const found = run.scores(of)
    assert.deepEqual(Array.from(found.steps), [0, 1, 2, 3, 4, 5, 6, 7])
    assert.deepEqual(session.scores(of).probabilities, found.probabilities)
    const reads = run.reads(of)
    reads.forEach(({ slots }, i) => {
      const [from, to] = [found.starts[i + 1], found.starts[i + 2]]
      assert.deepEqual(
        Array.from(found.positions.subarray(from, to)),
        slots.map(({ position }) => position),
      )
      assert.deepEqual(
        Array.from(found.weights.subarray(from, to)),
        slots.map(({ weight }) => weight),
      )
    })
    const { token, score, probability, step } = found.table()
    assert.equal(token[0], run.data().tokens[0].text)
    assert.ok(score.every((one) => one !== null) && probability.every((one) => one !== null))
    assert.equal(step.length, 60 + 7 * 25)
    assert.match(found.csv(), /^step,slot,position,token,weight,score,probability\n0,0,0,/)
    assert.deepEqual(found.frame().columns, Object.keys(found.table()))

    const earlier = session.trace
    const snapshot = await session.snapshot()
    await session.generate([1, 2, 3], CALL)
    assert.deepEqual(Array.from(session.scores(of).steps.slice(8)), [11, 12, 13, 14, 15, 16, 17, 18])
    assert.deepEqual(earlier.scores(of).steps, found.steps)
    assert.deepEqual(run.scores(of).scores, found.scores)
    await session.restore(snapshot)
    assert.deepEqual(session.scores(of).steps, found.steps)
    await session.step(5) // after the token that was chosen last
    assert.deepEqual(Array.from(session.scores(of).steps.slice(8)), [9])
    snapshot.dispose()
    session.dispose()
    assert.deepEqual(run.scores({ ...of, step: 3 }).scores, found.scores.slice(found.starts[3], found.starts[4]))
  })

  it('are kept under every way to keep a cache', async () => {
    for (const one of [fullCache(), snapkv({ budget: 20, window: 4 }), tova({ budget: 20 }), quest({ budget: 32 })]) {
      const session = model.session({ policy: one, trace: { level: 'scores', layers: [2], kvHeads: [1] } })
      const run = await session.generate(PROMPT, CALL)
      const { probabilities, starts } = run.scores({ layer: 2, kvHead: 1, step: 7 })
      assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1) < 1e-5)
      assert.equal(starts[1], run.reads({ layer: 2, kvHead: 1 }).at(-1)!.slots.length)
      session.dispose()
    }
  })

  it('of a fork from a read prompt are those of a session that read it itself', async () => {
    const source = model.session({ forkable: true })
    await source.prefill(PROMPT)
    for (const one of [
      policy,
      snapkv({ budget: 20, window: 4 }),
      streaming({ budget: 20 }),
      evictOnly({ budget: 20 }),
    ]) {
      const fork = await source.fork({ policy: one, trace: 'scores' })
      const own = model.session({ policy: one, trace: 'scores' })
      await own.prefill(PROMPT)
      for (const session of [fork, own]) await session.step(9)
      for (const layer of [0, 2]) {
        const [a, b] = [fork, own].map((session) => session.scores({ layer, kvHead: 0 }))
        assert.deepEqual([a.steps, a.positions, a.scores], [b.steps, b.positions, b.scores], one.name)
        a.probabilities.forEach((p, i) => assert.ok(Math.abs(p - b.probabilities[i]) < 1e-6, one.name))
      }
      fork.dispose()
      own.dispose()
    }
    source.dispose()
  })

  it('too many are refused before anything is read', async () => {
    const endless = streaming({ budget: 24, sink: 2, positions: 'cache' })
    const session = model.session({ policy: endless, trace: { level: 'scores', layers: [0, 1], every: 10 } })
    const long = { ...CALL, maxTokens: 100_000_000 }
    await assert.rejects(async () => session.generate(PROMPT, long), {
      code: 'invalid',
      message:
        /would take 8\.0 GB \(every 10th of 99,999,999 steps, 60 slots when the prompt has been read, then 9,999,999 steps × 4 heads × 25 slots × 8 B\)/,
    })
    assert.equal(session.seqLen, 0)
    assert.equal((await session.generate(PROMPT, { ...CALL, maxTokens: 12 })).tokens.length, 12)
    await assert.rejects(async () => session.generate([4], long), /beside 800 bytes that the session has/)
    session.dispose()
    const run = await model.session({ policy, trace: 'events' }).generate(PROMPT, CALL)
    assert.throws(() => run.scores({ layer: 0, kvHead: 0 }), /were not kept \(trace was 'events'\)/)
    assert.throws(() => run.scores({ layer: 9, kvHead: 0 }), /from 0 to 2 for layer but received 9/)
  })
})
