/** Vectors and scores in files: what was recorded is what is opened, and what is measured on it needs no model. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { evictOnly, load, quest, snapkv, Trace, zsmerge, type Model, type TraceOption } from '../../../../src/index.js'
import type { HeadVectors } from '../../../../src/index.js'
import type { ScoreRows } from '../../../../src/inspect/scores.js'
import { arrowOf, arrowRead } from '../../../../src/trace/files/arrow.js'
import { listsOf, type LaidLists } from '../../../../src/trace/files/lists.js'
import { parquetOf, parquetRead } from '../../../../src/trace/files/parquet.js'
import { draws, ownFolder, toyPath } from '../../model/files.js'

const PROMPT = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
const CALL = { maxTokens: 8, ignoreEos: true, progress: false as const }
const same = (a: unknown, b: unknown, what?: string) =>
  assert.deepEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)), what)

describe('vectors and scores in files', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  let model: Model
  before(async () => void (model = await load(toyPath, { weights: 'float32', progress: false })))
  after(() => model.dispose())

  for (const ending of ['.arrow', '.parquet']) {
    it(`${ending}: of several turns, whatever the policy, they are those of the session`, async () => {
      const levels: TraceOption[] = [
        { level: 'vectors', layers: [0, 2], scores: true, queries: 5 },
        { level: 'scores', kvHeads: [1], every: 3 },
        { level: 'vectors', kvHeads: [0], queries: 0 },
      ]
      for (const [i, policy] of [
        zsmerge({ budget: 24, recent: 8, residual: 2 }),
        evictOnly({ budget: 20 }),
        snapkv({ budget: 24, window: 8 }),
        quest({ budget: 32 }),
      ].entries()) {
        const session = model.session({ policy, trace: levels[i % 3] })
        await session.generate(PROMPT, CALL)
        const { trace } = await session.generate([3, 1, 4, 1, 5], CALL)
        const path = join(folder, `${policy.name}${ending}`)
        const opened = await Trace.open(await trace.save(path))
        for (const layer of [0, 1, 2])
          for (const kvHead of [0, 1]) {
            const of = { layer, kvHead }
            const what = `${policy.name}, layer ${layer}, kv head ${kvHead}`
            for (const call of [
              (from: Trace) => from.vectors(of),
              (from: Trace) => ({ ...from.scores(of) }),
              (from: Trace) => from.reads(of),
              (from: Trace) => from.cacheAt({ ...of, step: 9 }),
              (from: Trace) => from.lineage({ ...of, slot: 0 }),
            ]) {
              const told = (from: Trace): unknown => {
                try {
                  return call(from)
                } catch (error) {
                  return (error as Error).message
                }
              }
              same(told(opened), told(trace), what)
            }
          }
        const again = join(folder, `again${ending}`)
        await opened.save(again)
        assert.ok(readFileSync(again).equals(readFileSync(path)), policy.name)
        session.dispose()
      }
    })

    it(`${ending}: compensation, corners, oracles, what-if and lineage of an opened trace are the run's`, async () => {
      const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: 'vectors' })
      const run = await session.generate(PROMPT, CALL)
      const opened = await Trace.open(await run.trace.save(join(folder, `run${ending}`)))
      session.dispose()
      const of = { layer: 1, kvHead: 1 }
      same(opened.compensation({ ...of, seed: 3 }).table(), run.compensation({ ...of, seed: 3 }).table())
      same(opened.whatIf({ ...of, step: 4 }).at(0.5), run.whatIf({ ...of, step: 4 }).at(0.5))
      const call = { layers: [1], kvHeads: [1], progress: false as const }
      same((await opened.oracles(call)).table(), (await run.oracles(call)).table())
      const seeded = { ...call, seed: 5, resamples: 20 }
      same((await opened.compensationAblation(seeded)).table(), (await run.compensationAblation(seeded)).table())
      const found = opened.lineage({ ...of, slot: 0 })
      assert.ok(found.coherence)
      same(found.table(), run.trace.lineage({ ...of, slot: 0 }).table())
      const { keys, slots } = opened.cacheAt(of)
      assert.equal(keys!.length, slots.length * opened.vectors(of).headDim)
      const alone = await Trace.open(await run.trace.save(join(folder, `alone${ending}`), { level: 'events' }))
      same(alone.table(), run.trace.table())
      assert.throws(() => alone.vectors(of), /were not kept \(trace was 'events'\)/)
      await assert.rejects(
        run.trace.save(join(folder, `odd${ending}`), { level: 'off' as never }),
        /'events' for level/,
      )
    })
  }

  it('what was not recorded is told as of the run', async () => {
    const run = await model.session({ policy: evictOnly({ budget: 20 }), trace: true }).generate(PROMPT, CALL)
    const opened = await Trace.open(await run.trace.save(join(folder, 'events.arrow')))
    for (const from of [run, opened]) {
      assert.throws(() => from.vectors({ layer: 1, kvHead: 0 }), {
        code: 'invalid',
        message:
          "the vectors of layer 1, kv head 0 were not kept (trace was 'events'): make the session with trace: { level: 'vectors', layers: [1], kvHeads: [0] }",
      })
      assert.throws(() => from.scores({ layer: 1, kvHead: 0 }), /trace was 'events'\): make .* level: 'scores'/)
      assert.throws(() => from.compensation({ layer: 1, kvHead: 0 }), /vectors of layer 1, kv head 0 were not kept/)
      assert.throws(() => from.whatIf({ layer: 1, kvHead: 0, step: 1 }), /vectors of layer 1, kv head 0 were not kept/)
      await assert.rejects(
        async () => from.oracles({ layers: [1], progress: false }),
        /the vectors of layer 1 were not/,
      )
      assert.throws(() => from.reads({ layer: 3, kvHead: 0 }), /from 0 to 2 for layer but received 3/)
    }
  })

  it('the local shadow of an opened trace is that of the run with its model, and NaN where nothing was recorded', async () => {
    for (const policy of [
      zsmerge({ budget: 24, recent: 8, residual: 2, keys: 'fixed', values: 'fixed' }),
      zsmerge({ budget: 24, recent: 8, residual: 2 }),
      evictOnly({ budget: 20 }),
    ]) {
      const trace: TraceOption = { level: 'vectors', layers: [0, 2], queries: 0 }
      const run = await model.session({ policy, trace, storage: 'float32' }).generate(PROMPT, CALL)
      const opened = await Trace.open(await run.trace.save(join(folder, 'shadow.arrow')))
      const found = await opened.localShadow({ progress: false })
      const { local } = await run.shadow({ progress: false })
      assert.deepEqual(found.positions, local!.positions)
      for (const name of ['error', 'dropped', 'merged', 'repaired', 'missed', 'blurred'] as const)
        found[name]!.forEach((value, i) => {
          const layer = Math.floor(i / found.heads) % found.layers
          if (layer === 1) return assert.ok(Number.isNaN(value))
          assert.ok(Math.abs(value - local![name]![i]) < 2e-6, `${name}: ${value}, ${local![name]![i]}`)
        })
      const rows = Array.from(local!.lost.event.keys()).filter((i) => local!.lost.layer[i] !== 1)
      assert.deepEqual(
        Array.from(found.lost.event),
        rows.map((i) => local!.lost.event[i]),
      )
      for (const name of ['probability', 'worst', 'change'] as const)
        rows.forEach((at, i) => assert.ok(Math.abs(found.lost[name][i] - local!.lost[name][at]) < 1e-5, name))
    }
    const plain = await model.session({ policy: evictOnly({ budget: 20 }), trace: true }).generate(PROMPT, CALL)
    await assert.rejects(plain.trace.localShadow({ progress: false }), /the vectors of any head were not kept/)
  })

  it('queries of the prompt that were not recorded: which were, and how to record them', async () => {
    const policy = zsmerge({ budget: 24, recent: 8, residual: 2 })
    const run = await model.session({ policy, trace: { level: 'vectors', queries: 0 } }).generate(PROMPT, CALL)
    const opened = await Trace.open(await run.trace.save(join(folder, 'queries.arrow')))
    const how = /make the session with trace: \{ level: 'vectors', queries: n \}, which keeps the prompt's last n/
    for (const from of [run.trace, opened]) {
      const early = () => from.lineage({ layer: 1, kvHead: 0, slot: 0, step: 0 })
      assert.throws(early, /position 59 of layer 1, kv head 0 was not recorded \(those of positions 60 to 66 were\)/)
      assert.throws(early, how)
      await assert.rejects(from.oracles({ layers: [1], progress: false }), how)
    }
  })

  it('of many numbers, in several row groups, are the same', async () => {
    const draw = draws(4)
    const rows = 1600
    const lengths = Array.from({ length: rows }, () => (draw(3) ? 0 : 1 + draw(1000)))
    const starts = Int32Array.from([0, ...lengths]).map(
      (
        (sum) => (one) =>
          (sum += one)
      )(0),
    )
    const values = Float32Array.from({ length: starts[rows] }, () => draw(1 << 20) / 3)
    const lists: LaidLists[] = (['key', 'slotScores'] as const).map((name) => ({ name, starts, values }))
    const step = {
      name: 'step',
      type: 'int32' as const,
      about: '',
      values: Int32Array.from({ length: rows }, (_, i) => i),
    }
    const arrow = arrowRead(new Uint8Array(Buffer.concat(arrowOf([step], new Map(), lists))))
    const parquet = await parquetRead(Buffer.concat(parquetOf([step], new Map(), lists)), [step])
    for (const from of [arrow, parquet]) {
      assert.deepEqual(from.column(step), step.values)
      for (const { name } of lists) {
        assert.deepEqual(from.lists(name).starts, starts)
        assert.ok(Buffer.from(from.lists(name).values.buffer).equals(Buffer.from(values.buffer)))
      }
      assert.throws(() => from.lists('value'), /has no column value/)
    }
  })

  it('more than a file holds is refused with its size, before it is all there', async () => {
    const run = await model.session({ policy: evictOnly({ budget: 20 }), trace: true }).generate(PROMPT, CALL)
    const [layers, kvHeads, headDim] = [3, 2, 64]
    let asked = 0
    const of = {
      recorded: {
        level: 'vectors' as const,
        layers,
        kvHeads,
        every: 1,
        altered: false,
        merges: undefined,
        vectors: new Uint8Array(6).fill(1),
      },
      vectors: (): HeadVectors => {
        asked++
        const rows = new Float32Array(headDim * 65)
        return {
          layer: 0,
          kvHead: 0,
          group: 1,
          headDim,
          keys: rows,
          values: rows,
          firstQuery: 65,
          queries: rows.slice(0, 0),
          firstOutput: 65,
          outputs: rows.slice(0, 0),
        }
      },
      scoreRows: (): ScoreRows => assert.fail(),
    }
    const events = run.trace.tape()
    assert.equal(listsOf(events, of, '.parquet').length, 4)
    asked = 0
    of.recorded.vectors = new Uint8Array(6).fill(1)
    const wide = {
      ...of,
      vectors: () => ({ ...of.vectors(), headDim: 64 * 5000, keys: new Float32Array(64 * 5000 * 60) }),
    }
    assert.throws(
      () => listsOf(events, wide, '.parquet'),
      /: vectors of 6 heads would make a file of 468\.5 MB, and \.parquet files hold 200\.0 MB of them at most: record fewer heads \(layers, kvHeads\), save it as \.arrow, or leave them out: save\(path, \{ level: 'events' \}\)$/,
    )
    assert.equal(asked, 1)
  })
})
