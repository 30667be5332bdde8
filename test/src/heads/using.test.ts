/** What is done with measured heads, on the toy model: intervals, agreement, budgets that a session truly allocates. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { headImportance, Importance, load, zsmerge, type Model } from '../../../src/index.js'
import { proportional } from '../../../src/heads/allocation.js'
import { ranked, spearman } from '../../../src/statistics/ranks.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

describe('measured heads', () => {
  const folder = ownFolder()
  let model: Model
  let importance: Importance
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(11)
    const texts = Array.from({ length: 7 }, () => Array.from({ length: 30 }, () => draw(model.description.vocabulary)))
    importance = await headImportance(model, texts, { by: ['entropy', 'outputNorm', 'echo'], progress: false })
  })
  after(() => model?.dispose())
  const flat = (name: string) => importance.of(name).values.flatMap((row) => Array.from(row))

  it('have intervals over texts, and none over two random sequences', () => {
    const [[first]] = importance.intervals('entropy')
    assert.ok(first && first.low! < first.mean && first.mean < first.high!)
    assert.equal(first.texts, 7)
    assert.ok(Math.abs(first.mean - importance.of('entropy').values[0][0]) < 1e-12)
    assert.equal(importance.intervals('echo')[0][0]!.method, 'none')
  })

  it('have intervals over the texts that say something', async () => {
    const saved = JSON.parse(JSON.stringify(importance)) as {
      measures: { entropy: { perText: (number | null)[][][] } }
    }
    saved.measures.entropy.perText[2] = saved.measures.entropy.perText[2].map((row) => row.map(() => null))
    const path = join(folder, 'silent.json')
    writeFileSync(path, JSON.stringify(saved))
    const read = await Importance.from(path)
    const [[first]] = read.intervals('entropy')
    assert.equal(first!.texts, 6)
    assert.ok(first!.low! < first!.mean)
  })

  it('agree so far: each two once, with intervals; the same seed says the same', () => {
    const found = importance.agreement({ seed: 4, resamples: 100 })
    assert.equal(found.pairs.length, 3)
    const pair = found.of('outputNorm', 'entropy')
    assert.ok(Math.abs(pair.spearman.value! - spearman(ranked(flat('entropy')), ranked(flat('outputNorm')))!) < 1e-12)
    assert.ok(pair.spearman.low! < pair.spearman.high!)
    assert.deepEqual(importance.agreement({ seed: 4, resamples: 100 }).table(), found.table())
    assert.equal(found.table().kendallLow.length, 3)
    assert.match(inspect(found), /entropy, outputNorm: Spearman -?\d\.\d\d \[/)
    assert.throws(() => found.of('entropy', 'kvzip'), /expected two different ones of entropy, outputNorm, echo/)
    assert.ok(found.reliability.entropy.all! <= 1)
  })

  it('give budgets that a session allocates, and a file of them', async () => {
    for (const rule of ['proportional', 'headkv', 'adakv'] as const) {
      const suggested = importance.suggestBudgets({ by: 'echo', total: 16, floor: 0.5, rule })
      const { layers, kvHeads } = model.description
      if (rule === 'proportional')
        assert.deepEqual(suggested.budgets, proportional(importance.of('echo').kvValues, { total: 16, floor: 0.5 }))
      const all = suggested.budgets.flat()
      assert.equal(
        all.reduce((sum, slots) => sum + slots, 0),
        16 * layers * kvHeads,
      )
      assert.ok(all.every((slots) => slots >= 8) && new Set(all).size > 1, String(all))
      const session = model.session({ policy: zsmerge({ residual: 2, recent: 4 }), budgets: suggested.budgets })
      await session.generate(
        Array.from({ length: 120 }, (_, i) => 1 + (i % 50)),
        { maxTokens: 8, progress: false, ignoreEos: true },
      )
      const slots = suggested.budgets.map((row, layer) =>
        row.map((_, kvHead) => session.cache.state(layer).origins[kvHead].length),
      )
      assert.deepEqual(slots, suggested.budgets)
      session.dispose()
      const path = join(folder, `${rule}.json`)
      await suggested.save(path)
      const saved = JSON.parse(readFileSync(path, 'utf8')) as { budgets: number[][]; card: { model: unknown } }
      assert.deepEqual(saved.budgets, suggested.budgets)
      assert.ok(saved.card.model)
      assert.match(inspect(suggested), /by echo.*16 slots in the mean/)
    }
    assert.throws(() => importance.suggestBudgets({ by: 'kvzip', total: 9 }), /was not measured/)
    assert.throws(
      () => importance.suggestBudgets({ by: 'entropy', total: 9, rule: 'best' as 'headkv' }),
      /proportional/,
    )
    assert.throws(() => importance.suggestBudgets({ by: 'entropy' } as never), /total/)
    assert.throws(
      () => importance.suggestBudgets({ by: 'entropy', total: 9, rule: 'greedy' }),
      /greedy budgets come of curves, and "entropy" has one number a head: give by: 'budgetCurve', measured with/,
    )
  })
})
