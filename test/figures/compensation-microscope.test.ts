/** The compensation microscope: its masses are those that headCompensation finds under each α, its words the fitted one. */
import assert from 'node:assert/strict'
import { compensationMicroscope } from '../../src/figures/index.js'
import { headCompensation } from '../../src/inspect/compensation.js'
import { compensationMade, inspectedMade } from './synthetic.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30 }

describe('figures: compensation microscope', () => {
  it('draws what merged slots got beside what their members would have had', () => {
    const made = compensationMade(small, 0.35)
    const { columns, plot, summary } = compensationMicroscope(made)
    const { fitted, columns: pairs } = made
    assert.equal(columns.step.length, pairs.step.length)
    const { low, high } = fitted!.interval!
    const words = [0.35, fitted!.alpha, low, high].map((value) => String(Number(value.toFixed(2))))
    assert.ok(
      summary.startsWith(
        `Layer 0, kv head 0: α is ${words[0]}, and ${words[1]} would fit (95%: ${words[2]} to ${words[3]}).`,
      ),
      summary,
    )
    const points = plot.panels[0].marks.flatMap((mark) =>
      mark.kind === 'points' ? mark.x.map((x, i) => [x, mark.y[i]]) : [],
    )
    const expected = Array.from(pairs.membersProb, (members, row) => [
      members,
      members * Math.exp(pairs.massLogRatio[row]),
    ])
    const sorted = (all: number[][]) => all.sort((a, b) => a[0] - b[0] || a[1] - b[1])
    assert.deepEqual(sorted(points), sorted(expected))
  })

  it('moves masses with the slider as another α of the run would have', () => {
    const made = compensationMade(small, 0.35)
    const { plot, plotly } = compensationMicroscope(made)
    const { slider } = plot
    assert.equal(slider!.steps.length, 22)
    assert.equal(slider!.steps[slider!.active].text, '0.35')
    const run = inspectedMade(small)
    const of = { layer: 0, kvHead: 0 }
    for (const alpha of [0, 1]) {
      const { columns } = headCompensation(run.vectors(of), run.reads(of), { alpha, seed: 1, resamples: 10 })
      const step = slider!.steps.find(({ text }) => text === String(alpha))!
      const wanted = Array.from(columns.membersProb, (members, row) => members * Math.exp(columns.massLogRatio[row]))
      const found = step.y.flat().sort((a, b) => a - b)
      wanted.sort((a, b) => a - b).forEach((mass, i) => assert.ok(Math.abs(found[i] / mass - 1) < 1e-9))
    }
    const [{ steps, active }] = plotly.layout.sliders as {
      steps: { args: [{ y: number[][] }, number[]] }[]
      active: number
    }[]
    const [{ y }, moved] = steps[active].args
    assert.equal(y.length, moved.length)
    moved.forEach((trace, i) => assert.deepEqual(y[i], plotly.data[trace].y))
  })

  it('says where there is nothing to see', () => {
    assert.throws(() => compensationMicroscope({} as never), /run\.compensation\(\{ layer, kvHead \}\)/)
    assert.throws(
      () => compensationMicroscope(compensationMade({ ...small, residual: 0 })),
      /read a merged slot, so nothing was compensated/,
    )
    assert.throws(
      () => compensationMicroscope(compensationMade(small), { layer: 1 } as never),
      /compensationMicroscope has no option "layer"/,
    )
  })
})
