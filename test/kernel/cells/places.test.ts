/** Cells made by chance that throw at a known place: line and column of the error are exact in all of them. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { alike } from '../../scale.js'
import { kernelTests, textOf } from './cells.js'

const RUNS = alike(2000, 60)

type Pick = <T>(from: readonly T[]) => T

/** Statements without a fault; `n` keeps their names apart. */
const FILLERS = [
  '',
  '// é🙂 throw new Error()',
  '/* é🙂 */ void 0',
  '/* over\n   lines 🙂 */',
  'interface I# {\n  a: number\n}',
  'type T# = string | { b: 1 }',
  'declare const d#: number',
  'const v#: number = 1 as number, w# = 2 satisfies number',
  'const t# = `line\n${1 + 1} throw\n\\${`',
  'function g#<T extends string>(a: T, b?: number): T { return a }',
  'class K# { private x?: number; constructor(readonly y: string = "é") {} }',
  'abstract class A# { abstract m(): void; declare z: number }',
  'enum E# { A, B = 5 }',
  'namespace N# { export type T = 1; export const v = 2 }',
  'const { a: a#, ...r# } = { a: 1, b: 2 }',
  'await null',
  'for await (const x of [1]) { void x }',
  "import { join as j# } from 'node:path'",
  'if (true) { const q = [1] as const; void q }',
  "import type { Stats as S# } from 'node:fs'",
]

/** What a throw stands in; § is its place. Those that begin with "await" need an async function around them. */
const AROUND = [
  '{ § }',
  'if (1 as number) {\n§ }',
  ';(() => { § })()',
  ';(function named(this: void): void {\n§\n})()',
  'await (async () => { § })()',
  'await (async <T>(t: T) => { await t\n§ })(1)',
  'await null; §',
  ';[1].map((x: number): void => { § })',
  'class C# { static run(): void { § } }\nC#.run()',
  ';new (class { constructor(private p: number) { § } })(1)',
  'for (const a of [1] as const) { void a; § }',
  'for (;;) { § }',
  'do\n{ § } while (Number(1))',
  "while (true) /* é */ // 🙂\n{ Number('1'); § }",
  'for (const k in { a: [1].at(0) }) [k].map(() => { § })',
  'try { § } finally { void 0 }',
  'switch (1 as number) { case 1:\n§ }',
  ';`${(() => { § })()}`',
  ';({ get g(): number { §; return 1 } }).g',
  'type Here# = 1; §',
]
const isAsync = (around: string) => around.startsWith('await')
const isFunction = (around: string) => /=>|function|constructor|get g|static/.test(around)

const THROWS = [
  "throw ‸new Error('x')",
  'const u: any = undefined; u.‸foo',
  'void (null as any).‸foo',
  'throw (1 as unknown) && ‸new Error("🙂")',
]

function makeCell(pick: Pick): string {
  let names = 0
  const named = (text: string) => text.replaceAll('#', String(++names))
  const wrapped = (depth: number, async: boolean): string => {
    if (depth === 0) return pick(THROWS)
    const around = pick(AROUND.filter((one) => async || !isAsync(one)))
    const inner = wrapped(depth - 1, isFunction(around) ? isAsync(around) : async)
    return named(around).replace('§', () => inner)
  }
  const fill = () => Array.from({ length: pick([0, 1, 2, 4]) }, () => named(pick(FILLERS)))
  const lines = [...fill(), wrapped(pick([0, 1, 2, 3]), true), ...fill()].join('\n').split('\n')
  return lines.map((line) => pick(['', '', '  ', '\t', '\u3000\u00a0']) + line).join(pick(['\n', '\r\n']))
}

kernelTests('places of errors', (cells) => {
  it(`${RUNS} cells made by chance`, async function () {
    this.timeout(600_000)
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (gen) => {
        const marked = makeCell((from) => from[gen(fc.nat, { max: from.length - 1 })])
        const { error, reply } = await cells.execute(marked.replace('‸', ''))
        const before = marked.slice(0, marked.indexOf('‸')).split(/\r?\n/)
        const place = `Cell [${reply.content.execution_count}]:${before.length}:${before.at(-1)!.length + 1}`
        const first = /^ +at .*$/m.exec(textOf(error))?.[0] ?? ''
        assert.match(first.replace(place, 'HERE'), /\bHERE\)?$/, `${marked}\n\n${place}\n${textOf(error)}`)
      }),
      { numRuns: RUNS },
    )
  })
})
