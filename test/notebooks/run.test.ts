/** `zslab run`: whatever ends it, what ran is written; whose notebooks it runs; parameters. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { joined, readNotebook, ROOT, valueOf } from './notebook.js'

const OURS = { kernelspec: { name: 'zslab', display_name: 'TypeScript', language: 'typescript' } }

describe('zslab run', function () {
  this.timeout(180_000)
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'zslab-run-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function notebook(metadata: object, ...cells: (string | { source: string; tags: string[] })[]): string {
    const path = join(folder, 'in.ipynb')
    const made = cells.map((cell, i) => {
      const { source, tags } = typeof cell === 'string' ? { source: cell, tags: undefined } : cell
      return {
        ...{ cell_type: 'code', id: `c${i}`, execution_count: null, outputs: [], source },
        metadata: tags ? { tags } : {},
      }
    })
    writeFileSync(path, JSON.stringify({ cells: made, metadata, nbformat: 4, nbformat_minor: 5 }))
    return path
  }
  const out = () => join(folder, 'out.ipynb')
  const written = () => readNotebook(out())
  const value = (index: number) => joined(valueOf(written().cells[index])!['text/plain'])

  function started(...words: string[]) {
    const main = join(ROOT, 'dist/src/cli/main.js')
    const child = spawn(process.execPath, [main, 'run', ...words, '--output', out()], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => (stderr += String(chunk)))
    const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, stderr }))
    return { child, ended }
  }
  const run = (...words: string[]) => started(...words).ended

  it('out of time: 124, one sentence, what ran is written', async () => {
    const path = notebook(OURS, '6 * 7', "console.log('begun'); await new Promise(() => {})", '3')
    const { status, stderr } = await run(path, '--timeout', '5')
    assert.equal(status, 124, stderr)
    assert.equal(stderr, `zslab: cell 2 of 3 took longer than 5 s: what ran is in ${out()}\n`)
    assert.equal(value(0), '42')
    assert.match(JSON.stringify(written().cells[1].outputs), /begun/)
  })

  it('Ctrl+C: 130, one sentence, what ran is written', async () => {
    const mark = join(folder, 'begun')
    const begun = `require('node:fs').writeFileSync(${JSON.stringify(mark)}, ''); for (;;) {}`
    const { child, ended } = started(notebook(OURS, '6 * 7', begun))
    while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 50))
    child.kill('SIGINT')
    const { status, stderr } = await ended
    assert.equal(status, 130, stderr)
    assert.equal(stderr, `zslab: interrupted in cell 2 of 2: what ran is in ${out()}\n`)
    assert.equal(value(0), '42')
  })

  for (const [name, metadata, said] of [
    ['that names no kernel', {}, /names no kernel: its cells run in zslab's/],
    ["of tslab's", { kernelspec: { name: 'tslab', display_name: 'TypeScript', language: 'typescript' } }, /"tslab"/],
    ["of Deno's", { kernelspec: { name: 'deno', display_name: 'Deno' }, language_info: { name: 'typescript' } }, /"deno"/],
  ] as [string, object, RegExp][])
    it(`runs a notebook ${name}, and says so`, async () => {
      const { status, stderr } = await run(notebook(metadata, 'const x: number = 41\nx + 1'))
      assert.equal(status, 0, stderr)
      assert.match(stderr, said)
      assert.equal(value(0), '42')
    })

  it('refuses other languages and what is no notebook, each with a sentence', async () => {
    const refused = async (path: string, ...said: RegExp[]) => {
      const { status, stderr } = await run(path)
      assert.equal(status, 1, stderr)
      for (const words of said) assert.match(stderr, words)
      assert.equal(stderr.trim().split('\n').length, 1, stderr)
    }
    const python = { kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' } }
    await refused(notebook(python, '1'), /names the kernel "python3" \(python\), and zslab runs TypeScript/)
    await refused(notebook({ language_info: { name: 'R' } }, '1'), /names no kernel \(R\)/)
    const bad = join(folder, 'bad.ipynb')
    writeFileSync(bad, '{not json')
    await refused(bad, /found no JSON .*expected a Jupyter notebook/)
    writeFileSync(bad, '[1, 2]')
    await refused(bad, /JSON without cells/)
    await refused(join(folder, 'none.ipynb'), /there is no notebook/)
    await refused(folder, /cannot read/)
  })

  it('puts parameters after the cell tagged parameters, over those of an earlier run', async () => {
    const path = notebook(
      OURS,
      '0',
      { source: "let steps = 1, name = 'none', list = [1]", tags: ['parameters'] },
      { source: 'let steps = 9', tags: ['injected-parameters'] },
      'JSON.stringify([steps, name, list])',
    )
    const file = join(folder, 'p.json')
    writeFileSync(file, JSON.stringify({ steps: 2, list: [7, 8] }))
    const words = ['--parameters', 'steps=3', '--parameters', "name=it's a=b", '--parameters-file', file]
    const { status, stderr } = await run(path, ...words)
    assert.equal(status, 0, stderr)
    const { cells } = written()
    assert.equal(cells.length, 4)
    assert.deepEqual(cells[2].metadata?.tags, ['injected-parameters'])
    assert.equal(joined(cells[2].source), '// parameters\nlet steps = 3\nlet list = [7,8]\nlet name = "it\'s a=b"')
    assert.match(value(3), /\[3,"it's a=b",\[7,8\]\]/)
    assert.equal(JSON.parse(readFileSync(path, 'utf8')).cells.length, 4)
  })

  it('tells a notebook to measure anew, leaves its cells as they are, and refuses where nothing comes with it', async () => {
    const asks = notebook(OURS, 'let fresh = Boolean(process.env.ZSLAB_FRESH)', 'fresh')
    assert.equal((await run(asks, '--fresh')).status, 0)
    assert.deepEqual([value(1), written().cells.length], ['true', 2])
    const { status, stderr } = await run(notebook(OURS, '1'), '--fresh')
    assert.equal(status, 2, stderr)
    assert.match(stderr, /never asks for ZSLAB_FRESH: nothing comes with it/)
  })

  it('refuses parameters that cannot be, with 2', async () => {
    const path = notebook(OURS, '1')
    for (const [word, said] of [
      ['steps', /expected name=value/],
      ['my-name=1', /cannot be a variable's name/],
      ['class=1', /cannot be a variable's name/],
      ['seed=12345678901234567890', /beyond what a number holds exactly/],
    ] as [string, RegExp][]) {
      const { status, stderr } = await run(path, '--parameters', word)
      assert.equal(status, 2, stderr)
      assert.match(stderr, said)
    }
  })
})
