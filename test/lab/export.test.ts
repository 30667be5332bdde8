/** Notebooks leave Jupyter as what they are: a .ts file that reads as one, and a page that needs no network. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { makeJupyter, notebookOf, ROOT } from './lab.js'

const CELLS = [
  { id: 'imports', source: `import { join } from 'node:path'\ninterface Point { x: number }` },
  { id: 'value', source: `const point: Point = { x: await Promise.resolve(2) }\npoint.x * 21` },
  { id: 'words', source: `console.log(join('a', 'b'))` },
]
const PLOTS = [
  {
    id: 'bar',
    source: `({ data: [{ type: 'bar', x: [1n, 2n], y: [3, 4] }], layout: { title: { text: '</script>T' } } })`,
  },
  { id: 'line', source: `({ data: [{ x: [1, 2], y: [3, 4] }], layout: {} })` },
]

describe('exports', function () {
  this.timeout(180_000)
  let folder: string
  const nbconvert = (...words: string[]) => {
    const python = join(ROOT, '.venv/bin/python')
    const env = {
      ...process.env,
      JUPYTER_DATA_DIR: join(folder, 'data'),
      JUPYTER_CONFIG_DIR: join(folder, 'config'),
      IPYTHONDIR: join(folder, 'ipython'),
      ZSLAB_HISTORY: 'none',
    }
    const done = spawnSync(python, ['-m', 'nbconvert', ...words], { cwd: folder, env, encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
  }
  before(() => {
    makeJupyter()
    folder = mkdtempSync(join(tmpdir(), 'zslab-export-'))
    writeFileSync(join(folder, 'made.ipynb'), notebookOf(CELLS))
    nbconvert('--to', 'notebook', '--execute', '--inplace', 'made.ipynb')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('as a script is a .ts file with every cell, which TypeScript can read', () => {
    nbconvert('--to', 'script', 'made.ipynb')
    const text = readFileSync(join(folder, 'made.ts'), 'utf8')
    for (const { source } of CELLS) assert.ok(text.includes(source), source)
    const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true, compilerOptions: options })
    assert.deepEqual(diagnostics, [])
  })

  it('as a page draws plots with a library that comes once, and only with them', () => {
    writeFileSync(join(folder, 'plots.ipynb'), notebookOf(PLOTS))
    nbconvert('--to', 'html', '--execute', '--template', 'zslab', 'plots.ipynb')
    const page = readFileSync(join(folder, 'plots.html'), 'utf8')
    const specs = [
      ...page.matchAll(/class="[^"]*zslab-plotly"[^]*?<script type="application\/json">([^]*?)<\/script>/g),
    ]
    const [bar, line] = specs.map(([, spec]) => JSON.parse(spec) as { data: { x: number[] }[]; layout: object })
    assert.deepEqual(
      [bar.data[0].x, line.data[0].x],
      [
        [1, 2],
        [1, 2],
      ],
    )
    assert.deepEqual(bar.layout, { title: { text: '</script>T' } })
    assert.equal(page.match(/plotly\.js v\d/g)?.length, 1)
    nbconvert('--to', 'html', '--template', 'zslab', 'made.ipynb')
    assert.doesNotMatch(readFileSync(join(folder, 'made.html'), 'utf8'), /plotly\.js v\d/)
  })

  it('as a page shows code in the colours of TypeScript, outputs, and asks no network', () => {
    nbconvert('--to', 'html', '--template', 'zslab', 'made.ipynb')
    const page = readFileSync(join(folder, 'made.html'), 'utf8')
    assert.match(page, /<span class="kd?">interface<\/span>/)
    assert.match(page, /<pre>42<\/pre>/)
    assert.deepEqual(page.match(/(src|href)="(https?:)?\/\/[^"]*"|url\((https?:)?\/\/[^)]*\)|@import[^;]*/g) ?? [], [])
  })
})
