/** Figures of what is measured and judged of heads: what they say, and what wrong calls are told. */
import assert from 'node:assert/strict'
import { judge } from '../../src/figures/index.js'
import { judgementMade } from './synthetic-judgement.js'

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
    made.random.area.kl = { ...made.random.area.kl, mean: 0 }
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

  it('refuses what is none, and measures that were not judged', () => {
    says(() => judge({} as never), /a result of importance.judge\(\) for judgement .*await it/)
    says(() => judge(Promise.resolve() as never), /a result of importance.judge\(\)/)
    says(() => judge(judgementMade(), { by: 'kvzap' }), /one of ablation, .* for by but received "kvzap"/)
    says(() => judge(judgementMade(), { by: [] }), /names of one to 3 measures for by/)
    says(() => judge(judgementMade(), { by: ['ablation', 'echo', 'kvzip', 'entropy'] }), /names of one to 3 measures/)
    says(() => judge(judgementMade(), { measure: 1 } as never), /judge has no option "measure"/)
  })
})
