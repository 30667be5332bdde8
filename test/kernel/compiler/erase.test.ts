/** Cells whose JavaScript is their own text: it says what TypeScript's emitter writes, and keeps every place. */
import assert from 'node:assert/strict'
import ts from 'typescript'
import { positions } from '../../../kernel/cell/positions.js'
import { shippedPackage } from '../../../kernel/cell/package.js'
import { Compiler } from '../../../kernel/compiler/compile.js'
import type { Compiled } from '../../../kernel/compiler/protocol.js'
import { meaning } from './meaning.js'

const EARLIER = `let total = 1, list = [3, 1, 2], text = 'a'
function twice(n: number): number { return n * 2 }
class Base<T> { constructor(value?: T) { void value } static made = 0; greet(who = '') { return who } }
interface Shape { total: number; list?: number[] }
type Key = keyof Shape
const tag = (parts: TemplateStringsArray, ...rest: unknown[]) => parts.raw.join('|') + rest.length
const shape: Shape = { total: 2 }
const slow = async () => 1
async function* steps(): AsyncGenerator<number> { yield 1 }
declare const nowhere: { a: { b: number } } | undefined
enum Level { Low, High }
const enum Fixed { One = 1, Two }`

/** Of which TypeScript says what they become. */
const OTHERS = [
  'enum Colour { Red, Green }\nColour.Red',
  'if (true) { enum Inner { A } void Inner }',
  'namespace Sizes { export const one = 1 }\nSizes.one',
  "import { join } from 'node:path'\njoin('a')",
  'class Point { constructor(readonly x: number, private y = 1) { void this.y } }',
  'class Deep extends Base<number> { constructor(override greet: () => string) { super() } }',
  'const sealed = (_: unknown, __?: unknown) => undefined\n@sealed class Marked { @sealed field = 1 }',
  'class Auto { accessor field = 1 }',
  'const asserted = <number>(1 as unknown); asserted',
  'Fixed.Two + Fixed["One"]',
  'const unsafe = 1 + 1 as number * 2; unsafe',
  '// @ts-nocheck\ntotal<!--total',
  'const html = "<!-- -->"; html',
  'total++, total',
  'import(\n"node:fs", {}\n)',
]

const CELLS = [
  '1',
  'total',
  '"use strict"',
  'total;',
  'total = 4',
  ...[
    '`${total} ${`${list}`}`',
    'tag`a${total}b`',
    '/total/.test(text)',
    '() => total',
    '({ total })',
    '(total++, list)',
  ],
  '({ total, list: [total], twice: twice, [text]: total, get total2() { return total } })',
  '[total, list[0]] = [1, 2]; ({ total, x: text = "b", y: list[0] } = { total: 1, x: "a", y: 2 } as any)',
  '({ total = twice(2), list } = {} as any);',
  'const { total: renamed, list: [first = total], ...others } = { total: 1, list, shape }; [renamed, first, others]',
  'total++; ++total; total += list.length; delete shape.list; typeof total; void total; -total',
  'for (total of list) twice(total)\nfor (const key in shape) text = key\nfor (total = 0; total < 2; total++) list.push(total)',
  'var hoisted = 1; if (total) { var inner = total; let not = inner; void not } else for (var i = 0; i < 1; i++);',
  'const shadowed = ((total: number, { list }: { list: string[] }, [text]: string) => total + list[0] + text)(1, { list: ["x"] }, "y")',
  '{ const total = 5; const list = () => total; list() }',
  'total: for (;;) { break total }',
  'const o = { total: 1, twice() { return this.total }, async *list() { yield total } }; o.total + o?.twice()',
  'class Own extends Base<number> implements Shape { total: number = total; list?: number[]; static text = text; static { Own.text = text }\n  declare ghost: string\n  #secret!: number\n  override greet(this: Own, who?: string): string { return super.greet(who!) + this.#secret }\n  get key(): Key { return "total" }\n  private static async *all<T>(of: T[]): AsyncGenerator<T> { yield of[0] } }\nnew Own',
  'abstract class Form { abstract area(): number; protected abstract readonly side: number; constructor(a: string)\n  constructor(a: any) { void a } [index: string]: unknown }',
  'const C = class Named<T> extends Base<T> {}; new C<string>("a")',
  'function over(a: string): string\nfunction over(a: number): number\nfunction over(a: any) { return a }\nover(1)',
  'type Local = { a: Key }; interface Other extends Shape { b: Local }\nlet made: Other | undefined\nmade?.b',
  'interface Last { a: 1 }',
  'total\ntype Erased = true\n;(list)',
  'const n = total as number\n;[1].concat(n)',
  'const wide = list as unknown as string[]\nconst sat = { a: 1 } satisfies object\nconst fixed = [1, 2] as const',
  'const chain = nowhere?.a!.b; const some = list!.length!; (shape as any).total = 1; (nowhere as any)?.a',
  'const generic = <T,>(x: T): T => x; const asked = async <T>(x: Promise<T>): Promise<T> => await x\ngeneric<number>(1)',
  'const lines = (\n  a: number,\n  b?: string,\n): Array<\n  number\n> => [a]\nlines(1)',
  'const guard = (x: unknown): x is string => typeof x === "string"\nfunction ensure(x: unknown): asserts x { if (!x) throw new Error() }',
  'const made = new Map<string, Array<number>>([["a", list]]); made.get("a")!.map<string>((n) => `${n}`)',
  'const maker = Base<string>; new maker("a")',
  'await slow()',
  'await(slow())\nconst both = await Promise.all([slow(), slow() as Promise<number>])',
  'async function later(): Promise<number> { return await slow() + (await (slow as any)()) }\nawait later()',
  'for await (const step of steps()) console.log(step)\nfor await(total of[1, 2])total',
  'const inner = async () => { for await (const step of steps() as AsyncIterable<number>) { void step } }; inner()',
  'while (list.pop()) ;\ndo console.log(total); while (total-- > 0)\nfor (const x of list) { x.toFixed() }',
  'const looped = () => { while (true) list.sort(); }\nfunction own() {}\nfor (;;) { own(); Math.max(1); break }',
  'for (const x of list) if (x) text.repeat(x); else for (const y of list) text.at(y)',
  'const fs = await import("node:fs"); import.meta.url; [import("node:path"), import("node:os",)]',
  'try { throw new Error("x") } catch (e: unknown) { text = String(e) } finally { total = 1 }',
  'try { twice(1) } catch { }',
  'switch (total) { case twice(1): text; break; default: list }',
  'Level.High + Level["Low"]; Level[0]',
  'declare let ambient: number; declare function gone(): void; declare class Not {}\nlet typed: string, other!: number',
  'let a = 1\nlet b = 2 // c\n/* d */ let c = 3 /* e */',
  'const label = "// not a comment", reg = /[/]\\/"/g, tpl = `a ${ /* b */ total } // c`; label',
  'let x = total ? (y: number): string => `${y}` : text; x',
  'const f1 = function <T>(this: Base<T>, a?: T, ...rest: T[]): void {}; const g = async function* () { yield await slow() }',
  'export const exported = total; export default function main() {}\nexport { exported }',
  '#!/usr/bin/env node\ntotal',
  '\r\nconst crlf = total\r\nlet second: number = 2\r\nsecond',
  'const ünï = total, 𝒳 = "𝒳"; `${ünï}${𝒳}`',
  'new (class { run = async <T>(x: T) => x })().run<number>(1)',
  'list.map((total) => total).filter((n): n is number => n > total)',
  'if (total) { function nested(): void {} nested() }',
  'const { a = (b: number): number => b } = {} as { a?: (b: number) => number }',
  '// @ts-nocheck\nconst wrong: number = "a"; missing.total + total',
  'new Date(total).getTime(); new Base; new Base<string>()',
  'let deep: { a?: { b: () => number[] } } = {}; deep?.a?.b?.()[0]! + (deep.a!.b)()[0]',
  'label: { total; break label }',
  '',
  '// only a comment',
  ';;',
]

describe('compiler: cells that keep their text', function () {
  this.timeout(240_000)
  let compiler: Compiler
  let declarations: string
  before(() => {
    compiler = new Compiler(shippedPackage())
    declarations = compile(EARLIER, '').declarations
  })
  after(() => compiler.close())

  function compile(code: string, known = declarations): Compiled {
    if (!compiler.ready) compiler.prepare(known)
    const result = compiler.compile(known, code)
    const told = result.ok
      ? ''
      : result.complaints.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
    assert.ok(result.ok, `${code}: ${String(told)}`)
    return result.compiled
  }
  /** The same by TypeScript's emitter. */
  const emitted = (code: string) => compile(`${code}\n// -->`)

  it('says what TypeScript makes of them, and so do the declarations for later cells', () => {
    for (const code of CELLS) {
      const [own, theirs] = [compile(code), emitted(code)]
      assert.ok(own.maps.edits && !theirs.maps.edits, `not written as it should be: ${code}`)
      assert.equal(meaning(own.code), meaning(theirs.code), code)
      assert.equal(meaning(own.declarations), meaning(theirs.declarations), code)
      assert.deepEqual([own.names, own.lastExpression], [theirs.names, theirs.lastExpression], code)
    }
  })

  it('leaves to TypeScript what is more than JavaScript and types', () => {
    for (const code of OTHERS) assert.equal(compile(code).maps.edits, undefined, code)
  })

  it('keeps lines, and finds columns again', () => {
    const code =
      'total; for (const one of list) twice(await slow() as number + one!); { list }\nconst kept = { total, text }, last = total'
    const { code: js, maps } = compile(code)
    const find = positions(maps)
    const words = /\b(?:twice|slow|list|total|text|last|one)\b/g
    const lines = js.split('\n')
    code.split('\n').forEach((line, at) => {
      for (const { index, 0: word } of line.matchAll(words)) {
        const own = [...lines[at + 1].matchAll(new RegExp(`\\b${word}\\b`, 'g'))].map((found) =>
          find(at + 1, found.index),
        )
        assert.ok(
          own.some((place) => place!.line === at && place!.column === index),
          `${word} at ${at}:${index}`,
        )
      }
    })
  })

  it('does not forget the declarations that a cell leaves alone', () => {
    const known = compile('type total = string; class text {}').declarations
    const { declarations: after } = compile('interface Base<T> { own: T }\nconst Key = 1', known)
    const names = ['twice', 'list', 'tag', 'shape', 'Shape', 'Level', 'Fixed', 'total', 'text']
    for (const name of names) assert.match(after, new RegExp(`\\b${name}\\b`), name)
    compile('const t: total = "a"; total.toFixed(); new text(); twice(1); Base.length', after)
    assert.match(after, /let Base: any/)
    assert.doesNotMatch(after, /class Base/)
  })
})
