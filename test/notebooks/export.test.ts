/** `zslab export`: whole pages, PDFs and folders of LaTeX or none, and what each must hold of its notebook. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openBrowser } from '../lab/lab.js'
import { browserFor } from '../left-out.js'
import { everything, full } from '../scale.js'
import { codeCells, joined, readNotebook, ROOT, type Cell, type Notebook } from './notebook.js'

const MAIN = join(ROOT, 'dist/src/cli/main.js')
const all = readdirSync(join(ROOT, 'notebooks')).filter((name) => name.endsWith('.ipynb'))
const names = full ? all : all.filter((name) => name.startsWith('04-'))
const browser = browserFor('notebooks as pdf (test/notebooks/export.test.ts)')

/** Figures of a notebook: [svg, what it says]. */
const figuresOf = (notebook: Notebook) =>
  codeCells(notebook).flatMap(({ outputs = [] }) =>
    outputs.flatMap(({ data = {} }) =>
      'image/svg+xml' in data ? [[joined(data['image/svg+xml']), joined(data['text/plain'])]] : [],
    ),
  )

/** Without what the setting of a page changes: white space and ligatures. */
const letters = (text: string) => text.normalize('NFKC').replaceAll(/\s+/g, '')

describe('zslab export', function () {
  this.timeout(300_000)
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'zslab-export-'))))
  after(() => rmSync(folder, { recursive: true, force: true }))

  const zslab = (words: string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [MAIN, 'export', ...words], { encoding: 'utf8', env: { ...process.env, ...env } })
  function exported(name: string, to: string): string {
    const target = join(folder, name.replace('.ipynb', `.${to}`))
    const { status, stdout, stderr } = zslab([join(ROOT, 'notebooks', name), '--to', to, '--output', target])
    assert.deepEqual([status, stdout, stderr], [0, `${target}\n`, ''])
    return target
  }
  /** A notebook of one cell that was run, or of `cells`. */
  function made(name: string, cells?: Partial<Cell>[]): string {
    const ran = { cell_type: 'code', source: '6 * 7', execution_count: 1, outputs: [] }
    const list = (cells ?? [{}]).map((cell, i) => ({
      ...{ id: `c${i}`, metadata: {} },
      ...(cell.cell_type === 'markdown' ? cell : { ...ran, ...cell }),
    }))
    writeFileSync(join(folder, name), JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: list }))
    return join(folder, name)
  }

  // All as PDF, which sets every line of them; in CI each has one of page and LaTeX.
  names.forEach((name, i) =>
    describe(name, () => {
      const notebook = readNotebook(join(ROOT, 'notebooks', name))
      const figures = figuresOf(notebook)
      before(() => assert.ok(figures.length > 0))

      if (everything || (full && i % 2 === 0)) it('is a page with its figures as svg, each with its words, that asks for nothing', async () => {
        const path = exported(name, 'html')
        const page = readFileSync(path, 'utf8')
        const pictures = [...page.matchAll(/<img alt="([^"]*)" src="data:image\/svg\+xml;base64,([^"]*)"/g)]
        assert.deepEqual(
          pictures.map(([, , svg]) => Buffer.from(svg, 'base64').toString()),
          figures.map(([svg]) => svg),
        )
        pictures.forEach(([, alt], i) => assert.ok(letters(alt).startsWith(letters(figures[i][1]).slice(0, 30)), alt))
        assert.doesNotMatch(page, /plotly\.js v\d/, 'what is beside its picture needs no library')
        if (!browser) return
        const opened = await openBrowser(browser)
        try {
          const tab = await opened.newPage()
          const asked: string[] = []
          tab.on('request', (request) => asked.push(request.url()))
          await tab.goto(pathToFileURL(path).href, { waitUntil: 'networkidle' })
          assert.deepEqual(
            asked.filter((address) => !address.startsWith('data:')),
            [pathToFileURL(path).href],
          )
        } finally {
          await opened.close()
        }
      })

      if (browser)
        it('is a PDF with all code and what its figures say as text, fonts embedded, pages numbered', () => {
          const { pages, fonts, images } = read(exported(name, 'pdf'))
          assert.ok(pages.length > 0)
          const text = letters(pages.join(' '))
          for (const { source, id } of codeCells(notebook))
            for (const line of joined(source).split('\n')) assert.ok(text.includes(letters(line)), `${id}: ${line}`)
          for (const [svg] of figures) assert.ok(text.includes(letters(saidBy(svg))), saidBy(svg))
          pages.forEach((page, i) => assert.ok(page.includes(`${i + 1} / ${pages.length}`), `page ${i + 1}`))
          assert.ok(fonts.length > 0 && fonts.every(({ embedded }) => embedded), JSON.stringify(fonts))
          assert.equal(images, 0, 'figures are drawn, no pixels')
          assert.ok(!pages.join('').includes(tmpdir()), 'no place of this machine')
        })

      if (everything || (full && i % 2))
        it('is LaTeX with all its figures', () => {
          const { pictures } = latexOf(exported(name, 'latex'), name.replace('.ipynb', '.tex'))
          assert.equal(pictures.length, figures.length)
        })
    }),
  )

  it('as LaTeX has every picture that it shows, from svg at 300 dpi, and a command for every character', () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="2in" height="1in"><path d="M0 0H9V9z"/></svg>'
    const base64 = Buffer.from('no picture, and not looked at').toString('base64')
    writeFileSync(join(folder, 'near by.svg'), svg)
    const source = made('Of odd_names & signs.ipynb', [
      {
        cell_type: 'markdown',
        source: '# λ → 漢\n\n![near](near%20by.svg) ![far](https://a.example/b.png)\n\n|a|\n|-|\n|`{`|\n',
      },
      {
        source: "const text = `{${'\\n'}} “λ”` // 漢",
        outputs: [
          { output_type: 'stream', name: 'stdout', text: `\u001b[31mred {\u001b[0m ▁ \b\f e\u0301 ${'x'.repeat(300)}\na\tb\nccc\td\n` },
          { output_type: 'display_data', metadata: {}, data: { 'image/svg+xml': svg, 'image/png': base64, 'text/plain': '[both]' } },
          { output_type: 'error', ename: 'E', evalue: 'v', traceback: ['at {$_\\'] },
        ] as Cell['outputs'],
      },
    ])
    const target = join(folder, 'paper')
    mkdirSync(target)
    writeFileSync(join(target, 'mine.tex'), 'mine')
    const done = zslab([source, '--to', 'latex', '--output', target])
    assert.deepEqual([done.status, done.stdout], [0, `${target}\n`], done.stderr)
    assert.match(done.stderr, /pictures that are not in the notebook's folder are words: "https:\/\/a\.example\/b\.png"/)
    assert.match(done.stderr, /TeX has no command for "▁" and 1 more/)
    const { tex, pictures } = latexOf(target, 'Of-odd_names-signs.tex')
    assert.equal(pictures.length, 2)
    for (const picture of pictures) assert.deepEqual(sizeOf(readFileSync(join(target, picture))), [600, 300, 11812])
    for (const character of tex.match(/[^\0-\x7f]/gu)!) assert.ok(tex.includes(`\\character{${character}}`), character)
    assert.doesNotMatch(tex, /[\0-\x08\x0b-\x1f]/)
    assert.match(tex, /^a    b$\n^ccc  d$/m)
    assert.deepEqual(readdirSync(target).sort(), ['Of-odd_names-signs.tex', 'Of-odd_names-signs_files', 'mine.tex'])
  })

  it('refuses what it cannot export, and says what to do', () => {
    const text = join(folder, 'no.ipynb')
    writeFileSync(text, 'no notebook')
    const idle = made('idle.ipynb', [{ execution_count: null }])
    const good = made('good.ipynb')
    for (const [words, env, status, said] of [
      [[join(folder, 'missing.ipynb'), '--to', 'html'], {}, 1, /there is no notebook ".*missing\.ipynb": check the path/],
      [[text, '--to', 'html'], {}, 1, /found no JSON .*, expected a Jupyter notebook/],
      [[idle, '--to', 'html'], {}, 1, /idle\.ipynb" has no outputs yet: run it with `npx zslab run .*idle\.ipynb` first/],
      [[good, '--to', 'docx'], {}, 2, /argument 'docx' is invalid. Allowed choices are html, pdf, latex/],
      [[good, '--to', 'html', '--output', good], {}, 2, /is the notebook itself: choose another file/],
      [[good, '--to', 'html', '--output', join(folder, 'no/x.html')], {}, 1, /could not be written to .*no such file/],
      [[good, '--to', 'pdf'], { ZSLAB_BROWSER: join(folder, 'none') }, 1, /there is none: `apt-get install chromium`/],
    ] as const) {
      const done = zslab([...words], env)
      assert.equal(done.status, status, done.stderr)
      assert.match(done.stderr, said)
    }
    const broken = made('broken.ipynb', [{ cell_type: 'nothing' as 'code' }])
    const done = zslab([broken, '--to', 'html'])
    assert.equal(done.status, 1)
    assert.match(done.stderr, /^zslab: ".*broken\.ipynb" could not be exported: .*'nothing'/)
    assert.deepEqual(
      readdirSync(folder).filter((one) => /^(no|idle|good|broken)\.(html|pdf)$/.test(one)),
      [],
    )
  })

  it('says what has not run and what would be fetched, and ends where it is interrupted: what was there stays whole', async () => {
    const picture = { cell_type: 'markdown', source: '![a cat](https://pictures.example/cat.png)' } as const
    const source = made('kept.ipynb', [{}, { execution_count: null, source: 'later' }, picture])
    const [target, mark, waits] = ['kept.pdf', 'begun', 'waits'].map((name) => join(folder, name))
    writeFileSync(target, 'as it was')
    writeFileSync(waits, `#!/bin/sh\n: > '${mark}'\nexec sleep 600\n`, { mode: 0o755 })
    const env = { ...process.env, ZSLAB_BROWSER: waits, TMPDIR: mkdtempSync(join(folder, 'tmp-')) }
    const words = [MAIN, 'export', source, '--to', 'pdf']
    const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => (stderr += String(chunk)))
    while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGINT')
    const [status] = (await once(child, 'close')) as [number | null]
    assert.equal(status, 130, stderr)
    const said = stderr.trim().split('\n')
    assert.match(said[0], /1 of 2 code cells have not run, .*npx zslab run/)
    assert.match(said[1], /shows what lies on the network: "https:\/\/pictures\.example\/cat\.png"; without/)
    assert.deepEqual(said.slice(2), ['interrupted'])
    assert.equal(readFileSync(target, 'utf8'), 'as it was')
    assert.deepEqual(readdirSync(env.TMPDIR), [])
    assert.deepEqual(
      readdirSync(folder).filter((one) => one.startsWith('.')),
      [],
    )
  })
})

/** What was exported as LaTeX into `folder`: every picture is there, every environment and brace ends. */
function latexOf(folder: string, name: string): { tex: string; pictures: string[] } {
  const tex = readFileSync(join(folder, name), 'utf8')
  const body = tex.slice(tex.indexOf('\\begin{document}')).replaceAll(/\\begin\{verbatim\}[^]*?\\end\{verbatim\}/g, '')
  const open: string[] = []
  for (const [, what, environment] of body.matchAll(/\\(begin|end)\{(\w+)\}/g))
    if (what === 'begin') open.push(environment)
    else assert.equal(open.pop(), environment)
  assert.deepEqual(open, [])
  let depth = 0
  for (const [brace] of body.replaceAll(/\\[\\{}]/g, '').matchAll(/[{}]/g)) {
    depth += brace === '{' ? 1 : -1
    assert.ok(depth >= 0)
  }
  assert.equal(depth, 0)
  const pictures = [...body.matchAll(/\\(?:includegraphics(?:\[[^\]]*\])?|adjustimage\{max size=\{[^}]*\}\{[^}]*\}\})\{([^}]*)\}/g)]
  for (const [, path] of pictures) assert.ok(existsSync(join(folder, path)), path)
  assert.equal(pictures.length, body.match(/\\(includegraphics|includesvg|adjustimage)/g)?.length ?? 0)
  return { tex, pictures: pictures.map(([, path]) => path) }
}

/** Width and height of a PNG, and how many dots are in a metre. */
function sizeOf(png: Buffer): number[] {
  const at = png.indexOf('pHYs') + 4
  return [png.readUInt32BE(16), png.readUInt32BE(20), png.readUInt32BE(at)]
}

const titleOf = (svg: string) => /<title>([^<]*)<\/title>/.exec(svg)![1].replaceAll('&lt;', '<').replaceAll('&amp;', '&')

/** The title of a picture, or where that is left to its caption the first words in it. */
function saidBy(svg: string): string {
  const drawn = [...svg.matchAll(/<text\b[^>]*>([^<]*)<\/text>/g)].map(([, words]) => words)
  return letters(drawn.join('')).includes(letters(/<title>([^<]*)<\/title>/.exec(svg)![1])) ? titleOf(svg) : drawn[0]
}

interface Pdf {
  /** The text of each. */
  pages: string[]
  fonts: { name: string; embedded: boolean }[]
  images: number
}

/** What is in a PDF, by pypdf. */
function read(path: string): Pdf {
  const words = ['-I', '-c', READER, path]
  const { status, stdout, stderr } = spawnSync(join(ROOT, '.venv/bin/python'), words, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Pdf
}

const READER = `
import json, sys
from pypdf import PdfReader
reader = PdfReader(sys.argv[1])
fonts, images = {}, 0
def inside(of, key):
    found = of.get(key)
    return found.get_object() if found is not None else {}
def resources(of, seen):
    global images
    found = inside(of, '/Resources')
    for font in inside(found, '/Font').values():
        one = font.get_object()
        inner = one['/DescendantFonts'][0].get_object() if '/DescendantFonts' in one else one
        about = inside(inner, '/FontDescriptor')
        fonts[one.get('/BaseFont', one.get('/Name', ''))] = one['/Subtype'] == '/Type3' or any(key in about for key in ('/FontFile', '/FontFile2', '/FontFile3'))
    for form in inside(found, '/XObject').values():
        one = form.get_object()
        if id(one) in seen: continue
        seen.add(id(one))
        if one['/Subtype'] == '/Image': images += 1
        else: resources(one, seen)
for page in reader.pages: resources(page, set())
print(json.dumps({'pages': [page.extract_text() for page in reader.pages],
    'fonts': [{'name': name, 'embedded': embedded} for name, embedded in fonts.items()], 'images': images}))
`
