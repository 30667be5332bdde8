/** Completion and inspection: of unfinished cells, of earlier ones, of paths; positions in code points; nothing is run. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { kernelTests, valueOf } from './cells.js'

const EARLIER = `;(globalThis as any).touched = 0
class G { get side() { (globalThis as any).touched++; return { deep: 1 } } }
const g = new G(), table = { alpha: 1, beta: { gamma: 2 } }
/** Adds two numbers.
 * @param a the first, see {@link Math.abs} and {@link table | the table}
 * @example add(1)
 * @returns their sum */
function add(a: number, b = 2): number { return a + b }
let 変数 = 5
type Shape = { kind: 'circle' | 'square'; size: number }`

/** ‸ is the cursor; what replaces the text between start and end. */
const COMPLETIONS: [code: string, replaced: string, first: string[], exactly?: boolean][] = [
  ['g.side.de‸', 'de', ['deep'], true],
  ['table.‸', '', ['alpha', 'beta'], true],
  ['table\n  .be‸ta + 1', 'beta', ['beta'], true],
  ['const s = { one: 1, two: 2 }\ns.‸\nconst z =', '', ['one', 'two'], true],
  ['function f(p: { hello: 1 }) { p.‸', '', ['hello'], true],
  ['if (true) {\n  const arr = [1]\n  arr.ma‸\n', 'ma', ['map']],
  ['class Q { private hidden = 1; m() { this.‸ } }', '', ['hidden', 'm'], true],
  ['`${table.‸}`', '', ['alpha', 'beta'], true],
  ["'🙂🙂'; table.be‸", 'be', ['beta'], true],
  ['/* 🙂 */ 変‸ // 🙂', '変', ['変数'], true],
  ['ad‸', 'ad', ['add']],
  ['const v = tab‸', 'tab', ['table']],
  ['let x: Sha‸', 'Sha', ['Shape']],
  ['add(1).toF‸', 'toF', ['toFixed'], true],
  ['const sh: Shape = { ‸ }', '', ['kind', 'size'], true],
  ["const sh: Shape = { kind: '‸' }", '', ['circle', 'square'], true],
  ["const sh: Shape = { kind: '🙂ci‸' }", '🙂ci', [], true],
  ["const sh: Shape = { kind: 'ci‸' }", 'ci', ['circle'], true],
  ["table['al‸']", 'al', ['alpha'], true],
  ['pro‸', 'pro', ['process', 'progress']],
  ["import x from './lo‸'", 'lo', ['local'], true],
  ["'🙂'; import('./sub/‸')", '', ['inner'], true],
  ["import x from 'al‸'", 'al', ['alpha'], true],
  ["require('@sc/o‸')", 'o', ['one'], true],
  ["import x from 'node:fs/‸'", '', ['promises'], true],
  ["import { n‸ } from 'alpha'", 'n', ['num'], true],
  ["import { readFileS‸ } from 'node:fs'", 'readFileS', ['readFileSync'], true],
  ['// comm‸', '', [], true],
  ["'str‸'", '', [], true],
  ["add('loc‸", 'loc', ['local.ts'], true],
  ['add(`./su‸`)', 'su', ['sub/'], true],
  ["'🙂'; add('sub/‸')", '', ['inner.ts'], true],
  ["add('nowhere/‸')", '', [], true],
]

const INSPECTIONS: [code: string, detail: number, expected: RegExp | undefined][] = [
  [
    'ad‸d(1)',
    0,
    /^function add\(a: number, b\?: number\): number\n\nAdds two numbers\.\n\n@param a [^@]*@returns their sum$/,
  ],
  [
    'add‸',
    1,
    /Adds two numbers\.\n\n@param a the first, see Math\.abs and the table\n@example add\(1\)\n@returns their sum$/,
  ],
  ['add(‸', 0, /^function add\(/],
  ['add(1, ‸2)', 0, /^function add\(/],
  ['Math.max(1, add(‸))', 0, /^function add\(/],
  ['add(1, ‸', 0, /^function add\(/],
  ['add(\n  1,\n  ‸', 0, /^function add\(/],
  ['Math.max(add(1), ‸', 0, /^\(method\) Math\.max\(/],
  ['Math.max(add(1) ‸', 0, /^\(method\) Math\.max\(/],
  ['add(1)\n‸', 0, undefined],
  ["['a'].map(‸)", 0, /map<U>\(callbackfn: \(value: string[^)]*\) => U/],
  ["const mapped = ['a'].map(‸", 0, /map<U>\(callbackfn: \(value: string/],
  ['new G(‸)', 0, /^constructor G\(\): G/],
  ["'🙂'; table.be‸ta", 0, /^\(property\) beta: \{/],
  ['g.si‸de', 0, /side: \{/],
  ['const u = { a: 1 }; u‸', 0, /^const u: \{/],
  ['Sha‸pe', 0, /^type Shape = \{/],
  ['変‸数', 0, /^let 変数: number/],
  ['nothing‸', 0, undefined],
  ['‸', 0, undefined],
  ['1 + ‸2', 0, undefined],
]

kernelTests('completion and inspection', (cells) => {
  before(async () => {
    for (const [path, text] of [
      ['local.ts', ''],
      ['sub/inner.ts', ''],
      ['node_modules/alpha/package.json', '{"name":"alpha","main":"i.js"}'],
      ['node_modules/alpha/i.js', ''],
      ['node_modules/alpha/i.d.ts', 'export const num: number'],
      ['node_modules/@sc/one/package.json', '{"name":"@sc/one"}'],
    ]) {
      const full = join(cells.kernel.folder, path)
      mkdirSync(dirname(full), { recursive: true })
      writeFileSync(full, text)
    }
    await cells.follow([[EARLIER]])
  })
  const asked = (marked: string) => ({
    code: marked.replace('‸', ''),
    cursor_pos: [...marked.slice(0, marked.indexOf('‸'))].length,
  })

  it('names, members, strings and paths complete', async () => {
    for (const [marked, replaced, first, exactly] of COMPLETIONS) {
      const { code, cursor_pos } = asked(marked)
      const { content } = await cells.kernel.ask('shell', 'complete_request', { code, cursor_pos })
      const { matches, cursor_start, cursor_end, metadata } = content
      assert.deepEqual(exactly ? matches : matches.slice(0, first.length), first, marked)
      assert.equal(
        [...code].slice(cursor_start, cursor_end).join(''),
        matches.length > 0 || replaced ? replaced : '',
        marked,
      )
      const types = metadata._jupyter_types_experimental as { text: string; start: number; end: number }[]
      assert.deepEqual(
        types.map(({ text, start, end }) => ({ text, start, end })),
        (matches as string[]).map((text) => ({ text, start: cursor_start, end: cursor_end })),
      )
    }
  })

  it('signatures and documentation are found, of functions also from inside their arguments', async () => {
    for (const [marked, detail_level, expected] of INSPECTIONS) {
      const { content } = await cells.kernel.ask('shell', 'inspect_request', { ...asked(marked), detail_level })
      assert.equal(content.found, expected !== undefined, marked)
      if (!expected) continue
      assert.match(content.data['text/plain'] as string, expected, marked)
      assert.match(content.data['text/markdown'] as string, /^```typescript\n/, marked)
    }
  })

  it('parameters stand out in what is rendered', async () => {
    const { content } = await cells.kernel.ask('shell', 'inspect_request', {
      code: 'add',
      cursor_pos: 3,
      detail_level: 0,
    })
    assert.match(content.data['text/markdown'] as string, /\*@param\* `a` the first/)
  })

  it('name? at a cell’s end opens its page', async () => {
    for (const [code, expected] of [
      ['add?', /^function add\([^]*@returns their sum$/],
      ['const k = 5\ntable.beta?', /^\(property\) beta/],
      ['Shape?', /^type Shape/],
      ['nothing?', /^nothing is known about nothing$/],
      ['add ?', /^function add\([^]*@returns their sum$/],
      ['add??', /^function add\([^]*@returns their sum$/],
      ['  ?add\n', /^function add\([^]*@returns their sum$/],
      ['1\n? table.beta', /^\(property\) beta/],
    ] as const) {
      const { reply } = await cells.execute(code)
      const [page] = reply.content.payload
      assert.equal(page.source, 'page')
      assert.match(page.data['text/plain'] as string, expected, code)
      const { status } = (await cells.kernel.ask('shell', 'is_complete_request', { code })).content
      assert.equal(status, 'complete', code)
    }
  })

  it('no question is what stands in strings, comments and templates, or goes on', async () => {
    for (const code of [
      "'add?'",
      '`\nadd?`',
      '/*\n?add */',
      '// add?',
      '1 // add?',
      'add\n?.name',
      'add ? 1 : 2',
      'null\n??add',
    ]) {
      const { reply } = await cells.execute(code)
      assert.deepEqual([reply.content.status, reply.content.payload], ['ok', []], code)
    }
    for (const code of ['`\nadd?', '/*\n?add', 'if (1) {\nadd??']) {
      const { reply } = await cells.execute(code)
      assert.equal(reply.content.status, 'error', code)
      const { status } = (await cells.kernel.ask('shell', 'is_complete_request', { code })).content
      assert.equal(status, 'incomplete', code)
    }
  })

  it('a long line is no long question', async () => {
    for (const code of [`${'a'.repeat(2e5)}(?`, `?${' '.repeat(2e5)}(`, `a${' '.repeat(2e5)}(?`, '?'.repeat(2e5)])
      assert.equal((await cells.execute(code)).reply.content.status, 'error')
  })

  it('what a variable holds completes where its type tells nothing, and while a cell is busy nobody waits for it', async () => {
    await cells.follow([
      [
        `let answer: any = JSON.parse('{"items":[{"id":1,"odd-key":2,"deep":{"x":1}}],"total":2}')
      class Hidden { get deep() { (globalThis as any).touched++; return { y: 1 } } shown() {} }
      const hidden: any = new Hidden(), proxied: any = new Proxy({ z: 1 }, { get() { (globalThis as any).touched++ }, ownKeys() { (globalThis as any).touched++; return [] } })`,
      ],
    ])
    const offered = async (code: string) => {
      const { content } = await cells.kernel.ask('shell', 'complete_request', { code, cursor_pos: [...code].length })
      return content.matches as string[]
    }
    assert.deepEqual(await offered('answer.'), ['items', 'total'])
    assert.deepEqual(await offered("'🙂'; f(answer?.items[0].d"), ['deep'])
    assert.deepEqual(await offered("answer['items'][0].deep."), ['x'])
    assert.deepEqual(await offered('answer.items[0].'), ['id', 'deep'])
    assert.deepEqual((await offered('answer.items.fl')).sort(), ['flat', 'flatMap'])
    assert.deepEqual(await offered('hidden.'), ['deep', 'shown'])
    for (const none of ['hidden.deep.', 'proxied.', 'answer.nothing.', 'missing.', 'answer.items[0].odd'])
      assert.deepEqual(await offered(none), [], none)
    const done = join(tmpdir(), `zslab-answers-${process.pid}-${Date.now()}`)
    const busy = await cells.kernel.begin(
      `for (const end = Date.now() + 60_000; !process.getBuiltinModule('node:fs').existsSync(${JSON.stringify(done)}) && Date.now() < end; );`,
    )
    await cells.kernel.until(() => cells.kernel.published(busy).length > 1, 'the cell to be busy')
    const { content } = await cells.kernel.ask('control', 'complete_request', { code: 'answer.', cursor_pos: 7 })
    writeFileSync(done, '')
    await cells.kernel.finish(busy)
    rmSync(done)
    assert.deepEqual(content.matches, [])
  })

  it('none of it has run the cells’ code', async () => {
    assert.equal(valueOf(await cells.execute('(globalThis as any).touched')), '0')
  })
})
