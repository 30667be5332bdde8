/** The program that stands while cells come and go: it says what a program of the cell's own says. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { shippedPackage } from '../../../kernel/cell/package.js'
import { Compiler } from '../../../kernel/compiler/compile.js'
import { errorOf } from '../../../kernel/compiler/diagnostics.js'
import { declared, meaning } from './meaning.js'

const WRONG = 'const promised: Promise<{ a: number[] }> = Promise.resolve({ a: ["x"] })'

/** Each with what it needs of those before it. */
const CELLS = [
  '1',
  'const list = [1, 2, 3].map((x) => ({ x, y: String(x) }))\nlist',
  'type Pair = (typeof list)[number]; function first(of: Pair[]): Pair | undefined { return of[0] }\nfirst(list)?.y',
  WRONG,
  WRONG,
  '// @ts-ignore\nconst ignored: number = "a"',
  '// @ts-expect-error\nconst expected: number = "a"',
  '// @ts-expect-error\nconst fine: number = 1',
  '// @ts-nocheck\nconst unchecked: number = "a"',
  'class Box<T> { #inner: T; constructor(inner: T) { this.#inner = inner } get value() { return this.#inner } }\nnew Box(1).value',
  'const boxed = new Box(list); boxed.value[0].z',
  'const boxed = new Box(list); let list = "now a text"; boxed.value',
  'list.toFixed()',
  "import { readFileSync } from 'node:fs'\nreadFileSync",
  'const stats = (await import("node:fs")).statSync("."); stats.size',
  'namespace Shapes { export const sides = 4 }\nShapes.sides',
  'Shapes.sides + list.length',
  "import { twice } from './twice'\ntwice(list.length)",
  'twice("2")',
  'enum Colour { Red, Green }\nColour.Green',
  'const { Red, ...rest } = Colour; export default Red',
  'for (const one of list) console.log(one)\nvar hoisted = [...list]',
  'missing + 1',
  "import * as nothing from './not-there'",
  'globalThis',
  'declare global { interface Array<T> { mine: T } }\n[1].mine',
  '[1].mine.toFixed()',
  'declare global { interface Array<T> { mine: string } }\n[1].mine.length',
  '1',
]

describe('compiler: a program that stands', function () {
  this.timeout(300_000)
  const before = process.cwd()
  let folder: string
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'standing-')))
    process.chdir(folder)
    writeFileSync('twice.ts', 'export const twice = (n: number): number => n + n\n')
  })
  afterEach(() => {
    process.chdir(before)
    rmSync(folder, { recursive: true })
  })

  const made: Compiler[] = []
  const compiler = () => {
    const one = new Compiler(shippedPackage())
    made.push(one)
    return one
  }
  afterEach(() => made.splice(0).forEach((one) => one.close()))

  const compile = (by: Compiler, declarations: string, code: string) => {
    const result = by.compile(declarations, code)
    return result.ok
      ? {
          code: meaning(result.compiled.code),
          declarations: result.compiled.declarations,
          names: result.compiled.names,
        }
      : { said: errorOf(by.ts, result.complaints, 'Cell').traceback }
  }

  it('compiles and complains as one that is made for each cell', () => {
    const standing = compiler()
    let declarations = ''
    let stood = 0
    for (const code of CELLS) {
      if (!standing.ready) standing.prepare(declarations)
      stood += standing.ready ? 1 : 0
      const found = compile(standing, declarations, code)
      const alone = compile(compiler(), declarations, code)
      const sorted = (of: typeof found) => ({ ...of, declarations: declared(of.declarations ?? '') })
      assert.deepEqual(sorted(found), sorted(alone), code)
      if (found.declarations !== undefined) ({ declarations } = found)
    }
    assert.equal(stood, CELLS.length - 3) // what is declared globally is known to all files
  })

  it('falls where something was wrong, and is made again while nobody waits', () => {
    const standing = compiler()
    standing.compile('', '1')
    assert.ok(standing.ready)
    assert.ok(!standing.compile('', WRONG).ok && !standing.ready)
    standing.prepare('declare const a: number;\n')
    assert.ok(standing.ready)
    assert.ok(standing.compile('declare const a: number;\n', 'a.toFixed()').ok && standing.ready)
  })

  it('sees what changes on the disk, and questions leave nothing behind', () => {
    const standing = compiler()
    const use = "import { twice } from './twice'\ntwice(1)"
    assert.ok(standing.compile('', use).ok)
    assert.ok(standing.compile('', `${use}\n`).ok)
    assert.ok(standing.converter.inspect('', 'const half: number = "', 8) && standing.ready)
    assert.ok(standing.compile('', 'const half = 1').ok && standing.ready)
    writeFileSync('twice.ts', 'export const twice = (text: string): string => text + text\n')
    utimesSync('twice.ts', 1, 1)
    assert.ok(!standing.compile('', use).ok)
    assert.ok(!standing.compile('', "import { later } from 'later'").ok)
    mkdirSync('node_modules/later', { recursive: true })
    writeFileSync('node_modules/later/package.json', '{ "name": "later", "main": "later.js", "types": "later.d.ts" }')
    writeFileSync('node_modules/later/later.js', 'exports.later = 1')
    writeFileSync('node_modules/later/later.d.ts', 'export const later: number\n')
    assert.ok(standing.compile('', "import { later } from 'later'\nlater.toFixed()").ok)
  })

  it('does not keep all that it was shown, although nothing leaves it a quiet moment', () => {
    const standing = compiler()
    const long = (i: number) => `const text${i % 10} = ${JSON.stringify('x'.repeat(100_000))}`
    const ready: boolean[] = []
    let declarations = ''
    for (let i = 0; i < 20; i++) {
      const result = standing.compile(declarations, long(i))
      if (result.ok) ({ declarations } = result.compiled)
      ready.push(standing.ready)
    }
    assert.ok(ready.includes(false) && ready.lastIndexOf(true) > ready.indexOf(false), String(ready))
  })
})
