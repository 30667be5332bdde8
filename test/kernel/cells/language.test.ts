/** What a cell may be written like: names declared again, awaits, syntax, what its last line shows. */
import assert from 'node:assert/strict'
import { kernelTests, textOf, valueOf } from './cells.js'

kernelTests('the language of cells', (cells) => {
  describe('text', () =>
    cells.table({
      'is never touched, whatever it looks like': [
        [
          '`\nimport a from "./d.json" with { type: "json" }\n`',
          `'\\nimport a from "./d.json" with { type: "json" }\\n'`,
        ],
        ['/* why */ `\nexport * from "x" with { a: "b" }\n`.length', '35'],
        ['const quoted = `\nexports.a = void 0;\n#!/bin/sh\n`\nquoted', "'\\nexports.a = void 0;\\n#!/bin/sh\\n'"],
        ['import { sep } from "node:path"\n`\nexports.a = exports.b = void 0;\n`.length + sep', "'33/'"],
      ],
      'attributes of imports are left out, wherever they stand': [
        [
          'import { sep } from "node:path" with { type: "a }" } ; import { EOL } from "node:os"\nwith\n{ /* } */ "b": "c", }\nexport { join } from "node:path" /* why */ with { d: "e" }\n`${sep} with { }`',
          "'/ with { }'",
        ],
        ['with (1) {}', /error TS/],
      ],
      'global as the last line is shown': [['let one = 1\nglobal']],
    }))

  describe('names', () =>
    cells.table({
      'variables, functions, classes and types of earlier cells are known': [
        ['interface Point { x: number }\nclass Box<T> { constructor(readonly inside: T) {} }\nlet n = 1'],
        ['const twice = (p: Point) => p.x * 2\nn += 10', null],
        ['new Box(twice({ x: n })).inside', '22'],
        ['twice({ y: 1 })', /^Cell \[\d+\]:1:9 - error TS2345: [^]*'y' does not exist/],
      ],
      'functions of every kind are known to later cells': [
        [
          'async function later() { return 1 }\nexport async function* each() { yield await later() }\nfunction* all() { yield 2 }',
        ],
        ['abstract class Shape { abstract area(): number }\nexport default async function last() { return 3 }', null],
        [
          'const seen: unknown[] = []; for await (const one of each()) seen.push(one)\nseen.push(...all(), await later(), await last(), typeof Shape)\nseen',
          "[ 1, 2, 1, 3, 'function' ]",
        ],
      ],
      'all kinds are declared again, with other types': [
        [
          'const a = 1; type T = { x: number }; interface I { y: string }; enum E { A, B }; class C { z = 2 }\nfunction f(x: number) { return x }',
        ],
        [
          "const a = 'str'; type T = string[]; interface I { q: boolean }; enum E { X = 'x' }; class C { w = 'w' }\nfunction f(s: string, t: T) { return s + t.length }",
        ],
        ["f(a, ['1'] satisfies T) + E.X + new C().w + ({ q: true } as I).q", "'str1xwtrue'"],
        ['f(1)', /error TS2554/],
      ],
      'a name changes its kind': [
        ['const shape = 1'],
        ['class shape { m() { return 3 } }', null],
        ['function shape(): string { return "f" }\nshape()', "'f'"],
        ['let shape = 5, other = 6; shape', '5'],
        ['enum shape { A = 9 }', null],
        ['namespace shape { export const v = 7 }\nshape.v', '7'],
        ['type shape = number', null],
        ['const typed: shape = 4; typed', '4'],
        ['interface shape { k: 1 }', null],
        ['({ k: 1 }) as shape', '{ k: 1 }'],
      ],
      'namespaces and what is declared globally stay, for many cells': [
        ['namespace N { export const v = 1; export namespace M { export type T = number } }'],
        [
          'declare global { interface Array<T> { newest(): T } }\nArray.prototype.newest = function () { return this[this.length - 1] }',
        ],
        ['1'],
        ['const q: N.M.T = N.v; q + [1, 2].newest()', '3'],
        ['namespace N { export const w = 2 }\nN.w', '2'],
        ['N.v', /error TS2339/],
      ],
      'what is declared globally is added to and declared anew, and is no variable of a cell': [
        [
          'declare global { interface String { shout(): string; mark: number } var glob: number, other: 1 }\nString.prototype.shout = function () { return this.toUpperCase() }\nglobalThis.glob = 4; glob++',
        ],
        ['declare global { interface String { mark: string } interface Number { twice(): number } }', null],
        ['Number.prototype.twice = function () { return +this * 2 }\nconst marked: string = "".mark', null],
        ["'x'.shout() + (4).twice() + glob + String(5)", "'X855'"],
        ['glob = 7; const { glob: copy } = globalThis; [{ glob }, copy]', '[ { glob: 7 }, 7 ]'],
        ["declare global { var glob: string }\nglobalThis.glob = 'text'", null],
        ["glob.toUpperCase() + 'y'.shout()", "'TEXTY'"],
      ],
      'what var declares within statements is known to later cells': [
        [
          "for (var step = 0; step < 3; step++) ;\nif (step) { var { inner = 'i' } = {} as { inner?: string }; try { var list = [1] } catch {} }\nconst get = () => [step, list.length]\nfor (let hidden = 0; hidden < 1; hidden++) { const hidden2 = 1; (() => { var hidden3 = 1 })() }",
        ],
        ['step = 9; list.push(step); [inner.length, ...get()]', '[ 1, 9, 2 ]'],
        ['hidden', /error TS2304/],
        ['hidden3', /error TS2304/],
        ["throw new Error('early')\nfor (var unreached = 0; ; ) break", /early/],
        ['unreached', /error TS2304/],
      ],
      'a variable is one and the same in all cells': [
        [
          'let n = 1; var v = 1; function get() { return [n, v, p] }\nconst set = (to: number) => { n = to }\nlet { p } = { p: 1 }',
        ],
        ['n = 10; v += 10; ({ p } = { p: 5 }); get()', '[ 10, 11, 5 ]'],
        ['set(20); n++; [get(), n]', '[ [ 21, 11, 5 ], 21 ]'],
        ['for (let i = 0; i < 3; i++) n += i\nget()[0]', '24'],
        ["let n = 'another'", null],
        ['set(3); [get()[0], n]', "[ 3, 'another' ]"],
        [
          '@((c: any) => { c.mark = 1 }) class Dec { static mark: number }\nconst late = setTimeout(() => { soon = 2 }, 1); let soon = 1',
        ],
        ['await new Promise((r) => setTimeout(r, 20)); [soon, Dec.mark]', '[ 2, 1 ]'],
      ],
      'a cell that fails leaves the variables of earlier cells alone': [
        ['let kept = 7'],
        ['throw new Error("before")\nlet kept = 8', /before/],
        ['kept', '7'],
      ],
      'a cell that fails keeps what it had declared until then, nothing else': [
        ['let later = 1, early = 1; interface Shape { old: true }\nconst of: Shape = { old: true }'],
        [
          `import { sep, basename } from 'node:path'
          interface Row { id: number }
          const rows: Row[] = [{ id: 1 }], { early } = { early: 'new' }
          function first() { return rows[0] }
          class Kept { v = rows.length }
          rows.map((row) => (row as any).name.length)
          const later = 'new', unseen = 1
          class Never {}`,
          /reading 'length'/,
        ],
        [
          'const row: Row = first(); [row.id, early.length, later.toFixed(1), new Kept().v, sep, basename.name, of.old]',
          "[ 1, 3, '1.0', 1, '/', 'basename', true ]",
        ],
        ['unseen', /Cannot find name 'unseen'/],
        ['new Never()', /Cannot find name 'Never'/],
        ['throw 1\nconst rows = 5', /Thrown: 1/],
        ['rows.length', '1'],
        ['const left = 5; await new Promise((_, no) => setTimeout(no, 1, new Error("late")))', /late/],
        ['left', '5'],
      ],
      'a cell may have names that surround it elsewhere': [
        [
          "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)\nconst module = 1, __dirname = 'd'\ntypeof require('node:fs').readFileSync + module + __dirname",
          "'function1d'",
        ],
        ["import { basename } from 'node:path'\nrequire('node:path').basename === basename", 'true'],
        ['let exports = 1', /:1:5 - error TS2441: Cells need the name 'exports' themselves/],
        ['const tsLastExpr = 5; tsLastExpr', '5'],
      ],
      'export is a word without effect': [
        ['export const exported = 5, also = 6\nexport function ef() { return also }\nexport default class Main {}'],
        ['export { exported }\nexport type Exported = typeof exported', null],
        ['exported + ef() + Main.name', "'11Main'"],
      ],
      'classes with private members and types that another file keeps to itself are no error': [
        ['const Hidden = class { private x = 1; y = 2 }'],
        [
          'function outer() { class Inner { private z = 1 }; return new Inner() }\nconst inner = outer(); new Hidden().y',
          '2',
        ],
        [
          "import { writeFileSync } from 'node:fs'\nwriteFileSync('hides.ts', 'interface Mine { a: 1 }\\nexport const mine: Mine = { a: 1 }')",
        ],
        ["import { mine } from './hides'\nconst taken = mine", null],
        ['taken.a', '1'],
      ],
    }))

  describe('the library', () =>
    cells.table({
      'what this node has is known to its types': [
        ['[3, 1].toSorted().with(0, 5).toSpliced(1, 1, 7).toReversed()', '[ 7, 5 ]'],
        [
          'const some: readonly string[] = ["b", "a"]; some.toSorted((x, y) => (x < y ? -1 : 1))[0].toUpperCase()',
          "'A'",
        ],
        ['new Float32Array([2, 1]).toSorted().with(1, 4)', 'Float32Array(2) [ 1, 4 ]'],
        ['"a".isWellFormed()', 'true'],
        ['const growing = new ArrayBuffer(1, { maxByteLength: 4 }); growing.resize(3); growing.byteLength', '3'],
        ...('union' in Set.prototype
          ? ([
              ["Object.groupBy([1, 2], (n) => (n > 1 ? 'big' : 'small')).big", '[ 2 ]'],
              ['const { promise, resolve } = Promise.withResolvers<number>(); resolve(5); await promise', '5'],
              ["new Set([1]).union(new Set(['a'])).size", '2'],
              ['(await Array.fromAsync([1], String))[0].length', '1'],
            ] as const)
          : ([['Object.groupBy([1], String)', /Property 'groupBy' does not exist/]] as const)),
      ],
    }))

  describe('syntax', () =>
    cells.table({
      'await stands anywhere at the top': [
        [
          `const some: any = Promise.resolve([1, 2])
          let sum = 0
          for await (const v of (async function* () { yield* await some })()) sum += v
          for await (const v of [Promise.resolve(10)]) sum += v
          if (sum) sum += await (Promise.resolve(100) as any)
          switch (await Promise.resolve(1)) { case 1: sum += await Promise.resolve(1000) }
          try { await Promise.reject(new Error('x')) } catch { sum += await Promise.resolve(10000) } finally { await null }
          label: for (const i of [1, 2]) for (;;) { await i; continue label }
          sum`,
          '11113',
        ],
        [
          '[await Promise.resolve(1), { a: await Promise.resolve({ b: await Promise.resolve(2) }) }]',
          '[ 1, { a: { b: 2 } } ]',
        ],
        ['await Promise.resolve("shown")', "'shown'"],
        ['if (true) { for await (const x of [Promise.resolve(4)]) console.log(x) }', null],
      ],
      'decorators are those of experimentalDecorators': [
        [
          'function loud(_: any, _key: string, d: PropertyDescriptor) { const old = d.value; d.value = function () { return old.call(this) + "!" } }\nconst marked = (c: any) => { c.mark = 1 }\n@marked class D { static mark: number; @loud hi() { return "hi" } }',
        ],
        ['new D().hi() + D.mark', "'hi!1'"],
      ],
      'generics, enums, assertions, classes': [
        ['function id<const T extends readonly unknown[]>(t: T): T { return t }\nid(["a", 1])[0].toUpperCase()', "'A'"],
        ['enum Colour { Red, Green = "g" }\nconst enum Few { A = 5 }', null],
        ['Colour[0] + Colour.Green + Few.A', "'Redg5'"],
        ['const frozen = { a: [1, 2] } as const; frozen.a.length satisfies 2', '2'],
        ['frozen.a.push(3)', /error TS2339/],
        ['const cast = <number>5; const same = <T>(x: T) => x; same(cast)', '5'],
        [
          'abstract class Base { abstract m(): number; #p = 1; get p() { return this.#p }; accessor q = 4 }\nclass Real extends Base { m() { return this.p + this.q } }',
          null,
        ],
        ['new Real().m()', '5'],
        [
          'type Getters<K extends string> = { [P in K as `get${Capitalize<P>}`]: number }\nconst g: Getters<"a"> = { getA: 1 }; g',
          '{ getA: 1 }',
        ],
        ['const { x: dx, ...rest } = { x: 1, y: 2 }, [head, ...tail] = [1, 2, 3]', null],
        ['[dx, rest, head, tail]', '[ 1, { y: 2 }, 1, [ 2, 3 ] ]'],
        [
          'function over(a: number): number\nfunction over(a: string): string\nfunction over(a: any) { return a }',
          null,
        ],
        ['over("s").toUpperCase()', "'S'"],
      ],
      'the text of a function runs in a thread': [
        [
          `import { Worker } from 'node:worker_threads'
async function work(port: any) { let all = ''
  for await (const word of ['a', 'b'].values()) all += await Promise.resolve(word).then((w) => w.toUpperCase())
  for (const _ of all.split('')) all += _.at(0)
  port.postMessage(all) }
const thread = new Worker('(' + work + ')(require("node:worker_threads").parentPort)', { eval: true })
await new Promise((done, failed) => thread.on('message', done).on('error', failed))`,
          "'ABAB'",
        ],
      ],
      'a pasted script begins with #!': [['#!/usr/bin/env -S node\n7', '7']],
      'code is strict, as that of modules is': [
        ['const ice: any = Object.freeze({ a: 1 })\nice.a = 2', /^TypeError: Cannot assign to read only property 'a'/],
      ],
      'JSX is off, and the error says so': [
        ['const el = (\n  <div>hi</div>)', /:2:3 - error TS17004: JSX is off in cells: show HTML with display\.html/],
      ],
    }))

  describe('the value of the last line', () => {
    const shown: [code: string, shown: string | null][] = [
      ['5', '5'],
      ['5 // comment ;\n\n// another', '5'],
      ['let last = 1; last', '1'],
      ['`a;`', "'a;'"],
      ['/a;/', '/a;/'],
      ['[1].map((x) => { return x; })', '[ 1 ]'],
      ['({ a: 1 })', '{ a: 1 }'],
      ['(last = 9)', '9'],
      ['null', 'null'],
      ['5;', null],
      ['5; // comment', null],
      ['5 ;\n  /* comment */\n\n', null],
      ['5;;', null],
      ['await Promise.resolve(5);', null],
      ['last = 2', null],
      ['last += 2', null],
      ['[last] = [7]', null],
      ['const declared = 1', null],
      ['function declaredToo() { return 5 }', null],
      ['undefined', null],
      ['void 0', null],
      ['if (true) 5', null],
      ['console.log(1)', null],
      ['(x: number) => x', '[Function (anonymous)]'],
      ['async () => 1', '[AsyncFunction (anonymous)]'],
      ['const named = () => 1; named', '[Function: named]'],
    ]
    it('is shown, unless it is undefined, assigned, declared or followed by ;', () => cells.follow(shown))

    it('is shown once where it is a display already', async () => {
      for (const code of ["display.html('<b>x</b>')", 'display(5)', 'await display(5)']) {
        const outcome = await cells.execute(code)
        assert.equal(valueOf(outcome), undefined, code)
        assert.equal(outcome.of('display_data').length, 1, textOf(outcome.error))
      }
    })
  })
})
