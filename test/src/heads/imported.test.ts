/** Importance.from(): published files and saved measures give what measured heads give, and refuse what needs texts. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { after } from 'mocha'
import { figures, headImportance, Importance, load, type Model } from '../../../src/index.js'
import { ranked, spearman } from '../../../src/statistics/ranks.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

describe('Importance.from', () => {
  const folder = ownFolder()
  let model: Model
  let measured: Importance
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(19)
    const texts = Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => draw(model.description.vocabulary)))
    const by = ['entropy', 'kvzip', 'echo', 'distance', 'previousAbs']
    const heads = [0, 1, 2].flatMap((layer) => [0, 1, 2].map((head) => ({ layer, head })))
    measured = await headImportance(model, texts, { by, heads, progress: false })
  })
  after(() => model?.dispose())
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const rows = (all: readonly Float64Array[]) => all.map((row) => Array.from(row))
  const gates = () => file('full_attention_heads.tsv', '0.5\t1\n0.25\t0\n1\t0.75\n')

  it('gates of kv heads, repeated over the group of the model, whose judge then reads texts', async () => {
    const found = await Importance.from(gates(), { model })
    const { values, kvValues } = found.of('duoAttention')
    assert.deepEqual(rows(values), [
      [0.5, 0.5, 1, 1],
      [0.25, 0.25, 0, 0],
      [1, 1, 0.75, 0.75],
    ])
    assert.deepEqual(rows(kvValues), [
      [0.5, 1],
      [0.25, 0],
      [1, 0.75],
    ])
    assert.match(inspect(found), /^Heads of toy\.gguf, read from full_attention_heads\.tsv \(duo-attention\): 3 layers/)
    assert.match(
      found.of('duoAttention').source,
      /2410\.10819; read from full_attention_heads\.tsv, SHA-256 [0-9a-f]{16}$/,
    )
    const { budgets } = found.suggestBudgets({ by: 'duoAttention', total: 10, floor: 0 })
    assert.equal(
      budgets.flat().reduce((sum, slots) => sum + slots, 0),
      60,
    )
    assert.ok(budgets[2][0] > budgets[1][0])
    assert.ok(figures.headPassport(found, { layer: 1, head: 2 }).svg.startsWith('<svg'))
    await assert.rejects(found.judge(), /are of no text: give judge\(\) the texts to read/)
    const judged = await found.judge({ texts: 'a few words of a text that is long enough', rows: 4, progress: false })
    assert.equal(judged.of('duoAttention').curve.length, 6)
  })

  it('without a model: heads by option; everything that needs texts says so', async () => {
    const alone = await Importance.from(gates())
    assert.deepEqual([alone.layers, alone.heads, alone.kvHeads], [3, 2, 2])
    const grouped = await Importance.from(gates(), { heads: 6 })
    assert.deepEqual([grouped.heads, grouped.kvHeads, grouped.of('duoAttention').values[0].length], [6, 2, 6])
    assert.throws(() => alone.intervals('duoAttention'), /was read from a file and is of no text/)
    await assert.rejects(alone.judge(), /were not measured with one/)
    assert.equal(alone.of('duoAttention').reliability.halves, null)
    const scores = Object.fromEntries(
      Array.from({ length: 12 }, (_, at) => [`${Math.floor(at / 4)}-${at % 4}`, [at, at + 0.5, at]]),
    )
    const retrieval = await Importance.from(file('llama.json', JSON.stringify(scores)), { kvHeads: 2 })
    assert.deepEqual(rows(retrieval.of('retrievalScores').kvValues)[1], [5 + 0.5 / 3, 7 + 0.5 / 3])
    assert.equal(retrieval.of('retrievalScores').reliability.halves, 1)
    await assert.rejects(Importance.from(gates(), { heads: 3 }), /3 query heads do not share 2 kv heads evenly/)
    await assert.rejects(
      Importance.from(gates(), { kvHeads: 4, heads: 4 }),
      /scores of 2 kv heads a layer, and there should be 4/,
    )
    await assert.rejects(
      Importance.from(file('two.tsv', '1\t0\n1\t1\n'), { model }),
      /is of 2 layers × 4 query heads.*the model has 3/,
    )
    await assert.rejects(Importance.from(gates(), { model: 'toy' as never }), /what load\(\) gave for model/)
  })

  it('beside what was measured: one agreement, in which the file stays as it is', async () => {
    const both = measured.with(await Importance.from(gates(), { model, name: 'published' }))
    assert.deepEqual(Object.keys(both.measures), ['entropy', 'kvzip', 'echo', 'distance', 'previousAbs', 'published'])
    const pair = both.agreement({ resamples: 100 }).of('published', 'entropy')
    assert.equal(pair.heads, 9)
    const there = (name: string) =>
      ranked(Float64Array.from(both.of(name).values.flatMap((row) => Array.from(row.subarray(0, 3)))))
    assert.ok(Math.abs(pair.spearman.value! - spearman(there('published'), there('entropy'))!) < 1e-12)
    assert.ok(pair.spearman.low! < pair.spearman.high!)
    assert.equal(both.facts.texts.length, 7)
    assert.equal(both.model, model)
    assert.throws(() => measured.with(measured), /both have a measure entropy: read the file under another name/)
    const { facts, layers } = measured
    const other = await Importance.from(file('one.tsv', '1\t0\n'))
    assert.throws(() => measured.with(other), new RegExp(`1 layers × 2 .* beside ${layers} layers × 4`))
    assert.equal(facts.seeds.length, 2)
    const again = await headImportance(model, 'other words that are a text', { by: 'sinkMass', progress: false })
    assert.throws(() => measured.with(again), /measured on different texts/)
  })

  it('what was saved is read back whole, to the bit', async () => {
    const path = file('heads.json', JSON.stringify(measured))
    const found = await Importance.from(path)
    assert.deepEqual(JSON.parse(JSON.stringify(found)), JSON.parse(JSON.stringify(measured)))
    for (const name of Object.keys(measured.measures)) {
      const [one, other] = [found, measured].map((of) => of.of(name))
      assert.deepEqual([one.least, one.most, one.formula], [other.least, other.most, other.formula])
      assert.deepEqual(rows(one.kvValues), rows(other.kvValues))
    }
    assert.deepEqual(found.intervals('entropy'), measured.intervals('entropy'))
    assert.deepEqual(found.distances!.shares.map(rows), measured.distances!.shares.map(rows))
    await assert.rejects(Importance.from(path, { heads: 9 }), /says its heads and names itself: leave out heads/)
    const broken = (change: (content: { [name: string]: any }) => void, says: RegExp) => {
      const content = JSON.parse(JSON.stringify(measured)) as Record<string, unknown>
      change(content)
      return assert.rejects(
        Importance.from(file('broken.json', JSON.stringify(content))),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'file')
          assert.match(error.message, says)
          return true
        },
      )
    }
    await broken((content) => (content.version = 2), /its version is 2, and this zslab reads version 1/)
    await broken((content) => content.measures.entropy.values.pop(), /the values of entropy are not numbers \[3\]\[4\]/)
    await broken((content) => (content.measures.echo.perText[1][0][0] = 'x'), /the values of echo in text 1 are not/)
    await broken((content) => (content.kvHeads = 3), /4 query heads do not share 3 kv heads/)
    await broken((content) => delete content.texts, /which texts/)
    await broken((content) => delete content.measures, /no measures/)
  })
})
