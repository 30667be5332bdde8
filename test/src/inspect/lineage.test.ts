/** Lineages: members, steps and shares against the caches that merged them; drift, coherence and key gap worked out plainly. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createCache, load, Trace, zsmerge, ZslabError, type Model, type ZsmergeOptions } from '../../../src/index.js'
import { coherenceOf } from '../../../src/inspect/coherence.js'
import { membersAt } from '../../../src/trace/lineage.js'
import { rowsByHead } from '../../../src/trace/rebuild.js'
import { mergesOf, sharesOf } from '../../../src/trace/shares.js'
import { inputsOf } from '../attention-inputs.js'
import { draws, ownFolder, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'
import { distance, dot, headOf, row, total } from './heads.js'

const SHAPE = { layers: 1, heads: 4, kvHeads: 2, headDim: 8 }

/** Every key and value that each kv head was given, and the cache that took them. */
async function merged(seed: number) {
  const draw = draws(seed + 31)
  const one = <T>(...from: T[]): T => from[draw(from.length)]
  const aggregate = one('mean', 'mean', 'score', 'medoid')
  const options = {
    budget: 12,
    recent: one(1, 3),
    residual: one(1, 2, 3),
    init: one('position', 'similarity'),
    scoreMerge: one('max', 'sum'),
    underfull: one('compress', 'first-tokens'),
    aggregate,
    ...(aggregate === 'mean' && { keys: one('mean', 'fixed'), values: one('mean', 'fixed') }),
  } as ZsmergeOptions
  const policy = zsmerge(options)
  const cache = createCache({ ...SHAPE, policy, trace: true, threads: 1 })
  const inputs = inputsOf(SHAPE)
  const given = Array.from({ length: SHAPE.kvHeads }, () => ({ k: [] as number[][], v: [] as number[][] }))
  const prompt = one(5, 12, 40)
  const came: number[] = []
  for (let step = 0; step <= 20; step++) {
    const tokens = step ? 1 : prompt
    const { q, k, v } = inputs(seed * 100 + step, tokens)
    await (step ? cache.step(0, q, k, v) : cache.prefill(0, q, k, v))
    for (let token = 0; token < tokens; token++) {
      came.push(step)
      given.forEach((head, kvHead) => {
        head.k.push(row(k, SHAPE.headDim, kvHead * tokens + token))
        head.v.push(row(v, SHAPE.headDim, kvHead * tokens + token))
      })
    }
  }
  return { cache, policy, given, came, options }
}

const near = (found: number, expected: number, tolerance: number, say = '') =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${say}: ${found}, expected ${expected}`)

describe('lineage', function () {
  this.timeout(300_000)

  it('members by their shares are the key and value that the cache holds, however it merges', async () => {
    for (let seed = 0; seed < alike(300, 24); seed++) {
      const { cache, policy, given, came, options } = await merged(seed)
      const how = mergesOf({ name: policy.name, mode: undefined, acts: '', options: { ...policy.options } })
      const events = cache.events()
      const rows = rowsByHead(events, 1, SHAPE.kvHeads)
      const state = cache.state(0)
      let at = 0
      for (let kvHead = 0; kvHead < SHAPE.kvHeads; kvHead++)
        for (const [slot, origins] of state.origins[kvHead].entries()) {
          const say = `seed ${seed}, ${JSON.stringify(options)}, slot ${slot}`
          const members = membersAt(events, rows[kvHead], 20, slot, how)
          assert.deepEqual(
            members.map(({ position }) => position),
            [...origins],
            say,
          )
          for (const [i, { position, step, similarity }] of members.entries()) {
            assert.ok(i ? step >= members[i - 1].step || i === 1 : step === came[position], say)
            assert.ok(step >= came[position], say)
            if (!i) assert.equal(similarity, null)
          }
          for (const [name, shares] of [
            ['k', members.map(({ keyShare }) => keyShare!)],
            ['v', members.map(({ valueShare }) => valueShare!)],
          ] as const) {
            near(total(shares), 1, 1e-12, say)
            const held = row(name === 'k' ? state.keys : state.values, SHAPE.headDim, at)
            for (let j = 0; j < SHAPE.headDim; j++) {
              const expected = total(members.map(({ position }, i) => shares[i] * given[kvHead][name][position][j]))
              near(held[j], expected, 1e-4, say)
            }
          }
          at++
        }
      cache.dispose()
    }
  })

  it('shares of a long chain are those of a running mean', () => {
    const arrivals = Array.from({ length: 50_000 }, (_, i) => ({
      tokens: 1,
      score: 1,
      similarity: 0,
      targetScore: 1,
      targetWeight: i + 1,
    }))
    const { keys, values } = sharesOf(arrivals, { aggregate: 'mean', keys: 'mean', values: 'fixed' })
    for (const share of keys) near(share * 50_001, 1, 1e-9)
    assert.deepEqual([values[0], Math.max(...values.slice(1))], [1, 0])
  })

  it('drift, coherence and key gap', () => {
    for (let seed = 0; seed < alike(200, 20); seed++) {
      const { vectors, reads } = headOf(seed, { sameKeys: seed % 5 === 4 })
      const { headDim: d, group } = vectors
      const read = reads[seed % reads.length]
      for (const { origins } of read.slots) {
        const share = (i: number) => (i + 1) / total(origins.map((_, j) => j + 1))
        const members = origins.map((position, i) => ({ position, keyShare: share(i), valueShare: i ? 0 : 1 }))
        const found = coherenceOf(vectors, members, read.position)
        const keys = origins.map((position) => row(vectors.keys, d, position))
        const values = origins.map((position) => row(vectors.values, d, position))
        const slot = keys[0].map((_, j) => total(keys.map((key, i) => share(i) * key[j])))
        const cosines = (rows: number[][]) =>
          rows.flatMap((a, i) =>
            rows.flatMap((b, j) => (i < j ? [dot(a, b) / Math.hypot(...a) / Math.hypot(...b)] : [])),
          )
        for (const [i, key] of keys.entries()) {
          near(found.keyDrift[i], distance(key, slot), 1e-10)
          near(found.valueDrift[i], distance(values[i], values[0]), 1e-10)
          const gaps = Array.from({ length: (read.position + 1) * group }, (_, at) => {
            const q = row(vectors.queries, d, at)
            return (dot(q, key) - dot(q, slot)) / Math.sqrt(d)
          })
          const mean = total(gaps) / gaps.length
          near(found.keyGap[i], Math.sqrt(total(gaps.map((gap) => (gap - mean) ** 2)) / gaps.length), 1e-10)
          assert.equal(found.queries, gaps.length)
        }
        if (origins.length === 1) assert.deepEqual([found.keyCoherence, found.valueCoherence], [null, null])
        else {
          near(found.keyCoherence!, total(cosines(keys)) / cosines(keys).length, 1e-10)
          near(found.valueCoherence!, total(cosines(values)) / cosines(values).length, 1e-10)
        }
        if (seed % 5 === 4 && origins.length > 1) near(found.medianKeyGap, 0, 1e-6)
        const sorted = [...found.keyGap].sort((a, b) => a - b)
        near(found.medianKeyGap, (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2, 1e-12)
      }
    }
  })

  it('only the last 128 rows of queries count, up to the step', () => {
    const { vectors } = headOf(3, { group: 2, headDim: 4, promptTokens: 150, tokens: 160 })
    const members = [3, 8].map((position) => ({ position, keyShare: 0.5, valueShare: 0.5 }))
    const whole = coherenceOf(vectors, members, 155)
    assert.equal(whole.queries, 256)
    const cut = { ...vectors, firstQuery: 28, queries: vectors.queries.slice(28 * 8, 156 * 8) }
    assert.deepEqual(coherenceOf(cut, members, 155), whole)
    assert.throws(() => coherenceOf(cut, members, 156), /position/)
    const zero = { ...vectors, keys: vectors.keys.slice().fill(0, 12, 16) }
    near(coherenceOf(zero, members, 155).keyCoherence!, 0, 1e-12)
  })

  describe('of a run', () => {
    const folder = ownFolder()
    let model: Model
    before(async () => void (model = await load(toyPath, { weights: 'float32', progress: false })))
    after(() => model.dispose())

    it('says members, steps and text, from a file too; refuses what there is not', async () => {
      const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
      const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
      const { trace } = await session.generate(prompt, { maxTokens: 12, ignoreEos: true, progress: false })
      const found = trace.lineage({ layer: 1, kvHead: 0, slot: 1 })
      const { slots } = trace.cacheAt({ layer: 1, kvHead: 0 })
      assert.deepEqual(
        found.members.map(({ position }) => position),
        slots[1].origins,
      )
      assert.equal(found.text, slots[1].origins.map((position) => trace.data().tokens[position].text).join(''))
      assert.equal(found.weight, slots[1].weight)
      assert.equal(found.coherence, null)
      assert.match(inspect(found), /^Lineage of slot 1 in layer 1, kv head 0 at the end of step 11: \d+ tokens/)
      assert.match(inspect(found), /level: 'vectors'/)
      assert.equal(found.csv().split('\n').length, found.weight + 2)
      const opened = await Trace.open(await trace.save(join(folder, 'run.arrow')))
      const of = { step: 5, layer: 0, kvHead: 0, slot: 0 }
      assert.deepEqual(opened.lineage(of).table(), trace.lineage(of).table())
      assert.deepEqual(
        trace.lineage(of).members.map(({ position }) => position),
        trace.cacheAt({ step: 5, layer: 0, kvHead: 0 }).slots[0].origins,
      )
      for (const [wrong, expected] of [
        [{ layer: 9, kvHead: 0, slot: 0 }, /layer/],
        [{ layer: 0, kvHead: 0, slot: 24 }, /no slot 24 at the end of step 11: this head had slots 0 to 23/],
        [{ layer: 0, kvHead: 0, slot: 0, step: 12 }, /step/],
        [{ layer: 0, kvHead: 0, slots: 0 }, /did you mean 'slot'/],
      ] as const)
        assert.throws(
          () => trace.lineage(wrong as never),
          (error: unknown) => error instanceof ZslabError && error.code === 'invalid' && expected.test(error.message),
        )
      session.dispose()
    })

    it('measures how well the slot stands for its members where vectors were kept', async () => {
      const policy = zsmerge({ budget: 24, recent: 8, residual: 2, keys: 'fixed' })
      const session = model.session({ policy, trace: { level: 'vectors', layers: [1] } })
      const prompt = Array.from({ length: 60 }, (_, i) => (i * 11) % 250)
      const run = await session.generate(prompt, { maxTokens: 12, ignoreEos: true, progress: false })
      const found = run.trace.lineage({ step: 6, layer: 1, kvHead: 0, slot: 0 })
      const shares = found.members.map(({ position, keyShare, valueShare }) => ({
        position,
        keyShare: keyShare!,
        valueShare: valueShare!,
      }))
      assert.deepEqual(found.coherence, coherenceOf(run.vectors({ layer: 1, kvHead: 0 }), shares, 65))
      const seed = shares.findIndex(({ keyShare }) => keyShare === 1)
      assert.equal(found.coherence!.keyDrift[seed], 0)
      assert.ok(found.coherence!.valueDrift[seed] > 0)
      assert.match(inspect(found), /key gap σ \d/)
      assert.equal(run.trace.lineage({ layer: 0, kvHead: 0, slot: 0 }).coherence, null)
      session.dispose()
    })
  })
})
