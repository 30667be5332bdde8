/** Measures of heads as tables: wide, a row for each head, and long, one for each measure of each; what of them is missing. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { headImportance, Importance, load, type Model } from '../../../src/index.js'
import { headRows } from '../../../src/heads/importance-tables.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

describe('measures of heads as tables', () => {
  const folder = ownFolder()
  const quiet = { progress: false } as const
  const by = ['entropy', 'kvzip', 'echo']
  let model: Model
  let found: Importance
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(3)
    const texts = Array.from({ length: 6 }, () =>
      Int32Array.from({ length: 24 }, () => draw(model.description.vocabulary)),
    )
    found = await headImportance(model, texts, { by, ...quiet })
  })
  after(() => model?.dispose())

  it('long: each measure of each head with its interval, its texts, its reliability and its unit', () => {
    const { layers, heads, kvHeads } = model.description
    const table = found.byMeasure()
    assert.deepEqual(Object.keys(table), [
      'measure',
      'layer',
      'head',
      'kvHead',
      'value',
      'low',
      'high',
      'texts',
      'reliability',
      'unit',
    ])
    assert.equal(table.value.length, by.length * layers * heads)
    const intervals = Object.fromEntries(by.map((name) => [name, found.intervals(name)]))
    table.measure.forEach((name, row) => {
      const [measure, layer, head] = [name as string, table.layer[row] as number, table.head[row] as number]
      assert.deepEqual(
        [measure, layer, head],
        [by[Math.floor(row / layers / heads)], Math.floor(row / heads) % layers, row % heads],
      )
      assert.equal(table.kvHead[row], Math.floor(head / (heads / kvHeads)))
      const { values, reliability, unit } = found.of(measure)
      const { low, high, texts } = intervals[measure][layer][head]!
      assert.deepEqual(
        [table.value[row], table.low[row], table.high[row], table.texts[row], table.reliability[row], table.unit[row]],
        [values[layer][head], low, high, texts, reliability.all, unit],
      )
    })
    // Of six texts, and of two random sequences.
    assert.deepEqual([table.texts[0], table.texts.at(-1), table.low.at(-1)], [6, 2, null])
    assert.ok(Number(table.low[0]) < Number(table.value[0]))
  })

  it('which kv head a query head reads, where there are fewer of them than of its group', () => {
    const shape = { layers: 2, heads: 6, kvHeads: 2 }
    assert.deepEqual(headRows(shape, []).kvHead, [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1])
  })

  it('as frame and CSV by either name; how intervals are made is of the long one alone', () => {
    const { layers, heads } = model.description
    assert.deepEqual(found.frame().shape, [layers * heads, 3 + by.length])
    assert.deepEqual(found.frame({ by: 'measure' }).columns, Object.keys(found.byMeasure()))
    assert.deepEqual(found.csv({ by: 'head' }), found.csv())
    const lines = found.csv({ by: 'measure' }).trimEnd().split('\n')
    assert.equal(lines.length, 1 + by.length * layers * heads)
    assert.match(lines[1], /^entropy,0,0,0,\d\S*,nats$/)
    const wider = found.byMeasure({ level: 0.99 })
    found.byMeasure().low.forEach((low, row) => low === null || assert.ok(Number(wider.low[row]) < Number(low)))
    const options = { by: 'measure', method: 'bca', seed: 4, resamples: 100 } as const
    assert.equal(found.csv(options), found.csv(options))
    assert.notEqual(found.csv(options), found.csv({ ...options, seed: 5 }))
    const refused = (given: object, message: RegExp) =>
      assert.throws(() => found.csv(given), { name: 'ZslabError', code: 'invalid', message })
    refused({ by: 'layer' }, /'head', 'measure'/)
    refused({ level: 0.9 }, /table by: 'head' has no option "level"/)
    refused({ rows: 3 }, /no option "rows"/)
    refused({ by: 'measure', level: 2 }, /level/)
  })

  it('heads that were not asked for have no row in the long one and null in the wide one', async () => {
    const heads = [{ layer: 1, head: 2 }]
    const few = await headImportance(model, 'a few words of a text', { by: ['entropy', 'outputNorm'], heads, ...quiet })
    const { measure, layer, head, low } = few.byMeasure()
    assert.deepEqual(
      { measure, layer, head, low },
      {
        measure: ['entropy', 'outputNorm'],
        layer: [1, 1],
        head: [2, 2],
        low: [null, null],
      },
    )
    assert.equal(few.table().entropy.filter((value) => value !== null).length, 1)
  })

  it('scores of others, which are of no text, have neither interval nor reliability', async () => {
    const { layers, kvHeads } = model.description
    const path = join(folder, 'full_attention_heads.tsv')
    writeFileSync(path, `${Array.from({ length: layers }, () => Array(kvHeads).fill('0.5').join('\t')).join('\n')}\n`)
    const read = await Importance.from(path, { model })
    const { value, low, texts, reliability } = read.byMeasure()
    assert.ok(value.every((one) => one === 0.5))
    for (const [column, none] of [
      [low, null],
      [texts, 0],
      [reliability, null],
    ] as const)
      assert.ok(column.every((one) => one === none))
  })
})
