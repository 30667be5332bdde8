/** Events that lie in files: the same arrays, shared by all who look; and what a tape takes, said before and after. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createCache, evictOnly, fullCache, load, type Cache, type TraceOption } from '../../../src/index.js'
import { EVENT_BYTES, EVENT_COLUMNS, laidOut } from '../../../src/trace/columns.js'
import { arrowOf, arrowRead } from '../../../src/trace/files/arrow.js'
import { parquetOf, parquetRead } from '../../../src/trace/files/parquet.js'
import { inputsOf } from '../attention-inputs.js'
import { ownFolder, toyPath } from '../model/files.js'

const UNIT = 2 ** 16
const SHAPE = { layers: 2, heads: 64, kvHeads: 64, headDim: 2, threads: 1 }

describe('a tape’s memory', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const spilled = (name: string): TraceOption => {
    const own = join(folder, name)
    mkdirSync(own)
    return { level: 'events', memory: 0, folder: own }
  }

  async function fed(trace: TraceOption, tokens = 1100): Promise<Cache> {
    const cache = createCache({ ...SHAPE, policy: evictOnly({ budget: 40, recent: 8 }), trace })
    const inputs = inputsOf(SHAPE)
    for (const [at, count] of [tokens, 1, 1].entries())
      for (let layer = 0; layer < SHAPE.layers; layer++) {
        const { q, k, v } = inputs(9 + 10 * at + layer, count)
        await (at ? cache.step(layer, q, k, v) : cache.prefill(layer, q, k, v))
      }
    return cache
  }

  it('older events are in files without names, and arrays and saved files are the same', async () => {
    const [few, all] = [await fed(spilled('nameless')), await fed(true)]
    const took = few.tapeBytes()
    assert.equal(took.files, 2 * UNIT * EVENT_BYTES)
    assert.equal(took.memory + took.files, took.events * EVENT_BYTES)
    assert.deepEqual(all.tapeBytes(), { events: took.events, memory: took.events * EVENT_BYTES, files: 0, given: 0 })
    const [a, b] = [few.events(), all.events()]
    assert.equal(a.count, took.events)
    assert.deepEqual(a, b)
    assert.deepEqual(readdirSync(join(folder, 'nameless')), [])
    const laid = laidOut(a, String)
    const read = [
      arrowRead(new Uint8Array(Buffer.concat(arrowOf(laid, new Map())))),
      await parquetRead(Buffer.concat(parquetOf(laid, new Map())), EVENT_COLUMNS),
    ]
    for (const { column } of read) for (const of of EVENT_COLUMNS) assert.deepEqual(column(of), b[of.name], of.name)
  })

  it('who looks twice looks at the same rows, which stay when the cache goes on, and after its end', async () => {
    const cache = await fed(spilled('shared'))
    const first = cache.events()
    const before = Object.fromEntries(EVENT_COLUMNS.map(({ name }) => [name, first[name].slice()]))
    first.score[3] = 123
    assert.equal(cache.events().score[3], 123, 'one array, not a copy of it')
    first.score[3] = before.score[3]
    const { q, k, v } = inputsOf(SHAPE)(77, 1)
    for (let layer = 0; layer < SHAPE.layers; layer++) await cache.step(layer, q, k, v)
    assert.ok(cache.events().count > first.count)
    cache.dispose()
    for (const { name } of EVENT_COLUMNS) assert.deepEqual(first[name], before[name], name)
  })

  it('a folder that went is told by the call that needs it, and the cache is as it was', async () => {
    const trace = spilled('gone')
    const cache = createCache({ ...SHAPE, policy: fullCache(), trace })
    rmdirSync(join(folder, 'gone'))
    const [one, two] = [0, 1].map((layer) => inputsOf(SHAPE)(layer, 1200))
    await cache.prefill(0, one.q, one.k, one.v)
    const { count } = cache.events()
    await assert.rejects(cache.prefill(1, two.q, two.k, two.v), {
      code: 'file',
      message: /oldest events cannot go to a file in .*gone: No such file or directory; make room there, or give/,
    })
    assert.equal(cache.events().count, count)
    mkdirSync(join(folder, 'gone'))
    await cache.prefill(1, two.q, two.k, two.v)
    assert.equal(cache.events().count, 2 * count)
  })

  it('a session says before what so many tokens will take at most, and a run what it took', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    const { layers, heads: queries, kvHeads, headDim, vocabulary } = model.description
    const heads = layers * kvHeads
    const [attention, logits] = [layers * 2 * (queries + kvHeads) * headDim * 4, vocabulary * 4]
    try {
      const session = model.session({ policy: evictOnly({ budget: 24, recent: 8 }), trace: true })
      const most = session.tapeBytes(46)
      assert.deepEqual(most, {
        ...{ events: 46 * heads * 4, memory: 46 * heads * 4 * EVENT_BYTES, files: 0 },
        given: 46 * (attention + logits),
      })
      const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % 250)
      const run = await session.generate(prompt, { maxTokens: 6, ignoreEos: true, progress: false })
      const took = run.trace.bytes
      assert.equal(took.events, run.trace.length)
      assert.equal(took.memory, took.events * EVENT_BYTES)
      // Of the prompt the last logits, of 5 of the 6 tokens, which were read, both.
      assert.equal(took.given, 5 * attention + 6 * logits)
      assert.deepEqual(session.tapeBytes(), took)
      assert.deepEqual(session.trace.bytes, took)
      assert.ok(took.events <= most.events)
      const kilobytes = `${(took.memory / 1000).toFixed(1)} kB in memory`
      assert.ok(inspect(run.trace).includes(kilobytes), inspect(run.trace))
      // 2²⁸ bytes hold 5,368,709 events: what is beyond goes in units of 2¹⁶.
      const tokens = Math.ceil(6e6 / (heads * 4))
      const far = model.session({ policy: evictOnly({ budget: 24 }), trace: true }).tapeBytes(tokens)
      assert.equal(far.files, Math.ceil((far.events - 2 ** 28 / 50) / UNIT) * UNIT * EVENT_BYTES)
      assert.ok(far.memory <= 2 ** 28)
      assert.deepEqual(model.session().tapeBytes(1000), { events: 0, memory: 0, files: 0, given: 0 })
      // A fork with the same events may keep fewer of them in memory.
      const fork = await session.fork({ trace: { level: 'events', memory: 0 } })
      assert.deepEqual(fork.tapeBytes(), took)
      assert.ok(fork.tapeBytes(tokens).memory < 2 * UNIT * EVENT_BYTES)
    } finally {
      model.dispose()
    }
  })

  it('memory and folder are for events, and are checked', () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const make = (trace: TraceOption) => () => createCache({ ...SHAPE, policy: fullCache(), trace })
    assert.throws(make({ level: 'events', memory: -1 }), { code: 'invalid', message: /trace\.memory/ })
    assert.throws(make({ level: 'off', memory: 1 }), { code: 'invalid', message: /level is 'off'/ })
    assert.throws(make({ level: 'events', folder: file }), { code: 'file', message: /it is no folder/ })
    assert.throws(make({ level: 'events', folder: join(folder, 'none') }), { code: 'file', message: /ENOENT/ })
    assert.throws(make({ level: 'events', folder: 7 as never }), { code: 'invalid', message: /trace\.folder/ })
  })
})
