/** Budget curves on the toy model: against budgets given by hand, kept and gone on from; greedy shares against all others on a grid. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import {
  compareBudgets,
  definePolicy,
  evictOnly,
  figures,
  fullCache,
  headImportance,
  Importance,
  load,
  type HeadImportanceOptions,
  type Model,
  type Progress,
} from '../../../src/index.js'
import { meanLoss } from '../../../src/heads/budget-curve.js'
import { convexCorners, greedyShares, type LossCurve } from '../../../src/heads/greedy.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const ROWS = 8
const TOKENS = 48

describe('budget curves', () => {
  const folder = ownFolder()
  let model: Model
  let texts: number[][]
  let whole: Importance
  const policy = evictOnly({ recent: 4 })
  const measured = (more: Partial<HeadImportanceOptions> = {}, given: number[] | number[][] = texts) =>
    headImportance(model, given, { by: 'budgetCurve', policy, rows: ROWS, shares: [0.2, 0.6], ...quiet, ...more })
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(51)
    texts = Array.from({ length: 6 }, () => Array.from({ length: TOKENS }, () => draw(model.description.vocabulary)))
    whole = await measured({ by: ['entropy', 'budgetCurve'] }, texts.slice(0, 2))
  })
  after(() => model?.dispose())

  it('are what is lost with one head small and the others as they are', async () => {
    const { layers, heads, kvHeads } = model.description
    for (const others of [1, 0.5]) {
      const { curves, ...found } = await measured({ shares: [0.5, 0.2], others, heads: [{ layer: 1, head: 1 }] })
      assert.deepEqual(curves!.shares, [0.2, 0.5])
      const all = (share: number | undefined) =>
        Array.from({ length: layers }, (_, layer) =>
          Array.from({ length: kvHeads }, (_, kvHead) =>
            layer === 1 && kvHead === 0 && share ? share : others === 1 ? TOKENS : others,
          ),
        )
      const by = { base: all(undefined), small: all(0.2), half: all(0.5) }
      const { choices } = await compareBudgets(model, by, { texts, policy, rows: ROWS, ...quiet })
      const [base, ...ours] = choices.map(({ perText }) => perText.loss)
      const { values, perText } = found.measures.budgetCurve
      texts.forEach((_, text) => {
        ours.forEach((loss, i) => assert.equal(curves!.perText[1][0]![text][i], loss[text] - base[text]))
        const mean = (ours[0][text] + ours[1][text]) / 2 - base[text]
        assert.ok(Math.abs(perText[text][1][1] - mean) < 1e-12)
      })
      // The other query heads of the kv head were not asked for, nor other kv heads.
      assert.equal(values.flatMap((row) => Array.from(row)).filter((value) => !Number.isNaN(value)).length, 1)
      assert.ok(heads > kvHeads && Number.isNaN(values[1][0]))
      assert.equal(curves!.perText[0][0], null)
      const { mean, low } = curves!.interval({ layer: 1, kvHead: 0, share: 0 })
      assert.ok(low! < mean && Math.abs(mean - curves!.losses[1][0]![0]) < 1e-12)
      assert.throws(() => curves!.interval({ layer: 0, kvHead: 0, share: 0 }), /those that were asked for/)
    }
  })

  it('come to one number: the mean of the curve between its ends', () => {
    assert.equal(meanLoss([0.3], [5]), 5)
    assert.ok(Math.abs(meanLoss([0.1, 0.2, 0.6], [4, 2, 0]) - (0.1 * 3 + 0.4 * 1) / 0.5) < 1e-12)
    const { measures, curves, kvHeads, heads } = whole
    const { kvValues, values, unit, kv } = measures.budgetCurve
    assert.deepEqual([unit, kv], ['nats', 'own'])
    kvValues.forEach((row, layer) =>
      row.forEach((value, kvHead) => {
        assert.ok(Math.abs(value - meanLoss(curves!.shares, curves!.losses[layer][kvHead]!)) < 1e-12)
        assert.equal(values[layer][(kvHead * heads) / kvHeads], value)
      }),
    )
  })

  it('have intervals and reliability over texts as all measures do, and are judged and drawn with them', async () => {
    const found = await measured({ shares: [0.3] })
    const interval = found.intervals('budgetCurve')[1][0]!
    assert.ok(interval.texts === 6 && interval.low! < interval.high!)
    assert.ok(found.of('budgetCurve').reliability.all !== null)
    const judged = await found.judge({ budget: 0.2, policy, rows: ROWS, randomOrders: 1, ...quiet })
    assert.ok(judged.of('budgetCurve'))
    const { plot, summary } = figures.headMap(found, { by: 'budgetCurve' })
    assert.match(summary, /^budgetCurve: largest in layer \d, kv head \d, [−\d.e]+ nats\. /)
    assert.match(plot.ramp!.label, /^budgetCurve, nats/)
    const suggested = found.suggestBudgets({ by: 'budgetCurve', rule: 'greedy', total: 0.3 })
    assert.match(figures.headBudgets(suggested).plot.subject!, /rule greedy/)
  })

  it('give greedy budgets of that mean, more to heads whose curves fall more', () => {
    const suggest = (total: number, floor = 0.5) =>
      whole.suggestBudgets({ by: 'budgetCurve', rule: 'greedy', total, floor })
    const { budgets, rule, by } = suggest(0.4)
    const flat = budgets.flat()
    assert.ok(Math.abs(flat.reduce((sum, one) => sum + one, 0) / flat.length - 0.4) < 1e-9)
    assert.ok(flat.every((share) => share >= 0.2 - 1e-12 && share <= 1) && new Set(flat).size > 1)
    assert.deepEqual([rule, by], ['greedy', 'budgetCurve'])
    const curves = whole.curves!.losses.flat().map((losses) => ({ shares: [0.2, 0.6, 1], losses: [...losses!, 0] }))
    greedyShares(curves, 0.4, 0.2).forEach((share, head) => assert.ok(Math.abs(share - flat[head]) < 1e-12))
    const most = suggest(0.9).budgets.flat()
    assert.ok(most.every((share) => share < 1) && Math.max(...most) > 0.99, 'a budget of 1 is one slot')
    model.session({ policy, budgets }).dispose()
    // The prompts have 40 tokens: as shares, in whole slots.
    const slots = suggest(16).budgets.flat()
    assert.equal(
      slots.reduce((sum, one) => sum + one, 0),
      16 * flat.length,
    )
    slots.forEach((count, head) => assert.ok(Number.isInteger(count) && Math.abs(count - 40 * flat[head]) < 1))
    assert.throws(() => suggest(41), /at most the 40 tokens that the measured texts' prompts have.* received 41/)
    for (const other of ['proportional', 'headkv', 'adakv'] as const) {
      const all = whole.suggestBudgets({ by: 'budgetCurve', rule: other, total: 16 }).budgets.flat()
      assert.equal(
        all.reduce((sum, one) => sum + one, 0),
        16 * flat.length,
      )
    }
    assert.throws(
      () => whole.suggestBudgets({ by: 'entropy', rule: 'greedy', total: 0.4 }),
      /greedy budgets come of curves/,
    )
  })

  it('of some heads, or with others that lose too, give no greedy budgets', async () => {
    const greedy = { by: 'budgetCurve', rule: 'greedy', total: 0.3 } as const
    const some = await measured({ heads: [{ layer: 0, head: 0 }] }, texts[0])
    assert.throws(() => some.suggestBudgets(greedy), /budgets need all heads measured/)
    const lossy = await measured({ others: 0.5 }, texts[0])
    assert.throws(() => lossy.suggestBudgets(greedy), /were measured with others: 0\.5: measure with others: 1/)
  })

  it('are saved and read with their measure, and stand beside others of the same policy', async () => {
    const path = join(folder, 'curves.json')
    writeFileSync(path, JSON.stringify(whole))
    const read = await Importance.from(path, { model })
    assert.deepEqual(read.curves!.perText, whole.curves!.perText)
    const greedy = { by: 'budgetCurve', rule: 'greedy', total: 12 } as const
    assert.deepEqual(read.suggestBudgets(greedy).budgets, whole.suggestBudgets(greedy).budgets)
    assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(whole)))
    assert.match(
      inspect(read.curves),
      /Budget curves of 6 kv heads of toy[^]* where one keeps 20%: most in \d-\d \([+−]/,
    )
    assert.equal(read.curves!.table().loss.length, 12)

    const mass = (of: typeof policy) =>
      headImportance(model, texts.slice(0, 2), { by: 'retainedMass', policy: of, rows: ROWS, ...quiet })
    assert.deepEqual((await mass(policy)).with(whole).curves!.perText, whole.curves!.perText)
    const other = await mass(evictOnly({ recent: 5 }))
    assert.throws(
      () => other.with(whole),
      /measured under different policies, evictOnly\(.*recent: 5.* and evictOnly\(/,
    )

    const saved = JSON.parse(JSON.stringify(whole)) as { curves: { perText: unknown[][] } }
    saved.curves.perText[0][0] = [[1, 2]]
    writeFileSync(path, JSON.stringify(saved))
    await assert.rejects(Importance.from(path), { code: 'file', message: /its curves are not .* numbers \[3\]\[2\]/ })
  })

  it('are kept share by share, and gone on from with others', async () => {
    const store = join(folder, 'parts')
    const totals: number[] = []
    const kept = async (more: Partial<HeadImportanceOptions>) => {
      let last: Progress | undefined
      const found = await measured({ store, progress: (p) => void (last = p), ...more }, texts.slice(0, 2))
      assert.equal(last!.done, last!.total)
      totals.push(last!.total / model.description.layers)
      return found
    }
    const stop = new AbortController()
    const progress = ({ done, total }: Progress) => void (done > total / 2 && stop.abort(new Error('enough')))
    await assert.rejects(measured({ store, signal: stop.signal, progress }, texts.slice(0, 2)), /enough/)
    const first = await kept({})
    assert.deepEqual(first.curves!.perText, whole.curves!.perText)
    assert.deepEqual(first.of('budgetCurve').values, whole.of('budgetCurve').values)
    assert.deepEqual((await kept({ shares: [0.2, 0.4, 0.6] })).curves!.shares, [0.2, 0.4, 0.6])
    await kept({ shares: [0.2] })
    await kept({ shares: [0.2], tokens: 30 })
    assert.equal(readdirSync(store).length, 2)
    await kept({ shares: [0.2], others: 0.5 })
    // Of two texts; 12 of 6 heads and two shares would be left without a store, with 3 more readings each.
    assert.ok(totals[0] > 0 && totals[0] < 2 * (12 + 3), String(totals))
    assert.deepEqual(totals.slice(1), [2 * (6 + 3), 0, 0, 2 * (6 + 3)])
  })

  it('greedy shares lose no more than any others of their mean', () => {
    const curve = fc
      .array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
      .map((falls): LossCurve => {
        // Convex and falling: what falls most comes first.
        const sorted = falls.toSorted((a, b) => b - a)
        const losses = [...sorted.keys(), 4].map((i) => sorted.slice(i).reduce((sum, one) => sum + one, 0))
        return { shares: [0.2, 0.4, 0.6, 0.8, 1], losses }
      })
    const lossAt = ({ shares, losses }: LossCurve, share: number) => {
      const i = Math.min(3, Math.max(0, Math.floor((share - 0.2) / 0.2 + 1e-9)))
      return losses[i] + ((losses[i + 1] - losses[i]) * (share - shares[i])) / 0.2
    }
    fc.assert(
      fc.property(curve, curve, curve, fc.integer({ min: 3, max: 14 }), (a, b, c, units) => {
        const curves = [a, b, c]
        const made = greedyShares(curves, (units * 0.2) / 3, 0.2)
        assert.ok(Math.abs(made.reduce((sum, one) => sum + one, 0) - units * 0.2) < 1e-9)
        const loss = (shares: number[]) => shares.reduce((sum, share, i) => sum + lossAt(curves[i], share), 0)
        const own = loss(made)
        for (let x = 1; x <= 5; x++)
          for (let y = 1; y <= 5; y++) {
            const z = units - x - y
            if (z >= 1 && z <= 5) assert.ok(own <= loss([x * 0.2, y * 0.2, z * 0.2]) + 1e-9)
          }
      }),
    )
  })

  it('bumps are bridged by the convex lower bound', () => {
    assert.deepEqual(convexCorners({ shares: [0.1, 0.2, 0.3, 0.4], losses: [1, 1.2, 0.2, 0] }), [0, 2, 3])
    assert.deepEqual(convexCorners({ shares: [0.1, 0.5], losses: [0, 1] }), [0, 1])
  })

  it('say what does not fit, before anything is read', async () => {
    const says = (more: object, message: RegExp, code = 'invalid') => {
      const progress = () => assert.fail('something was read')
      return assert.rejects(measured({ progress, ...more }), { code, message })
    }
    await says({ shares: [] }, /kept shares of the prompt, at least one/)
    await says({ shares: [0.2, 1] }, /a share above 0 and below 1 for shares\[1\] but received 1/)
    await says({ shares: [2] }, /shares\[0\]/)
    await says({ others: 0 }, /a share above 0 and up to 1/)
    await says({ by: 'entropy', policy: undefined }, /none without budgetCurve in `by` for shares/)
    await says({ policy: undefined }, /^budgetCurve is measured under a policy: give one/)
    await says({ policy: fullCache() }, /budget/)
    await says({ ratio: 1 }, /ratio/)
    await says(
      { store: folder, policy: definePolicy({ name: 'own', evict: () => [] })() },
      /none beside a policy of your own/,
    )
    await assert.rejects(measured({}, [1, 2, 3]), /text 0 has 3 tokens, 1 too few for budgetCurve/)
  })
})
