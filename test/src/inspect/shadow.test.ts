/** What a traced session keeps so that its runs' shadows decode nothing again, how much that may be, and how a shadow ends early. */
import assert from 'node:assert/strict'
import { GivenRoom, MOST_GIVEN, whyDecodeAgain, type Fed } from '../../../src/calls.js'
import { evictOnly, load, zsmerge, type Model, type Progress, type Shadow } from '../../../src/index.js'
import { toyPath } from '../model/files.js'

const ids = (count: number, seed: number) => Array.from({ length: count }, (_, i) => (i * 7 + seed * 13) % 250)
const quiet = { progress: false } as const
const policy = zsmerge({ budget: 14, recent: 4, residual: 3 })
const OPTIONS = { maxTokens: 6, ignoreEos: true, ...quiet }

describe('shadow', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', ...quiet })
  })
  after(() => {
    model.dispose()
  })

  it('is the same whether the run was traced or is decoded again, which it says', async () => {
    const source = model.session({ forkable: 'all' })
    await source.prefill(ids(40, 3))
    const shadows: Shadow[] = []
    for (const trace of [true, false] as const) {
      const session = await source.fork({ policy, trace })
      // A second turn, in calls of several tokens.
      await session.generate(undefined, OPTIONS)
      const run = await session.generate(ids(9, 5), OPTIONS)
      shadows.push(await run.shadow({ from: source, ...quiet }), await run.shadow(quiet))
    }
    const [traced, , untraced] = shadows
    assert.deepEqual(
      shadows.map(({ decodedAgain }) => decodedAgain),
      [undefined, undefined, ...Array<string>(2).fill(whyDecodeAgain([], 0, false)!)],
    )
    assert.match(untraced.decodedAgain!, /not traced: trace: 'events' keeps/)
    assert.ok(traced.kl.some((kl) => kl > 0) && traced.local!.error.some((error) => error > 0))
    for (const one of shadows) assert.deepEqual({ ...one, decodedAgain: undefined }, traced)
  })

  it('what is kept of calls has a bound: beyond it the session lets go of all, and runs that ended have theirs', () => {
    const of = { ...model.description, layers: 1, heads: 3, kvHeads: 1, headDim: 2, vocabulary: 4 }
    // 64 bytes of attention a token, 16 of logits a call.
    const room = new GivenRoom(16 + 3 * 80)
    const log: Fed[] = []
    const fed = (place: GivenRoom, to: Fed[], tokens: number, prompt = false) => {
      const call = { ids: new Int32Array(tokens), shareOf: prompt ? tokens : 0 }
      const attention = prompt ? undefined : place.attention(of, tokens)
      place.add(to, call, attention, new Float32Array(of.vocabulary))
      return attention
    }
    fed(room, log, 10, true)
    assert.equal(fed(room, log, 1)!.length, 16)
    assert.equal(room.after(of, 0), 16 + 80)
    assert.equal(room.after(of, 1), 16 + 160)
    assert.equal(room.after(of, 100), 16 + 240)
    const [ended, copy] = [[...log], room.copy()]
    assert.equal(fed(room, log, 3), undefined, 'three tokens more are too many')
    assert.deepEqual(
      log.map(({ given }) => given),
      [undefined, undefined, undefined],
    )
    assert.equal(room.after(of, 100), 0)
    assert.equal(fed(room, log, 1), undefined, 'for good')
    assert.equal(log[3].given, undefined)
    assert.equal(whyDecodeAgain(ended, 1, true), undefined)
    assert.match(whyDecodeAgain(log, 1, true)!, /would have had to keep was more than 256 MB/)
    // A copy goes on by itself.
    assert.ok(fed(copy, ended, 2))
    assert.equal(copy.after(of, 0), 16 + 80 + 128 + 16)
    assert.equal(new GivenRoom().after(of, 1e9), MOST_GIVEN)
  })

  it('of calls with several rows only the last has logits, and only those that a run chose from are asked for', () => {
    const attention = new Float32Array(4)
    const log: Fed[] = [0, 1, 2].map((i) => ({
      ...{ ids: new Int32Array(1), shareOf: 0 },
      given: i ? { attention, logits: i > 1 ? attention : undefined } : {},
    }))
    assert.equal(whyDecodeAgain(log, 2, true), undefined)
    assert.notEqual(whyDecodeAgain(log, 1, true), undefined)
  })

  it('a fork finds what an earlier one made of the prompt, and is the same', async () => {
    const source = model.session({ forkable: 'all' })
    await source.prefill(ids(60, 3))
    const forked = async () => {
      const told: Progress[] = []
      const session = await source.fork({ policy, trace: true, progress: (one) => told.push(one) })
      const run = await session.generate(undefined, OPTIONS)
      return { total: told[told.length - 1].total, events: run.trace.columns() }
    }
    const [first, second] = [await forked(), await forked()]
    assert.ok(second.total < first.total, `${second.total} of ${first.total} units of work`)
    assert.deepEqual(second.events, first.events)
    const other = zsmerge({ budget: 14, recent: 4, residual: 3, decay: 0.5 })
    const told: Progress[] = []
    await source.fork({ policy: other, progress: (one) => told.push(one) })
    assert.equal(told[told.length - 1].total, first.total, 'sums of another decay are others')
  })

  it('ends where its signal says so, while it decodes and before heads are measured, and the session that it was forked from is as before', async () => {
    const source = model.session({ forkable: 'all' })
    await source.prefill(ids(40, 3))
    const session = await source.fork({ policy: evictOnly({ budget: 14, recent: 4 }), trace: true })
    const run = await session.generate(undefined, OPTIONS)
    const whole: Progress[] = []
    const expected = await run.shadow({ from: source, progress: (one) => whole.push(one) })
    const heads = model.description.layers * model.description.kvHeads
    const { total } = whole[0]
    assert.equal(total, 6 + heads)
    assert.equal(whole[whole.length - 1].done, total)
    for (const at of [1, 4, 6]) {
      const ending = new AbortController()
      const progress = ({ done }: Progress) => {
        if (done >= at) ending.abort()
      }
      await assert.rejects(
        run.shadow({ from: source, progress, signal: ending.signal }),
        { name: 'AbortError' },
        `at ${at}`,
      )
    }
    assert.deepEqual(await run.shadow({ from: source, ...quiet }), expected)
  })
})
