/**
 * The rules of README's "Who may import whom", read from the sources: TypeScript imports, C++ includes, circles, which package is
 * used where, that policies are listed once on each side, that no file names a place on somebody's machine.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { bibliography, POLICIES } from '../src/policies/index.js'
import { INCLUDES, TYPESCRIPT, type Rule } from './architecture-rules.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SKIPPED = /^(node_modules|build.*|dist|out|\.venv|\.git|\.ci\/cache|docs\/api|bench\/node_modules|shared)$/

interface Import {
  file: string
  /** A path from the root for our own files, else the package's name; 'node' for node's modules. */
  to: string
  own: boolean
  /** Nothing is left of it at run time. */
  typeOnly: boolean
  names: string[]
}

/** Who alone may use a package at run time. */
const PACKAGES: Record<string, RegExp> = {
  zeromq: /^(kernel\/wire|test)\//,
  tslab: /^(kernel\/cell|test)\//,
  'danfojs-node': /^(src\/frames(\.ts|\/)|test\/)/,
  commander: /^(src\/cli|kernel)\//,
  'cli-progress': /^src\/progress\.ts/,
  'playwright-core': /^test\//,
  pdfkit: /^src\/figures\/export\/pdf\.ts/,
  '@resvg/resvg-js': /^src\/figures\/export\/raster\.ts/,
  fontkit: /^(scripts|test)\//,
}
/** Not a dependency, since npm could not fetch it for others: scripts/pack.mjs puts it into the package. */
const BROUGHT = ['danfojs-node']
const HEADERS: Record<string, RegExp> = {
  'napi.h': /^native\/addon\//,
  'immintrin.h': /^native\/(cpu|bench)\//,
  'boost/context/detail/fcontext.hpp': /^native\/cuda\/emulation\//,
  'oneapi/dnnl/dnnl.hpp': /^native\/(model|bench)\//,
}

/** All files below `folder`, as paths from the root. */
function files(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isSymbolicLink() || SKIPPED.test(path) || entry.name === 'node_modules') return []
    return entry.isDirectory() ? files(path) : [path]
  })
}

const all = files().sort()

function importsOf(file: string, text = readFileSync(join(ROOT, file), 'utf8')): Import[] {
  const found: Import[] = []
  const add = (specifier: string, typeOnly: boolean, names: string[] = []) => {
    const own = specifier.startsWith('.')
    const path = normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts')
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
    const node = specifier.startsWith('node:') || builtinModules.includes(specifier)
    found.push({ file, to: own ? path : node ? 'node' : name, own, typeOnly, names })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const bindings = node.importClause?.namedBindings
      const elements = bindings && ts.isNamedImports(bindings) ? [...bindings.elements] : []
      const typeOnly =
        node.importClause !== undefined &&
        (node.importClause.isTypeOnly ||
          (!node.importClause.name && elements.length > 0 && elements.every((element) => element.isTypeOnly)))
      const names = elements.filter((element) => !element.isTypeOnly).map((element) => element.name.text)
      add(node.moduleSpecifier.text, typeOnly, names)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier))
      add(node.moduleSpecifier.text, node.isTypeOnly)
    else if (ts.isCallExpression(node) && node.arguments.length && ts.isStringLiteralLike(node.arguments[0])) {
      const callee = node.expression.getText(source)
      if (node.expression.kind === ts.SyntaxKind.ImportKeyword || callee === 'require' || callee === 'requireHere')
        add(node.arguments[0].text, false)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      if (ts.isStringLiteral(node.argument.literal)) add(node.argument.literal.text, true)
    ts.forEachChild(node, visit)
  }
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  visit(source)
  return found
}

function includesOf(file: string, text = readFileSync(join(ROOT, file), 'utf8')): Import[] {
  return [...text.matchAll(/^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)/gm)].map(([, own, system]) => ({
    file,
    to: own === undefined ? system : join(own.startsWith('zslab/') ? 'native/include' : 'native', own),
    own: own !== undefined,
    typeOnly: false,
    names: [],
  }))
}

/** The imports that break the rules, as sentences. */
function breaches(imports: Import[], rules: Rule[]): string[] {
  return imports.flatMap(({ file, to, own }) => {
    if (!own) return []
    const holds = rules.find(({ from }) => from.test(file))
    if (!holds) return [`${file} is in no group of README's "Who may import whom"`]
    if (holds.from.test(to) || holds.may?.test(to)) return []
    return [`${file} imports ${to}: ${holds.why}`]
  })
}

/** The circles of files that import each other, types included, each as the way around it. */
function circles(imports: Pick<Import, 'file' | 'to' | 'own'>[]): string[] {
  const next = new Map<string, Set<string>>()
  for (const { file, to, own } of imports) if (own) next.set(file, (next.get(file) ?? new Set<string>()).add(to))
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, way: string[]): void => {
    const at = way.indexOf(file)
    if (at >= 0) found.push([...way.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const to of next.get(file) ?? []) visit(to, [...way, file])
    done.add(file)
  }
  for (const file of next.keys()) visit(file, [])
  return found
}

const SOURCES = /\.ts$|^(bench|scripts)\/.*\.[cm]js$/
const typescript = all.filter((file) => SOURCES.test(file) && !file.endsWith('.d.ts') && !file.startsWith('shims/'))
const native = all.filter((file) => /^native\/.*\.(h|cpp|inc|cuh?)$/.test(file))
const imports = typescript.flatMap((file) => importsOf(file))
const includes = native.flatMap((file) => includesOf(file))

describe('architecture', () => {
  it('finds the files it judges', () => {
    assert.ok(typescript.length > 100 && imports.length > 300, `${typescript.length} files, ${imports.length} imports`)
    assert.ok(native.length > 30 && includes.length > 100, `${native.length} files, ${includes.length} includes`)
    for (const { file, to, own } of [...imports, ...includes])
      if (own) assert.ok(exists(to), `${file} imports ${to}, which is not there`)
  })

  it('a breach is seen, however it is written', () => {
    const judged = (file: string, text: string) => breaches(importsOf(file, text), TYPESCRIPT).length
    assert.equal(judged('kernel/cell/x.ts', "import { load } from '../../src/index.js'"), 1)
    assert.equal(judged('kernel/cell/x.ts', "const m = await import('../../src/index.js')"), 1)
    assert.equal(judged('kernel/cell/x.ts', "export * from '../../src/index.js'"), 1)
    assert.equal(judged('kernel/cell/x.ts', "let x: import('../../src/index.js').Model"), 1)
    assert.equal(judged('kernel/cell/x.ts', "import { a } from './y.js'"), 0)
    assert.equal(judged('src/figures/x.ts', "import type { Policy } from '../native/binding.js'"), 1)
    assert.equal(judged('scripts/x.ts', "import { load } from '../src/index.js'"), 1)
    assert.equal(judged('src/session.ts', "import './cli/main.js'"), 1)
    assert.equal(judged('src/session.ts', "import { figure } from './figures/index.js'"), 1)
    assert.equal(judged('src/explorer/x.ts', "import { engine } from '../native/engine.js'"), 1)
    assert.equal(judged('src/trace/x.ts', "import { explore } from '../explorer/explore.js'"), 1)
    assert.equal(breaches(includesOf('native/reference/x.cpp', '#include "core/cache.h"'), INCLUDES).length, 1)
    assert.equal(breaches(includesOf('native/core/x.cpp', ' # include "cpu/kernels/lanes.h"'), INCLUDES).length, 1)
    assert.equal(breaches(includesOf('native/core/x.cpp', '#include "model/runner.h"'), INCLUDES).length, 1)
  })

  it('a circle is seen, however long it is', () => {
    const arrow = (file: string, to: string) => importsOf(`kernel/${file}.ts`, `import type { A } from './${to}.js'`)
    const way = [...arrow('a', 'b'), ...arrow('b', 'c'), ...arrow('z', 'b'), ...arrow('a', 'c')]
    assert.deepEqual(circles(way), [])
    const [a, b, c] = ['kernel/a.ts', 'kernel/b.ts', 'kernel/c.ts']
    assert.deepEqual(circles([...way, ...arrow('c', 'a')]), [`${a} → ${b} → ${c} → ${a}`])
    assert.deepEqual(circles(arrow('a', 'a')), [`${a} → ${a}`])
  })

  it('no files import each other in a circle', () => assert.deepEqual(circles([...imports, ...includes]), []))

  it('TypeScript imports keep to the table', () => assert.deepEqual(breaches(imports, TYPESCRIPT), []))

  it('C++ includes keep to the table', () => assert.deepEqual(breaches(includes, INCLUDES), []))

  it('kernel/ takes process from the globals', () => {
    // Importing it as a module opens stdout, which makes the pipe or terminal of whoever started the kernel non-blocking: what they
    // write there is then cut off.
    const wrong = all.filter(
      (file) => /^kernel\/.*\.ts$/.test(file) && /from '(node:)?process'/.test(readFileSync(join(ROOT, file), 'utf8')),
    )
    assert.deepEqual(wrong, [])
  })

  it('commands do not call the addon', () => {
    const callers = imports.filter(({ file, names }) => file.startsWith('src/cli/') && names.includes('native'))
    assert.deepEqual(
      callers.map(({ file }) => file),
      [],
    )
  })

  it('packages are used where they belong, and package.json has them', () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, string>
    >
    const wrong = imports.flatMap(({ file, to, own, typeOnly }) => {
      if (own || to === 'node' || file.startsWith('bench/') || file.startsWith('notebooks/')) return []
      const shipped = /^(src|kernel)\//.test(file)
      const known = to in dependencies || to === 'zslab' || BROUGHT.includes(to) || (!shipped && to in devDependencies)
      if (!known) return [`${file}: package.json has no ${shipped ? 'dependency' : 'package'} ${to}`]
      return typeOnly || !PACKAGES[to] || PACKAGES[to].test(file) ? [] : [`${file} may not use ${to}`]
    })
    assert.deepEqual(wrong, [])
    const versions = Object.entries({ ...dependencies, ...devDependencies })
    assert.deepEqual(
      versions.filter(([, version]) => !/^(\d+\.\d+\.\d+|file:shims\/.*)$/.test(version)),
      [],
    )
  })

  it('what only some C++ may use stays there', () => {
    const wrong = includes.filter(({ file, to, own }) => !own && HEADERS[to] && !HEADERS[to].test(file))
    assert.deepEqual(
      wrong.map(({ file, to }) => `${file} includes ${to}`),
      [],
    )
  })

  it('each native policy is one line and one header, and has a policy in src/policies', () => {
    const list = readFileSync(join(ROOT, 'native/policies/policies.inc'), 'utf8')
    const listed = [...list.matchAll(/^#include "(policies\/\w+\.h)"$/gm)].map(([, header]) => `native/${header}`)
    assert.ok(listed.length > 0)
    const named = listed.map((header) => {
      const text = readFileSync(join(ROOT, header), 'utf8')
      assert.match(text, /^ZS_POLICY\(\w+\)$/m, header)
      return /describe<\w+>\(hooks, "([\w-]+)", fields\)/.exec(text)![1]
    })
    // "own" is the policy that definePolicy makes others of.
    assert.deepEqual(named.sort(), [...POLICIES.map(({ name }) => name), 'own'].sort())
    // The others are what several of them share.
    const shared = all.filter((file) => /^native\/policies\/.*\.h$/.test(file) && !listed.includes(file))
    for (const header of shared)
      assert.doesNotMatch(readFileSync(join(ROOT, header), 'utf8'), /^ZS_POLICY\(/m, `${header} is not listed`)
  })

  it('each policy is a file of its own, listed once, with a citation', () => {
    const own = all.filter((file) => /^src\/policies\/.*\.ts$/.test(file)).map((file) => file.slice(13, -3))
    const shared = ['index', 'policy', 'options', 'change']
    const expected = POLICIES.map(({ name }) => (name === 'full' ? 'full-cache' : name))
    assert.deepEqual(own.filter((name) => !shared.includes(name)).sort(), expected.sort())
    assert.equal(new Set(expected).size, expected.length)
    const cited = readFileSync(join(ROOT, 'docs/methods.bib'), 'utf8')
    assert.equal(cited, `${bibliography()}\n`, 'docs/methods.bib: npx zslab policies --bibtex > docs/methods.bib')
  })

  it('no file names a place on somebody’s machine', () => {
    const text = all.filter((file) => !['.gguf', '.png', '.ico', '.woff2'].includes(extname(file)))
    // In parts, so that this file passes its own test.
    const places = new RegExp(
      `(^|[^\\w.])/(${['home', 'root', 'Users', 'work', 'mnt', 'workspace'].join('|')})/[\\w.-]+`,
    )
    const wrong = text.flatMap((file) =>
      readFileSync(join(ROOT, file), 'utf8')
        .split('\n')
        .flatMap((line, i) => (places.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 100)}`] : [])),
    )
    assert.deepEqual(wrong, [])
  })
})

function exists(path: string): boolean {
  return ['', '.ts'].some((end) => statSync(join(ROOT, path + end), { throwIfNoEntry: false })?.isFile())
}
