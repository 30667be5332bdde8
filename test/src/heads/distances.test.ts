/** Attention by distance on the toy model, against its own rows. */
import assert from 'node:assert/strict'
import { headImportance, load, type Model } from '../../../src/index.js'
import { distanceBins } from '../../../src/heads/distances.js'
import { watched } from '../../../src/heads/measure.js'
import { draws, toyPath } from '../model/files.js'

describe('attention by distance', () => {
  let model: Model
  before(async () => (model = await load(toyPath, { weights: 'float32', progress: false })))
  after(() => model?.dispose())

  it('bins go by powers of two, as far as the context', () => {
    assert.deepEqual(distanceBins(6), [
      { from: 0, to: 0 },
      { from: 1, to: 1 },
      { from: 2, to: 3 },
      { from: 4, to: 5 },
    ])
    assert.equal(distanceBins(8192).at(-1)!.to, 8191)
    assert.equal(distanceBins(8193).at(-1)!.from, 8192)
  })

  it('is what the rows of attention say: their mean distance, and shares that are 1 in sum', async () => {
    const draw = draws(3)
    const texts = [19, 40].map((length) => Array.from({ length }, () => draw(model.description.vocabulary)))
    const heads = [
      { layer: 0, head: 1 },
      { layer: 2, head: 3 },
    ]
    const found = await headImportance(model, texts, { by: 'distance', heads, progress: false })
    const { bins, shares } = found.distances!
    const each = model.description.heads
    const marks = new Uint8Array(model.description.layers * each)
    for (const { layer, head } of heads) marks[layer * each + head] = 1
    const expected = heads.map(() => ({ distance: 0, shares: new Float64Array(bins.length) }))
    for (const [which, text] of texts.entries()) {
      const n = text.length
      const rows = new Float32Array(heads.length * n * n)
      await watched({ model, marks, call: {} }, Int32Array.from(text), { rows, firstRow: 0, rowCount: n })
      heads.forEach(({ layer, head }, i) => {
        let distance = 0
        for (let t = 0; t < n; t++)
          for (let s = 0; s <= t; s++) {
            const p = rows[(i * n + t) * n + s]
            distance += (p * (t - s)) / n
            expected[i].shares[bins.findIndex(({ from, to }) => from <= t - s && t - s <= to)] += p / n / 2
          }
        expected[i].distance += distance / 2
        assert.ok(Math.abs(found.of('distance').perText[which][layer][head] - distance) < 1e-5)
      })
    }
    heads.forEach(({ layer, head }, i) => {
      assert.ok(Math.abs(found.of('distance').values[layer][head] - expected[i].distance) < 1e-5)
      shares[layer][head].forEach((share, bin) => assert.ok(Math.abs(share - expected[i].shares[bin]) < 1e-6))
      assert.ok(Math.abs(shares[layer][head].reduce((sum, share) => sum + share, 0) - 1) < 1e-6)
    })
    assert.ok(shares[1][0].every(Number.isNaN))
    const plain = JSON.parse(JSON.stringify(found)) as { distances: { shares: (number | null)[][][] } }
    assert.equal(plain.distances.shares[1][0][0], null)
    assert.equal((await headImportance(model, texts, { by: 'entropy', progress: false })).distances, null)
  })
})
