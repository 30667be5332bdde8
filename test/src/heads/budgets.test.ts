/** Budgets by head: what they lose beside each other, the smallest that holds a level, and what they truly allocate, on the toy model. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import {
  compareBudgets,
  evictOnly,
  fullCache,
  headImportance,
  load,
  zsmerge,
  type Importance,
  type Model,
} from '../../../src/index.js'
import { klDivergence } from '../../../src/sampling.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const ROWS = 10

describe('budgets by head', () => {
  let model: Model
  let texts: number[][]
  let importance: Importance
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(31)
    texts = Array.from({ length: 12 }, () => Array.from({ length: 60 }, () => draw(model.description.vocabulary)))
    importance = await headImportance(model, texts.slice(0, 2), { by: ['echo', 'entropy'], ...quiet })
  })
  after(() => model?.dispose())

  it('are compared on the same tokens: each as in a session of its own, the first with itself, at what bytes', async () => {
    const policy = evictOnly({ recent: 4 })
    const suggested = importance.suggestBudgets({ by: 'echo', total: 12, floor: 0.6 })
    const found = await compareBudgets(
      model,
      { uniform: 12, echo: suggested, whole: 60 },
      { texts: texts.slice(0, 7), policy, rows: ROWS, ...quiet },
    )
    const [uniform, echo, whole] = found.choices
    const { layers, kvHeads, headDim } = model.description
    assert.equal(uniform.slots, 12 * layers * kvHeads)
    assert.equal(echo.slots, uniform.slots)
    assert.equal(uniform.bytes, uniform.slots * 2 * headDim * 4)
    assert.deepEqual(
      whole.perText.kl.map((kl) => kl < 1e-9),
      new Array(7).fill(true),
    )
    assert.equal(uniform.overFirst, null)
    const over = echo.perText.kl.reduce((sum, kl, i) => sum + (kl - uniform.perText.kl[i]) / 7, 0)
    assert.ok(Math.abs(echo.overFirst!.mean - over) < 1e-12 && echo.overFirst!.low! < over)
    for (const [which, one] of [uniform, echo].entries())
      for (const at of [0, 6]) {
        const [prompt, tail] = [texts[at].slice(0, -ROWS), texts[at].slice(-ROWS)]
        const budgets = which ? suggested.budgets : suggested.budgets.map((row) => row.map(() => 12))
        const rows = async (session: ReturnType<Model['session']>) => {
          await session.prefill(prompt, quiet)
          const made: Float32Array[] = []
          for (const id of tail) made.push(Float32Array.from(await session.step(id)))
          session.dispose()
          return made
        }
        const full = await rows(model.session({ policy: fullCache(), storage: 'float32' }))
        const own = await rows(model.session({ policy, budgets, storage: 'float32' }))
        const expected = full.reduce((sum, row, i) => sum + klDivergence(row, own[i]), 0) / ROWS
        assert.ok(expected > 1e-6 && Math.abs(one.perText.kl[at] - expected) <= 1e-7 + 1e-5 * expected, `${expected}`)
      }
    assert.deepEqual(found.table().budgets, ['uniform', 'echo', 'whole'])
    assert.match(inspect(found), /echo: KL [\d.]+ \[.*over uniform; 72 slots, [\d.]+ kB of keys and values/)
    assert.equal((JSON.parse(JSON.stringify(found)) as { choices: unknown[] }).choices.length, 3)
  })

  it('are certified: the smallest total that holds a level, the largest losses counting up to the bound', async () => {
    const options = { by: 'echo', totals: [40, 8, 16], texts, policy: evictOnly({ recent: 4 }), rows: ROWS, ...quiet }
    const all = await importance.certify({ ...options, level: 1e9, bound: 1e10 })
    assert.equal(all.total, 8)
    const means = all.table().loss as number[]
    assert.ok(means[0] > means[2], String(means))
    // Between what 16 and 40 slots lose, with the correction that 12 texts need.
    const corrected = (risk: number, bound: number) => (12 * risk + bound) / 13
    const bound = 1.0001 * Math.max(...all.losses.flat())
    const level = (corrected(means[1], bound) + corrected(means[2], bound)) / 2
    const found = await importance.certify({ ...options, level, bound })
    assert.equal(found.total, found.chosen!.total)
    const { risks } = found.certificate
    const least = Array.from(risks).findIndex((risk) => corrected(risk, bound) <= level)
    assert.equal(found.total, [8, 16, 40][least])
    assert.deepEqual(found.losses, all.losses)
    assert.match(inspect(found), /total (16|40) is certified for a mean KL of at most/)
    assert.ok(Array.isArray((JSON.parse(JSON.stringify(found)) as { budgets: unknown }).budgets))
    const none = await importance.certify({ ...options, totals: [8], level: bound / 12, bound })
    assert.equal(none.chosen, null)
    assert.match(inspect(none), /no total of 8 is certified .*even the largest choice/)
  })

  it('say in sentences what does not fit', async () => {
    const options = { by: 'echo', totals: [8], texts, level: 0.01, ...quiet }
    const says = (more: object, message: RegExp) =>
      assert.rejects(importance.certify({ ...options, ...more }), { code: 'invalid', message })
    await says({ texts: texts.slice(0, 8) }, /^8 texts cannot certify .* at least 9 are needed/)
    await says({ totals: [] }, /totals to choose from/)
    await says({ by: 'kvzip' }, /was not measured/)
    await says({ loss: 'mse' }, /one of 'kl', 'loss' for loss/)
    await says({ rows: 60 }, /text 0 has 60 tokens, and at least 61 are needed/)
    await says({ slack: 1 }, /slack/)
    await assert.rejects(compareBudgets(model, {}, { texts }), /budgets by name, at least one/)
    await assert.rejects(compareBudgets(model, { a: [[1]] }, { texts }), /budgets/)
  })

  it('end at once when they are aborted', async () => {
    const abort = new AbortController()
    const progress = () => abort.abort()
    await assert.rejects(compareBudgets(model, { a: 8 }, { texts, signal: abort.signal, progress }), {
      name: 'AbortError',
    })
  })

  it('allocate what they say: keys and values of a slot each, 15 slots a head to spare at most, and bookkeeping', async () => {
    const { layers, kvHeads, headDim } = model.description
    const { budgets } = importance.suggestBudgets({ by: 'echo', total: 20, floor: 0.3 })
    const prompt = Array.from({ length: 120 }, (_, i) => 1 + (i % 50))
    for (const [policy, residual] of [
      [evictOnly({ recent: 4 }), 0] as const,
      [zsmerge({ residual: 2, recent: 4 }), 2] as const, // merged slots are float32
    ])
      for (const storage of ['float32', 'bfloat16', 'float16'] as const) {
        const session = model.session({ policy, budgets, storage })
        const { bytes } = await session.generate(prompt, { maxTokens: 8, ignoreEos: true, ...quiet })
        const slot = 2 * headDim * (storage === 'float32' ? 4 : 2)
        const { bookkeeping, spare, ...regions } = bytes.byRegion
        const held = Object.values(regions).reduce((sum, region) => sum + region, 0)
        const heads = layers * kvHeads
        assert.equal(held, (20 - residual) * heads * slot + residual * heads * 2 * headDim * 4)
        assert.ok(spare > 0 && spare <= 15 * heads * slot, `${spare} spare bytes`)
        assert.equal(bytes.total, held + spare + bookkeeping)
        session.dispose()
      }
  })
})
