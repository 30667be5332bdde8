/** What is asked of a session's cache beside its tokens: it holds from then on, is on record, and goes where the session goes. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'mocha'
import {
  adakv,
  evictOnly,
  fullCache,
  load,
  minicache,
  snapkv,
  streaming,
  tova,
  Trace,
  zsmerge,
  type Model,
} from '../../src/index.js'
import { toyPath } from './model/files.js'
import { near } from './near.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
const tight = () => zsmerge({ budget: 24, recent: 8, residual: 2 })
const more = { maxTokens: 12, ignoreEos: true, progress: false }

describe('counterfactuals', function () {
  this.timeout(300_000)
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
        near(policyLogprobs, one.logprobs)
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

  describe('evict, pin, unevict', () => {
    const kept = (session: ReturnType<Model['session']>, position: number) =>
      Array.from({ length: model.description.layers }, (_, layer) =>
        session.cache
          .state(layer)
          .origins.map((slots) => slots.some((slot) => slot.length === 1 && slot[0] === position)),
      ).flat()
    const rebuilt = (session: ReturnType<Model['session']>, trace: Trace) => {
      const { layers, kvHeads } = model.description
      for (let layer = 0; layer < layers; layer++)
        for (let kvHead = 0; kvHead < kvHeads; kvHead++)
          assert.deepEqual(
            trace.cacheAt({ layer, kvHead }).slots.map(({ origins }) => origins),
            session.cache.state(layer).origins[kvHead],
          )
    }

    it('a token that is asked to leave is gone, dropped and never merged; the next one takes its room', async () => {
      const session = model.session({ policy: tight(), trace: true })
      await session.prefill(TEXT)
      const newest = session.seqLen - 1
      const { layers, kvHeads } = model.description
      const { dropped, merged } = session.receipt()
      assert.equal(await session.evict({ position: newest - 1 }), layers * kvHeads)
      assert.equal(await session.evict({ position: newest, layers: [1], kvHeads: [0] }), 1)
      const receipt = session.receipt()
      assert.deepEqual([receipt.dropped - dropped, receipt.merged, receipt.ok], [layers * kvHeads + 1, merged, true])
      assert.ok(receipt.notes.includes(`position ${newest} was asked to leave after step 0 in 1 kv head`))
      assert.ok(kept(session, newest - 1).every((held) => !held))
      const run = await session.generate(undefined, { ...more, maxTokens: 2 })
      assert.equal(run.receipt.merged, merged)
      assert.equal(run.card.interventions?.length, 2)
      rebuilt(session, run.trace)
      const next = await session.generate(undefined, more)
      assert.ok(next.receipt.ok && next.receipt.merged > merged)
      rebuilt(session, next.trace)
      const { policyLogprobs } = await next.shadow({ progress: false })
      near(policyLogprobs, next.logprobs)
      for (const ending of ['arrow', 'parquet']) {
        const opened = await Trace.open(await next.trace.save(join(folder, `asked.${ending}`)))
        assert.deepEqual(opened.table(), next.trace.table())
        rebuilt(session, opened)
      }
      assert.equal(session.trace.counts().drop?.reasons.asked, layers * kvHeads + 1)
      session.dispose()
    })

    it('a pinned token stays, in forks and snapshots too, and one that came back as well', async () => {
      const policy = () => evictOnly({ budget: 16, recent: 2 })
      const plain = model.session({ policy: policy() })
      const first = await plain.generate(TEXT, { ...more, maxTokens: 40 })
      const session = model.session({ policy: policy(), trace: true })
      await session.prefill(TEXT)
      const { layers, kvHeads } = model.description
      const position = session.seqLen - 1
      assert.equal(await session.pin({ position }), layers * kvHeads)
      const snapshot = await session.snapshot()
      const run = await session.generate(undefined, { ...more, maxTokens: 40 })
      assert.ok(kept(session, position).every(Boolean) && !kept(plain, position).every(Boolean))
      assert.notDeepEqual(run.tokens.length && run.logprobs, first.logprobs)
      rebuilt(session, run.trace)
      near((await run.shadow({ progress: false })).policyLogprobs, run.logprobs)
      await session.restore(snapshot)
      const again = await session.generate(undefined, { ...more, maxTokens: 40 })
      assert.deepEqual(again.logprobs, run.logprobs)

      const lost = session.tokens.findIndex((_, one) => one > 0 && !kept(session, one).every(Boolean))
      const gone = kept(session, lost).indexOf(false)
      const at = { position: lost, layers: [Math.floor(gone / kvHeads)], kvHeads: [gone % kvHeads] }
      const full = model.session({ policy: fullCache() })
      await full.prefill(session.tokens)
      assert.equal(await session.unevict(at), 1)
      assert.ok(kept(session, lost)[gone])
      const [layer] = at.layers
      const state = session.cache.state(layer)
      const slot = state.origins[at.kvHeads[0]].findIndex(([one]) => one === lost)
      const row = (state.offsets[at.kvHeads[0]] + slot) * model.description.headDim
      const whole = full.cache.state(layer)
      const wanted = (whole.offsets[at.kvHeads[0]] + lost) * model.description.headDim
      const d = model.description.headDim
      // A text of another length is rounded otherwise.
      for (const name of ['keys', 'values'] as const)
        for (let i = 0; i < d; i++) assert.ok(Math.abs(state[name][row + i] - whole[name][wanted + i]) < 1e-5, name)
      await session.pin(at)
      const last = await session.generate(undefined, more)
      assert.ok(kept(session, lost)[gone] && last.receipt.ok)
      rebuilt(session, last.trace)
      near((await last.shadow({ progress: false })).policyLogprobs, last.logprobs)
      for (const one of [plain, session, full]) one.dispose()
    })

    it('a piece of the text is asked as a whole, or not at all', async () => {
      const session = model.session({ policy: evictOnly({ budget: 16, recent: 2 }), trace: true })
      await session.prefill(TEXT)
      const { layers, kvHeads } = model.description
      const { seqLen } = session
      assert.equal(await session.pin({ from: seqLen - 2 }), 2 * layers * kvHeads)
      assert.equal(session.trace.counts().pin?.events, 2 * layers * kvHeads)
      const before = session.trace.table()
      const lost = Array.from({ length: seqLen }, (_, one) => one).find((one) => !kept(session, one).some(Boolean))!
      await assert.rejects(session.evict({ from: lost - 1, to: lost + 1 }), { code: 'invalid' })
      assert.deepEqual(session.trace.table(), before)
      // Each would come in place of the same victim.
      const gone = (one: number) => one > 0 && [one, one + 1].every((each) => !kept(session, each).some(Boolean))
      const two = Array.from({ length: seqLen - 1 }, (_, one) => one).find(gone)!
      await session.generate(undefined, { ...more, maxTokens: 2 })
      const held = session.trace.table()
      await assert.rejects(session.unevict({ from: two, to: two + 2 }), {
        code: 'invalid',
        message: /would leave layer/,
      })
      assert.deepEqual(session.trace.table(), held)
      await assert.rejects(session.unevict({ from: lost, to: seqLen }), { code: 'invalid', message: /was not dropped/ })
      assert.deepEqual(session.trace.table(), held)
      await assert.rejects(session.pin({ text: 'a word that is not there' }), { message: /is not in the text/ })
      await assert.rejects(session.pin({ text: 'a', position: 1 }), { message: /no position beside text/ })
      session.dispose()
    })

    it('is missed no longer once it is back, and its slot is what the head was given', async () => {
      const regret = async (back: boolean) => {
        const session = model.session({ policy: evictOnly({ budget: 32, recent: 2 }), trace: 'vectors' })
        await session.prefill(TEXT)
        const at = { position: session.seqLen - 2, layers: [1], kvHeads: [0] }
        await session.pin(at)
        await session.evict(at)
        await session.generate(undefined, { ...more, maxTokens: 4 })
        if (back) {
          await session.unevict(at)
          await session.pin(at)
        }
        const run = await session.generate(undefined, more)
        const { local } = await run.shadow({ progress: false })
        const loss = local!.lost.position.findIndex(
          (one, i) => one === at.position && local!.lost.layer[i] === 1 && local!.lost.kvHead[i] === 0,
        )
        const { lost } = local!
        const head = session.trace.cacheAt({ layer: 1, kvHead: 0 })
        const { keys, values } = session.cache.state(1)
        if (back) {
          assert.deepEqual(head.keys, keys.subarray(0, head.keys!.length))
          assert.deepEqual(head.values, values.subarray(0, head.values!.length))
          assert.ok(head.slots.some(({ position }) => position === at.position))
        }
        session.dispose()
        return [lost.probability[loss], lost.change[loss], lost.worstStep[loss]]
      }
      assert.deepEqual(await regret(true), [0, 0, -1])
      assert.ok((await regret(false)).every((one) => one > 0))
    })

    it('says what cannot be asked', async () => {
      const session = model.session({ policy: zsmerge({ budget: 8, recent: 2, residual: 2 }) })
      await assert.rejects(session.evict({ position: 0 }), { code: 'invalid', message: /too early to evict a token/ })
      await session.prefill(TEXT)
      const { seqLen } = session
      await assert.rejects(session.pin({ position: seqLen }), { code: 'invalid', message: /from 0 to/ })
      await assert.rejects(session.pin({ position: 0, kvHeads: [9] }), { message: /kvHeads\[0\]/ })
      await assert.rejects(session.pin({ at: 0 } as never), { message: /no option "at"/ })
      const merged = session.cache.state(0).origins[0][0]
      const one = { layers: [0], kvHeads: [0] }
      await assert.rejects(session.unevict({ position: merged[0], ...one }), {
        message: /part of a merged slot in layer 0/,
      })
      await assert.rejects(session.evict({ position: merged[0], ...one }), {
        message: /has no slot of its own in any kv head/,
      })
      const own = session.cache.state(0).origins[0].filter(({ length }) => length === 1)
      await assert.rejects(
        (async () => {
          for (const [position] of own) await session.pin({ position, ...one })
        })(),
        { code: 'invalid', message: /4 tokens are pinned already, as many as there are context slots/ },
      )
      const prompt = model.session({ policy: snapkv({ budget: 24, window: 8 }) })
      await prompt.prefill(TEXT)
      await assert.rejects(prompt.pin({ position: seqLen - 1 }), { message: /nobody leaves after the prompt/ })
      assert.ok((await prompt.evict({ position: seqLen - 1 })) > 0)
      const layered = model.session({ policy: tova({ budget: 24 }) })
      await layered.prefill(TEXT)
      const [[held]] = layered.cache.state(0).origins[0]
      await assert.rejects(layered.evict({ position: held, kvHeads: [0] }), { message: /choose together/ })
      assert.equal(await layered.evict({ position: held, layers: [0] }), model.description.kvHeads)
      const other = model.session({ policy: minicache({ start: 0 }) })
      await other.prefill(TEXT)
      await assert.rejects(other.evict({ position: 0 }), { code: 'unsupported', message: /one by one in slots/ })
      for (const each of [session, prompt, layered, other]) each.dispose()
    })
  })
})
