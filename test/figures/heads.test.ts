/** Figures of what is measured and judged of heads: what they say, and what wrong calls are told. */
import assert from 'node:assert/strict'
import type { HeadMeasures } from '../../src/figures/head-measures.js'
import { agreement, headBudgets, headMap, judge } from '../../src/figures/index.js'
import type { Boxes, Labels, Tick } from '../../src/figures/plot.js'
import { headImportance, load, streaming } from '../../src/index.js'
import { toyPath } from '../src/model/files.js'
import { agreementsMade, budgetsMade, judgementMade } from './synthetic-judgement.js'

const says = (call: () => unknown, message: RegExp) =>
  assert.throws(
    call,
    (error: Error & { code?: string }) =>
      (error.code === 'invalid' && message.test(error.message)) || assert.fail(error.message),
  )

describe('figure of a judgement', () => {
  it('names the best order, those like it, and those that are worse than random', () => {
    const made = judgementMade()
    const { summary } = judge(made)
    assert.match(summary, /^ablation: its order of query heads does least damage when they are zeroed\. /)
    assert.match(
      summary,
      /up to 50%: ablation 0\.0\d+ \[.*All other measures do more\. Worse than random: echo and sinkMass\./,
    )
    const { overBest } = made.of('kvzip')
    made.of('kvzip').overBest = { ...overBest!, low: -0.1 }
    made.of('induction').overBest = { ...overBest!, low: -0.1 }
    assert.match(judge(made).summary, /Not to be told from it on these texts: kvzip and induction\./)
    const few = judge(judgementMade({ texts: 3 })).summary
    assert.match(few, /Too few texts for intervals: at least 6 are needed\.$/)
    assert.doesNotMatch(few, /\[|do more/)
  })

  it('says where no order is better than a random one', () => {
    const made = judgementMade({ measures: 2 })
    made.random.area.kl = { ...made.random.area.kl, mean: made.of(made.best).area.kl.mean }
    assert.match(judge(made).summary, /^No measure’s order of query heads does less damage than a random one/)
  })

  it('has the judgement’s table as its data, and curves of all orders in its panels', () => {
    const made = judgementMade({ compress: true, points: 4 })
    const figure = judge(made, { by: 'entropy' })
    assert.deepEqual(figure.columns, made.table())
    const [curves, areas] = figure.plot.panels
    const lines = curves.marks.filter(({ kind }) => kind === 'line')
    assert.equal(lines.length, 9)
    assert.ok(lines.every((line) => line.kind === 'line' && line.x.length === 4))
    assert.equal(areas.marks.filter(({ kind }) => kind === 'points').length, 9)
  })

  it('names a few of many that are not told apart, and cuts a long name', () => {
    const made = judgementMade()
    for (const one of Object.values(made.measures)) one.overBest &&= { ...one.overBest, low: -1, high: 1 }
    const long = 'a measure of somebody else with a very long name, indeed'
    Object.assign(made.of('kvzip'), { name: long })
    assert.match(judge(made).summary, /on these texts: a measure.*, locality, echo and sinkMass\./)
    const more = Object.fromEntries(
      Array.from({ length: 5 }, (_, i) => [`m${i}`, { ...made.of('echo'), name: `m${i}` }]),
    )
    Object.assign(made.measures, more)
    assert.match(judge(made).summary, /, outputNorm, .* and 6 more\./)
    for (const size of ['column', 'wide', 'talk'] as const) {
      const { plot } = judge(made, { by: [long], size })
      const [, areas] = plot.panels
      assert.ok(
        (areas.y.ticks as Tick[]).some(({ text }) => /^a measure.*…$/.test(text)),
        size,
      )
      assert.ok(plot.legend[0].label.length <= long.length)
    }
  })

  it('refuses what is none, and measures that were not judged', () => {
    says(() => judge({} as never), /a result of importance.judge\(\) for judgement .*await it/)
    says(() => judge(Promise.resolve() as never), /a result of importance.judge\(\)/)
    says(() => judge(judgementMade(), { by: 'kvzap' }), /one of ablation, .* for by but received "kvzap"/)
    says(() => judge(judgementMade(), { by: [] }), /names of one to 3 measures for by/)
    says(() => judge(judgementMade(), { by: ['ablation', 'echo', 'kvzip', 'entropy'] }), /names of one to 3 measures/)
    says(() => judge(judgementMade(), { measure: 1 } as never), /judge has no option "measure"/)
  })
})

describe('head map', () => {
  const values = [Float64Array.of(1, 4, 2, NaN), Float64Array.of(8, 0, 3, 3)]
  const made = (kv: 'max' | 'mean' | 'own' = 'max'): HeadMeasures => ({
    layers: 2,
    heads: 4,
    kvHeads: 2,
    measures: { ablation: { name: 'ablation', unit: 'nats', kv, values } },
  })

  it('has a tile for each head that was measured, in its shade, and kv heads as the measure says', () => {
    const figure = headMap(made())
    const [query, kv] = figure.plot.panels.map(({ marks }) => marks[0] as Boxes)
    assert.deepEqual(
      [query.x0, query.y0],
      [
        [-0.5, 0.5, 1.5, -0.5, 0.5, 1.5, 2.5],
        [-0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5],
      ],
    )
    assert.deepEqual(
      query.colors,
      ['0.12', '0.5', '0.26', '1', '0', '0.38', '0.38'].map((at) => `shade:${at}`),
    )
    assert.deepEqual(
      kv.colors,
      ['0.5', '0.26', '1', '0.38'].map((at) => `shade:${at}`),
    )
    const { kind, layer, head, value } = figure.columns
    assert.deepEqual(value, [1, 4, 2, null, 8, 0, 3, 3, 4, 2, 8, 3])
    assert.deepEqual([kind[7], kind[8], layer[7], head[11]], ['query', 'kv', 1, 1])
    assert.equal(figure.plot.legend[0].label, 'not measured')
    assert.deepEqual(Array.from(headMap(made('mean')).columns.value).slice(8), [2.5, 2, 4, 3])
    assert.match(
      figure.summary,
      /^ablation: largest in layer 1, query head 0, 8 nats\. Then 0-1 \(4\) and 1-2 \(3\) \(layer-head\); median of 7 query heads 3\. Of layers, 1 has the largest mean, 3\.5\.$/,
    )
  })

  it('shares and pure numbers have no unit behind them, and a long name is cut in the legend', () => {
    const of = (unit: string, name = 'ablation') =>
      headMap({ ...made(), measures: { [name]: { name, unit, kv: 'max' as const, values } } }, { size: 'column' })
    for (const unit of ['1', 'share']) {
      assert.match(of(unit).summary, /query head 0, 8\. Then/)
      assert.equal(of(unit).plot.ramp!.label, 'ablation:')
    }
    assert.equal(of('nats').plot.ramp!.label, 'nats:')
    assert.match(of('1', 'somebody’s measure '.repeat(6).trim()).plot.ramp!.label, /^somebody’s measure.*…:$/)
  })

  it('of a measure of kv heads is of those alone', () => {
    const figure = headMap(made('own'))
    assert.equal(figure.plot.panels.length, 1)
    assert.deepEqual(figure.columns.value, [4, 2, 8, 3])
    assert.match(figure.summary, /largest in layer 1, kv head 0, 8 nats/)
  })

  it('refuses what is none, and measures that were not asked for', () => {
    says(() => headMap({} as never), /what headImportance\(\) found for importance/)
    says(() => headMap(made(), { by: 'kvzip' }), /one of ablation for by but received "kvzip"/)
    says(() => headMap(made(), { layer: 2 } as never), /headMap has no option "layer"/)
    const none = {
      name: 'none',
      unit: '',
      kv: 'max',
      values: [0, 1].map(() => new Float64Array(4).fill(NaN)),
    } as const
    says(() => headMap({ ...made(), measures: { none } }), /a measure with a value for by but received "none"/)
  })
})

describe('figure of agreement', () => {
  it('has a tile for each two, both ways, with its number, and reliability in the diagonal', () => {
    const made = agreementsMade({ measures: 3 })
    const figure = agreement(made)
    const [tiles, numbers] = figure.plot.panels[0].marks as [Boxes, Labels]
    const value = (a: string, b: string) => made.of(a, b).spearman.value!
    const expected = made.names.flatMap((a) =>
      made.names.map((b) => (a === b ? made.reliability[a].all! : value(a, b))),
    )
    const texts = expected.map((one) => one.toFixed(2).replace('-', '−'))
    assert.deepEqual(numbers.text, texts)
    assert.deepEqual(
      [numbers.x.slice(0, 4), numbers.y.slice(0, 4)],
      [
        [0, 1, 2, 0],
        [0, 0, 0, 1],
      ],
    )
    assert.deepEqual(
      tiles.colors,
      expected.map((one) => `ramp:${Math.round(50 * (one + 1)) / 100}`),
    )
    assert.deepEqual([tiles.x0[1], tiles.y0[1], tiles.x0[3], tiles.y0[3]], [0.5, -0.5, -0.5, 0.5])
    assert.deepEqual(figure.columns, made.table())
    const most = value('ablation', 'kvzip').toFixed(2)
    assert.ok(figure.summary.startsWith(`ablation and kvzip agree most: Spearman ${most} [`), figure.summary)
    assert.match(figure.summary, /1 of 3 pairs rank heads alike, 2 the other way round\. With itself on other texts/)
  })

  it('cuts long names, and names so many that their words do not meet', () => {
    const made = agreementsMade({ measures: 8 })
    const names = Array.from({ length: 40 }, (_, i) => `measure number ${i} with a name that is too long to be told`)
    const many = { ...made, names, pairs: [], reliability: {}, table: () => ({}) }
    const given = { ...many, pairs: made.pairs }
    for (const size of ['column', 'wide', 'talk'] as const) {
      const { plot } = agreement(given, { size })
      const ticks = plot.panels[0].y.ticks as Tick[]
      assert.match(ticks[0].text, /^measure .*… 1$/)
      assert.equal(ticks.length === 40, size !== 'talk')
      const words = { column: 8, wide: 10, talk: 14 }[size]
      assert.ok(size === 'talk' || plot.body! >= 40 * words, `${size}: ${plot.body}`)
    }
  })

  it('takes other statistics, and says where there is none', () => {
    const top = agreement(agreementsMade({ measures: 2 }), { statistic: 'top' })
    const [tiles, numbers] = top.plot.panels[0].marks as [Boxes, Labels]
    assert.deepEqual([numbers.text[0], tiles.colors![0]], ['–', 'paper'])
    const value = agreementsMade({ measures: 2 }).pairs[0].top.value!
    assert.equal(tiles.colors![1], `ramp:${Math.round(100 * value) / 100}`)
    assert.match(agreement(agreementsMade({ heads: 1 })).summary, /none to be told\. None of 28 pairs has a value/)
    says(
      () => agreement(agreementsMade(), { statistic: 'pearson' as 'top' }),
      /'spearman', 'kendall', 'top' for statistic/,
    )
    says(() => agreement({} as never), /what importance.agreement\(\) found for agreements/)
    says(
      () => agreement(agreementsMade({ measures: 1 })),
      /those of at least two measures for agreements but received 1/,
    )
  })
})

describe('figure of budgets by head', () => {
  it('says it of one head alone, and of layers that have as much', () => {
    const one = headBudgets({ ...budgetsMade(), budgets: [[7]], total: 7 })
    assert.match(one.summary, /^By kvzip, the only kv head gets 7 slots\./)
    const alike = headBudgets({
      ...budgetsMade(),
      budgets: [
        [0.1, 0.3],
        [0.2 + 1e-17, 0.2],
      ],
      total: 0.2,
    })
    assert.match(alike.summary, /all layers have as much\.$/)
  })

  it('stacks the kv heads of each layer, beside the same for all', () => {
    const given = {
      ...budgetsMade(),
      budgets: [
        [10, 30],
        [5, 15],
      ],
      total: 15,
    }
    const figure = headBudgets(given)
    const [even, odd, line] = figure.plot.panels[0].marks as [Boxes, Boxes, { y: number[] }]
    assert.deepEqual(
      [even.y0, even.y1],
      [
        [0, 0],
        [10, 5],
      ],
    )
    assert.deepEqual(
      [odd.y0, odd.y1],
      [
        [10, 5],
        [40, 20],
      ],
    )
    assert.deepEqual(line.y, [30, 30])
    assert.deepEqual(figure.columns, {
      layer: [0, 0, 1, 1],
      kvHead: [0, 1, 0, 1],
      budget: [10, 30, 5, 15],
      ofMean: [10 / 15, 2, 5 / 15, 1],
    })
    assert.match(
      figure.summary,
      /^By kvzip, the largest budget is 2 times the mean: layer 0, kv head 1 with 30 slots\. The least is layer 1, kv head 0 with 5 slots; the mean 15 slots\. The largest tenth of heads has 50% of everything; of layers, 0 has most, 67%\.$/,
    )
  })

  it('stacks three, too', () => {
    const [even, odd] = headBudgets({ ...budgetsMade(), budgets: [[10, 30, 5]], total: 15 }).plot.panels[0]
      .marks as Boxes[]
    assert.deepEqual([even.y0, even.y1, odd.y0, odd.y1], [[0, 40], [10, 45], [10], [40]])
  })

  it('speaks of shares where budgets are shares, and refuses what is none', () => {
    assert.match(headBudgets(budgetsMade({ total: 0.1 })).summary, /the mean 10% of the prompt/)
    assert.match(headBudgets(budgetsMade({ equal: true })).summary, /all 90 kv heads get the same: 128 slots/)
    says(() => headBudgets([[1]] as never), /what importance.suggestBudgets\(\) gave for suggested/)
    says(() => headBudgets(budgetsMade(), { by: 'kvzip' } as never), /headBudgets has no option "by"/)
  })
})

describe('figures of a model’s heads', () => {
  it('are drawn of what the library finds', async () => {
    const model = await load(toyPath, { threads: 2, progress: false })
    const texts = [3, 5].map((step) => Array.from({ length: 40 }, (_, i) => 1 + ((i * i * step) % 90)))
    const importance = await headImportance(model, texts, { by: ['ablation', 'kvzip'], progress: false })
    const judged = await importance.judge({ budget: 4, policy: streaming({ sink: 1 }), rows: 8, progress: false })
    assert.match(judge(judged).summary, /order of kv heads does/)
    assert.match(headMap(importance, { by: 'kvzip' }).summary, /^kvzip: largest in layer \d, kv head \d/)
    assert.match(agreement(importance.agreement()).summary, /^ablation and kvzip agree most: Spearman/)
    const suggested = importance.suggestBudgets({ by: 'ablation', total: 16 })
    assert.match(headBudgets(suggested).summary, /the mean 16 slots/)
    model.dispose()
  })
})
