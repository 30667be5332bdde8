/** What holds of every notebook that tells a story: it runs from top to bottom, and its figures are those that it saves. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeCells, joined, kindsOf, node, readNotebook, ROOT, valueOf, withoutCard, type Cell } from './notebook.js'

/** What holds of every notebook, and `more` of its own; `figures`: the cells that draw one, which they save under that name in `folder`. */
export function story(name: string, figures: readonly string[], more: (cells: () => Record<string, Cell>, folder: () => string) => void): void {
  describe(name, function () {
    this.timeout(300_000)
    let out: string
    let cells: Record<string, Cell>
    const path = () => join(out, `${name}.ipynb`)

    before(() => {
      out = mkdtempSync(join(tmpdir(), 'zslab-story-'))
      const words = ['dist/src/cli/main.js', 'run', `notebooks/${name}.ipynb`, '--output', path()]
      const done = node(words, { ZSLAB_OUT: out })
      assert.equal(done.status, 0, done.stdout + done.stderr)
      cells = Object.fromEntries(codeCells(readNotebook(path())).map((cell) => [cell.id, cell]))
    })
    after(() => rmSync(out, { recursive: true, force: true }))

    it('makes every cell output what the committed notebook has', () => {
      assert.deepEqual(kindsOf(readNotebook(path())), kindsOf(readNotebook(join(ROOT, `notebooks/${name}.ipynb`))))
    })

    it('draws its figures as plotly, svg and words, and writes the same svg with its card', () => {
      const svgs = readdirSync(out).filter((file) => file.endsWith('.svg'))
      assert.deepEqual(svgs.sort(), figures.map((figure) => `${name.slice(0, 2)}-${figure}.svg`).sort())
      for (const figure of figures) {
        const shown = valueOf(cells[`${figure}-figure`])!
        const plotly = shown['application/vnd.plotly.v1+json'] as { data: unknown[] }
        assert.ok(plotly.data.length > 0, figure)
        assert.match(joined(shown['text/plain']), /\d/)
        const file = readFileSync(join(out, `${name.slice(0, 2)}-${figure}.svg`), 'utf8')
        assert.equal(joined(shown['image/svg+xml']), withoutCard(file))
      }
    })

    more(
      () => cells,
      () => out,
    )
  })
}
