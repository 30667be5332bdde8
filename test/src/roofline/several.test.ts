/** What devices exchange: beside the algorithms played through message by message, and as it scales. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { roofline } from '../../../src/index.js'
import { LINK } from '../../../src/roofline/links.js'
import {
  allGather,
  allReduce,
  exchangeOf,
  GRANULARITIES,
  splitsOf,
  sumScores,
  type Algorithm,
  type Cluster,
} from '../../../src/roofline/several.js'
import { SHAPES } from '../../../src/roofline/shapes.js'
import { draws } from '../model/files.js'
import { anyShape } from './shapes.js'

const named = (name: string) => SHAPES.find((shape) => shape.name === name)!
const cluster = (given: Partial<Cluster>): Cluster => ({
  devices: 4,
  hosts: 1,
  link: 'nvlink4',
  network: 'ndr',
  exchange: 'reduce',
  granularity: 'head',
  ...given,
})

/** Devices that add up what each of them has, `size` numbers: what each sent, in how many rounds, and what each has then. */
function played(algorithm: Algorithm, values: readonly (readonly number[])[]) {
  const devices = values.length
  const share = values[0].length / devices
  const sent = values.map(() => 0)
  const post = (from: number, to: number, message: readonly number[]) => {
    if (from !== to) sent[from] += message.length
    return message
  }
  const added = (parts: readonly (readonly number[])[]) =>
    parts[0].map((_, i) => parts.reduce((sum, part) => Math.fround(sum + part[i]), 0))
  const all = values.map((_, device) => device)
  if (algorithm === 'one-shot') {
    const held = all.map((to) => added(all.map((from) => post(from, to, values[from]))))
    return { held, sent, rounds: 1 }
  }
  const shareOf = (of: readonly number[], device: number) => of.slice(device * share, (device + 1) * share)
  const sums = all.map((to) => added(all.map((from) => post(from, to, shareOf(values[from], to)))))
  const held = all.map((to) => all.flatMap((from) => post(from, to, sums[from])))
  return { held, sent, rounds: 2 }
}

describe('exchange between devices', () => {
  it('is what its messages come to, with the same bits either way', () => {
    const next = draws(5)
    for (const devices of [2, 3, 4, 8]) {
      const size = devices * 500
      const values = Array.from({ length: devices }, () =>
        Array.from({ length: size }, () => Math.fround(next(1 << 20) / 977 - 500)),
      )
      const [one, two] = [played('one-shot', values), played('two-shot', values)]
      assert.deepEqual(one.held, two.held)
      for (const held of one.held) assert.deepEqual(held, one.held[0])
      // Where hops cost nothing bytes decide, and where bytes do, hops.
      for (const [{ sent, rounds }, link] of [
        [devices > 2 ? two : one, { about: '', bandwidth: 1e3, hop: 0 }],
        [one, { about: '', bandwidth: 1e15, hop: 5 }],
      ] as const) {
        assert.ok(sent.every((each) => each === sent[0]))
        const found = allReduce(4 * size, devices, link)
        assert.equal(found.bytes, 4 * sent[0])
        assert.equal(found.algorithm, rounds === 1 ? 'one-shot' : 'two-shot')
        assert.ok(Math.abs(found.microseconds - (3.6 + rounds * link.hop + (4e6 * sent[0]) / link.bandwidth)) < 1e-6)
      }
    }
  })

  it('takes the quicker way: few bytes at once, many in two rounds', () => {
    const link = LINK.nvlink4
    const few = allReduce(16_384, 4, link)
    assert.equal(few.algorithm, 'one-shot')
    assert.equal(few.bytes, 3 * 16_384)
    assert.ok(Math.abs(few.microseconds - (3.6 + 0.47 + (3 * 16_384) / 450e3)) < 1e-9)
    const many = allReduce(1e8, 4, link)
    assert.equal(many.algorithm, 'two-shot')
    assert.equal(many.bytes, 1.5e8)
    assert.ok(Math.abs(many.microseconds - (3.6 + 2 * 0.47 + 1.5e8 / 450e3)) < 1e-6)
    assert.equal(allGather(1e8, 4, link).bytes, 0.75e8)
  })

  it('of a step: two sums a layer, or four results put together, and the logits', () => {
    const model = named('llama2-7b')
    const reduced = exchangeOf(model, 1, cluster({ devices: 2 }), 100)
    assert.equal(reduced.count, 65)
    assert.equal(reduced.bytes, 4 * (64 * 4096 + 32_000 / 2))
    const gathered = exchangeOf(model, 1, cluster({ devices: 2, exchange: 'gather' }), 100)
    assert.equal(gathered.count, 129)
    assert.equal(gathered.bytes, (4 * (32 * (3 * 4096 + 11_008) + 32_000)) / 2)
    assert.deepEqual(exchangeOf(model, 9, cluster({ devices: 1, granularity: 'layer' }), 100), {
      count: 0,
      bytes: 0,
      microseconds: 0,
    })
  })

  it('of scores, where heads choose together: all of them, or a running sum from device to device', () => {
    const model = { ...named('llama2-7b'), layers: 3 }
    const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9 * expected)
    // 2 sequences of 1,000 slots: sums of 8,000 bytes; 32 kv heads.
    const layer = cluster({ granularity: 'layer' })
    const gathered = sumScores(model, 2, 1000, layer)
    assert.equal(gathered.algorithm, 'one-shot')
    assert.equal(gathered.bytes, 0.75 * 32 * 8000)
    // Over a slow link a sum that goes from one to the next is quicker, and who leaves is told to 3 others.
    const slow = cluster({ granularity: 'layer', link: 'pcie4' })
    const handed = sumScores(model, 200, 1000, slow)
    assert.equal(handed.algorithm, 'hand-over')
    assert.equal(handed.bytes, 800_000 + 3 * 800)
    near(handed.microseconds, 3.6 + 3 * (1 + 800_000 / 32e3) + 3.6 + 1 + 2400 / 32e3)
    const whole = sumScores(model, 200, 1000, { ...slow, granularity: 'model' })
    assert.equal(whole.bytes, 3 * 800_000 + 3 * 800)
    near(whole.microseconds, 3.6 + 11 * (1 + 800_000 / 32e3) + 3.6 + 1 + 2400 / 32e3)
    // Once in each layer, once in all, and never where nobody has to leave.
    const count = (granularity: Cluster['granularity'], chosen: number) =>
      exchangeOf(model, 2, cluster({ granularity }), chosen).count
    assert.deepEqual(
      [count('head', 1000), count('layer', 1000), count('model', 1000), count('layer', 0)],
      [7, 10, 8, 7],
    )
    const { bytes } = exchangeOf(model, 2, layer, 1000)
    assert.equal(bytes - exchangeOf(model, 2, layer, 0).bytes, 3 * gathered.bytes)
  })

  it('grows with the batch, and is least over the fastest link', () => {
    const links = ['nvlink5', 'nvlink4', 'nvlink3', 'pcie5', 'pcie4'] as const
    const property = fc.property(
      anyShape,
      fc.integer({ min: 1, max: 512 }),
      fc.boolean(),
      fc.constantFrom(...GRANULARITIES),
      (model, batch, gather, granularity) => {
        const devices = splitsOf(model).at(-1)!
        const of = (size: number, link: Cluster['link']) =>
          exchangeOf(model, size, cluster({ devices, link, exchange: gather ? 'gather' : 'reduce', granularity }), 500)
        const times = links.map((link) => of(batch, link).microseconds)
        if (devices > 1) assert.ok(of(batch + 1, 'nvlink4').microseconds > times[1])
        assert.deepEqual(
          times,
          [...times].sort((a, b) => a - b),
        )
      },
    )
    fc.assert(property, { seed: 11, numRuns: 200 })
  })

  it('heads are shared out evenly or not at all', () => {
    assert.deepEqual(splitsOf({ kvHeads: 8 }), [1, 2, 4, 8])
    assert.deepEqual(splitsOf({ kvHeads: 3 }), [1, 3])
    assert.deepEqual(splitsOf({ kvHeads: 40 }, 8), [1, 2, 4, 5, 8])
  })
})

describe('a prediction for several devices and hosts', () => {
  const asked = { model: 'llama3.1-70b', context: 2 ** 17, keep: 0.1, batch: 64, devices: 4, hosts: 2 } as const

  it('has the exchange among its parts, and says how it scales', async () => {
    const found = await roofline(asked)
    const { scaling, full, compressed, moving } = found
    assert.deepEqual(
      scaling!.map(({ devices }) => devices),
      [1, 2, 4, 8],
    )
    const own = scaling!.find(({ devices }) => devices === 4)!
    assert.equal(own.full.tokensPerSecond, full.tokensPerSecond)
    assert.equal(own.compressed.largestBatch, compressed.largestBatch)
    const exchange = compressed.parts.at(-1)!
    assert.deepEqual(
      [exchange.part, exchange.bound, exchange.bytes],
      ['exchange', 'link', own.compressed.exchangeBytes],
    )
    assert.ok(Math.abs(own.compressed.exchangeShare - exchange.share) < 1e-12)
    for (let i = 1; i < scaling!.length; i++) {
      const [fewer, more] = [scaling![i - 1], scaling![i]]
      const rise = more.full.tokensPerSecond / fewer.full.tokensPerSecond
      assert.ok(rise > 1 && rise <= more.devices / fewer.devices)
      // What a compressed cache saves on bytes, the exchange takes a larger share of.
      if (i > 0) assert.ok(more.compressed.exchangeShare > more.full.exchangeShare)
    }
    assert.ok(moving!.full / moving!.compressed > 9 && moving!.full / moving!.compressed < 10)
  })

  it('twice the hosts decode twice the sequences in the same time', async () => {
    const [one, two] = await Promise.all([1, 2].map((hosts) => roofline({ ...asked, hosts, batch: 32 * hosts })))
    assert.equal(one.compressed.microseconds, two.compressed.microseconds)
    assert.ok(Math.abs(two.full.tokensPerSecond / one.full.tokensPerSecond - 2) < 1e-12)
    assert.equal(two.full.largestBatch, 2 * one.full.largestBatch)
    assert.equal(one.moving, undefined)
    assert.ok(Math.abs(two.moving!.weights - (2.7 + (two.full.memory.weights / 50e9) * 1e6)) < 1e-6)
  })

  it('of a policy whose heads choose together, scores are exchanged for the compressed cache alone', async () => {
    const [heads, layer] = await Promise.all(
      (['head', 'layer'] as const).map((granularity) => roofline({ ...asked, granularity })),
    )
    assert.equal(layer.full.microseconds, heads.full.microseconds)
    assert.ok(layer.compressed.microseconds > heads.compressed.microseconds)
    const four = layer.scaling!.find(({ devices }) => devices === 4)!
    assert.deepEqual([four.full.exchanges, four.compressed.exchanges], [161, 241])
  })

  it('one device on one host exchanges nothing', async () => {
    const alone = await roofline({ ...asked, devices: 1, hosts: 1 })
    assert.equal(alone.scaling, undefined)
    assert.ok(!alone.full.parts.some(({ part }) => part === 'exchange'))
  })
})
