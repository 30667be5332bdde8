/** Results that are kept while they are made: what was done once is not done again, and comes to the same. On the toy model. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after } from 'mocha'
import {
  definePolicy,
  evictOnly,
  HEAD_MEASURES,
  headImportance,
  load,
  type HeadImportanceOptions,
  type Model,
  type Progress,
} from '../../../src/index.js'
import { copyingFile } from '../../models/copying.js'
import { draws, ownFolder, toyPath, written } from '../model/files.js'

describe('results of heads that are kept', () => {
  const folder = ownFolder()
  let model: Model
  let texts: number[][]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(11)
    texts = [40, 33].map((length) => Array.from({ length }, () => draw(model.description.vocabulary)))
  })
  after(() => model?.dispose())

  async function measured(of: Model, given: number[][], options: HeadImportanceOptions) {
    const told: Progress[] = []
    const found = await headImportance(of, given, { ...options, progress: (counts) => told.push(counts) })
    const { done, total } = told.at(-1)!
    assert.equal(done, total)
    told.forEach((one, i) =>
      assert.ok(one.total === total && (!i || one.done >= told[i - 1].done), JSON.stringify(one)),
    )
    const { measures, distances } = found
    return { json: JSON.stringify({ measures: { ...measures }, distances }), total }
  }

  for (const { name, needs } of HEAD_MEASURES.filter((one) => !one.name.startsWith('retrieval')))
    it(`${name}: of some heads, one text, all of them`, async () => {
      const options: HeadImportanceOptions = { by: name, ...(needs && { policy: evictOnly({ budget: 12 }) }) }
      const store = join(folder, name)
      const some = { ...options, heads: [{ layer: 1, head: 2 }] }
      const [part, first, plain] = [
        await measured(model, texts, some),
        await measured(model, texts.slice(0, 1), options),
        await measured(model, texts, options),
      ]
      assert.equal((await measured(model, texts, { ...some, store })).json, part.json)
      assert.equal((await measured(model, texts.slice(0, 1), { ...options, store })).json, first.json)
      const found = await measured(model, texts, { ...options, store })
      assert.equal(found.json, plain.json)
      assert.ok(found.total < plain.total, 'all of it was done again')
      for (const [again, as] of [
        [options, plain],
        [some, part],
      ] as const) {
        const { json, total } = await measured(model, texts, { ...again, store })
        assert.deepEqual([total, json], [0, as.json])
      }
    })

  it('a measure more of the same text is measured, and the others stay', async () => {
    const store = join(folder, 'more')
    await measured(model, texts, { by: 'entropy', store })
    const by = ['entropy', 'sinkMass']
    assert.equal((await measured(model, texts, { by, store })).json, (await measured(model, texts, { by })).json)
    assert.equal((await measured(model, texts, { by: 'entropy', store })).total, 0)
  })

  it('another policy, other rows or another seed is something else', async () => {
    const store = join(folder, 'others')
    const by = 'outputError'
    const none = { by, store, policy: evictOnly({ budget: 12 }) }
    await measured(model, texts, none)
    for (const other of [{ policy: evictOnly({ budget: 13 }) }, { rows: 9 }])
      assert.ok((await measured(model, texts, { ...none, ...other })).total > 0)
    assert.equal((await measured(model, texts, { ...none, seed: 4, tokens: 40 })).total, 0)
    const policy = definePolicy({
      name: 'own',
      evict: ({ heads }) => heads.map(({ excess }) => [...Array(excess).keys()]),
    })
    await assert.rejects(
      measured(model, texts, { ...none, policy: policy({ budget: 12 }) }),
      /none beside a policy of your own/,
    )
  })

  it('what says nothing says so again', async () => {
    const store = join(folder, 'silent')
    for (let i = 0; i < 2; i++)
      await assert.rejects(measured(model, texts, { by: 'retrieval', store }), /none of the 2 texts \(\d+% at best\)/)
    const copying = await load(written(folder, 'copying.gguf', copyingFile()), {
      weights: 'float32',
      threads: 2,
      progress: false,
    })
    const spoken = [Array.from({ length: 30 }, (_, i) => 200 + (i % 25)), Array.from({ length: 24 }, () => 9)]
    const options = { by: ['retrieval', 'retrievalR2'], store, seed: 3 }
    const plain = await measured(copying, spoken, { ...options, store: undefined })
    const first = await measured(copying, spoken, options)
    const again = await measured(copying, spoken, options)
    copying.dispose()
    assert.deepEqual([first.json, again.json, again.total], [plain.json, plain.json, 0])
  })
})
