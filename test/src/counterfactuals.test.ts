/** What is asked of a session's cache beside its tokens: it holds from then on, is on record, and goes where the session goes. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'mocha'
import { adakv, evictOnly, fullCache, load, streaming, Trace, zsmerge, type Model } from '../../src/index.js'
import { toyPath } from './model/files.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
const tight = () => zsmerge({ budget: 24, recent: 8, residual: 2 })
const more = { maxTokens: 12, ignoreEos: true, progress: false }

describe('counterfactuals', function () {
  this.timeout(60_000)
  let model: Model
  let folder: string
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    folder = await mkdtemp(join(tmpdir(), 'zslab-counterfactuals-'))
  })
  after(() => {
    model?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  describe('change', () => {
    it('holds from the next step on, for forks and snapshots too, and is taken back as exactly', async () => {
      const session = model.session({ policy: tight() })
      await session.prefill(TEXT)
      const before = await session.snapshot()
      const plain = await session.generate(undefined, more)
      await session.restore(before)
      const policy = await session.change({ alpha: 0, decay: 0.5 })
      assert.deepEqual([policy.options.alpha, policy.options.decay], [0, 0.5])
      assert.equal(session.policy, policy)
      const fork = await session.fork()
      const changed = await session.snapshot()
      const run = await session.generate(undefined, more)
      assert.notDeepEqual(run.logprobs, plain.logprobs)
      assert.deepEqual((await fork.generate(undefined, more)).logprobs, run.logprobs)
      assert.equal(fork.policy, policy)
      await session.restore(changed)
      assert.deepEqual((await session.generate(undefined, more)).logprobs, run.logprobs)
      await session.restore(before)
      assert.equal(session.policy.options.alpha, 1)
      await session.change({ alpha: 0.3, similarity: 'l2', scoreMerge: 'sum' })
      await session.change({ alpha: 1, similarity: 'dot', scoreMerge: 'max' })
      assert.deepEqual((await session.generate(undefined, more)).logprobs, plain.logprobs)
      for (const one of [session, fork]) one.dispose()
    })

    it('is one event on the tape, in the card and in the receipt, in files too', async () => {
      const session = model.session({ policy: tight(), trace: true })
      await session.generate(TEXT, more)
      const { seqLen } = session
      await session.change({ alpha: 0.5 })
      await session.change({ alpha: 0.5 })
      const run = await session.generate(' and then', more)
      const table = run.trace.table()
      const rows = table.action.flatMap((action, row) => (action === 'options' ? [row] : []))
      assert.equal(rows.length, 1)
      const [row] = rows
      const step = more.maxTokens - 1
      assert.deepEqual(
        ['reason', 'step', 'layer', 'kvHead', 'slot', 'target', 'weight'].map((name) => table[name][row]),
        ['asked', step, 0, 0, null, null, 0],
      )
      assert.equal(table.position[row], seqLen)
      assert.deepEqual(run.card.interventions, [{ step, action: 'options', changes: { alpha: { from: 1, to: 0.5 } } }])
      assert.ok(run.receipt.ok)
      const note = `options changed after step ${step}: alpha 1 → 0.5`
      for (const { notes } of [run.receipt, session.receipt()]) assert.ok(notes.includes(note), notes.join())
      assert.equal(run.data().alpha, 0.5)
      for (const ending of ['arrow', 'parquet']) {
        const opened = await Trace.open(await run.trace.save(join(folder, `changed.${ending}`)))
        assert.deepEqual(opened.table(), table)
        assert.deepEqual(opened.card.interventions, run.card.interventions)
        const held = session.cache.state(1).origins
        const { kvHeads } = model.description
        for (let kvHead = 0; kvHead < kvHeads; kvHead++)
          assert.deepEqual(
            opened.cacheAt({ layer: 1, kvHead }).slots.map(({ origins }) => origins),
            held[kvHead],
          )
      }
      session.dispose()
    })

    it('is asked again at the same place by the shadow and by a fork that reads again', async () => {
      const session = model.session({ policy: tight() })
      await session.prefill(TEXT)
      await session.change({ alpha: 0 })
      const run = await session.generate(undefined, more)
      await session.change({ alpha: 1 })
      const next = await session.generate(' and', more)
      for (const one of [run, next]) {
        const { policyLogprobs } = await one.shadow({ progress: false })
        assert.deepEqual(policyLogprobs, one.logprobs)
      }
      const again = await session.fork({ trace: true, progress: false })
      assert.deepEqual(again.cache.state(0).keys, session.cache.state(0).keys)
      assert.deepEqual([again.receipt().notes.length, again.policy.options.alpha], [4, 1])
      const other = await session.fork({ policy: evictOnly({ budget: 24 }), progress: false })
      assert.match(other.receipt().notes.join(), /read again, without what was asked of the old policy, since/)
      for (const one of [session, again, other]) one.dispose()
    })

    it('goes to the wrapped policy, and says why what may not change may not', async () => {
      const session = model.session({ policy: adakv({ of: evictOnly({ budget: 24 }) }) })
      await assert.rejects(session.change({ decay: 0.9 }), { code: 'invalid', message: /too early to change options/ })
      await session.prefill(TEXT)
      assert.equal((await session.change({ decay: 0.9 })).of?.options.decay, 0.9)
      await assert.rejects(session.change({ floor: 0.1 }), {
        message: /floor of adakv cannot change .*step on decay may/,
      })
      const merging = model.session({ policy: tight() })
      await merging.prefill(TEXT)
      const reasons = {
        budget: /sizes are resolved once/,
        cache_tail: /recent of zsmerge cannot change.* sizes/,
        init: /made of the prompt/,
        window: /made of the prompt/,
        granularity: /hold the same positions/,
        history: /cannot be made up for/,
        aggregate: /the cache was built by it; from the next step on alpha, decay, similarity, scoreMerge may/,
        mode: /preset of all options/,
      }
      for (const [name, message] of Object.entries(reasons))
        await assert.rejects(merging.change({ [name]: 1 }), { code: 'invalid', message })
      await assert.rejects(merging.change({ alhpa: 1 }), { message: /no option "alhpa"/ })
      await assert.rejects(merging.change({ alpha: 'big' }), { message: /for alpha but received "big"/ })
      await assert.rejects(merging.change(7 as never), { message: /expected an object for change/ })
      assert.equal((await merging.change({ scale_factor: 0.25 })).options.alpha, 0.25)
      const without = model.session({ policy: evictOnly({ budget: 24, history: 'off' }) })
      await without.prefill(TEXT)
      await assert.rejects(without.change({ decay: 0.9 }), { message: /history 'off'/ })
      const newest = model.session({ policy: streaming({ budget: 24 }) })
      await newest.prefill(TEXT)
      await assert.rejects(newest.change({ sink: 1 }), { message: /nothing of streaming may change/ })
      const full = model.session({ policy: fullCache() })
      await full.prefill(TEXT)
      await assert.rejects(full.change({ alpha: 1 }), { message: /full has no option "alpha"/ })
      for (const one of [session, merging, without, newest, full]) one.dispose()
    })
  })
})
