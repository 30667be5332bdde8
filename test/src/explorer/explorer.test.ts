/** The explorer's document and what is read from it: every step of every head as the trace itself has it, within what an output may take. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  evictOnly,
  explore,
  fullCache,
  load,
  snapkv,
  streaming,
  Trace,
  zsmerge,
  ZslabError,
  type Model,
  type Policy,
  type Run,
} from '../../../src/index.js'
import { headKey, type ExplorerData } from '../../../src/explorer/data.js'
import { eventBytes, eventsOfBytes, type Taken } from '../../../src/explorer/events.js'
import { legendOf, Looks, MODES, regionAt, type Mode } from '../../../src/explorer/look.js'
import { RunPack, packedRuns } from '../../../src/explorer/pack.js'
import { evictionMap } from '../../../src/figures/index.js'
import type { Points } from '../../../src/figures/plot.js'
import { NOT_YET, smallOf } from '../../../src/explorer/small.js'
import { HeadRows } from '../../../src/trace/head-rows.js'
import { TOKEN } from '../../../src/explorer/story.js'
import { differenceSentence, memberLines, stepSentence, tokenLines } from '../../../src/explorer/words.js'
import { staysOf } from '../../../src/figures/slot-map.js'
import { ACTION } from '../../../src/trace/actions.js'
import { rowsByHead } from '../../../src/trace/rebuild.js'
import { toyPath } from '../model/files.js'
import { bundleOf, documentOf, opened, storyIn } from './opened.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'

describe('explorer', function () {
  this.timeout(300_000)
  let model: Model
  let run: Run
  const runOf = async (policy: Policy, trace = true) => {
    const session = model.session({ policy, trace })
    const made = await session.generate(TEXT, { maxTokens: 40, ignoreEos: true, progress: false })
    session.dispose()
    return made
  }
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    run = await runOf(zsmerge({ budget: 24, recent: 8, residual: 2 }))
  })
  after(() => model?.dispose())

  it('has every head at every step as the trace has it, forwards, back and at random', async () => {
    for (const policy of [
      zsmerge({ budget: 24, recent: 8, residual: 2 }),
      zsmerge({ budget: 200, residual: 2 }),
      evictOnly({ budget: 24, sink: 2 }),
      streaming({ budget: 20, sink: 2 }),
      snapkv({ budget: 40 }),
      fullCache(),
    ]) {
      const { trace } = await runOf(policy)
      const data = documentOf(explore(trace))
      const { layers, kvHeads, lastStep } = data.runs[0]
      assert.equal(Object.keys(data.runs[0].heads).length, layers * kvHeads)
      const forth = Array.from({ length: lastStep + 1 }, (_, step) => step)
      const order = [...forth, ...forth.toReversed(), ...fc.sample(fc.nat(lastStep), { seed: 5, numRuns: 30 })]
      for (const [layer, kvHead] of [
        [0, 0],
        [layers - 1, kvHeads - 1],
      ]) {
        const story = await storyIn(data, headKey(layer, kvHead))
        for (const step of order) {
          const { slots, dropped } = trace.cacheAt({ step, layer, kvHead })
          const now = story.at(step)
          assert.equal(now.slots, slots.length, `${policy.name}, step ${step}`)
          assert.equal(now.dropped, dropped.length)
          for (const { slot, origins } of slots) {
            assert.deepEqual(story.members(step, slot), origins)
            assert.deepEqual([now.first[slot], now.members[slot]], [origins[0], origins.length])
            const state = origins.length > 1 ? TOKEN.merged : TOKEN.alone
            for (const position of origins) assert.deepEqual([now.slot[position], now.state[position]], [slot, state])
          }
          for (const position of dropped) assert.equal(now.state[position], TOKEN.dropped)
        }
      }
    }
  })

  it('shows a later turn with all that came before it, and options that changed meanwhile', async () => {
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    await session.generate(TEXT, { maxTokens: 5, ignoreEos: true, progress: false })
    await session.change({ alpha: 0.5 })
    const later = await session.generate(' and then', { maxTokens: 5, ignoreEos: true, progress: false })
    for (const shown of [later, session]) {
      const data = documentOf(explore(shown, { layer: 0, kvHead: 0 }))
      const [first] = data.runs
      const story = await storyIn(data, '0.0')
      const { trace } = shown
      const { slots } = trace.cacheAt({ layer: 0, kvHead: 0 })
      assert.equal(first.tokens.count, session.seqLen)
      assert.equal(story.at(first.lastStep).newest, session.seqLen - 1)
      for (const { slot, origins } of slots) assert.deepEqual(story.members(first.lastStep, slot), origins)
      const { text } = await opened(first)
      const said = Array.from({ length: first.lastStep + 1 }, (_, step) => stepSentence(story, step, text))
      assert.equal(said.filter((sentence) => /goes on with other options from position \d+/.test(sentence)).length, 1)
    }
    session.dispose()
  })

  it('says who was pinned, asked to leave and brought back, and has the slots that came of it; so has the map by slots', async () => {
    const session = model.session({ policy: evictOnly({ budget: 24, recent: 8 }), trace: true })
    const whole = { layers: [0], kvHeads: [0] }
    await session.generate(TEXT, { maxTokens: 5, ignoreEos: true, progress: false })
    const { seqLen } = session
    await session.pin({ position: seqLen - 6, ...whole })
    await session.evict({ position: seqLen - 5, ...whole })
    await session.generate(undefined, { maxTokens: 3, ignoreEos: true, progress: false })
    await session.unevict({ position: seqLen - 5, ...whole })
    await session.generate(undefined, { maxTokens: 5, ignoreEos: true, progress: false })
    const data = documentOf(explore(session, { layer: 0, kvHead: 0 }))
    const [first] = data.runs
    const story = await storyIn(data, '0.0')
    const { text } = await opened(first)
    const said = Array.from({ length: first.lastStep + 1 }, (_, step) => stepSentence(story, step, text)).join('\n')
    for (const [words, times] of [
      ['was pinned', 1],
      ['was asked to leave', 1],
      ['was brought back', 1],
    ] as const)
      assert.equal(said.split(words).length - 1, times, words)
    const stays = staysOf(session.trace.data(), 0, 0)
    for (let step = 0; step <= first.lastStep; step++) {
      const { slots } = session.trace.cacheAt({ step, layer: 0, kvHead: 0 })
      for (const { slot, origins } of slots) assert.deepEqual(story.members(step, slot), origins)
      const drawn = stays.filter(({ from, to }) => from <= step && step < to)
      assert.deepEqual(
        drawn.map(({ slot, position: one }) => [slot, one]),
        slots.map(({ slot, position: one }) => [slot, one]),
        `step ${step}`,
      )
    }
    // Both have a mark for who is pinned, where it is.
    const at = session.trace.data().tokens[seqLen - 6].position
    assert.deepEqual([story.pinned[at], story.isPinned(at, 4), story.isPinned(at, 3)], [4, true, false])
    assert.ok(
      legendOf('region', { merged: false, dropped: true, sink: false, pinned: true }).some((item) => item.pinned),
    )
    const lines = (position: number, step: number) =>
      tokenLines(story, step, position, text, first.tokens.read, first.sizes[0])
    assert.ok(lines(at, 5).includes('pinned at step 4: it never leaves'), lines(at, 5).join('\n'))
    assert.ok(lines(at, 2).includes('will be pinned at step 4: it never leaves'))
    assert.ok(lines(seqLen - 5, 5).includes('gone from step 4 on, back at step 7'), lines(seqLen - 5, 5).join('\n'))
    const slotOf = (step: number) =>
      session.trace.cacheAt({ step, layer: 0, kvHead: 0 }).slots.find(({ position }) => position === at)!.slot
    for (const by of ['slot', 'position'] as const) {
      const { plot } = evictionMap(session.trace, { layer: 0, kvHead: 0, by })
      assert.ok(plot.legend.some(({ label }) => label === 'pinned'))
      const marks = plot.panels.flatMap((panel) => panel.marks) as Points[]
      const { x, y, hover } = marks.find((mark) => mark.name === 'pinned' && mark.x.length)!
      const first = y.indexOf(Math.min(...y))
      assert.deepEqual([x[first], y[first]], [(by === 'slot' ? slotOf(4) : at) + 0.5, 4.5])
      assert.match(hover![first], /pinned at step 4: it never leaves/)
    }
    session.dispose()
  })

  it('is the same from a file, without the model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zslab-explorer-'))
    try {
      const trace = await Trace.open(await run.trace.save(join(folder, 'x.arrow')))
      const without = (document: ExplorerData) => ({ ...document, id: '' })
      assert.deepEqual(without(documentOf(explore(trace))), without(documentOf(explore(run))))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('keeps whole numbers exactly and scores to four digits', () => {
    const whole = fc.oneof(fc.integer({ min: -1, max: 40 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }))
    const real = fc.oneof(fc.constant(NaN), fc.float({ noNaN: true }), fc.constant(0))
    const row = fc.tuple(
      fc.array(whole, { minLength: 9, maxLength: 9 }),
      fc.array(real, { minLength: 4, maxLength: 4 }),
    )
    const names = ['step', 'action', 'reason', 'position', 'slot', 'target', 'rank', 'weight', 'targetWeight'] as const
    const reals = ['score', 'threshold', 'similarity', 'targetScore'] as const
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        const events = {
          ...Object.fromEntries(names.map((name, i) => [name, rows.map(([values]) => values[i])])),
          ...Object.fromEntries(reals.map((name, i) => [name, rows.map(([, values]) => values[i])])),
        } as unknown as Taken
        const back = eventsOfBytes(eventBytes(events, Int32Array.from(rows.keys())))
        for (const name of names) assert.deepEqual(Array.from(back[name]), Array.from(events[name]))
        for (const name of reals)
          back[name].forEach((value, i) => {
            const given = Math.fround(events[name][i])
            if (Number.isNaN(given)) assert.ok(Number.isNaN(value))
            else if (Math.abs(given) < 3e38)
              assert.ok(Math.abs(value - given) <= 1e-4 * Math.abs(given) + 1e-41, `${value} for ${given}`)
          })
      }),
      { seed: 3, numRuns: 200 },
    )
    const bytes = eventBytes(run.trace.columns(), new Int32Array([0, 1, 2]))
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => eventsOfBytes(bytes.slice(0, length)), RangeError)
  })

  it('small pictures count who still has a slot', async () => {
    const { layers, kvHeads, small, tokens, lastStep } = documentOf(explore(run)).runs[0]
    const values = (await opened(documentOf(explore(run)).runs[0])).small
    assert.equal(values.length, layers * kvHeads * small.rows * small.columns)
    const [layer, kvHead] = [layers - 1, kvHeads - 1]
    const events = run.trace.columns()
    for (let row = 0; row < small.rows; row++) {
      const step = Math.ceil(((row + 1) * (lastStep + 1)) / small.rows) - 1
      const { slots } = run.trace.cacheAt({ step, layer, kvHead })
      const leads = new Set(slots.map(({ origins }) => origins[0]))
      const [came, held] = [new Array(small.columns).fill(0), new Array(small.columns).fill(0)]
      for (let at = 0; at < events.step.length; at++) {
        if (events.layer[at] !== layer || events.kvHead[at] !== kvHead) continue
        if ((events.action[at] !== ACTION.admit && events.slot[at] >= 0) || events.step[at] > step) continue
        const column = Math.floor((events.position[at] * small.columns) / tokens.count)
        came[column]++
        if (leads.has(events.position[at])) held[column]++
      }
      for (let column = 0; column < small.columns; column++) {
        const at = ((layer * kvHeads + kvHead) * small.rows + row) * small.columns + column
        assert.equal(values[at], came[column] ? Math.round((254 * held[column]) / came[column]) : NOT_YET, `row ${row}`)
      }
    }
    assert.deepEqual(
      smallOf(
        { step: [], action: [], position: [], slot: [] },
        new HeadRows({ layer: [], kvHead: [], step: [] }, 1, 1),
        1,
        0,
        0,
      ).values,
      new Uint8Array([NOT_YET]),
    )
  })

  it('texts come back as they were, and read tokens are told from generated ones', async () => {
    const [first] = documentOf(explore(run)).runs
    const { text } = await opened(first)
    const { tokens } = run.data()
    assert.equal(first.tokens.count, tokens.length)
    for (const token of tokens) assert.equal(text(token.position), token.text)
    assert.equal(first.tokens.read, tokens.filter(({ prompt }) => prompt).length)
  })

  it('takes what fits, the chosen head first', () => {
    const packs = [new RunPack({ label: 'a', trace: run.trace })]
    const whole = packedRuns(packs, { id: 'x', chosen: { layer: 1, kvHead: 1 } }, 2_000_000)
    const keys = Object.keys(whole.runs[0].heads)
    assert.equal(keys[0], '1.1')
    const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value))
    const less = sizeOf(whole) - 100
    const cut = packedRuns(packs, { id: 'x', chosen: { layer: 1, kvHead: 1 } }, less)
    assert.ok(sizeOf(cut) <= less)
    assert.deepEqual(Object.keys(cut.runs[0].heads), keys.slice(0, Object.keys(cut.runs[0].heads).length))
    assert.ok(Object.keys(cut.runs[0].heads).length < keys.length)
    assert.deepEqual(packedRuns(packs, { id: 'x', chosen: { layer: 1, kvHead: 1 } }, 10).runs[0].heads, {})
  })

  it('says what a step did, why a token left and who is in a slot', async () => {
    const data = documentOf(explore(run, { layer: 0, kvHead: 0 }))
    const [first] = data.runs
    const { text } = await opened(first)
    const story = await storyIn(data, '0.0')
    const [sizes] = first.sizes
    assert.match(stepSentence(story, 0, text), /^Step 0 of \d+ \(the prompt\): \d+ tokens came, /)
    const step = first.lastStep
    assert.match(
      stepSentence(story, step, text),
      new RegExp(
        `^Step ${step} of ${step}: .*“.+” at \\d+ merged into slot [01], which now stands for \\d+; .* came\\.$`,
      ),
    )
    const events = run.trace.columns()
    const [rows] = rowsByHead(events, first.layers, first.kvHeads)
    const merge = Array.from(rows).findLast((row) => events.action[row] === ACTION.merge)!
    const position = events.position[merge]
    const lines = tokenLines(story, step, position, text, first.tokens.read, sizes)
    assert.match(lines[1], /^merged: one of \d+ tokens in slot [01]$/)
    assert.match(
      lines[2],
      new RegExp(
        `^merged into slot ${events.target[merge]} at step ${events.step[merge]}: for its score, rank 0 to leave, score [\\d.e−]+`,
      ),
    )
    const before = tokenLines(story, events.step[merge] - 1, position, text, first.tokens.read, sizes)
    assert.match(before[2], /^will be merged into slot/)
    const members = memberLines(story, step, events.target[merge], text)
    assert.equal(members[0]!.step, undefined)
    assert.equal(members.at(-1)!.position, position)
    assert.ok(members.at(-1)!.similarity > -2)
  })

  it('colours of a step: recent, merged, kept and dropped tokens are told apart in every mode', async () => {
    const data = documentOf(explore(await runOf(evictOnly({ budget: 24, sink: 2, recent: 8 }))))
    const { sizes, lastStep, tokens } = data.runs[0]
    const story = await storyIn(data, headKey(data.chosen.layer, data.chosen.kvHead))
    const looks = new Looks(story, sizes[0])
    const now = story.at(lastStep)
    const regions = Array.from({ length: tokens.count }, (_, position) => regionAt(now, position, sizes[0]))
    assert.deepEqual([...new Set(regions)].sort(), ['context', 'dropped', 'recent', 'sink'])
    assert.deepEqual(regions.slice(-8), Array(8).fill('recent'))
    const found = (mode: Mode, region: (typeof regions)[number]) => looks.at(now, regions.indexOf(region), mode)
    assert.deepEqual(
      MODES.map((mode) => [found(mode, 'dropped'), found(mode, 'context')].map((fill) => fill.replace(/:.*/, ''))),
      [
        ['paper', 'held'],
        ['dropped', 'held'],
        ['ramp', 'ramp'],
      ],
    )
    assert.deepEqual([found('region', 'sink'), found('region', 'recent')], ['sink', 'recent'])
    assert.equal(looks.at(story.at(0), tokens.count - 1, 'fate'), 'paper')
    assert.deepEqual(
      legendOf('region', { merged: false, dropped: true, sink: true, pinned: false }).map(({ label }) => label),
      ['kept, recent', 'kept, older', 'sink', 'dropped'],
    )
  })

  it('two runs share what is chosen, and their difference is said', async () => {
    const other = await runOf(evictOnly({ budget: 24, recent: 8 }))
    const explorer = explore(run, other, { layer: 0, labels: ['merging', 'dropping'] })
    const data = documentOf(explorer)
    assert.deepEqual(
      data.runs.map(({ label }) => label),
      ['merging', 'dropping'],
    )
    const [a, b] = [await storyIn(data, '0.0'), await storyIn(data, '0.0', 1)]
    const sentence = differenceSentence(a, b, data.runs[0].lastStep, ['merging', 'dropping'])
    assert.match(
      sentence,
      /^Kept on their own in both: \d+ \(Jaccard 0\.\d\d\); only in merging: \d+; only in dropping: \d+\.$/,
    )
    assert.match(differenceSentence(a, a, 3, ['x', 'y']), /\(Jaccard 1\.00\); only in x: 0; only in y: 0/)
    const bundle = bundleOf(explorer)
    assert.match(bundle['text/plain'] as string, /^merging: Layer 0, kv head 0 keeps .*\ndropping: Layer 0/)
    assert.equal((bundle['image/svg+xml'] as string).match(/<svg /g)!.length, 3)
    assert.ok(Buffer.byteLength(JSON.stringify(bundle)) <= 2_000_000)
  })

  it('refuses in a sentence what it cannot show', async () => {
    const silent = await runOf(fullCache(), false)
    const says = (call: () => unknown, words: RegExp) =>
      assert.throws(
        call,
        (error) => error instanceof ZslabError && error.code === 'invalid' && words.test(error.message),
      )
    says(() => explore(silent), /kept no events: make it with model\.session\(\{ trace: true/)
    says(() => explore(run, silent), /kept no events/)
    says(() => explore({} as never), /a run \(from session.generate\), a session or a trace .* for run/)
    says(() => explore(run, run, run as never), /one run or two side by side/)
    says(() => explore(run, { layer: 99 }), /layer/)
    says(() => explore(run, { head: 1 } as never), /explore has no option "head".*layer, kvHead, labels/)
    says(() => explore(run, { labels: ['a', 'b'] }), /labels/)
  })
})
