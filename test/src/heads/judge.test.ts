/** importance.judge() on the toy model: damage by hand, orders that are right and their reverse, the same numbers twice, kept results, refusals. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { after } from 'mocha'
import {
  fullCache,
  headImportance,
  Judgement,
  load,
  snapkv,
  think,
  tova,
  zsmerge,
  type Importance,
  type JudgeOptions,
  type Model,
  type Progress,
} from '../../../src/index.js'
import { areaUnder, leastFirst, setOf } from '../../../src/heads/damage.js'
import { randomOrder } from '../../../src/sampling.js'
import { ablated } from '../../../src/heads/damage-ablated.js'
import { compressed } from '../../../src/heads/damage-compressed.js'
import { Importance as Found } from '../../../src/heads/result.js'
import { native } from '../../../src/native/binding.js'
import { klDivergence, logProb } from '../../../src/sampling.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const ROWS = 12
const TOKENS = 60

describe('judge', () => {
  const folder = ownFolder()
  let model: Model
  let texts: number[][]
  let importance: Importance
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(23)
    texts = Array.from({ length: 7 }, () => Array.from({ length: 70 }, () => draw(model.description.vocabulary)))
    const by = ['ablation', 'entropy', 'kvzip']
    importance = await headImportance(model, texts, { by, tokens: TOKENS, rows: ROWS, ...quiet })
  })
  after(() => model?.dispose())

  /** Kullback-Leibler divergence and change of loss, means over rows, from two texts' last rows of logits. */
  function between(base: Float32Array[], other: Float32Array[], ids: readonly number[]) {
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const next = ids.slice(-base.length + 1)
    const loss = (rows: Float32Array[]) => mean(next.map((id, i) => -logProb(rows[i], id)))
    return { kl: mean(base.map((row, i) => klDivergence(row, other[i]))), loss: loss(other) - loss(base) }
  }
  const near = (given: number, expected: number) =>
    assert.ok(Math.abs(given - expected) <= 1e-7 + 1e-5 * Math.abs(expected), `${given}, ${expected}`)

  it('damage of zeroed heads is that of one reading with all of them zeroed', async () => {
    const { vocabulary, heads } = model.description
    const found = await importance.judge({ by: 'entropy', shares: [0.25, 0.5], ...quiet })
    const { curve, order } = found.of('entropy')
    assert.deepEqual(
      curve.map(({ taken }) => taken),
      [3, 6],
    )
    const flat = importance.of('entropy').values.flatMap((row) => Array.from(row))
    const least = Array.from(flat.keys()).sort((a, b) => flat[a] - flat[b])
    assert.deepEqual(
      order.map(({ layer, head }) => layer * heads + head),
      least,
    )
    const read = async (ids: number[], taken: number) => {
      const logits = new Float32Array(ROWS * vocabulary)
      const changes = least
        .slice(0, taken)
        .map((at) => ({ layer: Math.floor(at / heads), head: at % heads, kind: 0, gate: 0 }))
      await native().modelRead(model.native, { ids: Int32Array.from(ids), rows: ROWS, changes, logits })
      return Array.from({ length: ROWS }, (_, i) => logits.subarray(i * vocabulary, (i + 1) * vocabulary))
    }
    for (const [point, { taken, perText }] of curve.entries())
      for (const [text, whole] of texts.entries()) {
        const ids = whole.slice(0, TOKENS)
        const expected = between(await read(ids, 0), await read(ids, taken), ids)
        assert.ok(expected.kl > 1e-5)
        near(perText.kl[text], expected.kl)
        near(perText.loss[text], expected.loss)
        if (point) continue
        const [one, two] = curve.map((each) => each.perText.kl[text])
        near(found.of('entropy').areaPerText.kl[text], (0.25 * one) / 2 + (0.25 * (one + two)) / 2)
      }
    const [{ kl }] = curve
    near(kl.mean, curve[0].perText.kl.reduce((sum, value) => sum + value, 0) / 7)
    assert.ok(kl.low! < kl.mean && kl.mean < kl.high!)
  })

  it('damage of compressed heads is that of a session with their budgets', async () => {
    const { layers, kvHeads } = model.description
    const policy = zsmerge({ residual: 2, recent: 4 })
    const budget = 8
    const found = await importance.judge({ by: 'kvzip', budget, policy, shares: [0.5], ...quiet })
    const taken = found.of('kvzip').order.slice(0, 3)
    const scores = importance.of('kvzip').kvValues
    const largest = Math.max(...taken.map(({ layer, head }) => scores[layer][head]))
    assert.equal(scores.flatMap((row) => Array.from(row)).filter((score) => score <= largest).length, 3)
    const budgets = Array.from({ length: layers }, () => new Array<number>(kvHeads).fill(TOKENS))
    for (const { layer, head } of taken) budgets[layer][head] = budget
    for (const [text, whole] of texts.entries()) {
      const ids = whole.slice(0, TOKENS)
      const read = async (options: Parameters<Model['session']>[0]) => {
        const session = model.session({ storage: 'float32', ...options })
        await session.prefill(ids.slice(0, TOKENS - ROWS), quiet)
        const rows: Float32Array[] = []
        for (const id of ids.slice(-ROWS)) rows.push(await session.append([id], quiet))
        for (const { layer, head } of taken)
          if (options?.budgets) assert.equal(session.cache.state(layer).slots[head], budget)
        session.dispose()
        return rows
      }
      const expected = between(await read({}), await read({ policy, budgets }), ids)
      assert.ok(expected.kl > 1e-6)
      const [{ perText }] = found.of('kvzip').curve
      near(perText.kl[text], expected.kl)
      near(perText.loss[text], expected.loss)
    }
  })

  it('where nothing leaves there is no damage at all', async () => {
    for (const policy of [zsmerge(), snapkv()]) {
      const taking = compressed(model, { policy, budget: TOKENS, rows: ROWS })
      await taking.run(
        Int32Array.from(texts[0].slice(0, TOKENS)),
        [setOf([0, 3], 6)],
        (_, damage) => assert.deepEqual(damage, { kl: 0, loss: 0 }),
        {},
      )
    }
  })

  it('sets side by side are those of each alone, and the same again, to the bit', async () => {
    for (const take of [{ take: 'ablate' }, { budget: 8, policy: zsmerge({ recent: 3, residual: 1 }) }] as const) {
      const options: JudgeOptions = { ...take, by: ['ablation', 'entropy'], randomOrders: 2, seed: 9, ...quiet }
      const whole = await importance.judge(options)
      assert.deepEqual((await importance.judge(options)).toJSON(), whole.toJSON())
      for (const name of ['ablation', 'entropy', 'random'])
        for (const point of whole.of(name).curve) {
          const alone = await importance.judge({
            ...options,
            by: name === 'random' ? 'ablation' : name,
            shares: [point.share],
          })
          assert.deepEqual(alone.of(name).curve, [point], `${name} ${point.taken}`)
        }
    }
  })

  it('the work that is counted is the work that is done', async () => {
    const ids = Int32Array.from(texts[0].slice(0, TOKENS))
    const { layers, heads, kvHeads } = model.description
    const policy = zsmerge({ recent: 3, residual: 1 })
    for (const [taking, all] of [
      [ablated(model, ROWS), layers * heads],
      [compressed(model, { policy, budget: 8, rows: ROWS }), layers * kvHeads],
    ] as const) {
      const sets = [[all - 1], [kvHeads * 2, 1], Array.from({ length: all }, (_, i) => i)].map((at) => setOf(at, all))
      const counts: Progress[] = []
      await taking.run(ids, sets, () => undefined, { progress: (p) => void counts.push(p) })
      const total = taking.work(ids, sets)
      assert.deepEqual(counts.at(-1), { done: total, total })
    }
  })

  it('the order of true damage beats its reverse, and random orders lie between', async () => {
    const { measure, values, perText, random } = {
      measure: importance.of('ablation'),
      values: Float64Array.from(importance.of('ablation').values.flatMap((row) => Array.from(row))),
      perText: [],
      random: false,
    }
    const reversed = { ...measure, name: 'reversed' }
    const both = new Found(
      {
        shape: model.description,
        found: [
          { measure, values, perText, random },
          { measure: reversed, values: values.map((value) => -value), perText, random },
        ],
        distances: null,
        curves: null,
        facts: importance.facts,
      },
      model,
    )
    const found = await both.judge({ randomOrders: 20, ...quiet })
    assert.equal(found.best, 'ablation')
    const { overBest, overRandom } = found.of('reversed')
    assert.ok(overBest!.low! > 0 && overRandom!.low! > 0, inspect(found))
    assert.ok(found.of('ablation').overRandom!.high! < 0, inspect(found))
    assert.equal(found.of('ablation').overBest, null)
    const difference = found.difference('reversed', 'ablation', 'loss')
    near(difference.mean, found.of('reversed').area.loss.mean - found.of('ablation').area.loss.mean)
  })

  it('takes the lower layer, then the lower head, of equals first; random orders are permutations of their seeds', () => {
    assert.deepEqual(Array.from(leastFirst([2, 1, 2, 0, 1])), [3, 1, 4, 0, 2])
    assert.deepEqual(
      Array.from(randomOrder(50, 3)).sort((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i),
    )
    assert.deepEqual(randomOrder(50, 3), randomOrder(50, 3))
    assert.notDeepEqual(randomOrder(50, 3), randomOrder(50, 4))
    assert.deepEqual(setOf([9, 2], 12), setOf([2, 9], 12))
    assert.notEqual(setOf([9, 2], 12).key, setOf([2, 10], 12).key)
    assert.equal(areaUnder([0.25, 0.5], [4, 8]), 0.5 + 1.5)
  })

  it('says what it found, as words, a table and JSON', async () => {
    const given = await importance.judge({ texts: texts[0].slice(0, 40), randomOrders: 3, seed: 4, ...quiet })
    assert.equal(given.of('entropy').area.kl.low, null)
    assert.match(inspect(given), /1 text of 40 tokens, others than were measured on; KL over their last 12 rows/)
    const words = inspect(
      await importance.judge({ budget: 0.2, policy: zsmerge({ recent: 3, residual: 1 }), ...quiet }),
    )
    assert.match(
      words,
      /^Judge of 3 measures of heads of toy.gguf, .*\ncache of the least kv heads made 20% of the prompt by zsmerge, up to 3 of 6\n/,
    )
    const { measure, kl, loss } = given.table()
    assert.deepEqual([measure.length, kl.length, loss.length, new Set(measure).size], [24, 24, 24, 4])
    assert.equal(given.frame().shape[0], 24)
    const json = JSON.parse(JSON.stringify(given)) as Record<string, unknown>
    assert.deepEqual(
      [json.format, json.sameTexts, json.seeds, json.take],
      ['zslab.judgement', false, [4, 5, 6], 'ablate'],
    )
    assert.ok((json.card as { model: { sha256: string } }).model.sha256)
    const path = join(folder, 'judgement.json')
    writeFileSync(path, JSON.stringify(given))
    const again = await Judgement.from(path)
    assert.deepEqual(JSON.parse(JSON.stringify(again)), json)
    assert.equal(inspect(again), inspect(given))
    const refuses = async (content: unknown, message: RegExp) => {
      writeFileSync(path, JSON.stringify(content))
      await assert.rejects(Judgement.from(path), { code: 'file', message })
    }
    await refuses({ ...json, format: 'zslab.heads' }, /is no judgement: expected what JSON/)
    await refuses({ ...json, version: 2 }, /its version is 2/)
    await refuses({ ...json, texts: [] }, /which texts/)
    await refuses({ ...json, texts: [...given.facts.texts, ...given.facts.texts] }, /no damage of each of 2 texts/)
    await refuses({ ...json, measures: {} }, /no measures/)
    await assert.rejects(Judgement.from(join(folder, 'none.json')), { code: 'file', message: /cannot read/ })
    assert.throws(() => given.of('kvzap'), /"kvzap" was not judged; there are: ablation, entropy, kvzip, random/)
    assert.throws(() => given.difference('random', 'entropy', 'nats' as 'kl'), /'kl', 'loss' for kind/)
  })

  it('what was done before an abort is kept and not done again', async () => {
    for (const take of [{ take: 'ablate' }, { budget: 8, policy: zsmerge({ recent: 3, residual: 1 }) }] as const) {
      const store = join(folder, 'budget' in take ? 'compress' : 'ablate')
      const plain = await importance.judge({ ...take, ...quiet })
      const stop = new AbortController()
      const first: Progress[] = []
      const cut = importance.judge({
        ...take,
        store,
        signal: stop.signal,
        progress: (p) => {
          first.push(p)
          if (p.done > p.total / 3) stop.abort(new Error('enough'))
        },
      })
      await assert.rejects(cut, /enough/)
      assert.ok(readdirSync(store).length > 0)
      const later: Progress[] = []
      const found = await importance.judge({ ...take, store, progress: (p) => later.push(p) })
      assert.deepEqual(found.toJSON(), plain.toJSON())
      assert.ok(later.at(-1)!.total < first[0].total, 'all of it was done again')
      assert.match(later.at(-1)!.doing!, /^judging 3 measures,/)
      const again: Progress[] = []
      await importance.judge({ ...take, store, progress: (p) => again.push(p) })
      assert.deepEqual(again.at(-1), { done: 0, total: 0, doing: 'judging 3 measures,' })
      const file = join(store, readdirSync(store)[0])
      writeFileSync(file, readFileSync(file, 'utf8').replace(/\[[^[\]]*\]/, '[1]'))
      await assert.rejects(importance.judge({ ...take, store, ...quiet }), {
        code: 'file',
        message: /its damage is not a KL and a loss each/,
      })
    }
  })

  it('refuses what does not fit, in sentences', async () => {
    const refused = (options: object, message: RegExp, of = importance) =>
      assert.rejects(of.judge({ ...quiet, ...options }), { code: 'invalid', message })
    await refused({ by: 'echo' }, /"echo" was not measured; there are: ablation, entropy, kvzip/)
    await refused({ by: [] }, /expected names of measures \(ablation, entropy, kvzip\) for by/)
    await refused({ by: 3 }, /expected names of measures/)
    await refused({ take: 'all' }, /one of 'ablate', 'compress' for take/)
    await refused({ take: 'ablate', budget: 4 }, /none beside take: 'ablate' for budget but received 4: leave it out/)
    await refused({ take: 'ablate', policy: zsmerge() }, /none beside take: 'ablate' for policy/)
    await refused({ budget: 0 }, /above 0 .* for budget but received 0: to give nothing, take: 'ablate'/)
    await refused({ budget: 1.5 }, /whole count of slots for budget/)
    await refused({ budget: 60 }, /fewer slots than the 60 tokens of text 0 for budget but received 60/)
    await refused({ budget: 9, policy: 'zsmerge' }, /call it, as in policy: zsmerge\(\)/)
    await refused({ budget: 9, policy: fullCache() }, /full/)
    await refused({ budget: 9, policy: tova() }, /budgets differ by head/)
    await refused({ budget: 9, policy: snapkv() }, /more than recent \(32\)/)
    await refused({ policy: think({ of: snapkv({ window: 4 }), ratio: 0.4 }) }, /it changes what stays, too/)
    await refused({ shares: [] }, /an array of shares of heads, at least one/)
    await refused({ shares: 0.5 }, /an array of shares of heads/)
    await refused({ shares: [0.5, 0] }, /a share above 0 and up to 1 for shares\[1\] but received 0/)
    await refused({ shares: [2] }, /for shares\[0\] but received 2/)
    await refused({ tokens: 1 }, /for tokens/)
    await refused({ rows: 61 }, /from 2 to 60 for rows/)
    await refused({ seed: -1 }, /for seed/)
    await refused({ randomOrders: 0 }, /for randomOrders/)
    await refused({ store: 4 }, /the path of a folder for store/)
    await refused({ texts: [[1]] }, /text 0 has 1 token to be read, and at least 2 are needed/)
    await refused(
      { texts: [[1, 2, 3]], budget: 2 },
      /at least 13 are needed, since the last 12 are read after the prompt/,
    )
    await refused({ budgets: 3 }, /importance.judge has no option "budgets", did you mean 'budget'/)
    await refused({ progress: 3 }, /for progress/)
    const some = await headImportance(model, texts, { by: 'entropy', heads: [{ layer: 0, head: 0 }], ...quiet })
    await refused({}, /entropy has no value of head 1 of layer 0: measure all heads/, some)
    await refused({ budget: 9 }, /entropy has no value of kv head 1 of layer 0/, some)
    const facts = importance.facts
    await refused(
      {},
      /were not measured with one/,
      new Found({ shape: model.description, found: [], distances: null, curves: null, facts }),
    )
  })
})
