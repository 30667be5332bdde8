/** Notebook 11: what it writes for a paper is what a paper needs, read back from the files. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cardInFile } from '../../src/recipe/in-file.js'
import { checkFonts, readPdf } from '../figures/files.js'
import { comesWith, joined, printed, valueOf } from './notebook.js'
import { story } from './story.js'

/** Widths of what the cells save, inches. */
const WIDTHS = { frontier: 3.25, panel: 5.5, map: 6.75, talk: 13.333 }

story('11-paper', Object.keys(WIDTHS), (cells, folder) => {
  const file = (name: string) => join(folder(), `11-${name}`)

  it('measures nothing but one short run', () => {
    comesWith('06-policies', cells().studies)
    comesWith('05-ablation', cells().ablated)
  })

  it('writes pdfs as wide as they are to be, with their fonts and letters that can be read', async () => {
    for (const [name, width] of Object.entries({ ...WIDTHS, strip: 5.5 })) {
      const read = await readPdf(readFileSync(file(`${name}.pdf`)))
      assert.ok(Math.abs(read.points.width / 72 - width) < 0.01, `${name}: ${read.points.width} points`)
      checkFonts(read)
    }
  })

  it('has LaTeX that includes a file which it saved, at its width, with what the picture leaves to the caption', async () => {
    for (const [name, width] of [['frontier', '3.25'], ['panel', '5.5']]) {
      const latex = printed(cells()[`latex-${name}`])
      assert.match(latex, new RegExp(`\\\\includegraphics\\[width=${width}in\\]\\{figures/11-${name}\\.pdf\\}`))
      const { texts, title } = await readPdf(readFileSync(file(`${name}.pdf`)))
      const words = texts.map(({ text }) => text).join(' ')
      assert.ok(!words.includes('Knee') && !words.includes('told from nothing') && /\d/.test(String(title)), words)
      assert.match(latex, /\\caption\{.*Bars: 95\\% intervals.*\}\n/)
    }
  })

  it('spells what the fonts lack, and says so', async () => {
    const [, code] = / (□U\+[0-9A-F]+)\.$/.exec(printed(cells().strip).trim())!
    const { texts } = await readPdf(readFileSync(file('strip.pdf')))
    assert.ok(texts.map(({ text }) => text).join('').includes(code))
  })

  it('keeps in its files how they were made, and prints it from one', async () => {
    for (const ending of ['pdf', 'svg', 'png', 'html', 'json']) {
      const { script, figure, missing } = await cardInFile(file(`frontier.${ending}`))
      assert.deepEqual([script, figure, missing], ['11-paper.ipynb', 'frontier', ['a function of your own for policy']], ending)
    }
    const program = printed(cells()['rerun-panel'])
    assert.match(program, /^import \{ figures, languageModelling, load, sweep, zsmerge \} from 'zslab'\n/)
    assert.match(program, /figures\.panel\(\[ figure, figure2 \], \{ columns: 2 \}\)\n.*11-panel-again\.pdf', \{.*words: 'caption' \}\)$/m)
  })

  it('writes as many rows of numbers as there are settings', () => {
    const [head, ...rows] = readFileSync(file('frontier.csv'), 'utf8').trimEnd().split('\n')
    assert.deepEqual([rows.length, printed(cells().csv).trim()], [7 * 3, `21 rows of ${head}`])
    assert.match(joined(valueOf(cells().data)!['text/plain']), /^method\tsize\tclusters\tbytes\tkl\tklLow\tklHigh\n/)
  })

  it('says of each file how large it is on paper', () => {
    const lines = printed(cells()['files-table']).trim().split('\n')
    const size = (name: string) => lines.find((line) => line.startsWith(`11-${name} `))!
    for (const [name, width] of Object.entries(WIDTHS))
      for (const ending of ['pdf', 'svg', 'png']) assert.ok(size(`${name}.${ending}`).includes(`  ${width.toFixed(2)} × `), name)
    assert.match(size('panel.pdf'), /, Inter-Bold, Inter-Regular$/)
    assert.match(size('frontier.png'), /, 300 dots to the inch$/)
    assert.equal(lines.length, 4 * 3 + 4 + 1)
  })
})
