/** Panels: letters, what is shared once, widths, numbers of all, and what cannot be one. */
import assert from 'node:assert/strict'
import { effects, frontier, memory, panel, roofline, survival, type Figure } from '../../src/figures/index.js'
import { drawSvg } from '../../src/figures/export/svg.js'
import { ROOFLINES } from './synthetic-roofline.js'
import { effectsMade, POLICIES, studiedMade } from './synthetic-study.js'
import { runMade } from './synthetic.js'
import { all, parseXml } from './xml.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }
const wordsIn = (figure: Figure) => all(parseXml(figure.svg), 'text').map(({ text }) => text)
const times = (figure: Figure, word: string) => wordsIn(figure).filter((text) => text === word).length

describe('panels', function () {
  this.timeout(60_000)
  const pair = [frontier(studiedMade({ dimensions: POLICIES })), effects(effectsMade())]

  it('have a letter before each title, words of all, and every note once with its letters', () => {
    const figure = panel(pair)
    const [a, b] = pair.map(({ plot }) => plot)
    assert.equal(figure.summary, `(a) ${a.title}; (b) ${b.title}. (a) ${a.detail} (b) ${b.detail}`)
    const words = wordsIn(figure).join(' ')
    assert.ok(words.includes(`(a) ${a.title}`) && words.includes(`(b) ${b.title}`))
    assert.equal(words.split(`(a) ${a.subject}`).length, 2)
    const twice = panel([pair[0], pair[0]])
    assert.deepEqual([times(twice, a.subject), times(twice, `(a) ${a.subject}`)], [1, 0])
  })

  it('say once what several legends have, above all, and leave the rest with its figure', () => {
    const [one, other] = [survival(runMade(small)), survival(runMade({ ...small, recent: 4 }))]
    const { legend } = one.with({ size: 'column' }).plot
    const both = panel([one, other])
    for (const { label } of legend) assert.equal(times(both, label), 1, label)
    const [first] = both.plot.cells!.each
    assert.deepEqual([both.plot.legend, first.plot.legend], [legend, []])
    const mixed = panel([one, roofline(ROOFLINES.small)])
    assert.deepEqual([mixed.plot.legend, mixed.plot.cells!.each[0].plot.legend], [[], legend])
  })

  it('are as wide as figures are, with as many columns as can be read', () => {
    for (const [width, columns] of [
      ['3.25in', 1],
      ['5.5in', 2],
      ['6.75in', 2],
    ] as const) {
      const figure = panel(pair, { size: width === '3.25in' ? 'column' : 'wide', width })
      assert.equal(parseXml(figure.svg).attributes.width, width)
      assert.equal(figure.plot.cells!.columns, columns)
    }
    assert.equal(panel(pair, { columns: 1 }).plot.cells!.columns, 1)
    assert.equal(panel(pair, { size: 'talk' }).svg.match(/height="([^"]+)"/)![1], '7.5in')
  })

  it('make figures of a row equally high, and of like figures the same area', () => {
    const like = panel([memory(runMade(small)), memory(runMade(small))]).plotly.layout
    const [one, other] = [like.yaxis, like.yaxis2] as { domain: number[] }[]
    assert.deepEqual(one.domain, other.domain)
    const { layout } = panel(pair).plotly
    const domains = Object.entries(layout).flatMap(([name, axis]) =>
      name.startsWith('yaxis') ? [(axis as { domain: [number, number] }).domain] : [],
    )
    assert.equal(
      domains.length,
      pair.reduce((sum, { plot }) => sum + plot.panels.length, 0),
    )
    assert.equal(Math.min(...domains.map(([low]) => low)), domains[0][0])
  })

  it('of many figures have words that do not touch, and slides have room for few', () => {
    const four = panel([...pair, survival(runMade(small)), memory(runMade(small))])
    for (const width of ['5.5in', '6.75in']) {
      const { plot, style } = four.with({ width })
      const { texts } = drawSvg(plot, style)
      const touching = texts.flatMap((a, i) =>
        texts.slice(i + 1).flatMap((b) => {
          const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top
          return apart ? [] : [`${a.text} / ${b.text}`]
        }),
      )
      assert.deepEqual(touching, [])
      const edge = style.width - 1
      assert.deepEqual(
        texts.filter(({ left, right }) => left < 1 || right > edge).map(({ text }) => text),
        [],
      )
    }
    const rows = panel([...pair, ...pair])
    assert.throws(() => rows.with({ size: 'talk' }).svg, /4 figures in 2 rows leave too little room on a slide/)
  })

  it('have the numbers of all, with the letter of each', () => {
    const { columns } = panel(pair)
    const [a, b] = pair.map((one) => one.columns)
    const rows = [a.kl.length, b.effect.length]
    assert.deepEqual(columns.panel, [...Array<string>(rows[0]).fill('a'), ...Array<string>(rows[1]).fill('b')])
    assert.deepEqual(columns.kl, [...Array.from(a.kl), ...Array<null>(rows[1]).fill(null)])
    assert.deepEqual(columns.effect, [...Array<null>(rows[0]).fill(null), ...Array.from(b.effect)])
    assert.deepEqual(Object.keys(columns), ['panel', ...new Set([...Object.keys(a), ...Object.keys(b)])])
  })

  it('are parts that were chosen, and refuse what they cannot be made of', () => {
    const part = survival(runMade(small)).part({ age: [2, 9] })
    assert.deepEqual(
      panel([part]).plot.cells!.each[0].plot.panels[0].x.range,
      part.with({ size: 'column' }).plot.panels[0].x.range,
    )
    for (const [given, options, says] of [
      [[], {}, /expected 1 to 26 figures for figures but received 0/],
      [pair[0], {}, /expected an array of figures for figures/],
      [[pair[0], 'b'], {}, /expected an array of figures/],
      [[panel(pair)], {}, /expected figures that are no panels for figures/],
      [pair, { columns: 3 }, /expected a whole number from 1 to 2 for columns but received 3/],
      [
        pair,
        { columns: 2, size: 'column' },
        /2 columns in 3\.3 in are 1\.5 in each, too narrow to read: expected 2\.4 in or more/,
      ],
      [pair, { rows: 1 }, /panel has no option "rows"; it has: columns, size, theme, width/],
    ] as [Figure[], object, RegExp][])
      assert.throws(() => panel(given, options), says)
    assert.throws(() => panel(pair, { columns: 2 }).with({ size: 'column' }).svg, /too narrow to read/)
  })
})
