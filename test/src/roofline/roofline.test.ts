/** Predictions: the published limits, what bounds a step, memory, break-even, and what is refused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { load, roofline, ROOFLINE_DEVICES, type RooflineOptions } from '../../../src/index.js'
import { askedOf, compressedSlots, fullSlots } from '../../../src/roofline/asked.js'
import { holdsFrom, MOST_CONTEXT } from '../../../src/roofline/break-even.js'
import { breakEvenOf, gainAt, stepTime } from '../../../src/roofline/predict.js'
import { toyPath } from '../model/files.js'
import { alike } from '../../scale.js'
import { anyShape } from './shapes.js'

const K = 1024
const near = (value: number, expected: number, relative = 1e-9) =>
  assert.ok(Math.abs(value - expected) <= relative * Math.abs(expected), `${value}, expected ${expected}`)

describe('roofline', function () {
  this.timeout(300_000)

  it('has the limits of weights and cache of 20 : 1', async () => {
    // (W + KV) / (W + KV / 20), bfloat16, batch 1, worked out from the shapes alone; k is 1,024.
    const published: [string, Record<number, number>][] = [
      ['llama2-7b', { 8: 1.3, 32: 2.16, 54: 2.88, 128: 4.92 }],
      ['llama3.1-8b', { 8: 1.07, 32: 1.27, 128: 2.03 }],
      ['smollm2-135m', { 8: 1.64, 32: 3.34, 128: 7.83 }],
    ]
    for (const [model, limits] of published)
      for (const [k, limit] of Object.entries(limits)) {
        const { ratios } = await roofline({ model, context: Number(k) * K, keep: 0.05 })
        assert.ok(Math.abs(ratios.weightsAndCache - limit) < 0.03, `${model} ${k}k: ${ratios.weightsAndCache}`)
      }
    const { ratios, compressed, full, label } = await roofline({ model: 'llama2-7b', context: 54 * K, keep: 0.05 })
    assert.equal(ratios.weightsAndCache.toFixed(2), '2.88')
    assert.equal(compressed.slots, 2764)
    assert.equal(label, 'predicted, not measured')
    // Weights 13.2 GB, keys and values 524,288 bytes a token, at 3.00 TB/s.
    near(full.microseconds, (13.2143 + 55_296 * 524_288e-9) / 3e-3, 0.02)
  })

  it('is the sum of its parts, and bytes over bandwidth where nothing is bound by arithmetic', async () => {
    const found = await roofline({ model: 'llama2-7b', context: 8 * K, keep: 0.1, bandwidth: 1e12 })
    for (const cache of [found.full, found.compressed]) {
      near(
        cache.parts.reduce((sum, { microseconds }) => sum + microseconds, 0),
        cache.microseconds,
      )
      near(
        cache.parts.reduce((sum, { share }) => sum + share, 0),
        1,
      )
      assert.ok(cache.parts.every(({ bound }) => bound === 'bandwidth'))
      near(cache.microseconds, cache.bytes / 1e6)
      near(cache.tokensPerSecond, 1e6 / cache.microseconds)
    }
    const table = found.table()
    assert.deepEqual(table.part.filter((_, i) => table.cache[i] === 'full').at(-1), 'total')
    assert.ok(table.label.every((label) => label === 'predicted, not measured'))
    assert.equal(found.csv().split('\n').length, 2 + table.part.length)
    assert.equal(JSON.parse(JSON.stringify(found)).full.bytes, found.full.bytes)
  })

  it('with many sequences matrices are bound by arithmetic, of float32 sooner', async () => {
    const boundAt = async (batch: number, weights: RooflineOptions['weights']) => {
      const { full } = await roofline({ model: 'llama2-7b', context: 128, budget: 64, batch, weights })
      return full.parts.find(({ part }) => part === 'weights')!
    }
    // 2 operations a weight and sequence against 2 bytes a weight: 989 / 3.0 sequences; float32 4 bytes, 67 / 3.0 · 2.
    assert.equal((await boundAt(329, 'bfloat16')).bound, 'bandwidth')
    assert.equal((await boundAt(330, 'bfloat16')).bound, 'arithmetic')
    const { microseconds } = await boundAt(1000, 'bfloat16')
    near(microseconds, (2 * 1000 * (6_738_415_616 - 32_000 * 4096)) / 989e6, 1e-3)
    assert.equal((await boundAt(44, 'float32')).bound, 'bandwidth')
    assert.equal((await boundAt(45, 'float32')).bound, 'arithmetic')
  })

  it('knows the largest batch and the longest context that memory has room for', async () => {
    const asked = { model: 'llama2-7b', context: 8 * K, keep: 0.1, batch: 4 } as const
    const { full, compressed, facts } = await roofline(asked)
    for (const { memory, largestBatch } of [full, compressed]) {
      assert.ok(memory.weights + largestBatch * memory.sequence <= facts.device.memory)
      assert.ok(memory.weights + (largestBatch + 1) * memory.sequence > facts.device.memory)
    }
    for (const name of ['full', 'compressed'] as const) {
      const longest = (await roofline(asked))[name].longest!
      const at = async (context: number) => (await roofline({ ...asked, context }))[name].largestBatch
      assert.ok((await at(longest)) >= 4 && (await at(longest + 1)) < 4)
    }
    // A cache of so many slots never outgrows it; and none fits beside weights that do not.
    const fixed = await roofline({ model: 'llama2-7b', context: 8 * K, budget: 512 })
    assert.equal(fixed.compressed.longest, null)
    const none = await roofline({ ...asked, memory: 1e9 })
    assert.deepEqual([none.full.largestBatch, none.full.longest, none.full.tokensPerSecondAtLargest], [0, 0, null])
  })

  it('break-even is a root: not before, and from it on', async () => {
    const seeded = await askedOf({ model: 'llama2-7b', context: 8 * K, keep: 0.05 })
    const numbers = fc.record({
      model: anyShape,
      batch: fc.integer({ min: 1, max: 64 }),
      size: fc.oneof(
        fc.record({ keep: fc.double({ min: 0.01, max: 0.95, noNaN: true }) }),
        fc.record({ budget: fc.integer({ min: 16, max: 4096 }) }),
      ),
      latency: fc.double({ min: 0, max: 50, noNaN: true }),
    })
    let [some, never] = [0, 0]
    const property = fc.asyncProperty(numbers, fc.integer({ min: 1, max: 1000 }), async ({ size, ...given }, far) => {
      const asked = await askedOf({ ...given, ...size, context: 8 * K })
      for (const { gain, byBytes, withLatency } of breakEvenOf(asked))
        for (const [found, latency] of [
          [byBytes, 0],
          [withLatency, given.latency],
        ] as const) {
          const pays = (context: number) => (gainAt(asked, context, latency) ?? 0) >= gain
          if (found === null) {
            never++
            assert.ok(!pays(MOST_CONTEXT))
            continue
          }
          some++
          if (found > 1) assert.ok(!pays(found - 1), `${gain}: pays before ${found}`)
          for (let after = 0; after < 300; after++) assert.ok(pays(found + after), `${gain}: ${found} + ${after}`)
          assert.ok(pays(Math.min(MOST_CONTEXT, found * far)))
        }
    })
    await fc.assert(property, { seed: 3, numRuns: alike(300, 40) })
    assert.ok(some > 50 && never > 0, `${some} roots, ${never} none`)
    // More sequences share the latency: it pays sooner.
    const [one, many] = [seeded, { ...seeded, batch: 32 }].map((asked) => breakEvenOf(asked)[0].withLatency!)
    assert.ok(many < one)
  })

  it('a budget that holds everything costs upkeep, and pays soon after', async () => {
    const asked = await askedOf({ model: 'llama2-7b', context: 4096, budget: 4096, batch: 64 })
    const [full, held] = [stepTime(asked, fullSlots(4096)), stepTime(asked, compressedSlots(asked, 4096)!)]
    assert.ok(held > full && full / held > 0.95, String(full / held))
    const [{ byBytes }] = breakEvenOf(asked)
    assert.ok(byBytes! > 4096 && byBytes! < 1.1 * 4096, String(byBytes))
    // Before it is full nobody leaves, and nothing is merged.
    assert.deepEqual(compressedSlots(asked, 4095), { slots: 4095, merged: 0, scored: true, over: false })
    assert.deepEqual(compressedSlots(asked, 4096), { slots: 4096, merged: 40, scored: true, over: true })
  })

  it('finds where something holds from, over ripples', () => {
    assert.equal(
      holdsFrom(() => true),
      1,
    )
    assert.equal(
      holdsFrom(() => false),
      null,
    )
    assert.equal(
      holdsFrom((context) => context >= 777),
      777,
    )
    assert.equal(
      holdsFrom((context) => context >= 777 && context !== 800 && context !== 1000),
      1001,
    )
    assert.equal(
      holdsFrom((context) => context === MOST_CONTEXT),
      MOST_CONTEXT,
    )
  })

  it('a tenth of the slots raises the limit of weights and cache at most tenfold, and speed falls with context', async () => {
    const property = fc.asyncProperty(
      anyShape,
      fc.constantFrom(...ROOFLINE_DEVICES),
      fc.integer({ min: 1, max: 64 }),
      async (model, device, batch) => {
        const { curve, ratios, full, compressed } = await roofline({ model, device, batch, context: 4 * K, keep: 0.1 })
        assert.ok(curve.context.includes(4 * K))
        for (let i = 1; i < curve.context.length; i++) assert.ok(curve.full[i] < curve.full[i - 1])
        assert.ok(ratios.weightsAndCache > 1 && ratios.weightsAndCache < 10.01)
        assert.ok(full.microseconds > 0 && compressed.tokensPerSecond > 0)
      },
    )
    await fc.assert(property, { seed: 9, numRuns: alike(200, 30) })
  })

  it('reads the shape from a GGUF file, and takes one of its own', async () => {
    const { description } = await load(toyPath)
    const { layers, heads, kvHeads, headDim, hidden, feedForward, vocabulary, context, tiedOutput } = description
    const shape = { layers, heads, kvHeads, headDim, hidden, feedForward, vocabulary, context, tiedOutput }
    const fromFile = await roofline({ model: toyPath, context: 500, keep: 0.2 })
    const given = await roofline({ model: { name: 'toy.gguf', ...shape, qkvBias: false }, context: 500, keep: 0.2 })
    assert.equal(JSON.stringify(fromFile), JSON.stringify(given))
    assert.equal(fromFile.facts.model.parameters, description.parameters)
  })

  it('shows itself, and says what it is', async () => {
    const found = await roofline({ model: 'smollm2-135m', context: 8 * K, budget: 512 })
    const shown = (found as unknown as Record<symbol, () => Record<string, string>>)[Symbol.for('Jupyter.display')]()
    assert.match(
      shown['text/plain'],
      /^Roofline of smollm2-135m, 8,192 tokens, batch 1, on h100: predicted, not measured\n/,
    )
    assert.match(shown['text/plain'], /compressed: 512 slots per kv head \(6\.3% of the context\), 5 of them merged/)
  })

  it('refuses in a sentence what there is not', async () => {
    const base = { model: 'llama2-7b', context: 8 * K } as const
    for (const [options, says] of [
      [{ ...base, model: 'llama9' }, /^no model's shape is known as "llama9"; there are: llama2-7b, .*GGUF file$/],
      [{ ...base, model: 7 }, /^expected the name of a model, the path of a GGUF file or a shape for model/],
      [{ ...base, model: { name: 'x', layers: 0 } }, /for model\.layers but received 0/],
      [{ ...base, device: 'h300' }, /^expected one of 'a100-40g', .* for device but received "h300"$/],
      [{ ...base, context: 0.5 }, /for context but received 0\.5/],
      [{ ...base, keep: 1 }, /^expected a share of the context above 0 and below 1 for keep but received 1/],
      [{ ...base, keep: 0.1, budget: 64 }, /^keep and budget were given, which say the same: leave one$/],
      [{ ...base, budget: 0.1 }, /for budget but received 0\.1/],
      [{ ...base, budget: 16, residual: 40 }, /^budget is 16 slots; more than recent \(8\) \+ residual \(40\)/],
      [{ ...base, storage: 'int8' }, /for storage but received "int8"/],
      [{ ...base, weights: 'int8' }, /for weights but received "int8"/],
      [{ ...base, memory: 0 }, /for memory but received 0/],
      [{ ...base, bandwidth: -1 }, /for bandwidth but received -1/],
      [{ ...base, latency: NaN }, /for latency but received NaN/],
      [{ ...base, devices: 3 }, /shares out the 32 kv heads of llama2-7b evenly \(1, 2, 4, 8, 16, 32\) for devices/],
      [{ ...base, hosts: 0 }, /for hosts but received 0/],
      [{ ...base, link: 'rope' }, /for link but received "rope"/],
      [{ ...base, network: 'post' }, /for network but received "post"/],
      [{ ...base, exchange: 'sum' }, /for exchange but received "sum"/],
      [{ ...base, granularity: 'all' }, /for granularity but received "all"/],
      [{ ...base, keeps: 0.1 }, /^roofline has no option "keeps", did you mean 'keep'\?/],
    ] as [RooflineOptions, RegExp][])
      await assert.rejects(roofline(options), (error: Error & { code?: string }) => {
        assert.match(error.message, says)
        return error.code === 'invalid'
      })
    await assert.rejects(roofline({ ...base, model: './none.gguf' }), { code: 'file' })
  })
})
