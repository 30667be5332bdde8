/** The difference of two runs: sets and fates counted by hand and by brute force, from runs and from files alike. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { fullCache, load, Trace, zsmerge, type Model, type Run } from '../../../src/index.js'
import { countsOfHead, headDifference } from '../../../src/inspect/head-difference.js'
import { textChanges } from '../../../src/inspect/text-difference.js'
import { ownFolder, toyPath } from '../model/files.js'
import { alike } from '../../scale.js'

const PROMPT = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
const CALL = { maxTokens: 12, seed: 1, ignoreEos: true, progress: false } as const

/** Positions 0 … count − 1 put into slots, some of them nowhere. */
const slotsOf = (places: readonly number[]): number[][] => {
  const slots = new Map<number, number[]>()
  places.forEach((slot, position) => {
    if (slot >= 0) slots.set(slot, [...(slots.get(slot) ?? []), position])
  })
  return [...slots.values()]
}

const written = (ids: readonly number[]) => ({
  ids,
  texts: ids.map(String),
  logprobs: Float64Array.from(ids, () => -1),
})

describe('difference of two runs', () => {
  it('counts a head as done by hand', () => {
    const a = [[0, 1, 2], [3, 4], [5], [6], [9]]
    const b = [[3, 4, 2], [0, 1], [5], [7], [8], [6, 10]]
    const head = headDifference(a, b, 9)
    // 10 comes after the texts part, but 6 shares its slot; 2 went with others; 9 is no token of both.
    assert.deepEqual([...head.changed], [0, 0, 1, 0, 0, 0, 1, 1, 1])
    assert.deepEqual(countsOfHead(head), {
      both: 1,
      onlyA: 1,
      onlyB: 2,
      jaccard: 0.25,
      fates: [
        [1, 1, 0],
        [0, 5, 0],
        [2, 0, 0],
      ],
      elsewhere: 1,
      changed: 4,
    })
    assert.equal(countsOfHead(headDifference([], [], 5)).jaccard, 1)
    assert.equal(countsOfHead(headDifference([[0]], [], 5)).jaccard, 0)
  })

  it('counts what sets count, whatever the slots are called', () => {
    const count = 24
    const places = fc.array(fc.integer({ min: -1, max: 14 }), { minLength: count, maxLength: count })
    fc.assert(
      fc.property(places, places, fc.nat(), (x, y, turn) => {
        const [a, b] = [slotsOf(x), slotsOf(y)]
        const alone = (slots: number[][]) => new Set(slots.filter((slot) => slot.length === 1).flat())
        const [mine, yours] = [alone(a), alone(b)]
        const both = [...mine].filter((position) => yours.has(position)).length
        const either = new Set([...mine, ...yours]).size
        const counts = countsOfHead(headDifference(a, b, count))
        assert.equal(counts.both, both)
        assert.equal(counts.onlyA, mine.size - both)
        assert.equal(counts.onlyB, yours.size - both)
        assert.equal(counts.jaccard, either ? both / either : 1)
        assert.equal(
          counts.fates.flat().reduce((sum, one) => sum + one, 0),
          count,
        )
        const same = countsOfHead(
          headDifference(a, [...a.slice(turn % a.length), ...a.slice(0, turn % a.length)], count),
        )
        assert.deepEqual([same.changed, same.jaccard], [0, 1])
      }),
      { numRuns: alike(5000, 300), seed: 3 },
    )
  })

  it('aligns texts: what is taken out and put in makes one of the other', () => {
    const ids = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 30 })
    fc.assert(
      fc.property(ids, ids, (a, b) => {
        const changes = textChanges(written(a), written(b))
        const text = (of: 'a' | 'b') => changes.filter((change) => change.in !== of).map((change) => change.text)
        assert.equal(text('b').join(''), a.join(''))
        assert.equal(text('a').join(''), b.join(''))
        for (const change of changes)
          assert.equal(
            change.text,
            (change.in === 'b' ? b.slice(change.b) : a.slice(change.a)).slice(0, change.tokens).join(''),
          )
      }),
      { numRuns: alike(5000, 300), seed: 4 },
    )
    const far = [0, 1].map((side) => Array.from({ length: 3000 }, (_, i) => (i < 10 ? i : 10 + 2 * i + side)))
    const changes = textChanges(written(far[0]), written(far[1]))
    assert.deepEqual(
      changes.map((change) => [change.in, change.tokens]),
      [
        ['both', 10],
        ['a', 2990],
        ['b', 2990],
      ],
    )
  })

  describe('of a model', () => {
    const folder = ownFolder()
    let model: Model
    let runs: Run[]
    const runOf = (options: object, prompt = PROMPT) =>
      model
        .session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2, ...options }), trace: true })
        .generate(prompt, CALL)
    before(async () => {
      model = await load(toyPath, { weights: 'float32', progress: false })
      runs = [await runOf({ alpha: 1 }), await runOf({ alpha: 0, recent: 4 })]
    })
    after(() => model.dispose())

    it('is what the caches say at any step, and at the end what they hold', () => {
      const [a, b] = runs
      const difference = a.minus(b)
      const ids = runs.map((run) => run.data().tokens.map(({ id }) => id))
      const parted = ids[0].findIndex((id, i) => id !== ids[1][i])
      assert.equal(difference.shared, parted < 0 ? ids[0].length : parted)
      assert.equal(difference.lastStep, 11)
      for (const step of [0, 1, 5, 11]) {
        const { heads, tokens, meanJaccard } = difference.at({ step })
        assert.equal(tokens, Math.min(60 + step, difference.shared))
        assert.equal(heads.length, difference.layers * difference.kvHeads)
        for (const { layer, kvHead, ...counts } of heads) {
          const [x, y] = runs.map((run) =>
            run.trace.cacheAt({ step, layer, kvHead }).slots.map(({ origins }) => origins),
          )
          assert.deepEqual(counts, countsOfHead(headDifference(x, y, tokens)))
        }
        const mean = heads.reduce((sum, { jaccard }) => sum + jaccard, 0) / heads.length
        assert.ok(Math.abs(mean - meanJaccard) < 1e-12)
      }
      assert.deepEqual(difference.at().heads, difference.at({ step: 11 }).heads)
      const rows = difference.lineage({ layer: 1, kvHead: 0 })
      assert.equal(rows.shape[0], difference.at().heads[difference.kvHeads].changed)
      assert.deepEqual(rows.columns, ['position', 'token', 'a', 'b', 'slotA', 'slotB'])
    })

    it('finds nothing in the same run again, and says so', async () => {
      const again = await runOf({ alpha: 1 })
      const difference = runs[0].minus(again)
      assert.equal(difference.firstDifference, null)
      assert.deepEqual(difference.settings, [])
      assert.ok(difference.at().heads.every(({ jaccard, changed }) => jaccard === 1 && changed === 0))
      assert.match(
        inspect(difference),
        /cards: the same\n.*mean Jaccard 1\.00 .*\n.* 0 of [\d,]+ differ\n.*the same 12 tokens/,
      )
    })

    it('is the same from files', async () => {
      const [a, b] = runs
      const path = await b.trace.save(join(folder, 'b.arrow'))
      const opened = await Trace.open(path)
      const [run, file] = [a.minus(b), a.minus(opened)]
      assert.deepEqual(file.at(), run.at())
      assert.deepEqual(file.at({ step: 3 }), run.at({ step: 3 }))
      assert.deepEqual(file.settings, run.settings)
      assert.deepEqual(file.text(), run.text())
      assert.deepEqual(file.outputs().values, run.outputs().values)
      assert.equal(inspect(opened.minus(a)), inspect(b.minus(a)))
    })

    it('tells how cards differ and sets outputs side by side', () => {
      const [a, b] = runs
      const difference = a.minus(b)
      const names = difference.settings.map(({ name }) => name)
      assert.deepEqual(names.sort(), ['policy.options.alpha', 'policy.options.recent'])
      assert.deepEqual(difference.labels, ['zsmerge, 24 slots, recent 8', 'zsmerge, 24 slots, recent 4'])
      const outputs = difference.outputs()
      assert.equal(outputs.shape[0], 12)
      assert.deepEqual(Array.from(outputs.column('logprobA').values as number[]), Array.from(a.logprobs))
      assert.deepEqual(Array.from(outputs.column('logprobB').values as number[]), Array.from(b.logprobs))
    })

    it('refuses what has nothing in common, and says what differs', async () => {
      const [a] = runs
      const other = await runOf({}, [...PROMPT.slice(0, 30), 249, ...PROMPT.slice(31)])
      assert.throws(
        () => a.minus(other),
        /do not share a prompt: the token at position 30 is ".*" in a \(zsmerge.*compare runs that read/,
      )
      const longer = await runOf({}, [...PROMPT, 1])
      assert.throws(
        () => a.minus(longer),
        /a \(.*\) read 60 tokens before it wrote and b \(.*\) 61, alike as far as they go/,
      )
      assert.throws(() => a.minus({} as never), /expected a run or a trace for other but received/)
      assert.throws(() => a.minus(runs[1]).at({ step: 12 }), /from 0 to 11 for step but received 12/)
      assert.throws(() => a.minus(runs[1]).head({ layer: 99, kvHead: 0 }), /for layer but received 99/)
      const quiet = await model.session({ policy: fullCache() }).generate(PROMPT, CALL)
      const difference = a.minus(quiet)
      assert.equal(difference.at().heads.length, difference.layers * difference.kvHeads)
      assert.throws(() => difference.at({ step: 1 }), /that of full kept none: make its session with trace: true/)
    })
  })
})
