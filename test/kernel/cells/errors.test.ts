/** Errors of running cells: where they stand, in what way they are told, and to which cell they belong. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../client.js'
import { kernelTests, textOf, uncoloured, valueOf } from './cells.js'

const TOY = join(ROOT, 'test/models/toy.gguf')

/** Cells with ‸ before what must be the place of the error; what they throw is called by what else there is. */
const PLACES: Record<string, string> = {
  'in a cell': "type Wide = {\n  a: number\n}\n\nthrow ‸new RangeError('x')",
  'behind tabs and wide characters': "/* é🙂 */\t\tconst s = '🙂'; throw ‸new Error(s)",
  'with CRLF': 'const a: number = 1\r\n\r\ninterface I { b: 1 }\r\nthrow ‸new Error()\r\n',
  'in a template that goes over lines': 'const t = `a\n  ${(() => { throw ‸new Error() })()}`',
  'after an await': 'await null\nfor (const n of [1] as number[]) { await n; throw ‸new Error() }',
  'in an async function': 'async function f<T>(t: T) {\n  await t\n  throw ‸new Error()\n}\nawait f(1)',
  'in a getter': 'class G { private readonly p: number = 1; get v(): never { throw ‸new Error() } }\nnew G().v',
  'in a static block': 'class S { static x: number; static { throw ‸new Error() } }',
  'in a constructor': 'class K { constructor(readonly a: number) { throw ‸new Error() } }\nnew K(1)',
  'in a generator': 'function* g(): Generator<number> { yield 1; throw ‸new Error() }\n[...g()]',
  'in an async generator': 'for await (const _ of (async function* () { yield 1; throw ‸new Error() })()) {}',
  'in a callback of a constructor':
    'class Calls { constructor(f: () => void) { f() } }\nnew Calls(() => { throw ‸new Error() })\n0',
  'in a sort': '[3, 1, 2].sort((a: number, b) => {\n  throw ‸new Error()\n})',
  'in forEach': '[1].forEach((x: number) => { throw ‸new Error() })',
  'in a replacement': "'abc'.replace(/b/, (): string => { throw ‸new Error() })",
  'in toJSON': 'JSON.stringify({ toJSON(): never { throw ‸new Error() } })',
  'in a parameter’s default': 'const d = (a: number, b = (() => { throw ‸new Error() })()) => a\nd(1)',
  'in an enum': 'enum Bad { A = (() => { throw ‸new Error() })() as any }',
  'in a namespace': 'namespace Bad2 { export const x = (() => { throw ‸new Error() })() }',
  'of a property of undefined': 'interface Q { w: 1 }\nconst q: any = undefined\nq.‸foo',
  'of a call of what is no function': 'const no: any = 5\n  ‸no()',
  'of destructuring': 'const { ‸prop } = undefined as any',
  'of node’s own': "import { readFileSync } from 'node:fs'\n‸readFileSync('/no/such/file')",
  'in a callback of an addon': `import { load } from 'zslab'\nawait load('${TOY}', { progress: () => { throw ‸new Error() } })`,
  'of JSON': "JSON.‸parse('{bad')",
}

kernelTests('errors', (cells) => {
  for (const [name, marked] of Object.entries(PLACES))
    it(`stand at their line and column: ${name}`, async () => {
      const { error, reply } = await cells.execute(marked.replace('‸', ''))
      const before = marked.slice(0, marked.indexOf('‸')).split(/\r?\n/)
      const [line, column] = [before.length, before.at(-1)!.length + 1]
      const shown = textOf(error)
      const first = /^ +at .*$/m.exec(shown)?.[0]
      assert.match(first!, new RegExp(`Cell \\[${reply.content.execution_count}\\]:${line}:${column}\\)?$`), shown)
      const text = marked.replace('‸', '').split(/\r?\n/)[line - 1]
      const [, excerpt, caret] = new RegExp(`^  ${line} \\| (.*)\\n +\\| (\\s*)\\^$`, 'm').exec(shown)!
      assert.ok(text.includes(excerpt.replace(/^…|…$/g, '')) && excerpt.length <= 82, shown)
      assert.ok(text.slice(column - 1).startsWith(excerpt.slice(caret.length).replace(/…$/, '')), shown)
      assert.doesNotMatch(shown, /node:|dist\/kernel|__cell|exports\./)
      assert.deepEqual(reply.content.traceback, error!.traceback)
    })

  it('name each cell and file that they came through', async () => {
    const code =
      "type T = {\n  a: number\n}\n\nexport function boom(n: number): never {\n\t/* 🙂 */ throw new Error('boom ' + n)\n}\nexport async function late() {\n  await null\n  throw new Error('late')\n}\n"
    writeFileSync(join(cells.kernel.folder, 'lib.ts'), code)
    const first = await cells.execute(
      "import { boom, late } from './lib'\nfunction earlier(cb: () => void) {\n  cb()\n}",
    )
    const second = await cells.execute('\nearlier(() => boom(3))')
    const [a, b] = [first, second].map(({ reply }) => `Cell \\[${reply.content.execution_count}\\]`)
    const frames = [`boom \\(lib\\.ts:6:17\\)`, `${b}:2:15`, `earlier \\(${a}:3:3\\)`, `${b}:2:1`].map(
      (f) => `    at ${f}`,
    )
    assert.match(textOf(second.error), new RegExp(`6 \\| \t/\\* 🙂 \\*/ throw .*\n[^]*\n${frames.join('\n')}$`))
    assert.match(await cells.error('\n\nawait late()'), /at late \(lib\.ts:10:9\)\n.*at async Cell \[\d+\]:3:1$/)
  })

  cells.table({
    'names and values': [
      ['throw "words"', /^Thrown: words$/],
      ['throw { a: 1 }', /^Thrown: \{ a: 1 \}$/],
      [
        'class Mine extends Error { code = 5; override name = "Mine" }\nthrow new Mine("m")',
        /^Mine: m\n[^]*\n\{ code: 5 \}$/,
      ],
      ["throw new Error('two\\nlines')", /^Error: two\nlines\n {2}1 \|/],
    ],
    'causes and further errors, each with its own place': [
      [
        "throw new Error('outer', { cause: new TypeError('inner', { cause: 'root' }) })",
        /^Error: outer\n[^]*:1:7\ncaused by\n {2}TypeError: inner\n[^]*:1:35\n {2}caused by\n {4}Thrown: root$/,
      ],
      [
        "throw new AggregateError([new Error('one'), 'two', new AggregateError([new Error('three')], 'more')], 'all')",
        /^AggregateError: all\n[^]*:1:7\n {2}Error: one\n[^]*:1:27\n {2}Thrown: two\n {2}AggregateError: more\n[^]*:1:52\n {4}Error: three\n[^]*:1:72$/,
      ],
      [
        "await Promise.any([Promise.reject(new Error('p1')), Promise.reject(new Error('p2'))])",
        /^AggregateError: [^]*Error: p1\n[^]*:1:35\n[^]*Error: p2\n[^]*:1:68$/,
      ],
      [
        "const ring: any = new Error('ring'); ring.cause = new Error('back', { cause: ring }); throw ring",
        /^Error: ring\n[^]*caused by\n {2}Error: back\n[^]*\n {2}caused by\n {4}Error: ring\n[^]*\n {4}\(told above\)$/,
      ],
    ],
    'what is not a function is called as the cell calls it': [
      ["import { join as glue } from 'node:path'"],
      ['const own: any = 5; own.foo()', /^TypeError: own\.foo is not a function/],
      ['// @ts-nocheck\nconst own2 = {}\nown2.foo.bar()', /reading 'bar'/],
      ['const kept3: any = { f: 1 }'],
      ['kept3.f()', /^TypeError: kept3\.f is not a function/],
      ['(glue as any).nope()', /^TypeError: glue\.nope is not a function/],
      ["import { join as paste } from 'node:path'\n;(paste as any).nope()", /^TypeError: join\.nope is not a function/],
      ["throw new TypeError('(0 , a.b) is what exports.x says')", /^TypeError: \(0 , a\.b\) is what exports\.x says/],
    ],
  })

  it('thrown values that are no errors are shown', async () => {
    for (const [code, ename, evalue] of [
      ['throw "words"', 'string', 'words'],
      ['throw 5', 'number', '5'],
      ['throw null', 'null', 'null'],
      ['throw undefined', 'undefined', 'undefined'],
      ['throw { a: 1 }', 'object', '{ a: 1 }'],
      ['throw Object.create(null)', 'object', '[Object: null prototype] {}'],
      ['throw Symbol("s")', 'symbol', 'Symbol(s)'],
      [
        'throw { get message() { throw 1 }, toString() { throw 2 } }',
        'object',
        '{ message: [Getter], toString: [Function: toString] }',
      ],
    ]) {
      const { error } = await cells.execute(code)
      assert.equal(error?.ename, ename, code)
      assert.equal(error?.evalue, evalue, code)
    }
  })

  it('errors that lie about themselves do not break the kernel', async () => {
    const code = `const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw new Error('no stack') } }); throw e`
    assert.equal((await cells.execute(code)).reply.content.status, 'error')
    const named = await cells.execute(`const f = new Error('y'); (f as any).name = { toString() { throw 1 } }; throw f`)
    assert.equal(named.reply.content.status, 'error')
    assert.equal(valueOf(await cells.execute('1')), '1')
  })

  it('a function that calls itself is named once, and functions are no news of an error', async () => {
    const deep = `function deep(n: number): number {\n  if (n === 0) throw Object.assign(new Error('x'), { code: 'E', help() {} })\n  return deep(n - 1)\n}\ndeep(`
    const text = await cells.error(`${deep}15)`)
    assert.match(
      text,
      /at deep \(Cell \[\d+\]:3:10\)\n {4}… and 14 more of these\n {4}at Cell \[\d+\]:5:1\n\{ code: 'E' \}$/,
    )
    assert.equal((await cells.error(`${deep}3)`)).match(/:3:10/g)?.length, 3)
  })

  it('endless recursion is an error', async () => {
    const { error } = await cells.execute('const down = (n: number): number => down(n + 1) + 1\ndown(0)')
    assert.equal(error!.ename, 'RangeError')
    assert.match(textOf(error), /Cell \[\d+\]:1:\d+/)
  })

  const LATE: Record<string, string> = {
    'a timer': "setTimeout(() => { throw ‸new Error('late') }, 20)",
    'an interval': "const stop = setInterval(() => { clearInterval(stop); throw ‸new Error('late') }, 20)",
    'a promise that nobody handles':
      "void new Promise((r) => setTimeout(r, 20)).then(() => { throw ‸new Error('late') })",
    'an async function that nobody waits for':
      "void (async () => { await new Promise((r) => setTimeout(r, 20)); throw ‸new Error('late') })()",
    'a microtask': "setTimeout(() => queueMicrotask(() => { throw ‸new Error('late') }), 20)",
    'an event':
      "import { EventEmitter } from 'node:events'\nconst em = new EventEmitter(); em.on('x', () => { throw ‸new Error('late') }); setTimeout(() => em.emit('x'), 20)",
    'a callback of native code':
      "import { stat } from 'node:fs'\nsetTimeout(() => stat('/', () => { throw ‸new Error('late') }), 20)",
  }
  for (const [name, marked] of Object.entries(LATE))
    it(`belong to the cell that started them, and the kernel lives: ${name}`, async () => {
      const started = await cells.execute(`${marked.replace('‸', '')};`)
      const other = await cells.execute('await new Promise((r) => setTimeout(r, 60)); "alive"')
      assert.equal(other.result?.data['text/plain'], "'alive'")
      assert.equal(other.stderr, '')
      const said = await cells.kernel.until(() => {
        const all = cells.kernel.published(started.id).filter((m) => m.type === 'stream')
        return all.length > 0 && uncoloured(all.map((m) => m.content.text as string).join(''))
      }, 'the error')
      const before = marked.slice(0, marked.indexOf('‸')).split('\n')
      const place = `Cell [${started.reply.content.execution_count}]:${before.length}:${before.at(-1)!.length + 1}`
      assert.ok(said.startsWith('Error: late\n') && said.includes(place), said)
    })
})
