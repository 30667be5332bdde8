/** The README does not lie: its examples compile against the library, its paths exist, its commands are there. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { program } from '../src/cli/main.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')

describe('README', function () {
  this.timeout(300_000)

  it('examples compile', () => {
    const examples = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code)
    assert.ok(examples.length >= 3)
    const sources = new Map(examples.map((code, i) => [join(ROOT, `readme-example-${i}.ts`), `${code}\nexport {}\n`]))
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile).config,
      ts.sys,
      ROOT,
    )
    const host = ts.createCompilerHost(options)
    const { getSourceFile, fileExists } = host
    host.fileExists = (path) => sources.has(path) || fileExists(path)
    host.getSourceFile = (path, ...rest) => {
      const own = sources.get(path)
      return own === undefined ? getSourceFile(path, ...rest) : ts.createSourceFile(path, own, rest[0])
    }
    const compiled = ts.createProgram([...sources.keys()], { ...options, noEmit: true, rootDir: ROOT }, host)
    const faults = ts
      .getPreEmitDiagnostics(compiled)
      .map((fault) => ts.flattenDiagnosticMessageText(fault.messageText, ' '))
    assert.deepEqual(faults, [])
  })

  it('paths are there', () => {
    const tree = /^## Where things are\n\n```\n(.*?)^```/ms.exec(readme)![1]
    const folder: string[] = []
    for (const line of tree.split('\n')) {
      const [, indent, names] = /^( *)(\S+(?:, \S+)*)(?: {2,}\S|$)/.exec(line) ?? []
      if (names === undefined || indent.length > 2) continue
      for (const name of names.split(', ')) {
        if (indent === '') folder[0] = name
        const path = indent === '' ? name : join(folder[0], name)
        assert.ok(existsSync(join(ROOT, path)), path)
      }
    }
    for (const [, path] of readme.matchAll(
      /(?:\]\(|`)((?:docs|native|test|src|scripts|notebooks|bench|\.ci)\/[\w./-]+)[`)]/g,
    ))
      if (path !== 'docs/api') assert.ok(existsSync(join(ROOT, path)), path)
  })

  it('commands are there', () => {
    const commands = new Set(program().commands.map((command) => command.name()))
    const named = [...readme.matchAll(/npx zslab ([a-z]+)/g)].map(([, name]) => name)
    assert.ok(named.length >= 5)
    for (const name of named) assert.ok(commands.has(name), name)
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    for (const [, name] of readme.matchAll(/npm run ([a-z]+)/g)) assert.ok(name in scripts, name)
    for (const [name, script] of Object.entries(scripts)) {
      const path = /node (scripts\/\S+)/.exec(script)?.[1]
      if (path) assert.ok(existsSync(join(ROOT, path)), `${name}: ${path}`)
    }
  })
})
