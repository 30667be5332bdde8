/** Whatever is given in place of what belongs there: a sentence, and nothing that goes on with it. On the toy model. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  certifiedChoice,
  compareBudgets,
  evictOnly,
  headImportance,
  Importance,
  Judgement,
  load,
  ZslabError,
  type Model,
} from '../../../src/index.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const JUNK = [null, -1, 1.5, NaN, Infinity, '', true, [], {}, [null], [NaN], [{}], Symbol('a'), 10n, () => 1] as never[]

type Json = Record<string, unknown>

/** Paths of everything in a value; of arrays the first alone. */
function places(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [at]
  const keys = Object.keys(value)
  const own = (Array.isArray(value) ? keys.slice(0, 1) : keys).flatMap((key) =>
    places((value as Json)[key], [...at, key]),
  )
  return at.length ? [at, ...own] : own
}

function changed(value: unknown, at: readonly string[], to: unknown): unknown {
  const copy = JSON.parse(JSON.stringify(value)) as Json
  const inner = at.slice(0, -1).reduce((within, key) => within[key] as Json, copy)
  inner[at[at.length - 1]] = to
  return copy
}

describe('heads, given what does not belong there', () => {
  const folder = ownFolder()
  let model: Model
  let text: number[]
  let found: Importance
  const policy = evictOnly({ recent: 2 })
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(3)
    text = Array.from({ length: 24 }, () => draw(model.description.vocabulary))
    const by = ['entropy', 'distance', 'echo', 'budgetCurve']
    found = await headImportance(model, [text, text.slice(2)], { by, policy, shares: [0.3, 0.6], rows: 4, ...quiet })
  })
  after(() => model?.dispose())

  /** `call` with each of JUNK but for `fits`: ZslabErrors all. */
  async function refuses(name: string, call: (junk: never) => unknown, fits: readonly unknown[] = []): Promise<void> {
    for (const junk of JUNK.filter((one) => !fits.includes(one))) {
      const what = `${name}: ${inspect(junk)}`
      try {
        await call(junk)
      } catch (error) {
        assert.ok(error instanceof ZslabError && error.code !== 'internal', `${what}: ${inspect(error)}`)
        continue
      }
      // An object without anything may do for options.
      if (inspect(junk) !== '{}') assert.fail(`${what} was taken`)
    }
  }

  it('a model that is none, options that are none', async () => {
    await refuses('headImportance', (junk) => headImportance(junk, text, { by: 'entropy' }))
    await refuses('compareBudgets', (junk) => compareBudgets(junk, { a: 4 }, { texts: text }))
    await refuses('Importance.from', (junk) => Importance.from(toyPath, { model: junk }))
    await refuses('options', (junk) => headImportance(model, text, junk))
    await refuses('intervals', (junk) => found.intervals('entropy', junk))
    await refuses('agreement', (junk) => found.agreement(junk))
    await refuses('judge', (junk) => found.judge(junk))
    await refuses('certify', (junk) => found.certify(junk))
    await refuses('suggestBudgets', (junk) => found.suggestBudgets(junk))
    assert.throws(() => found.agreement({ sed: 1 } as never), /no option "sed"; it has: seed, resamples/)
    assert.throws(() => found.intervals('entropy', { samples: 1 } as never), /no option "samples"/)
  })

  it('names, numbers and folders that are none', async () => {
    const judged = { by: 'entropy', shares: [0.2], randomOrders: 1, ...quiet }
    const certified = { by: 'entropy', totals: [4], level: 1, bound: 2, texts: [text, text], rows: 4, ...quiet }
    await refuses('of', (junk) => found.of(junk))
    await refuses('method', (junk) => found.intervals('entropy', { method: junk }))
    await refuses('resamples', (junk) => found.agreement({ resamples: junk }))
    await refuses('store', (junk) => headImportance(model, text, { by: 'ablation', store: junk, ...quiet }))
    const curve = { by: 'budgetCurve', policy, rows: 4, ...quiet }
    await refuses('policy', (junk) => headImportance(model, text, { ...curve, policy: junk }))
    await refuses('shares', (junk) => headImportance(model, text, { ...curve, shares: junk }))
    await refuses('shares[0]', (junk) => headImportance(model, text, { ...curve, shares: [junk] }))
    await refuses('others', (junk) => headImportance(model, text, { ...curve, others: junk }))
    await refuses('store', (junk) => found.judge({ ...judged, store: junk }))
    await refuses('rule', (junk) => found.certify({ ...certified, rule: junk }))
    await refuses('bound', (junk) => found.certify({ ...certified, bound: junk }), [1.5])
    await refuses('losses', (junk) => certifiedChoice(junk, { level: 0.5, bound: 1 }))
    await refuses('losses[0]', (junk) => certifiedChoice([junk], { level: 0.5, bound: 1 }))
    await refuses('risk', (junk) => certifiedChoice([[1], [1]], junk))
  })

  it('what cannot be certified is said before a text is read', async () => {
    const texts = Array.from({ length: 12 }, () => text)
    const progress = () => assert.fail('a text was read')
    const says = (more: object, message: RegExp) =>
      assert.rejects(found.certify({ by: 'entropy', totals: [8], level: 0.1, texts, rows: 4, progress, ...more }), {
        code: 'invalid',
        message,
      })
    await says({ bound: 0.1 }, /below the bound of a loss, 0.1/)
    await says({ level: 0 }, /a number above 0 for level/)
    await says({ totals: [0.5, 8] }, /all of them shares .* or all slots .*1 is one slot/)
  })

  it('a measure called as random orders are is not judged beside them', async () => {
    const { layers, heads } = model.description
    const path = join(folder, 'scores.json')
    const scores = Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: heads }, (__, head) => layer + head),
    )
    writeFileSync(path, JSON.stringify(scores))
    const named = await Importance.from(path, { name: 'random', kvHeads: heads, heads })
    const own = await headImportance(model, text, { by: 'entropy', ...quiet })
    assert.equal(named.of('random').values.length, layers)
    Object.assign(named, { model, facts: own.facts })
    await assert.rejects(named.judge(quiet), { code: 'invalid', message: /random orders are called random, too/ })
  })

  it('files of ours in which something is otherwise: whole, or a sentence', async () => {
    const judgement = await found.judge({ shares: [0.2, 0.5], randomOrders: 1, ...quiet })
    const path = join(folder, 'changed.json')
    const kinds = [
      { of: found as unknown, read: (from: string) => Importance.from(from) },
      { of: judgement as unknown, read: (from: string) => Judgement.from(from) },
    ]
    for (const { of, read } of kinds) {
      const plain = JSON.parse(JSON.stringify(of)) as Json
      // Who made it is told as it is, but for the model's name.
      for (const at of places(plain).filter(([first, second]) => first !== 'card' || second === undefined))
        for (const to of [undefined, 'x', {}, [null]]) {
          writeFileSync(path, JSON.stringify(changed(plain, at, to)))
          const what = `${at.join('.')} = ${inspect(to)}`
          try {
            const again = await read(path)
            inspect(again)
            again.table()
            if (again instanceof Importance) inspect(again.curves)
            JSON.stringify(again)
          } catch (error) {
            assert.ok(error instanceof ZslabError, `${what}: ${inspect(error)}`)
            assert.equal(error.code, 'file', `${what}: ${error.message}`)
          }
        }
    }
  })
})
