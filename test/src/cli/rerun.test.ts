/** `zslab rerun`: the program, the card, and the figure made again beside the old one. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figures, load, zsmerge } from '../../../src/index.js'
import { ownFolder, toyPath, written } from '../model/files.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))
const run = (...words: string[]) => spawnSync(process.execPath, [main, 'rerun', ...words], { encoding: 'utf8' })

describe('cli: rerun', function () {
  this.timeout(120_000)
  const folder = ownFolder()
  const [svg, pdf] = ['f.svg', 'f.pdf'].map((name) => join(folder, name))

  before(async () => {
    const model = await load(toyPath)
    const session = model.session({ policy: zsmerge({ budget: 16, recent: 6, residual: 2 }), trace: true })
    const made = await session.generate('a b c '.repeat(20), { maxTokens: 5, seed: 3, progress: false })
    for (const path of [svg, pdf]) await figures.survival(made, { by: 'layer' }).save(path, { width: '5.5in' })
    model.dispose()
  })

  it('prints the program, and the card', () => {
    const { stdout, status } = run(svg)
    assert.equal(status, 0)
    assert.match(stdout, /^import \{ figures, load, zsmerge \} from 'zslab'\n\n\/\/ its SHA-256 was [0-9a-f]{64}\n/)
    assert.match(stdout, /survival\(run, \{ by: 'layer' \}\)\nawait figure\.save\('.*f-again\.svg', \{[^}]*5\.5in/)
    const card = JSON.parse(run(pdf, '--json').stdout) as { format: string; figure: string; options: object }
    assert.deepEqual([card.format, card.figure, card.options], ['zslab.figure', 'survival', { by: 'layer' }])
  })

  it('--run writes the same beside it, again and again', () => {
    for (const name of ['f-again', 'f-again-2']) {
      const { stdout, stderr, status } = run(pdf, '--run')
      assert.deepEqual([stderr, status], ['', 0])
      assert.match(stdout, new RegExp(`${name}\\.pdf: the same numbers, [\\d,]+ rows\n$`))
      assert.ok(existsSync(join(folder, `${name}.pdf`)))
    }
  })

  it('other numbers, another model and a missing file are said', () => {
    const text = readFileSync(svg, 'utf8')
    const changed = (name: string, from: RegExp, to: string) => {
      assert.match(text, from)
      return run(written(folder, name, Buffer.from(text.replace(from, to))), '--run')
    }
    const quote = '&quot;'
    const numbers = changed(
      'numbers.svg',
      /(rows&quot;:)\d+,&quot;sha256&quot;:&quot;../,
      `$17,${quote}sha256${quote}:${quote}xx`,
    )
    assert.match(
      numbers.stdout,
      /numbers-again\.svg: other numbers, [\d,]+ rows where there were 7, made by zslab [\d.]+ on/,
    )
    assert.equal(numbers.status, 1)
    const model = changed('model.svg', /(&quot;sha256&quot;:&quot;)..(.*?&quot;name&quot;:&quot;policy)/, '$1zz$2')
    assert.match(model.stderr, /^what load reads is not what it was: its SHA-256 was zz.*\n$/)
    const gone = changed('gone.svg', /toy\.gguf/, 'gone.gguf')
    assert.match(gone.stderr, /gone\.gguf is not there, which the figure was made from/)
    assert.deepEqual([gone.status, existsSync(join(folder, 'gone-again.svg'))], [1, false])
  })
})
