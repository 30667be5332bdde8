/** Budget curves on the toy model: against budgets given by hand; greedy shares against all others on a grid. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { budgetCurves, compareBudgets, evictOnly, load, type Model } from '../../../src/index.js'
import { convexCorners, greedyShares, type LossCurve } from '../../../src/heads/greedy.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const ROWS = 8

describe('budget curves', () => {
  let model: Model
  let texts: number[][]
  const policy = evictOnly({ recent: 4 })
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(51)
    texts = Array.from({ length: 6 }, () => Array.from({ length: 48 }, () => draw(model.description.vocabulary)))
  })
  after(() => model?.dispose())

  it('are what is lost with one head small and the others as they are', async () => {
    const { layers, kvHeads } = model.description
    for (const others of [1, 0.5]) {
      const heads = [{ layer: 1, kvHead: 0 }]
      const found = await budgetCurves(model, {
        texts,
        policy,
        rows: ROWS,
        shares: [0.5, 0.2],
        others,
        kvHeads: heads,
        ...quiet,
      })
      assert.deepEqual(found.shares, [0.2, 0.5])
      const all = (share: number | undefined) =>
        Array.from({ length: layers }, (_, layer) =>
          Array.from({ length: kvHeads }, (_, kvHead) =>
            layer === 1 && kvHead === 0 && share ? share : others === 1 ? 48 : others,
          ),
        )
      const by = { base: all(undefined), small: all(0.2), half: all(0.5) }
      const { choices } = await compareBudgets(model, by, { texts, policy, rows: ROWS, ...quiet })
      const [base, ...ours] = choices.map(({ perText }) => perText.loss)
      texts.forEach((_, text) =>
        ours.forEach((loss, i) => assert.equal(found.perText[1][0]![text][i], loss[text] - base[text])),
      )
      assert.equal(found.perText[0][0], null)
      const { mean, low } = found.interval({ layer: 1, kvHead: 0, share: 0 })
      assert.ok(low! < mean && Math.abs(mean - found.curves[1][0]![0]) < 1e-12)
      if (others < 1) assert.throws(() => found.suggestBudgets({ total: 0.3 }), /since a head that keeps everything/)
      else assert.throws(() => found.suggestBudgets({ total: 0.3 }), /all heads for budgets/)
    }
  })

  it('give budgets of that mean, more to heads whose curves fall more', async () => {
    const found = await budgetCurves(model, {
      texts: texts.slice(0, 2),
      policy,
      rows: ROWS,
      shares: [0.2, 0.6],
      ...quiet,
    })
    const { budgets, rule, by } = found.suggestBudgets({ total: 0.4, floor: 0.5 })
    const flat = budgets.flat()
    assert.ok(Math.abs(flat.reduce((sum, one) => sum + one, 0) / flat.length - 0.4) < 1e-9)
    assert.ok(flat.every((share) => share >= 0.2 - 1e-12 && share <= 1) && new Set(flat).size > 1)
    assert.deepEqual([rule, by], ['greedy', 'budgetCurve'])
    const most = found.suggestBudgets({ total: 0.9, floor: 0.5 }).budgets.flat()
    assert.ok(most.every((share) => share < 1) && Math.max(...most) > 0.99, 'a budget of 1 is one slot')
    model.session({ policy, budgets }).dispose()
    assert.match(inspect(found), /Budget curves of 6 kv heads of toy[^]* where one keeps 20%: most in \d-\d \([+−]/)
    assert.equal(found.table().loss.length, 12)
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

  it('say what does not fit', async () => {
    const says = (more: object, message: RegExp) =>
      assert.rejects(budgetCurves(model, { texts, rows: ROWS, ...quiet, ...more }), { code: 'invalid', message })
    await says({ shares: [] }, /kept shares, at least one/)
    await says({ shares: [1] }, /shares below 1/)
    await says({ others: 0 }, /a share above 0/)
    await says({ kvHeads: [{ layer: 9, kvHead: 0 }] }, /layer/)
    await says({ ratio: 1 }, /ratio/)
  })
})
