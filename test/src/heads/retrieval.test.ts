/** Retrieval: the three rules by hand, where the needle is put, and that the default model copies one with the heads that look back at repeats. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after } from 'mocha'
import { headImportance, load, type Model } from '../../../src/index.js'
import { answered, needleIn, retrieval, retrieved } from '../../../src/heads/retrieval.js'
import { defaultModel } from '../model/default-model.js'
import { goldenPath, ownFolder, toyPath } from '../model/files.js'

const RULES = ['retrieval', 'retrievalCode', 'retrievalR2'] as const

describe('retrieval', function () {
  this.timeout(600_000)
  const store = ownFolder()

  it('by hand: each rule of the paper and of both codes', () => {
    // Needle: positions 2, 3, 4 with the ids 7, 8, 7; three tokens are written, each from one row.
    const ids = [1, 2, 7, 8, 7, 3, 7, 7]
    const rows = Float32Array.from([
      ...[0.1, 0, 0.6, 0.1, 0.05, 0.15, 0, 0], // top 2 (7), written 7: copied
      ...[0.1, 0, 0.5, 0, 0.3, 0, 0.1, 0], // top 2 again, written 7: the text's rule counts it once
      ...[0.05, 0, 0.1, 0.4, 0, 0.3, 0.1, 0.05], // top 3 (8), written 9: no copy
    ])
    const { retrieval: paper, retrievalCode, retrievalR2 } = retrieved(rows, ids, [7, 7, 9], 2, 5)
    assert.equal(paper, 1 / 3)
    assert.ok(Math.abs(retrievalCode - 2 / 3) < 1e-12)
    // Of the three likeliest: 0.6 (2; 0.15 is outside; 0.1 ties at 0 and 3: the lower), 0.5 + 0.3, 0.4 + 0.1 (2 before 6).
    assert.ok(Math.abs(retrievalR2 - (0.6 + 0.8 + 0.5) / 3) < 1e-6, String(retrievalR2))
    const ties = retrieved(rows.subarray(16), ids, [9], 2, 5)
    assert.ok(Math.abs(ties.retrievalR2 - 0.5 / 3) < 1e-6, String(ties.retrievalR2))
    assert.deepEqual(retrieved(rows, ids, [7, 7, 7], 5, 6), { retrieval: 0, retrievalCode: 0, retrievalR2: 0 })
    const twice = retrieved(Float32Array.from([0, 0, 1, 0, 0, 1]), [4, 5, 6], [6, 6], 2, 3)
    assert.deepEqual(twice, { retrieval: 1, retrievalCode: 2, retrievalR2: 2 })
  })

  it('where the model copies nothing it is said', async () => {
    const toy = await load(toyPath, { progress: false })
    const text = Array.from({ length: 20 }, (_, i) => i + 5)
    const made = needleIn(toy, Int32Array.from(text), 3)
    assert.equal(made.to - made.from, 8)
    assert.equal(new Set(made.ids.subarray(made.from, made.to)).size, 8)
    assert.deepEqual(needleIn(toy, Int32Array.from(text), 3), made)
    assert.notDeepEqual(needleIn(toy, Int32Array.from(text), 4), made)
    await assert.rejects(headImportance(toy, text, { by: 'retrieval', progress: false }), {
      code: 'invalid',
      message: /repeated half of the needle in none of the 1 text \(\d+% at best\)/,
    })
    // Before all other measures, which would have been made in vain.
    const by = ['ablation', 'entropy', 'retrieval', 'echo']
    await assert.rejects(headImportance(toy, [text, text.slice(3)], { by, store, progress: false }), {
      message: /none of the 2 texts .* or leave retrieval out$/,
    })
    assert.deepEqual(
      readdirSync(store).map((name) => name.split('-')[0]),
      ['retrieval', 'retrieval'],
    )
    toy.dispose()
  })

  it('a text of which less than half the needle was repeated has no values', async () => {
    const model = await load(toyPath, { threads: 2, progress: false })
    const marks = new Uint8Array(model.description.layers * model.description.heads).fill(1)
    const values = new Map(RULES.map((name) => [name as string, new Float64Array(marks.length).fill(NaN)]))
    const more = new Map<string, Float64Array>()
    const ids = Int32Array.from({ length: 20 }, (_, i) => 40 + i)
    await retrieval().run({
      model,
      ids,
      marks,
      values,
      more,
      tokens: 256,
      rows: 32,
      curve: { shares: [], others: 1 },
      seed: 1,
      call: {},
    })
    model.dispose()
    assert.ok(more.get('recall')![0] < 0.5, String(more.get('recall')))
    for (const found of values.values()) assert.ok(found.every(Number.isNaN))
  })

  describe('on the default model', () => {
    let model: Model
    before(async () => (model = await load((await defaultModel()).path, { progress: false })))
    after(() => model?.dispose())

    it('by all three rules as on the attention that transformers returns, float32', async () => {
      interface Case extends Record<(typeof RULES)[number], number[][]> {
        ids: number[]
        from: number
        to: number
        written: number[]
      }
      const golden = JSON.parse(readFileSync(goldenPath('retrieval.json'), 'utf8')) as { cases: Case[] }
      const exact = await load((await defaultModel()).path, { weights: 'float32', progress: false })
      const { layers, heads } = exact.description
      const marks = new Uint8Array(layers * heads).fill(1)
      let copied = 0
      for (const one of golden.cases) {
        const { answer, ids, rows } = await answered(
          { model: exact, marks, call: {} },
          { ...one, ids: Int32Array.from(one.ids) },
        )
        assert.deepEqual(answer, one.written)
        const all = await rows()
        const each = answer.length * ids.length
        for (let at = 0; at < layers * heads; at++) {
          const found = retrieved(all.subarray(at * each, (at + 1) * each), ids, answer, one.from, one.to)
          for (const rule of RULES) {
            const expected = one[rule][Math.floor(at / heads)][at % heads]
            assert.ok(Math.abs(found[rule] - expected) <= 1e-5, `${rule} of head ${at}: ${found[rule]}, ${expected}`)
          }
          copied = Math.max(copied, found.retrieval)
        }
      }
      assert.ok(copied >= 0.5, `at most ${copied}`)
      exact.dispose()
    })

    it('heads that look at what followed a repeated token copy the needle', async () => {
      const { texts } = JSON.parse(readFileSync(goldenPath('heads.json'), 'utf8')) as { texts: { ids: number[] }[] }
      const by = ['retrieval', 'retrievalCode', 'retrievalR2', 'inductionNext']
      const found = await headImportance(
        model,
        texts.map(({ ids }) => ids.slice(0, 128)),
        { by, progress: false, sequences: 1 },
      )
      const all = (name: string) => found.of(name).values.flatMap((row) => Array.from(row))
      const [retrieval, code, r2, next] = by.map(all)
      retrieval.forEach((value, head) => assert.ok(value <= code[head] + 1e-12 && r2[head] <= 1, `head ${head}`))
      assert.ok(Math.max(...retrieval) >= 0.25, `at most ${Math.max(...retrieval)}`)
      const best = retrieval.indexOf(Math.max(...retrieval))
      const rank = next.filter((value) => value > next[best]).length
      assert.ok(rank < 27, `the best head of retrieval is number ${rank} of induction`)
      assert.deepEqual(found.facts.needleSeeds, [1, 2])
    })
  })
})
