/** Figures whose words stand in the caption below them: what is drawn, what the LaTeX says instead, and what files still know. */
import assert from 'node:assert/strict'
import { effects, frontier, interaction, panel, tokenStrip, type Figure } from '../../src/figures/index.js'
import { texOf } from '../../src/figures/latex.js'
import { programOf } from '../../src/recipe/program.js'
import { nasty } from './made-runs.js'
import { studyOf } from './made-study.js'
import { effectsMade, studiedMade } from './synthetic-study.js'
import { runMade } from './synthetic.js'
import { all, parseXml } from './xml.js'

const drawn = (figure: Figure) => all(parseXml(figure.svg), 'text').map(({ text }) => text)
const heightOf = (figure: Figure) => parseFloat(parseXml(figure.svg).attributes.height)
const below = { width: '3.25in', words: 'caption' } as const

describe('words in the caption', () => {
  const figure = frontier(studiedMade())
  const column = figure.with(below)

  it('leave axes and legend to the picture, and the rest to the LaTeX', () => {
    const { title, subject, notes, legend, panels } = column.plot
    const words = drawn(column)
    for (const label of [...legend.map((entry) => entry.label), panels[0].x.label!])
      assert.ok(words.includes(label), label)
    for (const one of [title, subject, ...notes])
      assert.ok(!words.some((word) => word && one.includes(word) && word.includes(' ')), one)
    assert.ok(heightOf(column) < heightOf(figure.with({ width: '3.25in' })) - 0.5)
    const { layout } = column.plotly as unknown as { layout: { annotations: { text: string }[] } }
    assert.equal(layout.annotations.map(({ text }) => text.replace(/<\/?b>/g, '')).join(''), '')
    const caption = /\\caption\{(.*)\}\n/.exec(column.latex({ file: 'f.pdf' }))![1]
    assert.ok(caption.endsWith(`${subject}. ${texOf(notes.join(' '))}`), caption)
    const inside = /\\caption\{(.*)\}\n/.exec(figure.latex({ file: 'f.pdf' }))![1]
    assert.ok(caption.startsWith(`${inside} `))
  })

  it('stay in the file’s own title and in the card, from which it is drawn so again', () => {
    assert.equal(all(parseXml(column.svg), 'title')[0].text, column.plot.title)
    assert.deepEqual(column.card.style, { size: 'column', theme: 'light', ...below })
    assert.match(
      programOf(column.card, (path) => path, 'f.pdf'),
      /words: 'caption' \}\)\n$/,
    )
    assert.equal(figure.card.style.words, undefined)
  })

  it('leave panels the letters of their figures, and go through them one by one', () => {
    const pair = [interaction(studyOf(), ['alpha', 'recent']), effects(effectsMade())]
    const both = panel(pair, { width: '6.75in', words: 'caption' })
    const words = drawn(both)
    assert.ok(words.includes('(a)') && words.includes('(b)'))
    assert.ok(!words.some((word) => word.includes(pair[0].plot.title.slice(0, 12))))
    const caption = both.latex({ file: 'f.pdf' })
    assert.ok(caption.includes(texOf(`(a) ${pair[0].summary} (b) ${pair[1].summary} `)))
    assert.match(caption, /Bars: 95\\% intervals/)
  })

  it('are not missed where they are not drawn', () => {
    const strip = tokenStrip(
      nasty(runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 })),
      { layer: 1 },
    )
    assert.match(strip.with({ words: 'caption' }).summary, /lack \d+ characters/)
    const named = frontier({ ...studiedMade(), facts: { task: { name: '鯨', about: 'a text' } } })
    assert.match(named.summary, /lack 1 character/)
    assert.doesNotMatch(named.with({ words: 'caption' }).summary, /lack/)
  })

  it('are refused elsewhere', () => {
    assert.throws(
      () => figure.with({ words: 'above' as never }),
      /expected one of 'inside', 'caption' for words but received "above"/,
    )
  })
})
