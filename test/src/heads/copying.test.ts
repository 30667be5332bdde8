/** Measures on a model whose heads are known: the one that copies ranks first, and the mean of a constant changes not one bit. */
import assert from 'node:assert/strict'
import { after } from 'mocha'
import { headImportance, load, type Importance, type Model } from '../../../src/index.js'
import { CONSTANT, COPYING, copyingFile, PREVIOUS } from '../../models/copying.js'
import { draws, ownFolder, written } from '../model/files.js'

describe('heads that are known', () => {
  const folder = ownFolder()
  let model: Model
  let found: Importance
  before(async () => {
    model = await load(written(folder, 'copying.gguf', copyingFile()), {
      weights: 'float32',
      threads: 2,
      progress: false,
    })
    // 40 different bytes that no needle is led in by, twice.
    const led = new Set(model.tokenizer.encode(' The secret words are.'))
    const draw = draws(3)
    const once = new Set<number>()
    while (once.size < 40) {
      const id = 4 + draw(256)
      if (!led.has(id)) once.add(id)
    }
    const by = [
      'retrieval',
      'retrievalR2',
      'induction',
      'inductionNextAll',
      'previous',
      'ablation',
      'ablationMean',
      'ablationMeanLoss',
    ]
    found = await headImportance(model, [...once, ...once], { by, progress: false })
  })
  after(() => model?.dispose())

  /** All heads by a measure, the highest first. */
  const ranked = (name: string) =>
    found
      .of(name)
      .values.flatMap((row, layer) => Array.from(row, (value, head) => ({ layer, head, value })))
      .sort((a, b) => b.value - a.value)

  for (const [name, least, lead = 1.2] of [
    ['retrieval', 1],
    ['retrievalR2', 0.05],
    ['induction', 0.45],
    ['inductionNextAll', 0.95],
    // Without the head that tells it what came before, the copying one copies anything: nearly as bad.
    ['ablation', 3, 1.01],
  ] as [string, number, number?][])
    it(`the one that copies ranks first by ${name}`, () => {
      const [{ value, ...first }, second] = ranked(name)
      assert.deepEqual(first, COPYING)
      assert.ok(
        value >= least && value > lead * second.value,
        `${value}, then ${second.value} (${second.layer}-${second.head})`,
      )
    })

  it('the one that looks at the token before ranks first by that', () => {
    const [{ value, ...first }, second] = ranked('previous')
    assert.deepEqual(first, PREVIOUS)
    assert.ok(value > 0.95 && second.value < 0.5, `${value}, then ${second.value}`)
  })

  it('the mean of a head that always gives the same changes not one bit; that of others does', () => {
    const { layer, head } = CONSTANT
    assert.equal(found.of('ablationMean').values[layer][head], 0)
    assert.equal(found.of('ablationMeanLoss').values[layer][head], 0)
    assert.ok(found.of('ablationMean').values[COPYING.layer][COPYING.head] > 1)
    assert.ok(found.of('ablation').values[layer][head] > 0, 'without it the norm of the stream is another')
  })
})
