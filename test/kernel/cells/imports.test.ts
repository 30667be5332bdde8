/** What cells import: packages, files beside the notebook, JSON, native addons; and what changes on the disk meanwhile. */
import assert from 'node:assert/strict'
import { mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Kernel, ROOT } from '../client.js'
import { kernelTests, textOf, uncoloured } from './cells.js'

const ADDON = join(ROOT, 'build/Release/zslab.node')

kernelTests('imports', (cells) => {
  const folder = () => realpathSync(cells.kernel.folder)
  const write = (path: string, text: string | object) => {
    const full = join(cells.kernel.folder, path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, typeof text === 'string' ? text : JSON.stringify(text))
  }
  const pack = (name: string, manifest: object, files: Record<string, string>) => {
    write(`node_modules/${name}/package.json`, { name, version: '1.0.0', ...manifest })
    for (const [path, text] of Object.entries(files)) write(`node_modules/${name}/${path}`, text)
  }

  before(() => {
    pack(
      'esm',
      { type: 'module', exports: { '.': './i.js', './sub': './sub.js' } },
      {
        'i.js': "await null; export const e = 'esm'; export default 'default'",
        'sub.js': "export const s = 'sub'",
      },
    )
    pack('cjs', { main: 'i.js' }, { 'i.js': "exports.c = 'cjs'" })
    pack(
      '@scope/dual',
      { exports: { '.': { types: './i.d.ts', import: './i.mjs', require: './i.cjs' } } },
      {
        'i.mjs': "export const d = 'dual'",
        'i.cjs': "exports.d = 'dual'",
        'i.d.ts': 'export const d: string',
      },
    )
    pack('unseen', { exports: { node: './i.cjs' } }, { 'i.cjs': 'exports.n = 1' })
    pack(
      'newer',
      { main: 'i.js', types: 'i.d.ts' },
      {
        'i.js': 'exports.n = 2',
        'i.d.ts': "import type { X } from './x' with { 'resolution-mode': 'import' }\nexport const n: number, x: X",
      },
    )
    pack(
      'both',
      {
        exports: {
          '.': { import: './i.mjs', require: './i.cjs' },
          './*': { import: './*.mjs', require: './*.cjs' },
          './deep/*': { import: './i.mjs', require: './i.cjs' },
        },
      },
      {
        'i.mjs': "export const form = 'module'; export default 'module itself'",
        'i.cjs': "exports.form = 'commonjs'",
        'part.mjs': "export const form = 'part of the module'",
        'part.cjs': "exports.form = 'part of commonjs'",
        'i.d.mts': 'export const form: string; export default form',
        'part.d.mts': 'export const form: string',
      },
    )
    write('package.json', {
      imports: { '#inner': { import: './inner.mjs', require: './inner.cjs' }, '#both': 'both' },
    })
    write('inner.mjs', "export const inner = 'module'")
    write('inner.cjs', "exports.inner = 'commonjs'")
    write('made.mts', "export const made = 'mts' as string; await null")
    write('made.cts', "export const made: string = 'cts'")
    write('drawn.tsx', "export const drawn: string = 'tsx'")
    write('uses.ts', "import { made } from './made.mjs'\nimport { form } from 'both'\nexport const used = [made, form]")
    write('sub/b.ts', 'export const b: number = 1')
    write(
      'sub/a.ts',
      "import { b } from './b.js'\nexport type A = { a: number }\nexport const a: A = { a: b + 1 }\nexport default class K {}",
    )
    write('script.ts', 'type X = number\n;(globalThis as any).ran = 1 as X')
    write('plain.js', "export const p = 'plain'")
    write('common.js', "module.exports = { c: 'common' }")
    write('other.cjs', "module.exports = { c: 'cjs file' }")
    write('other.mjs', "export const m = 'mjs'; export default 'mdefault'")
    write('data.json', { k: [1, 2] })
    write(
      'waits.ts',
      "import { e } from 'esm'\nexport const t = await Promise.resolve(e)\nexport const u = import.meta.url",
    )
    write('one.ts', "import { two } from './two'\nexport const one = 'one'\nexport const both = () => one + two")
    write('two.ts', "import { both } from './one'\nexport const two = 'two'\nexport { both }")
    write('deep/late.ts', "export const late = async () => (await import('../sub/a')).a.a")
    write('bad.ts', "export const ok = 1\n\nexport const n: number = 'str'")
    write('broken.ts', 'export const ok =')
  })

  cells.table({
    'ES modules': [
      ["import d, { e } from 'esm'\nimport { s } from 'esm/sub'\n[d, e, s]", "[ 'default', 'esm', 'sub' ]"],
    ],
    'imports behind a comment, or behind other code': [
      ["/* why */ import { e as noted } from 'esm'\nnoted", "'esm'"],
      ["noted; import { e as behind } from 'esm'; behind", "'esm'"],
      ['`\nimport { ${behind} }\nexport`', "'\\nimport { esm }\\nexport'"],
    ],
    'CommonJS packages, by name and as a whole': [
      [
        "import { c } from 'cjs'\nimport whole from 'cjs'\nimport * as all from 'cjs'\n[c, whole.c, all.c]",
        "[ 'cjs', 'cjs', 'cjs' ]",
      ],
    ],
    'of packages with both forms import loads the ES module, require the other': [
      ["import whole, { form } from 'both'\n[whole, form]", "[ 'module itself', 'module' ]"],
      ["import { form as part } from 'both/part'\npart", "'part of the module'"],
      ["[require('both').form, require('both/part').form]", "[ 'commonjs', 'part of commonjs' ]"],
      ["[(await import('both')).form, (await import('both/part')).form]", "[ 'module', 'part of the module' ]"],
      [
        "[import.meta.resolve('both'), import.meta.resolve('both/deep/x')].map((url) => url.split('/').at(-1))",
        "[ 'i.mjs', 'i.mjs' ]",
      ],
      [
        "import { inner } from '#inner'\n[inner, require('#inner').inner, (await import('#both')).form]",
        "[ 'module', 'commonjs', 'module' ]",
      ],
    ],
    'files of every ending that come or change later': [
      ["import { late } from './comes.mjs'", /TS2307/],
      ["require('node:fs').writeFileSync('comes.mts', 'export const late: number = 5')", undefined],
      ["import { late } from './comes.mjs'\nlate", '5'],
      ["require('node:fs').writeFileSync('comes.mts', 'export const late: string = `changed`')", undefined],
      ["import { late } from './comes.mjs'\nlate.toUpperCase()", "'CHANGED'"],
      ["import { drawn as later } from './sub'", /TS2307/],
      ["require('node:fs').writeFileSync('sub/index.tsx', 'export const drawn: string = `index`')", undefined],
      ["import { drawn as later } from './sub'\nlater", "'index'"],
    ],
    'packages with types': [
      ["import { d } from '@scope/dual'\nd.toUpperCase()", "'DUAL'"],
      ['d.nope', /error TS2339/],
    ],
    'files beside the notebook, with any ending': [
      [
        "import K, { a, type A } from './sub/a'\nimport { b } from './sub/b.ts'\nconst z: A = { a: b }; [a, z, new K()]",
        '[ { a: 2 }, { a: 1 }, K {} ]',
      ],
      [
        "import { p } from './plain.js'\nimport common from './common.js'\nimport { c } from './other.cjs'\nimport md, { m } from './other.mjs'\n[p, common.c, c, m, md]",
        "[ 'plain', 'common', 'cjs file', 'mjs', 'mdefault' ]",
      ],
      ["import './script'\n(globalThis as any).ran", '1'],
      [
        "import { made } from './made.mjs'\nimport { made as common } from './made.cjs'\nimport { drawn } from './drawn'\n[made, common, drawn]",
        "[ 'mts', 'cts', 'tsx' ]",
      ],
      [
        "import { used } from './uses'\n[used, (await import('./made.mjs')).made, require('./made.cjs').made]",
        "[ [ 'mts', 'module' ], 'mts', 'cts' ]",
      ],
      ["import type { A as B } from './sub/a'\nconst only: B = { a: 5 }; only", '{ a: 5 }'],
    ],
    'files that await, and files that import each other': [
      ["import { t } from './waits'\nt", "'esm'"],
      ["import { both } from './two'\nboth()", "'onetwo'"],
    ],
    'JSON, however it is asked for': [
      ["import data from './data.json'\ndata.k[1].toFixed(1)", "'2.0'"],
      [
        "import marked from './data.json' with { type: 'json' }\n[marked.k[0], (await import('./data.json')).default.k[0], require('./data.json').k[0]]",
        '[ 1, 1, 1 ]',
      ],
    ],
    'import() and require': [
      [
        "const later = await import('./sub/a'); [later.a.a, (await import('esm')).e, (await import('cjs')).c, (await import('node:path')).sep]",
        "[ 2, 'esm', 'cjs', '/' ]",
      ],
      [
        "[require('cjs').c, require('./sub/b').b, require('esm/sub').s, typeof require.resolve('cjs')]",
        "[ 'cjs', 1, 'sub', 'string' ]",
      ],
      ["import { late } from './deep/late'\nawait late()", '2'],
    ],
    'native addons, as they are and in packages': [
      [`import addon from '${ADDON}'\nObject.keys(addon).length > 0`, 'true'],
      [`(await import('${ADDON}')).default === require('${ADDON}')`, 'true'],
    ],
    'what is not there is named, with what to do': [
      [
        "import no from 'no-such-package'",
        /:1:16 - error TS2307: Cannot find module 'no-such-package' .* npm install no-such-package \(in \//,
      ],
      ["import no from '@no/such/sub'", /npm install @no\/such \(in \//],
      ["import no from 'esm/missing'", /The package esm has no '\.\/missing'/],
      ["import no from './missing'", /Cannot find module '\.\/missing'[^()]*\n/],
      [
        "require('no-such-package')",
        /^Error: Cannot find module 'no-such-package': npm install no-such-package \(in \//,
      ],
      [
        "const name: string = 'no-such-package'; await import(name)",
        /Cannot find module 'no-such-package': npm install/,
      ],
      ["import { nothere } from './sub/a'", /error TS2614: .*no exported member 'nothere'/],
    ],
    'errors of imported files name the file, its line and its text': [
      ["import { ok } from './bad'", /^bad\.ts:3:14 - error TS2322: .*\n\n3 export const n: number = 'str'\n {15}~/],
      ["import { ok } from './broken'", /^broken\.ts:1:18 - error TS1109/],
    ],
  })

  it('the shipped package is typed and loaded wherever the notebook lies', () =>
    cells.follow([
      ["import * as lab from 'zslab'\ntypeof lab", "'object'"],
      ['lab.noSuchThing', /error TS2339: .*noSuchThing/],
    ]))

  it('import.meta speaks of the notebook’s folder, in files of the file', async () => {
    await cells.follow([
      ['import.meta.dirname', `'${folder()}'`],
      ['[import.meta.filename === __filename, __dirname]', `[ true, '${folder()}' ]`],
      ["new URL('.', import.meta.url).href", `'${pathToFileURL(folder()).href}/'`],
      ["import.meta.resolve('cjs')", `'${pathToFileURL(join(folder(), 'node_modules/cjs/i.js')).href}'`],
      ["import { u } from './waits'\nu", `'${pathToFileURL(join(folder(), 'waits.ts')).href}'`],
    ])
  })

  it('packages whose types cannot be read are any, which is said once', async () => {
    const first = await cells.execute("import { n } from 'unseen'\nimport { n as m } from 'newer'\n[n, m]")
    assert.equal(first.result?.data['text/plain'], '[ 1, 2 ]', textOf(first.error))
    for (const name of ['unseen', 'newer'])
      assert.match(uncoloured(first.stderr), new RegExp(`^${name}: TypeScript 5\\.0\\.\\d cannot read its types`, 'm'))
    assert.equal((await cells.execute("import { n as again } from 'unseen'\nagain")).stderr, '')
  })

  it('a file above the notebook’s folder is imported, typed and told where it fails', async () => {
    const name = `above-${process.pid}`
    write(
      `../${name}/o.ts`,
      'export const o: string = "above"\nexport function fail(): never {\n  throw new Error(o)\n}',
    )
    try {
      await cells.follow([
        [`import { o, fail } from '../${name}/o'\no`, "'above'"],
        ['o.nope', /error TS2339/],
        ['fail()', new RegExp(`at fail \\(\\.\\./${name}/o\\.ts:3:9\\)`)],
      ])
    } finally {
      rmSync(join(cells.kernel.folder, '..', name), { recursive: true })
    }
  })

  it('what has changed on the disk is loaded anew by the next import, with what imports it', async () => {
    write('v/leaf.ts', 'export const leaf: number = 1')
    write('v/top.ts', "import { leaf } from './leaf'\nexport const top = leaf * 10")
    write('v/d.json', { v: 1 })
    write('v/m.mjs', 'export const m = 1')
    const look = "import { top } from './v/top'\nimport d from './v/d.json'\nimport { m } from './v/m.mjs'\n[top, d, m]"
    await cells.follow([[look, '[ 10, { v: 1 }, 1 ]']])
    write('v/leaf.ts', 'export const leaf: string | number = 222')
    write('v/d.json', { w: 'two' })
    write('v/m.mjs', 'export const m = 22')
    await cells.follow([
      [
        "import { leaf } from './v/leaf'\nleaf.toFixed()",
        /error TS2339: Property 'toFixed' does not exist on type 'string/,
      ],
      ["import { top } from './v/top'", /^v\/top\.ts:2:20 - error TS2362/],
    ])
    write('v/leaf.ts', 'export const leaf = 3333')
    await cells.follow([
      [look, "[ 33330, { w: 'two' }, 22 ]"],
      ['d.w.toUpperCase()', "'TWO'"],
    ])
  })

  it('a file whose data or modules have changed is loaded anew, with what imports it', async () => {
    write('r/d.json', { v: 1 })
    write('r/m.mjs', 'export const m = 1')
    write('r/reads.ts', "import d from './d.json'\nimport { m } from './m.mjs'\nexport const sum = d.v + m")
    write('r/top.ts', "import { sum } from './reads'\nexport const top = { sum }")
    const look = "import { top } from './r/top'\ntop.sum"
    await cells.follow([
      [look, '2'],
      ['const kept = top', null],
      [look, '2'],
      ['kept === top', 'true'],
    ])
    write('r/d.json', { v: 10 })
    await cells.follow([[look, '11']])
    write('r/m.mjs', 'export const m = 200')
    await cells.follow([[look, '210']])
    rmSync(join(cells.kernel.folder, 'r/d.json'))
    await cells.follow([[look, /Cannot find module '\.\/d\.json'/]])
  })

  it('what was not there and then is, is found', async () => {
    const look = "import { n } from 'comes/later'\nimport { f } from './comes/later'\nn.toFixed(1) + f"
    assert.match(await cells.error(look), /comes\/later/)
    pack(
      'comes',
      { exports: { './later': { types: './l.d.ts', default: './l.js' } } },
      {
        'l.js': 'exports.n = 1',
        'l.d.ts': 'export const n: number',
      },
    )
    write('comes/later.ts', 'export const f: number = 2')
    await cells.follow([
      [look, "'1.02'"],
      ['n.nope', /error TS2339/],
    ])
  })

  it('a cell that awaits something in parentheses may hold values of types that it does not name', async () => {
    pack(
      'maker',
      { types: 'i.d.ts', main: 'i.js' },
      {
        'i.js': 'exports.make = () => ({ n: 1 })',
        'i.d.ts': "import type { Made } from './made'\nexport declare function make(): Made",
        'made.d.ts': 'export interface Made { n: number }',
      },
    )
    await cells.follow([
      [
        "import { make } from 'maker'\nconst made = make(), later = await (await Promise.resolve([1])).concat([2])\nlater",
        '[ 1, 2 ]',
      ],
      ['made.n.toFixed(1)', "'1.0'"],
      ['made.m', /Property 'm' does not exist on type 'Made'/],
    ])
  })

  it('types of Node that are for a newer TypeScript than the kernel’s stay unread, others are taken', async () => {
    const value = async (typeScriptVersion: string) => {
      const kernel = await Kernel.start(
        {},
        {
          'node_modules/@types/node/package.json': JSON.stringify({
            name: '@types/node',
            types: 'i.d.ts',
            typeScriptVersion,
          }),
          'node_modules/@types/node/i.d.ts': 'declare const process: { only: true }',
        },
      )
      const { error } = await kernel.execute('process.pid')
      await kernel.stop()
      return textOf(error)
    }
    assert.equal(await value('99.1'), '')
    assert.match(await value('5.0'), /Property 'pid' does not exist on type '{ only: true; }'/)
  })
})
