/** What every figure owes its readers in every size and theme: valid files, words that do not touch, the same bytes each time. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { evictionMap, mergeLineage, residualCard, survival, tokenStrip, type Figure } from '../../src/figures/index.js'
import { SIZES, THEMES } from '../../src/figures/style.js'
import { drawSvg } from '../../src/figures/export/svg.js'
import { runMade } from './synthetic.js'
import { wordsApart } from './apart.js'
import { CASES } from './cases.js'
import { anyRun } from './made-runs.js'
import { alike } from '../scale.js'
import { all, parseXml } from './xml.js'

const MOST_BYTES = 2e6

function eachStyle(figure: Figure, check: (figure: Figure, name: string) => void): void {
  for (const size of SIZES)
    // Colours are no other in another size.
    for (const theme of size === 'text' ? (['light'] as const) : THEMES)
      check(figure.with({ size, theme }), `${size} ${theme}`)
}

function checkSvg(figure: Figure, style: string): void {
  const { svg, texts, width, height } = drawSvg(figure.plot, figure.style)
  const root = parseXml(svg)
  assert.equal(root.name, 'svg')
  assert.ok(
    !/NaN|undefined|Infinity|null/.test(
      svg.replace(/<text[^]*?<\/text>|<title>[^]*?<\/title>|<desc>[^]*?<\/desc>/g, ''),
    ),
    `${style}: not a number`,
  )
  assert.ok(svg.length < MOST_BYTES, `${style}: ${svg.length} bytes`)
  const [title, description] = [all(root, 'title')[0].text, all(root, 'desc')[0].text]
  assert.ok(figure.summary.startsWith(`${title}. `) || title === figure.summary)
  assert.ok(description.length > 20)
  if (figure.style.height) assert.equal(height, figure.style.height)
  wordsApart({ texts, width, height }, style)
}

/** The little of plotly's schema that figures use. */
function checkPlotly(figure: Figure, style: string): void {
  const { data, layout } = figure.plotly
  const copy = JSON.parse(JSON.stringify(figure.plotly)) as typeof figure.plotly
  assert.deepEqual(copy, figure.plotly, `${style}: plain JSON`)
  assert.ok(JSON.stringify(copy).length < MOST_BYTES)
  assert.ok(data.length > 0)
  for (const trace of data) {
    assert.ok(trace.type === 'bar' || trace.type === 'scatter', `${style}: ${String(trace.type)}`)
    const columns = ['x', 'y', 'base', 'width', 'text', 'hovertext'].filter((name) => Array.isArray(trace[name]))
    const lengths = columns.map((name) => (trace[name] as unknown[]).length)
    assert.equal(new Set(lengths).size, 1, `${style}: ${String(trace.name)} ${columns} ${lengths}`)
    const legendOnly = trace.showlegend === true || 'colorbar' in ((trace.marker as object | undefined) ?? {})
    if (legendOnly) continue
    for (const name of ['x', 'y', 'base', 'width'])
      for (const value of (trace[name] as unknown[] | undefined) ?? [])
        assert.ok(Number.isFinite(value), `${style}: ${name} of ${String(trace.name)}`)
    for (const ref of [trace.xaxis, trace.yaxis] as string[]) assert.ok(`${ref[0]}axis${ref.slice(1)}` in layout, ref)
  }
  for (const [name, value] of Object.entries(layout)) {
    if (!/^[xy]axis/.test(name)) continue
    const { domain, range } = value as { domain: number[]; range: number[] }
    assert.ok(domain[0] >= 0 && domain[0] < domain[1] && domain[1] <= 1, `${style}: ${name} ${domain}`)
    assert.ok(range.every(Number.isFinite) && range[0] !== range[1], `${style}: ${name} ${range}`)
  }
}

/** Its residual card has no room for all round steps that it would name. */
const LOW_CARD = {
  prompt: 2,
  steps: 38,
  residual: 1,
  recent: 1,
  layers: 1,
  kvHeads: 1,
  seed: 0,
  firstTokens: false,
  budget: 3,
}

describe('figures', function () {
  this.timeout(600_000)
  for (const [name, make] of Object.entries(CASES))
    describe(name, () => {
      let figure: Figure
      before(() => (figure = make()))
      it('is well-formed svg whose words neither touch nor leave the picture', () => eachStyle(figure, checkSvg))
      it('is plotly JSON with finite numbers and axes that exist', () => eachStyle(figure, checkPlotly))
      it('is the same each time', () => {
        const again = make()
        assert.equal(again.svg, figure.svg)
        assert.equal(JSON.stringify(again.plotly), JSON.stringify(figure.plotly))
        assert.equal(again.summary, figure.summary)
      })
      it('says what it shows', () => {
        assert.match(figure.summary, /^[^.].*\d.*\.$/s)
        assert.ok(!/NaN|undefined|Infinity/.test(figure.summary), figure.summary)
      })
    })

  it('draws runs of any shape', () => {
    const shape = fc.tuple(anyRun, fc.constantFrom(...SIZES))
    fc.assert(
      fc.property(shape, ([made, size]) => {
        const data = runMade(made)
        for (const figure of [
          evictionMap(data, { size }),
          evictionMap(data, { size, by: 'slot' }),
          tokenStrip(data, { size }),
          tokenStrip(data, { size, layer: 0 }),
          survival(data, { size }),
          survival([data, data], { size, by: 'layer' }),
          ...(data.origins[0].residual[0]
            ? [mergeLineage(data, { size, layer: 0 }), residualCard(data, { size, layer: 0 })]
            : []),
        ]) {
          checkSvg(figure, size)
          checkPlotly(figure, size)
        }
      }),
      { numRuns: alike(1000, 100), seed: 4, examples: [[[LOW_CARD, 'talk']]] },
    )
  })
  it('draws at any width that text fits into', () => {
    for (const width of ['5.5in', '2.6in', '14cm', '396pt']) {
      const size = width === '2.6in' ? 'column' : 'wide'
      for (const name of [
        'eviction map',
        'token strip',
        'survival',
        'merge lineage',
        'residual card',
        'error split',
        'regret strip',
        'needle autopsy',
        'memory',
        'judge',
        'agreement',
        'head budgets',
        'head map',
        'divergence',
        'difference',
        'attention map',
        'compensation microscope',
      ]) {
        const figure = CASES[name]().with({ size, width })
        checkSvg(figure, width)
        if (width === '5.5in') assert.match(figure.svg, /width="5.5in"/)
      }
    }
  })
})
