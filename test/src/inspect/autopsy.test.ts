/** Autopsies: fates against caches looked at after every step, shares and agreement by brute force, tapes by hand, and which words are found. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import {
  adakv,
  evictOnly,
  fullCache,
  load,
  random,
  snapkv,
  streaming,
  tova,
  Trace,
  zsmerge,
  type Autopsy,
  type Model,
  type Policy,
  type Session,
} from '../../../src/index.js'
import { autopsy } from '../../../src/inspect/autopsy.js'
import { originsOf } from '../../../src/native-cache.js'
import type { EventColumns } from '../../../src/native/binding.js'
import { ACTION, REASONS } from '../../../src/trace/actions.js'
import type { RunData } from '../../../src/trace/data.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const STEPS = 24
const PROMPT = 40

/** [head][slot] of positions, heads of all layers one after another. */
type State = number[][][]

function stateOf(session: Session): State {
  const layers = Array.from({ length: session.model.description.layers }, (_, layer) => layer)
  return layers.flatMap((layer) =>
    originsOf(session.cache.origins(layer)).map((slots) => slots.map((all) => Array.from(all))),
  )
}

/** The caches after the prompt and after every step, and what an autopsy at the end is made of. */
async function stepped(session: Session, seed: number, prompt: number) {
  const draw = draws(seed)
  await session.prefill(
    Array.from({ length: prompt }, () => draw(250)),
    { progress: false },
  )
  const states = [stateOf(session)]
  for (let step = 0; step < STEPS; step++) {
    await session.step(draw(250))
    states.push(stateOf(session))
  }
  const run = await session.generate(undefined, { maxTokens: 1, progress: false })
  const events = session.cache.events()
  return { states, events, data: run.data(), card: run.card, lastStep: STEPS }
}

const alone = (state: State, head: number, position: number) =>
  state[head].some((slot) => slot.length === 1 && slot[0] === position)

/** What an autopsy should say of one place, from the caches after every step alone. */
function placeOf(states: State[], data: RunData, head: number, position: number, step: number) {
  const slot = states[step][head].findIndex((one) => one.includes(position))
  const weight = slot < 0 ? 0 : states[step][head][slot].length
  if (weight === 1) return { fate: 'kept', slot, weight, lostAt: null, lost: null }
  let lostAt = step
  while (lostAt > 0 && !alone(states[lostAt - 1], head, position) && position < data.promptTokens + lostAt - 1) lostAt--
  const sizes = data.resolved.heads?.[Math.floor(head / data.kvHeads)][head % data.kvHeads] ?? data.resolved
  const outlived = states.some((state, at) => {
    if (at >= lostAt || position >= data.promptTokens + at - sizes.recent) return false
    // Somebody lost a slot there: one that came before or just now is no longer alone.
    return Array.from({ length: data.promptTokens + at }, (_, other) => other).some(
      (other) =>
        !alone(state, head, other) &&
        (at === 0 || other === data.promptTokens + at - 1 || alone(states[at - 1], head, other)),
    )
  })
  const lost = outlived ? 'later' : 'first'
  return { fate: weight ? 'blurred' : outlived ? 'later' : 'never', slot: slot < 0 ? null : slot, weight, lostAt, lost }
}

function checkShares(made: Autopsy, state: State): void {
  const { layers, kvHeads, from, to } = made
  const keeps = state.map(
    (slots) =>
      new Set(
        slots
          .filter(({ length }) => length === 1)
          .map(([position]) => position)
          .filter((at) => at >= from && at < to),
      ),
  )
  const gone = (heads: Set<number>[]) => {
    let count = 0
    for (let position = from; position < to; position++) if (!heads.some((head) => head.has(position))) count++
    return count / (to - from)
  }
  const agree = (heads: Set<number>[]) => {
    const shares = heads.flatMap((a, i) =>
      heads.slice(i + 1).flatMap((b) => {
        const both = [...a].filter((position) => b.has(position)).length
        const either = new Set([...a, ...b]).size
        return either ? [both / either] : []
      }),
    )
    return shares.length ? shares.reduce((sum, share) => sum + share, 0) / shares.length : null
  }
  const near = (found: number | null, expected: number | null) =>
    found === null || expected === null ? assert.equal(found, expected) : assert.ok(Math.abs(found - expected) < 1e-12)
  assert.equal(made.globalEviction.model, gone(keeps))
  near(made.agreement.model, agree(keeps))
  for (let layer = 0; layer < layers; layer++) {
    const own = keeps.slice(layer * kvHeads, (layer + 1) * kvHeads)
    assert.equal(made.globalEviction.layers[layer], gone(own))
    near(made.agreement.layers[layer], agree(own))
  }
}

describe('autopsy', function () {
  this.timeout(600_000)
  const folder = ownFolder()
  let model: Model
  before(async () => (model = await load(toyPath, { weights: 'float32', progress: false })))
  after(() => model.dispose())

  const uneven = () =>
    Array.from({ length: model.description.layers }, (_, layer) =>
      Array.from({ length: model.description.kvHeads }, (_, kvHead) => 14 + 3 * layer + 2 * kvHead),
    )
  const CASES: [string, Policy, prompt?: number, budgets?: () => number[][]][] = [
    ['zsmerge', zsmerge({ budget: 16, recent: 5, residual: 2 })],
    ['zsmerge, full while decoding', zsmerge({ budget: 16, recent: 3, residual: 2 }), 9],
    ['zsmerge, first tokens', zsmerge({ budget: 16, recent: 3, residual: 2, underfull: 'first-tokens' }), 9],
    ['zsmerge, ragged', zsmerge({ budget: 16, recent: 4, residual: 2 }), PROMPT, uneven],
    ['evict-only', evictOnly({ budget: 16, recent: 4, sink: 2 })],
    ['evict-only, ragged', evictOnly({ budget: 16, recent: 0.25 }), PROMPT, uneven],
    ['tova', tova({ budget: 16 })],
    ['random', random({ budget: 16 })],
    ['streaming', streaming({ budget: 16, sink: 2 })],
    ['snapkv', snapkv({ budget: 16, window: 4 })],
    ['adakv', adakv({ of: zsmerge({ budget: 16, recent: 4, residual: 2 }) })],
    ['full', fullCache()],
  ]
  for (const [i, [name, policy, prompt = PROMPT, budgets]] of CASES.entries())
    it(`${name}: is what the caches were, step by step`, async () => {
      const session = model.session({ policy, trace: true, ...(budgets && { budgets: budgets() }) })
      const { states, ...of } = await stepped(session, i + 1, prompt)
      for (const [step, from, to] of [
        [STEPS, 0, prompt + STEPS],
        [STEPS, 5, 9],
        [0, 0, prompt],
        [7, prompt - 4, prompt + 7],
      ]) {
        const made = autopsy(of, { step, from, to })
        const table = made.table()
        const heads = of.data.layers * of.data.kvHeads
        assert.equal(table.fate.length, heads * (to - from))
        const counts = { kept: 0, blurred: 0, never: 0, later: 0 }
        table.position.forEach((position, row) => {
          const head = Number(table.layer[row]) * of.data.kvHeads + Number(table.kvHead[row])
          const expected = placeOf(states, of.data, head, Number(position), step)
          const what = `head ${head}, position ${position}, step ${step}`
          counts[expected.fate as keyof typeof counts]++
          assert.equal(table.fate[row], expected.fate, what)
          assert.equal(table.slot[row], expected.slot, what)
          assert.equal(table.weight[row], expected.weight || null, what)
          assert.equal(table.share[row], expected.weight ? 1 / expected.weight : null, what)
          assert.equal(table.step[row], expected.lostAt, what)
          assert.equal(table.lost[row], expected.lost, what)
        })
        assert.deepEqual(made.counts, counts)
        checkShares(made, states[step])
      }
      session.dispose()
    })

  it('says why: the event’s own reason, rank and scores; of a slot that others came to, nothing', async () => {
    const session = model.session({ policy: zsmerge({ budget: 16, recent: 5, residual: 2 }), trace: true })
    const { events, ...of } = await stepped(session, 3, PROMPT)
    const table = autopsy({ events, ...of }).table()
    const seen = { merge: 0, join: 0 }
    table.position.forEach((position, row) => {
      if (table.event[row] === null) return assert.equal(table.fate[row], 'kept')
      seen[table.event[row] as keyof typeof seen]++
      const own = Array.from(events.step.keys()).find(
        (at) =>
          events.action[at] === ACTION.merge &&
          events.position[at] === position &&
          events.layer[at] === table.layer[row] &&
          events.kvHead[at] === table.kvHead[row],
      )
      assert.equal(table.event[row], own === undefined ? 'join' : 'merge')
      const margin = own === undefined ? null : events.score[own] - events.threshold[own]
      assert.equal(table.reason[row], own === undefined ? null : REASONS[events.reason[own]])
      assert.equal(table.rank[row], own === undefined ? null : events.rank[own])
      assert.equal(table.margin[row], margin)
      if (margin !== null) assert.ok(margin <= 0)
    })
    assert.ok(seen.merge > 100 && seen.join === 2 * of.data.layers * of.data.kvHeads, JSON.stringify(seen))
    session.dispose()
  })

  /** One head with budget 4, recent 1, after a prompt of 3: position, action, step and target. */
  const byHand = (
    ...rows: [step: number, action: keyof typeof ACTION, position: number, slot: number, target?: number][]
  ) => {
    const column = (value: (row: (typeof rows)[number]) => number) => Int32Array.from(rows, value)
    const events = {
      count: rows.length,
      step: column(([step]) => step),
      layer: column(() => 0),
      kvHead: column(() => 0),
      action: column(([, action]) => ACTION[action]),
      reason: column(([, action]) => REASONS.indexOf(action === 'admit' ? 'token' : 'score')),
      position: column(([, , position]) => position),
      slot: column(([, , , slot]) => slot),
      target: column(([, , , , target = -1]) => target),
      rank: column(() => 0),
      score: Float32Array.from(rows, () => 0.25),
      threshold: Float32Array.from(rows, () => 1),
      weight: column(() => 1),
    } as unknown as EventColumns
    const tokens = ['the', ' key', ' is', ' 77', ' the', ' key'].map((text, position) => ({
      id: position,
      text,
      position,
      prompt: position < 3,
    }))
    const resolved = { budget: 4, recent: 1, residual: 1, sink: 0, context: 2, window: 0, read: 0 }
    const data = {
      model: 'by hand',
      layers: 1,
      kvHeads: 1,
      promptTokens: 3,
      steps: 3,
      tokens,
      resolved,
    } as never as RunData
    return { events, data, card: {} as never, lastStep: 3 }
  }

  it('is what a small tape comes to by hand', () => {
    const of = byHand(
      [0, 'admit', 0, 0],
      [0, 'admit', 1, 1],
      [0, 'admit', 2, 2],
      [1, 'admit', 3, 3],
      [2, 'merge', 1, 1, 0],
      [2, 'place', 2, 2, 1],
      [2, 'place', 3, 3, 2],
      [2, 'admit', 4, 3],
      [3, 'drop', 3, 2],
      [3, 'place', 4, 3, 2],
      [3, 'admit', 5, 3],
    )
    const end = autopsy(of)
    const table = end.table()
    // 3 was a candidate from step 2 on, outlived that choice, and was dropped at the next.
    assert.deepEqual(table.fate, ['blurred', 'blurred', 'kept', 'later', 'kept', 'kept'])
    assert.deepEqual(table.event, ['join', 'merge', null, 'drop', null, null])
    assert.deepEqual(table.step, [2, 2, null, 3, null, null])
    assert.deepEqual(table.lost, ['first', 'first', null, 'later', null, null])
    assert.deepEqual(table.share, [0.5, 0.5, 1, null, 1, 1])
    assert.deepEqual(table.margin, [null, -0.75, null, -0.75, null, null])
    assert.deepEqual(end.globalEviction, { model: 3 / 6, layers: [3 / 6] })
    assert.deepEqual(end.agreement, { model: null, layers: [null] })
    assert.deepEqual(autopsy(of, { step: 1 }).counts, { kept: 4, blurred: 0, never: 0, later: 0 })
    assert.equal(autopsy(of, { from: 1, to: 4 }).text, ' key is 77')
  })

  it('finds words that stand in the text once, whatever tokens they are cut into', () => {
    const of = byHand(
      [0, 'admit', 0, 0],
      [0, 'admit', 1, 1],
      [0, 'admit', 2, 2],
      [3, 'admit', 3, 3],
      [3, 'admit', 4, 4],
      [3, 'admit', 5, 5],
    )
    const span = (text: string, step = 3) => {
      const { from, to } = autopsy(of, { text, step })
      return [from, to]
    }
    assert.deepEqual(span(' is 77'), [2, 4])
    assert.deepEqual(span('y is 7'), [1, 4])
    assert.deepEqual(span('7'.repeat(2)), [3, 4])
    assert.deepEqual(span('the key', 0), [0, 2])
    const refused = (options: object, message: RegExp) =>
      assert.throws(() => autopsy(of, options as never), { name: 'ZslabError', code: 'invalid', message })
    refused({ text: 'the key' }, /"the key" stands in the text 2 times, at positions 0, 4: give more of the words/)
    refused({ text: 'key is 78' }, /"key is 78" is not in the text of 6 tokens: expected words as they stand there/)
    refused({ text: '77', step: 0 }, /is not in the text of 3 tokens/)
    refused({ text: '' }, /some words of the text for text/)
    refused({ text: 'is', from: 2 }, /give either words or positions/)
    refused({ from: 6 }, /from 0 to 5 for from but received 6/)
    refused({ from: 2, to: 2 }, /from 3 to 6 for to but received 2/)
    refused({ from: 2, to: 6, step: 1 }, /from 3 to 4 for to but received 6/)
    refused({ step: 4 }, /from 0 to 3 for step but received 4/)
    refused({ words: 'is' }, /autopsy has no option "words".*it has: from, to, text, step/)
  })

  it('is the same from a file, as frame and as CSV, shows itself, and needs events', async () => {
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    const run = await session.generate(
      Array.from({ length: 60 }, (_, i) => (i * 7) % 250),
      { maxTokens: 9, ignoreEos: true, progress: false },
    )
    const made = run.trace.autopsy({ from: 20, to: 26, step: 5 })
    const opened = await Trace.open(await run.trace.save(join(folder, 'x.arrow')))
    assert.deepEqual(opened.autopsy({ from: 20, to: 26, step: 5 }).table(), made.table())
    const names = Object.keys(made.table())
    assert.deepEqual(made.frame().columns, names)
    assert.deepEqual(made.frame().shape, [6 * 6, names.length])
    const lines = made.csv().split('\n')
    assert.equal(lines[0], names.join(','))
    assert.equal(lines.length, 1 + 36 + 1)
    const layers = made.byLayer()
    assert.deepEqual(layers.layer, [0, 1, 2, null])
    assert.deepEqual([layers.globalEviction[3], layers.agreement[3]], [made.globalEviction.model, made.agreement.model])
    assert.deepEqual(layers.globalEviction.slice(0, 3), made.globalEviction.layers)
    assert.ok(Math.abs(Number(layers.kept[3]) - made.counts.kept / 36) < 1e-12)
    assert.deepEqual(made.frame({ by: 'layer' }).columns, Object.keys(layers))
    assert.equal(made.csv({ by: 'layer' }).split('\n').length, 1 + 4 + 1)
    assert.throws(() => made.csv({ by: 'head' as never }), /'place', 'layer'/)
    await assert.rejects(made.save(join(folder, 'x.arrow'), { layer: 1 } as never), /no option "layer"/)
    layers.kept.forEach((kept, layer) => {
      const sum =
        Number(kept) + Number(layers.blurred[layer]) + Number(layers.never[layer]) + Number(layers.later[layer])
      assert.ok(Math.abs(sum - 1) < 1e-12)
    })
    assert.match(
      String(
        (made as never as Record<symbol, () => Record<string, unknown>>)[Symbol.for('Jupyter.display')]()['text/plain'],
      ),
      /^Autopsy of .*: 6 tokens, positions 20 to 25, in 6 kv heads at the end of step 5\n {2}kept .*%, blurred/,
    )
    assert.equal(made.card.model.name, run.card.model.name)
    const quiet = await model.session().generate([1, 2, 3], { maxTokens: 1, progress: false })
    assert.throws(() => quiet.trace.autopsy(), { code: 'invalid', message: /trace: true/ })
  })
})
