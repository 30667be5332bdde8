/** Compensation, corners, oracles and what-if of real runs: made again from what was recorded they are what the run computed. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import {
  evictOnly,
  load,
  snapkv,
  zsmerge,
  ZslabError,
  type Model,
  type Policy,
  type TraceOption,
} from '../../../src/index.js'
import { headAblation } from '../../../src/inspect/ablation.js'
import { toyPath } from '../model/files.js'

const PROMPT = Array.from({ length: 70 }, (_, i) => (i * 11) % 250)
const SLOTS = { budget: 24, recent: 8, residual: 2 }

describe('compensation of a run', function () {
  this.timeout(300_000)
  let model: Model
  before(async () => void (model = await load(toyPath, { weights: 'float32', progress: false })))
  after(() => model.dispose())

  async function ran(policy: Policy, trace: TraceOption = { level: 'vectors', layers: [1] }) {
    const session = model.session({ policy, trace, storage: 'float32' })
    return session.generate(PROMPT, { maxTokens: 9, ignoreEos: true, progress: false })
  }

  const rejects = (call: () => unknown, expected: RegExp, code = 'invalid') =>
    assert.rejects(
      async () => call(),
      (error: unknown) => {
        assert.ok(error instanceof ZslabError && error.code === code, String(error))
        assert.match(error.message, expected)
        return true
      },
    )

  for (const [name, policy] of Object.entries({
    'as the paper merges': zsmerge(SLOTS),
    'keys and values fixed to seeds of groups': zsmerge({ ...SLOTS, keys: 'fixed', values: 'fixed', alpha: 0.6 }),
    'keys fixed, similar seeds': zsmerge({ ...SLOTS, keys: 'fixed', init: 'similarity' }),
    'without scores': zsmerge({ ...SLOTS, keys: 'fixed', history: 'off' }),
    'what drops': evictOnly({ budget: 24 }),
    'what keeps by the prompt': snapkv({ budget: 24, window: 8 }),
  }))
    it(`${name}: outputs from slots, weights and α are the run's`, async () => {
      const run = await ran(policy)
      const found = run.compensation({ layer: 1, kvHead: 0, seed: 4 })
      assert.ok(found.deviation! < 1e-5, `${found.deviation}`)
      const merges = policy.name === 'zsmerge'
      assert.equal(found.fitted === null, !merges)
      const table = found.table()
      assert.equal(table.token.length, found.columns.step.length)
      assert.equal(table.token.length > 0, merges)
      if (!merges) return assert.match(inspect(found), /no merged slot was read/)
      assert.match(inspect(found), /^Compensation in layer 1, kv head 0: α .* 8 steps of 2 query heads/)
      assert.equal(table.token[0], run.data().tokens[found.columns.first[0]].text)
      const what = run.whatIf({ layer: 1, kvHead: 0, step: 5 }).at(found.alpha)
      const last = Array.from(found.columns.step.keys()).filter((row) => found.columns.step[row] === 5)
      for (const row of last) {
        const { head, slot, prob } = found.columns
        assert.ok(Math.abs(what.probs[head[row]][slot[row]] - prob[row]) < 1e-12)
      }
    })

  it('fixed keys and values of a cache that filled up later: as each query found the slots', async () => {
    const policy = zsmerge({ budget: 24, recent: 4, residual: 2, keys: 'fixed', values: 'fixed' })
    const session = model.session({ policy, trace: { level: 'vectors', layers: [1] }, storage: 'float32' })
    const run = await session.generate(PROMPT.slice(0, 14), { maxTokens: 26, ignoreEos: true, progress: false })
    for (const kvHead of [0, 1]) {
      const found = run.compensation({ layer: 1, kvHead, seed: 4 })
      assert.ok(found.deviation! < 1e-5, `${found.deviation}`)
      const { local } = await run.shadow({ progress: false })
      const mean = (of: Float64Array) => {
        const heads = Array.from(of).filter((_, i) => Math.floor(i / local!.heads) % local!.layers === 1)
        const own = heads.filter((_, i) => Math.floor((i % local!.heads) / found.group) === kvHead)
        return own.reduce((sum, one) => sum + one, 0) / own.length
      }
      assert.ok(Math.abs(mean(local!.error) - found.error) < 1e-5)
      const parts = mean(local!.dropped!) + mean(local!.merged!) + mean(local!.repaired!)
      assert.ok(Math.abs(parts - found.error) < 1e-5)
    }
  })

  it('errors are those of the local shadow; corners of many heads at once; oracles by head', async () => {
    const run = await ran(zsmerge(SLOTS), 'vectors')
    const { local } = await run.shadow({ progress: false })
    const { layers, kvHeads } = model.description
    const { heads, corners, bootstrap } = await run.compensationAblation({ seed: 1, progress: false })
    assert.equal(heads.length, layers * kvHeads)
    for (const { layer, kvHead, corners: own } of heads) {
      const group = local!.heads / kvHeads
      let sum = 0
      for (let row = 0; row < local!.steps.length; row++)
        for (let q = 0; q < group; q++) sum += local!.error[(row * layers + layer) * local!.heads + kvHead * group + q]
      assert.ok(Math.abs(own[0].error - sum / (local!.steps.length * group)) < 1e-5)
      assert.ok(Math.abs(run.compensation({ layer, kvHead }).error - own[0].error) < 1e-12)
    }
    const of = heads[3]
    const reads = run.reads({ layer: of.layer, kvHead: of.kvHead })
    const alone = headAblation(run.vectors({ layer: of.layer, kvHead: of.kvHead }), reads, { alpha: 1, seed: 1 })
    assert.deepEqual(alone.bootstrap, bootstrap)
    assert.deepEqual(alone.corners[1], of.corners[1])
    corners.forEach((corner, i) => {
      const mean = heads.reduce((all, head) => all + head.corners[i].error, 0) / heads.length
      assert.ok(Math.abs(corner.error - mean) < 1e-12)
      assert.ok(corner.interval!.low <= corner.error && corner.error <= corner.interval!.high)
    })
    const some = await run.compensationAblation({ layers: [1], kvHeads: [0], seed: 1, progress: false })
    assert.equal(some.heads.length, 1)
    assert.equal(some.table().error.length, 8)
    assert.match(inspect(some), /keys fixed, values mean, bias off: \d/)
    const judged = await run.oracles({ layers: [1], judged: 2, progress: false })
    assert.equal(judged.heads.length, kvHeads)
    assert.ok(judged.heads.every(({ steps }) => steps.length === 2))
    assert.ok(judged.errors.bias < judged.errors.drop)
    assert.match(
      inspect(judged),
      /^Oracles of \d kv heads, judged on 2 steps[\s\S]*at least \d+ equations for 2\d slots/,
    )
    assert.equal(judged.csv().split('\n').length, kvHeads + 2)
  })

  it('an α that changed on the way is that of each step', async () => {
    const session = model.session({
      policy: zsmerge(SLOTS),
      trace: { level: 'vectors', layers: [0] },
      storage: 'float32',
    })
    await session.prefill(PROMPT, { progress: false })
    for (const id of [3, 4]) await session.step(id)
    await session.change({ alpha: 0.25 })
    const run = await session.generate([9, 8, 7], { maxTokens: 5, ignoreEos: true, progress: false })
    const { columns, deviation } = run.compensation({ layer: 0, kvHead: 0 })
    assert.ok(deviation! < 1e-5, `${deviation}`)
    columns.bias.forEach((bias, row) =>
      assert.equal(bias, (columns.step[row] > 2 ? 0.25 : 1) * Math.log(columns.weight[row])),
    )
  })

  it('refuses what was not kept or cannot be measured; stops when it is told to', async () => {
    const run = await ran(zsmerge(SLOTS))
    await rejects(() => run.compensation({ layer: 0, kvHead: 0 }), /were not kept.*layer 1/)
    await rejects(() => run.compensation({ layer: 1, kvHead: 0, slots: 'none' as never }), /'merged', 'all'/)
    await rejects(() => run.compensation({ layer: 1, kvHead: 0, alpha: 1 } as never), /no option "alpha"/)
    await rejects(() => run.whatIf({ layer: 1, kvHead: 0, step: 9 }), /step/)
    await rejects(
      () => run.compensationAblation({ layers: [0], progress: false }),
      /the vectors of layer 0 were not kept \(kept: layer 1, kv head 0; .*trace: \{ level: 'vectors', layers: \[0\] \}/,
    )
    await rejects(() => run.compensationAblation({ layers: [99], progress: false }), /layers/)
    await rejects(() => run.oracles({ judged: 0, progress: false }), /judged/)
    const plain = await ran(zsmerge(SLOTS), true)
    await rejects(() => plain.compensation({ layer: 0, kvHead: 0 }), /were not kept \(trace was 'events'\)/)
    await rejects(() => plain.compensationAblation({ progress: false }), /the vectors of any head were not kept/)
    const scored = await ran(zsmerge({ ...SLOTS, aggregate: 'score' }))
    await rejects(() => scored.compensation({ layer: 1, kvHead: 0 }), /aggregate: 'score'/, 'unsupported')
    const stop = new AbortController()
    const counts: number[] = []
    await assert.rejects(
      run.compensationAblation({
        signal: stop.signal,
        progress: ({ done }) => {
          counts.push(done)
          stop.abort(new Error('enough'))
        },
      }),
      /enough/,
    )
    assert.deepEqual(counts, [1])
  })
})
