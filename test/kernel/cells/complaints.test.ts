/** Type and syntax errors: shown as TypeScript shows them, before anything runs; and the comments that silence them. */
import assert from 'node:assert/strict'
import { kernelTests, textOf } from './cells.js'

kernelTests('what TypeScript complains about', (cells) => {
  it('code, line, column, source line and underline, in colours', async () => {
    const { error, stdout } = await cells.execute("console.log('ran')\nconst x: number =\t'a' // é🙂")
    const place = 'Cell \\[\\d+\\]:2:7'
    assert.equal(stdout, '')
    assert.equal(error!.ename, 'TypeScriptError')
    assert.match(error!.evalue as string, new RegExp(`^${place} - error TS2322: Type 'string' is not assignable`))
    assert.match(textOf(error), new RegExp(`^${place} - error TS2322: .*\n\n2 const x: number = 'a' // é🙂\n {8}~$`))
    assert.match((error!.traceback as string[]).at(-1)!, /\u001b\[31m {6}~\u001b\[0m/)
  })

  it('the only colour is red: the others are hard to read where errors are shown', async () => {
    const { error } = await cells.execute('interface Named { name: string }\nconst named: Named = {}')
    const codes = (error!.traceback as string[]).join('\n').match(/\u001b\[\d+m/g)!
    assert.deepEqual([...new Set(codes)].sort(), ['\u001b[0m', '\u001b[31m', '\u001b[7m'])
  })

  cells.table({
    'several, each at its place': [
      ["const a: number = 'a'\nconst b: string = 5", /:1:7 - error TS2322[^]*\n\nCell \[\d+\]:2:7 - error TS2322/],
      [Array.from({ length: 13 }, (_, i) => `let v${i}: number = ''`).join('\n'), /:10:5 - [^]*\n… and 3 more$/],
    ],
    'chains of reasons and related places': [
      [
        'interface P { name: string }\nconst p: P = {}',
        /:2:7 - error TS2741[^]*:1:15\n.*\n {20,}~~~~\n.*'name' is declared here\./,
      ],
      [
        'let f: (a: { b: string }) => void = (a: { b: number }) => {}',
        /error TS2322: .*\n {2}Types of parameters .*\n {4}Type/,
      ],
      ['interface Far { name: string }'],
      ['const far: Far = {}', /'name' is declared here\. \(an earlier cell: .*name: string/],
    ],
    'underlines over several lines, tabs, CRLF': [
      ['\tconst tab: number =\t"x"', /:1:8 - error/],
      ['const a = 1\r\nconst b: string = a\r\n', /:2:7 - error .*\n\n2 const b: string = a\n {8}~$/],
      [
        'const f = (a: number) => a\nf({\n  a: 1,\n})',
        /:2:3 - error .*\n\n2 f\(\{\n {4}~\n3   a: 1,\n {2}~+\n4 \}\)\n {2}~$/,
      ],
    ],
    'syntax errors, alone and only where the cell is wrong': [
      ['const = 5', /^Cell \[\d+\]:1:7 - error TS1134: Variable declaration expected\./],
      ["let s = 'abc", /^Cell \[\d+\]:1:13 - error TS1002: Unterminated string literal\.[^T]*$/],
      ['let open = {', /^Cell \[\d+\]:1:13 - error TS1005: '\}' expected\.[^T]*The parser expected/],
      ['return 5', /:1:1 - error TS1108/],
      ['const q = 1\nconst q = 2', /:1:7 - error TS2451[^]*:2:7 - error TS2451/],
    ],
    '@ts-nocheck lets a cell run, whatever stands above it': [
      ["// @ts-nocheck\nconst loose: number = 'a'\nloose", "'a'"],
      [
        "\n/* first */\n// @ts-nocheck: because\nconst loose2: number = nowhere.x ?? 'b'",
        /ReferenceError: nowhere is not defined[^]*:4:24/,
      ],
      ['loose.toFixed()', /^TypeError: loose\.toFixed is not a function/],
      ["const before = 1\n// @ts-nocheck\nconst tight: number = 'a'", /:3:7 - error TS2322/],
      ['// @ts-nocheck\nconst = 5', /:2:7 - error TS1134/],
      [
        '// @ts-nocheck\nconst twice = 1\nconst twice = 2',
        /^SyntaxError: .*\n.*3 \| const twice = 2\n[^]*at Cell \[\d+\]:3:7/,
      ],
    ],
    '@ts-ignore and @ts-expect-error': [
      ["// @ts-ignore\nconst x8: number = 'b'\nx8", "'b'"],
      ["// @ts-expect-error: because\nconst x9: number = 'c'\nx9", "'c'"],
      ['// @ts-expect-error\nconst x10: number = 10', /:1:1 - error TS2578/],
    ],
  })

  it('a class declared again is told from the one of earlier cells', async () => {
    await cells.follow([
      ['class Again { v = 1 }\nlet again = new Again()'],
      [
        "class Again { v = 'two' }\nagain = new Again()",
        /TS2322: Type 'Again \(of this cell\)' is not assignable to type 'Again( \(of an earlier cell\))?'/,
      ],
    ])
  })

  it('a cell with complaints changes nothing', async () => {
    await cells.follow([['let still = 1'], ['still = 2; const no: string = 5', /TS2322/], ['still', '1']])
  })
})
