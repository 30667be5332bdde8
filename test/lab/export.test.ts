/** Notebooks leave Jupyter as what they are: a .ts file that reads as one, and a page that needs no network. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import ts from 'typescript'
import { browserFor } from '../left-out.js'
import { makeJupyter, notebookOf, openBrowser, ROOT } from './lab.js'

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
const VALUES = `{ values: [{ a: 'p', b: 2 }, { a: 'q', b: 5 }] }`
const BAR = `mark: 'bar', encoding: { x: { field: 'a', type: 'nominal' }, y: { field: 'b', type: 'quantitative' } }`
const schema = (name: string, version: number) => `$schema: 'https://vega.github.io/schema/${name}/v${version}.json'`
const SPECS = [
  { id: 'lite6', source: `({ ${schema('vega-lite', 6)}, title: '</script>six', data: ${VALUES}, ${BAR} })` },
  { id: 'lite5', source: `({ ${schema('vega-lite', 5)}, title: 'five', data: ${VALUES}, ${BAR} })` },
  {
    id: 'vega5',
    source: `({ ${schema('vega', 5)}, width: 40, height: 40, data: [{ name: 't', values: [{ x: 9 }] }],
      marks: [{ type: 'symbol', from: { data: 't' }, encode: { enter: { x: { field: 'x' }, y: { value: 9 } } } }] })`,
  },
  {
    id: 'asks',
    source: `({ ${schema('vega-lite', 6)}, usermeta: { embedOptions: { config: 'https://data.example/config.json' } },
      layer: [{ data: { url: 'https://data.example/cars.json' }, ${BAR} }, { data: { url: 'near.csv' }, ${BAR} }] })`,
  },
  {
    id: 'picture',
    source: `({ ${schema('vega', 6)}, width: 40, height: 40,
      marks: [{ type: 'image', encode: { enter: { url: { value: 'https://data.example/cat.png' } } } }] })`,
  },
  { id: 'wrong', source: `({ ${schema('vega-lite', 6)}, title: 'wrong', mark: 'no such mark', data: ${VALUES} })` },
  { id: 'later', source: `({ ${schema('vega-lite', 7)}, title: 'seven', data: ${VALUES}, ${BAR} })` },
]
const browserPath = browserFor('pages that draw plots (test/lab/export.test.ts)')

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

  if (browserPath)
    it('as a page draws vega and plotly specs in a browser that is asked for nothing but the page', async () => {
      writeFileSync(join(folder, 'specs.ipynb'), notebookOf([...SPECS, PLOTS[0]]))
      nbconvert('--to', 'html', '--execute', '--template', 'zslab', 'specs.ipynb')
      const html = readFileSync(join(folder, 'specs.html'), 'utf8')
      assert.equal(html.match(/^\/\*! vega \d/gm)?.length, 1)
      nbconvert('--to', 'html', '--template', 'zslab', 'made.ipynb')
      assert.doesNotMatch(readFileSync(join(folder, 'made.html'), 'utf8'), /^\/\*! (vega|plotly)/m)

      const browser = await openBrowser(browserPath)
      try {
        const page = await browser.newPage()
        const asked: string[] = []
        page.on('request', (request) => asked.push(request.url()))
        const url = pathToFileURL(join(folder, 'specs.html')).href
        await page.goto(url)
        const settled = `[...document.querySelectorAll('.zslab-vega pre, .zslab-plotly pre')].every((line) =>
          / could not be drawn|near\\.csv|cat\\.png/.test(line.textContent))`
        await page.waitForFunction(settled)
        const seen = await page.$$eval('.zslab-vega, .zslab-plotly', (places) =>
          places.map((place) => ({
            words: place.querySelector('pre')?.textContent ?? '',
            bars: place.querySelectorAll('.mark-rect path[aria-label]').length,
            symbols: place.querySelectorAll('.mark-symbol path').length,
            plotly: place.querySelectorAll('.point path').length,
          })),
        )
        const cut = await page.$$eval('.highlight pre', (blocks) =>
          blocks
            .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
            .map(({ textContent }) => textContent),
        )
        assert.deepEqual(cut, [], 'no line of code is wider than the page')
        const [lite6, lite5, vega5, asks, picture, wrong, later, plotly] = seen
        assert.deepEqual([lite6.bars, lite6.words, lite5.bars, lite5.words], [2, '', 2, ''])
        assert.deepEqual([vega5.symbols, vega5.words, plotly.plotly, plotly.words], [1, '', 2, ''])
        assert.match(asks.words, /not drawn: https:\/\/data\.example\/cars\.json\. .*put what is there into the spec/)
        assert.match(asks.words, /not drawn: near\.csv\./)
        assert.match(picture.words, /^\[vega\]\nnot drawn: https:\/\/data\.example\/cat\.png\./)
        assert.match(wrong.words, /^\[vega-lite: wrong\] could not be drawn: \S/)
        assert.deepEqual([later.bars, later.words], [2, ''])
        assert.deepEqual(
          asked.filter((address) => !/^(data|blob):/.test(address)),
          [url],
        )
      } finally {
        await browser.close()
      }
    })

  it('as a page shows code in the colours of TypeScript, outputs, and asks no network', () => {
    nbconvert('--to', 'html', '--template', 'zslab', 'made.ipynb')
    const page = readFileSync(join(folder, 'made.html'), 'utf8')
    assert.match(page, /<span class="kd?">interface<\/span>/)
    assert.match(page, /<pre>42<\/pre>/)
    assert.deepEqual(page.match(/(src|href)="(https?:)?\/\/[^"]*"|url\((https?:)?\/\/[^)]*\)|@import[^;]*/g) ?? [], [])
  })
})
