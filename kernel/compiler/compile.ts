/**
 * TypeScript cells to JavaScript: tslab's converter (types carried from cell to cell), with its compiler options mended, passes of
 * our own in TypeScript's (awaits and loops that interrupts can end), and source maps kept.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Diagnostic, SourceFile } from 'typescript'
import type { Converter } from 'tslab/dist/converter.js'
import type { ShippedPackage } from '../cell/package.js'
import { withDisk } from './completions.js'
import { packageName, packageRoot } from '../cell/resolve.js'
import { collector, type Checked, type Findings } from './diagnostics.js'
import { Disk } from './disk.js'
import { keepNoBooks } from './light.js'
import { Loader } from './loader.js'
import { forgetGlobals, keepNamespaces } from './namespaces.js'
import { parseErrors, prepare } from './prepare.js'
import { emitAll, sidePath } from './program.js'
import type { Compiled, Maps, SideFile } from './protocol.js'
import { SharedFiles } from './shared.js'
import { Standing } from './standing.js'
import { TypeFiles } from './type-files.js'
import { writeShorthandsOut, type Host } from './shorthand.js'
import { requireByScope } from './transform.js'
import type { TypeScript } from './typescript.js'

export type CompileResult = { ok: true; compiled: Compiled } | { ok: false; complaints: Diagnostic[] }

interface Pass extends Maps {
  imports: string[]
}

/** What becomes of the cell that is being compiled. */
interface Work extends Checked {
  /** CommonJS that it came to → how. */
  passes: Map<string, Pass>
}

interface Tslab {
  ts: TypeScript
  disk: Disk
  types: TypeFiles
  shared: SharedFiles
  /** Of the converter that was made last. */
  standing: () => Standing
  createConverter: typeof import('tslab/dist/converter.js').createConverter
  isCompleteCode: typeof import('tslab/dist/converter.js').isCompleteCode
}

/** What cells are made of, and declares nothing. */
const EXERCISE = `{
  const words = ['a', 'b'].map((word, at) => word.repeat(at)).filter((word) => word.length > 0)
  const sums: Record<string, number> = {}
  for (const word of words) sums[word] = (sums[word] ?? 0) + Math.max(...words.map(({ length }) => length))
  const later = async () => { await Promise.resolve(1) }
  console.log(\`\${words.join(' ')}\`, JSON.stringify(Object.entries(sums)), later)
}`

export class Compiler {
  /** tslab is loaded once, with entry points that report to the compiler in use. */
  private static tslab?: Tslab
  private static work?: Work
  readonly ts: TypeScript
  readonly converter: Converter
  readonly isComplete: Tslab['isCompleteCode']
  private readonly disk: Disk
  private readonly standing: Standing
  private readonly seen = new WeakSet<SourceFile>()
  private readonly told = new Set<string>()

  constructor(shipped: ShippedPackage) {
    const tslab = (Compiler.tslab ??= loadTslab(shipped, () => Compiler.work))
    this.ts = tslab.ts
    this.disk = tslab.disk
    tslab.types.show(process.cwd())
    this.converter = tslab.createConverter({ isJS: false, isBrowser: false })
    this.standing = tslab.standing()
    this.isComplete = tslab.isCompleteCode
  }

  /** After a snapshot: what was read before may have changed on the disk. */
  static wake(): void {
    Compiler.tslab?.shared.doubt()
  }

  /** The syntax errors in `code`, the first one first. */
  syntaxErrors(code: string): Pick<Diagnostic & { start: number }, 'code' | 'start'>[] {
    const { ScriptKind, ScriptTarget } = this.ts
    const file = this.ts.createSourceFile('cell.ts', code, ScriptTarget.Latest, false, ScriptKind.TS)
    return parseErrors(file)
  }

  /** Compiles `code`, given the declarations of the cells before it. */
  compile(declarations: string, code: string): CompileResult {
    const prepared = prepare(this.ts, code)
    if (prepared.errors.length > 0) return { ok: false, complaints: prepared.errors }
    const findings: Findings = { complaints: [], missing: [], untyped: [] }
    const work: Work = { prepared, findings, seen: this.seen, passes: new Map() }
    Compiler.work = work
    try {
      return this.convert(declarations, work)
    } finally {
      Compiler.work = undefined
      this.standing.settle()
    }
  }

  private convert(declarations: string, { prepared, findings, passes }: Work): CompileResult {
    this.disk.refresh()
    const known = forgetGlobals(this.ts, declarations, prepared.file)
    const result = this.converter.convert(known, prepared.text)
    this.disk.notFound(findings.missing)
    if (result.diagnostics.length > 0) return { ok: false, complaints: findings.complaints }
    const { imports, inner, outer } = passes.get(result.output!)!
    return {
      ok: true,
      compiled: {
        code: withoutPreamble(result.output!),
        declarations: keepNamespaces(this.ts, known, result.declOutput ?? '', prepared.names),
        names: [...prepared.names],
        lastExpression: result.lastExpressionVar,
        imports,
        sideOutputs: (result.sideOutputs ?? []).map(({ path, data }) => sideFile(path, data, passes.get(data)!)),
        maps: { inner, outer },
        notes: this.notes(findings.untyped),
      },
    }
  }

  /** Whether the next cell will find a type checker that knows the language. */
  get ready(): boolean {
    return this.standing.ready
  }

  /** Makes it so, given what the cells so far declared: work that is best done while nobody waits. */
  prepare(declarations: string): void {
    this.standing.fall()
    this.compile(declarations, EXERCISE)
  }

  /** What is said once of packages whose types cannot be read. */
  private notes(untyped: readonly string[]): string[] {
    const fresh = [...new Set(untyped)].filter((name) => packageName(name) !== undefined && !this.told.has(name))
    fresh.forEach((name) => this.told.add(name))
    const { version } = this.ts
    return fresh.map(
      (name) => `${name}: TypeScript ${version} cannot read its types, or some of them; these are any here`,
    )
  }

  close(): void {
    this.converter.close()
  }
}

const HERE = dirname(fileURLToPath(import.meta.url))

/** tslab's converter fixes its compiler options, so it is handed a TypeScript whose entry points adjust them. */
function loadTslab(shipped: ShippedPackage, current: () => Work | undefined): Tslab {
  const work = () => current()!
  let standing: Standing | undefined
  const loader = new Loader()
  const converterPath = loader.resolve('tslab/dist/converter', HERE)
  const tsPath = loader.resolve('@tslab/typescript-for-tslab', dirname(converterPath))
  const ts = loader.load(tsPath) as TypeScript
  ts.sys.getCurrentDirectory = () => process.cwd()
  const types = new TypeFiles(ts, shipped)
  const disk = new Disk(ts)
  const roots = [HERE, dirname(converterPath)].map((folder) => nodeTypes(folder)).filter((root) => root !== undefined)
  const shared = new SharedFiles([
    dirname(tsPath),
    dirname(shipped.types),
    join(shipped.root, 'node_modules'),
    join(shipped.root, 'kernel/types'),
    ...roots,
  ])
  loader.replace(tsPath, {
    ...ts,
    createWatchCompilerHost: watchHost(ts, shipped, roots, (host) => {
      standing = new Standing(ts, keepNoBooks(ts, host), () => current() !== undefined)
      return shared.with(host)
    }),
    transpileModule: toCommonJs(ts, work),
    getPreEmitDiagnosticsOfFiles: collector(ts, work),
    Completions: withDisk(ts),
  })
  const { createConverter, isCompleteCode } = loader.load(converterPath) as Tslab
  loader.replace(tsPath, ts)
  return { ts, disk, types, shared, standing: () => standing!, createConverter, isCompleteCode }
}

/** The folder that holds the `@types/node` which code in `folder` finds, unless it is for a newer TypeScript than `most`. */
function nodeTypes(folder: string, most?: number): string | undefined {
  const root = packageRoot(folder, '@types/node')
  return root && (most === undefined || typescriptOf(root) <= most) ? dirname(root) : undefined
}

/** The TypeScript that a package of types says it needs, as a number that grows with its version. */
function typescriptOf(root: string): number {
  const { typeScriptVersion = '0' } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    string
  >
  const [major, minor = 0] = typeScriptVersion.split('.').map(Number)
  return major * 1000 + minor
}

/** What this node has of the language; 22 has it all. */
const LANGUAGE = 'union' in Set.prototype && 'withResolvers' in Promise ? ['cell-globals-22'] : []

function watchHost(ts: TypeScript, shipped: ShippedPackage, roots: readonly string[], prepared: (host: Host) => Host) {
  return (...args: unknown[]): unknown => {
    // Node's types: those of the notebook's folder if it has some that can be read, else ours, else the ones that tslab brings.
    const most = roots.length > 0 ? typescriptOf(join(roots[0], 'node')) : undefined
    const nodes = [nodeTypes(ts.sys.getCurrentDirectory(), most), ...roots].filter((root) => root !== undefined)
    Object.assign(args[1] as object, {
      moduleResolution: ts.ModuleResolutionKind.Bundler, // reads `exports`, which tslab's Node10 does not
      inlineSourceMap: true,
      disableTopLevelAwait: false, // cells always run inside an async function
      types: ['node', 'cell-globals', ...LANGUAGE],
      typeRoots: [...new Set(nodes), join(shipped.root, 'kernel/types')],
      lib: ['lib.es2023.d.ts'],
      moduleDetection: ts.ModuleDetectionKind.Force, // files without imports and exports can be imported too
      allowImportingTsExtensions: true,
      checkJs: false,
    })
    type Make = (...all: unknown[]) => Host
    const host = (ts.createWatchCompilerHost as unknown as Make)(...args)
    return emitAll(ts, writeShorthandsOut(ts, prepared(host)))
  }
}

/** Stand in all that is a module's; elsewhere too at times, which costs a pass and no more. */
const MODULE_WORDS = /(?<![.$\p{ID_Continue}])(import|export)(?![$\p{ID_Continue}])/u

/** In place of TypeScript's own, which the converter calls for what it made: most cells have nothing to do with modules any more. */
function toCommonJs(ts: TypeScript, work: () => Work) {
  return (source: string, options: import('typescript').TranspileOptions): import('typescript').TranspileOutput => {
    const { text, map } = splitInlineMap(source)
    const pass: Pass = { imports: [], inner: map }
    if (!MODULE_WORDS.test(text)) {
      work().passes.set(text, pass)
      return { outputText: text }
    }
    const output = ts.transpileModule(text, {
      ...options,
      compilerOptions: { ...options.compilerOptions, sourceMap: true },
      transformers: { after: [requireByScope(ts, pass.imports)] },
    })
    pass.outer = output.sourceMapText
    const outputText = output.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n')
    work().passes.set(outputText, pass)
    return { ...output, outputText }
  }
}

function splitInlineMap(source: string): { text: string; map?: string } {
  const found = /\n?\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/.exec(source)
  if (!found) return { text: source }
  return { text: source.slice(0, found.index) + '\n', map: Buffer.from(found[1], 'base64').toString('utf8') }
}

/** `exports.a = void 0` at the top would empty a variable of an earlier cell even where this cell then fails. */
function withoutPreamble(code: string): string {
  return code.replace(
    /^(\s*Object\.defineProperty\(exports, "__esModule", .*\);\n)(exports\.[\p{ID_Continue}$]+ = )+void 0;$/mu,
    '$1',
  )
}

function sideFile(emitted: string, data: string, { imports, inner, outer }: Pass): SideFile {
  const path = sidePath(emitted)
  const source = ['ts', 'tsx'].map((ending) => path.replace(/js$/, ending)).find((one) => existsSync(one))
  return { path, data, source: source ?? path, imports, maps: { inner, outer } }
}
