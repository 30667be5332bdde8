/** What cells may expect of the process that they run in: its streams, its warnings, its working directory. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { kernelTests, textOf } from './cells.js'

kernelTests('cells, as in node', (cells) => {
  it('whoever waits for the end of stdout or stderr is told of one; more is printed after it', async () => {
    for (const code of [
      "await pipeline(Readable.from(['one ']), process.stdout)",
      "await pipeline(Readable.from(['one ']), process.stdout, { end: false })",
      "process.stdout.end('one '); await finished(process.stdout)",
      "await new Promise<void>((done) => process.stdout.end('one ', done))",
      "await Readable.toWeb(Readable.from(['one '])).pipeTo(Writable.toWeb(process.stdout))",
    ]) {
      const imports =
        "import { Readable, Writable } from 'node:stream'\nimport { finished, pipeline } from 'node:stream/promises'"
      const { stdout, error } = await cells.execute(`${imports}\n${code}\nconsole.log('after')`)
      assert.equal(stdout, 'one after\n', `${code}\n${textOf(error)}`)
    }
    const failing =
      "import { pipeline } from 'node:stream/promises'\nawait pipeline(async function* () { yield 'x'; throw new Error('source') }, process.stderr)"
    assert.match(await cells.error(failing), /^Error: source/)
    assert.equal((await cells.execute("console.error('still there')")).stderr, 'still there\n')
  })

  it('warnings are told once, by the cell that caused them; experimental ones are not', async () => {
    const { stderr } = await cells.execute("process.emitWarning('careful')")
    assert.match(stderr, /^\(node:\d+\) Warning: careful\n/)
    const many =
      "import { EventEmitter } from 'node:events'\nconst emitter = new EventEmitter()\nfor (let i = 0; i < 14; i++) emitter.on('x', () => {})"
    assert.equal((await cells.execute(many)).stderr.match(/MaxListenersExceededWarning/g)?.length, 1)
    const deprecated =
      "import { deprecate } from 'node:util'\nconst old = deprecate(() => 1, 'old', 'DEP_OWN'); old(); old()"
    assert.match((await cells.execute(deprecated)).stderr, /^\(node:\d+\) \[DEP_OWN\] DeprecationWarning: old\n$/)
    assert.equal((await cells.execute("process.emitWarning('new', 'ExperimentalWarning')")).stderr, '')

    const first = await cells.kernel.begin("setTimeout(() => process.emitWarning('late'), 300)")
    await cells.kernel.finish(first)
    await cells.execute('await new Promise((done) => setTimeout(done, 600))')
    const told = await cells.kernel.until(
      () => cells.kernel.published(first).find(({ type }) => type === 'stream'),
      'the late warning',
    )
    assert.match(told.content.text as string, /Warning: late/)
  })

  it('imports look in the notebook’s folder, whatever the working directory is', async () => {
    const { folder } = cells.kernel
    mkdirSync(join(folder, 'node_modules/tiny'), { recursive: true })
    writeFileSync(join(folder, 'node_modules/tiny/package.json'), '{"name":"tiny","version":"1.0.0","main":"i.js"}')
    writeFileSync(join(folder, 'node_modules/tiny/i.js'), 'exports.tiny = 7')
    writeFileSync(join(folder, 'beside.ts'), "export const hi = 'beside'\n")
    await cells.follow([
      ["process.chdir('/')\nprocess.cwd()", "'/'"],
      ["import { hi } from './beside'\nimport { tiny } from 'tiny'\n[hi, tiny]", "[ 'beside', 7 ]"],
      ["[require('./beside').hi, require('tiny').tiny, (await import('tiny')).tiny]", "[ 'beside', 7, 7 ]"],
      ["__dirname === '/' || import.meta.url.startsWith('file:///cell')", 'false'],
    ])
  })

  it('what cannot be read in an imported file is told with its place', async () => {
    const write = (path: string, text: string) => writeFileSync(join(cells.kernel.folder, path), text)
    write('wrong.mjs', '\n\nexport const = 1\n')
    write('wrong.cjs', '\n\nconst = 1\n')
    write('below.mjs', "import './wrong.mjs'\nexport const fine = 1\n")
    write('below.cjs', "require('./wrong.cjs')\n")
    write('names.mjs', "\nimport { nope } from 'node:fs'\n")
    write('runs.mjs', "export const data = JSON.parse('{')\n")
    mkdirSync(join(cells.kernel.folder, 'node_modules/torn/lib'), { recursive: true })
    write('node_modules/torn/package.json', '{"name":"torn","version":"1.0.0","exports":"./lib/i.mjs"}')
    write('node_modules/torn/lib/i.mjs', "export * from './part.mjs'\n")
    write('node_modules/torn/lib/part.mjs', 'export let a = 1;\nexport let b = }\n')
    const part = /part\.mjs:2:16\n/
    for (const [code, place] of [
      ["import './wrong.mjs'", /3 \| export const = 1\n[^]*wrong\.mjs:3:14\n/],
      ["import './wrong.cjs'", /3 \| const = 1\n[^]*wrong\.cjs:3:7\n/],
      ["require('./wrong.cjs')", /wrong\.cjs:3:7\n/],
      ["require('./below.cjs')", /wrong\.cjs:3:7\n/],
      ["import './below.mjs'", /wrong\.mjs:3:14\n/],
      ["await import('./below.mjs')", /wrong\.mjs:3:14\n/],
      ["import './names.mjs'", /names\.mjs:2:10\n/],
      ["import 'torn'", part],
      ["await import('torn')", part],
      ["import './runs.mjs'", /runs\.mjs:1:26\)?/],
    ] as const)
      assert.match(`${await cells.error(`// @ts-nocheck\n${code}`)}\n`, place, code)
  })
})
