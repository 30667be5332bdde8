/** The first command as a newcomer types it: the notebook runs headless, and what it writes is whole and needs no network. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeCells, joined, kindsOf, node, printed, readNotebook, ROOT, valueOf, withoutCard, type Cell } from './notebook.js'

const FIGURES = ['memory', 'eviction-map', 'tokens', 'tokens-all-heads', 'divergence']

describe('npm start', function () {
  this.timeout(600_000)
  let out: string
  let page: string
  let cells: Record<string, Cell>

  before(() => {
    out = mkdtempSync(join(tmpdir(), 'zslab-start-'))
    const done = node(['scripts/start.mjs', '--out', out])
    assert.equal(done.status, 0, done.stdout + done.stderr)
    for (const name of ['01-quickstart.ipynb', '01-quickstart.html', ...FIGURES.map((figure) => `01-${figure}.svg`)]) {
      assert.ok(existsSync(join(out, name)), `${name} is missing: ${readdirSync(out).join(', ')}`)
      assert.ok(done.stdout.includes(name), `${name} is not named:\n${done.stdout}`)
    }
    assert.match(done.stdout, /npm run lab/)
    page = readFileSync(join(out, '01-quickstart.html'), 'utf8')
    cells = Object.fromEntries(
      codeCells(readNotebook(join(out, '01-quickstart.ipynb'))).map((cell) => [cell.id, cell] as const),
    )
  })
  after(() => rmSync(out, { recursive: true, force: true }))

  it('reads a chapter of at least 3,000 tokens whose answer is far from the question', () => {
    const [, tokens, reason] = /(\d+) tokens\nthe reason is told at token (\d+)/.exec(printed(cells.prompt)) ?? []
    assert.ok(Number(tokens) >= 3000, printed(cells.prompt))
    assert.ok(Number(reason) < Number(tokens) / 2)
  })

  it('answers under the full cache and at 20%, 10% and 5%', () => {
    const answers = printed(cells.answer)
    for (const label of ['full cache', 'ZSMerge 20%', 'ZSMerge 10%', 'ZSMerge 5%'])
      assert.match(answers, new RegExp(`^${label}\\n +\\S.{10,}`, 'm'))
    const shown = valueOf(cells.show)!
    assert.match(joined(shown['text/html']), /<span style="background:/)
    assert.match(joined(shown['text/plain']), /receipt ok/)
  })

  it('shows four receipts that hold, three of runs that were compressed', () => {
    const lines = printed(cells.receipt).trim().split('\n')
    assert.equal(lines.length, 4)
    for (const line of lines) assert.match(line, / ok /)
    assert.match(lines[0], /the full cache holds all/)
    for (const line of lines.slice(1)) assert.match(line, /zsmerge held \d+ tokens in \d+ slots per kv head: [1-9]\d* merged/)
  })

  it('shows the events as a table', () => {
    const shown = joined(valueOf(cells['events-frame'])!['text/html'])
    for (const name of ['step', 'kvHead', 'token', 'action', 'similarity']) assert.ok(shown.includes(`<th>${name}</th>`), name)
  })

  for (const name of FIGURES)
    it(`draws the figure ${name} as plotly, svg and words, and writes the same svg`, () => {
      const shown = valueOf(cells[name === 'eviction-map' ? 'map-figure' : name.replace('tokens-all', 'all') + '-figure'])!
      const plotly = shown['application/vnd.plotly.v1+json'] as { data: unknown[]; layout: object }
      assert.ok(plotly.data.length > 0)
      assert.match(joined(shown['text/plain']), /\d/)
      assert.equal(joined(shown['image/svg+xml']), withoutCard(readFileSync(join(out, `01-${name}.svg`), 'utf8')))
    })

  it('makes every cell output what the committed notebook has', () => {
    const committed = readNotebook(join(ROOT, 'notebooks/01-quickstart.ipynb'))
    assert.deepEqual(kindsOf(readNotebook(join(out, '01-quickstart.ipynb'))), kindsOf(committed))
  })

  it('writes a page that loads nothing from anywhere, with the pictures inside', () => {
    const links = [...page.matchAll(/<(?:script|link|img|iframe|source|object|embed)\b[^>]*?\b(?:src|href|data)="([^"]*)"/g)]
    const outside = links.map(([, target]) => target).filter((target) => !target.startsWith('data:'))
    assert.deepEqual(outside, [])
    assert.doesNotMatch(page, /url\(\s*["']?(?:https?:)?\/\//)
    assert.doesNotMatch(page, /import\(\s*["']|cdnjs|unpkg|jsdelivr/)
    const pictures = links.filter(([, target]) => target.startsWith('data:image/svg+xml'))
    assert.equal(pictures.length, FIGURES.length)
  })

  it('says what it takes when called otherwise', () => {
    const done = node(['scripts/start.mjs', '--fast'])
    assert.equal(done.status, 1)
    assert.match(done.stderr, /takes --out FOLDER and nothing else; it was given --fast/)
  })
})

describe('zslab run', function () {
  this.timeout(300_000)

  it('ends with 1 where a cell fails, and writes the notebook that shows the error', () => {
    const folder = mkdtempSync(join(tmpdir(), 'zslab-run-'))
    try {
      const notebook = readNotebook(join(ROOT, 'notebooks/01-quickstart.ipynb'))
      const cell = { id: 'bad', cell_type: 'code', metadata: {}, source: "throw new RangeError('on purpose')" }
      notebook.cells = [{ ...cell, cell_type: 'code', execution_count: null, outputs: [] }]
      writeFileSync(join(folder, 'bad.ipynb'), JSON.stringify(notebook))
      const done = node(['dist/src/cli/main.js', 'run', join(folder, 'bad.ipynb'), '--output', join(folder, 'ran.ipynb')])
      assert.equal(done.status, 1, done.stderr)
      assert.match(done.stderr, /a cell failed: RangeError: on purpose/)
      assert.equal(readNotebook(join(folder, 'ran.ipynb')).cells[0].outputs![0].output_type, 'error')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
