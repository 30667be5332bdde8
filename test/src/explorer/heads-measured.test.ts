/** Measures of heads in the explorer: what its document has of them, and what its page says. */
import assert from 'node:assert/strict'
import { explore, headImportance, load, zsmerge, type Model, type Run } from '../../../src/index.js'
import { HeadsMeasured } from '../../../src/explorer/heads-measured.js'
import { shortNumber } from '../../../src/figures/scale.js'
import { toyPath } from '../model/files.js'
import { documentOf } from './opened.js'

const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom'

describe('explorer, measured heads', () => {
  let model: Model
  let run: Run
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    run = await session.generate(TEXT, { maxTokens: 8, ignoreEos: true, progress: false })
  })
  after(() => model?.dispose())

  it('shows what heads were measured by: values, shades and places, of query heads and of kv heads', async () => {
    const { layers, heads, kvHeads } = model.description
    const asked = Array.from({ length: heads }, (_, head) => ({ layer: 1, head }))
    const importance = await headImportance(model, TEXT, { by: ['entropy', 'kvzip'], heads: asked, progress: false })
    const { measured } = documentOf(explore(run, { importance }))
    assert.deepEqual(
      measured!.measures.map(({ name, kv }) => [name, kv]),
      [
        ['entropy', 'mean'],
        ['kvzip', 'own'],
      ],
    )
    const page = new HeadsMeasured(measured!, kvHeads)
    const group = heads / kvHeads
    const rows = page.passport(1, 1)
    assert.deepEqual(
      rows.map(({ heads: { length } }) => length),
      [group, 1],
    )
    const own = importance.of('entropy').values[1]
    assert.equal(rows[0].heads[0].value, shortNumber(Number(own[group].toPrecision(4))))
    const place = 1 + own.filter((value) => value > own[group]).length
    assert.equal(rows[0].heads[0].place, `${place} of ${heads}`)
    assert.match(rows[1].heads[0].place, new RegExp(`^[1-${kvHeads}] of ${kvHeads}$`))
    assert.equal(page.sentence('entropy', 0, 0), 'entropy: not measured')
    assert.match(page.sentence('entropy', 1, 0), /^entropy: [\d.]+ nats, the mean of its query heads \([\d., ]+\)$/)
    assert.match(page.sentence('kvzip', 1, 0), /^kvzip: [\d.]+ share$/)
    assert.match(page.scaleWords('entropy').join('|'), /^entropy: [\d.]+\|[\d.]+ nats; a stripe is a query head$/)
    assert.equal(page.habits(0, 0).length, group)
    assert.equal(measured!.measures[0].values.filter((value) => value === null).length, (layers - 1) * heads)
    assert.ok(!('measured' in documentOf(explore(run))))
  })

  it('refuses importance that is none, and of another model', () => {
    assert.throws(
      () => explore(run, { importance: 3 as never }),
      /expected what headImportance\(\) found for importance/,
    )
    const measures = { a: { name: 'a', unit: '1', kv: 'max', values: [Float64Array.of(1, 2)] } } as const
    assert.throws(
      () => explore(run, { importance: { layers: 1, heads: 2, kvHeads: 1, measures } }),
      /the importance is of a model with 1 layers of 1 kv heads, and the run's has 3 of 2: measure/,
    )
  })
})
