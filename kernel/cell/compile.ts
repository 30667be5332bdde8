/**
 * TypeScript cells to JavaScript: tslab's converter (types carried from cell to cell), with its compiler options mended
 * and a second pass of our own that makes awaits interruptible and keeps source maps.
 */
import { existsSync } from 'node:fs'
import { createRequire, SourceMap } from 'node:module'
import { dirname, join } from 'node:path'
import type { Converter, Diagnostic } from 'tslab/dist/converter.js'
import { writeShorthandsOut } from './shorthand.js'
import { guardAwaits } from './transform.js'
import { typeFiles, type ShippedPackage } from './package.js'

export interface Compiled {
  /** CommonJS body of an async function (exports, require, …); undefined where there is nothing to run. */
  code: string
  /** Declarations that the next cell sees if this one succeeds. */
  declarations: string
  /** Name under which the last expression's value is exported. */
  lastExpression?: string
  /** Static imports, in order. */
  imports: string[]
  /** .ts and .js files beside the notebook that the cell imports, compiled. */
  sideOutputs: { path: string; data: string }[]
  /** Where a place in the code as it runs (or, with `before`, in the converter's JavaScript) stands in the cell. */
  position(line: number, column: number, before?: boolean): Position | undefined
}

/** Zero-based. */
export interface Position {
  line: number
  column: number
}

export interface Complaint {
  message: string
  code: number
  start: Position
  end: Position
  file?: string
}

export type CompileResult = { ok: true; compiled: Compiled } | { ok: false; complaints: Complaint[] }

// The compiler API of tslab's own TypeScript has the types of ours for all that is used here.
export type TypeScript = typeof import('typescript')

const PREFIX_LINES = 1 // the converter puts `export {};` before each cell

interface Pass {
  imports: string[]
  /** CommonJS → the converter's JavaScript → the cell. */
  outer?: string
  inner?: string
}

interface Tslab {
  ts: TypeScript
  createConverter: typeof import('tslab/dist/converter.js').createConverter
  isCompleteCode: typeof import('tslab/dist/converter.js').isCompleteCode
  describe(info: import('typescript').QuickInfo): string
}

export class Compiler {
  /** tslab is loaded once, with entry points that report to the compiler in use. */
  private static tslab?: Tslab
  private static pass: Pass = { imports: [] }
  readonly ts: TypeScript
  readonly converter: Converter
  readonly isComplete: Tslab['isCompleteCode']
  /** What is known about a name, as text. */
  readonly describe: Tslab['describe']

  constructor(shipped: ShippedPackage) {
    const tslab = (Compiler.tslab ??= loadTslab(shipped, (pass) => (Compiler.pass = pass)))
    this.ts = tslab.ts
    this.converter = tslab.createConverter({ isJS: false, isBrowser: false })
    this.isComplete = tslab.isCompleteCode
    this.describe = tslab.describe
  }

  /** Numbers of the syntax errors in `code`. */
  syntaxErrors(code: string): number[] {
    const { ScriptKind, ScriptTarget } = this.ts
    const file = this.ts.createSourceFile('cell.ts', code, ScriptTarget.Latest, false, ScriptKind.TS)
    return (file as unknown as { parseDiagnostics: { code: number }[] }).parseDiagnostics.map((one) => one.code)
  }

  /** Compiles `code`, given the declarations of the cells before it. */
  compile(declarations: string, code: string): CompileResult {
    const result = this.converter.convert(declarations, code)
    if (result.diagnostics.length > 0) return { ok: false, complaints: result.diagnostics.map(complaint) }
    // Side outputs pass through toCommonJs too; the cell's own is always the last.
    const { imports, inner, outer } = Compiler.pass
    const maps = [outer, inner].map((text) => text && new SourceMap(JSON.parse(text) as never))
    return {
      ok: true,
      compiled: {
        code: withoutPreamble(result.output ?? ''),
        declarations: result.declOutput ?? '',
        lastExpression: result.lastExpressionVar,
        imports,
        sideOutputs: result.sideOutputs ?? [],
        position: (line, column, before = false) => {
          let at: Position | undefined = { line, column }
          for (const map of before ? maps.slice(1) : maps) if (at && map) at = original(map, at)
          return at && { line: at.line - PREFIX_LINES, column: at.column }
        },
      },
    }
  }
}

/** tslab's converter fixes its compiler options, so it is handed a TypeScript whose two entry points adjust them. */
function loadTslab(shipped: ShippedPackage, passed: (pass: Pass) => void): Tslab {
  const require = createRequire(import.meta.url)
  const converterPath = require.resolve('tslab/dist/converter')
  const tslabRequire = createRequire(converterPath)
  const tsPath = tslabRequire.resolve('@tslab/typescript-for-tslab')
  const ts = tslabRequire(tsPath) as TypeScript
  typeFiles(ts, shipped)
  const cached = require.cache[tsPath]!
  cached.exports = { ...ts, createWatchCompilerHost: watchHost(ts), transpileModule: toCommonJs(ts, passed) }
  const { createConverter, isCompleteCode } = tslabRequire(converterPath) as Tslab
  cached.exports = ts
  const { printQuickInfo } = tslabRequire('./inspect.js') as typeof import('tslab/dist/inspect.js')
  return { ts, createConverter, isCompleteCode, describe: printQuickInfo as unknown as Tslab['describe'] }
}

function watchHost(ts: TypeScript) {
  return (...args: unknown[]): unknown => {
    Object.assign(args[1] as object, {
      moduleResolution: ts.ModuleResolutionKind.Bundler, // reads `exports`, which tslab's Node10 does not
      inlineSourceMap: true,
      disableTopLevelAwait: false, // cells always run inside an async function
      types: ['node'],
      typeRoots: nodeTypeRoots(ts.sys.getCurrentDirectory()),
      lib: ['lib.es2023.d.ts'],
    })
    type Make = (...all: unknown[]) => WatchHost
    const host = writeShorthandsOut(ts, (ts.createWatchCompilerHost as unknown as Make)(...args))
    return withOwnTimers(host)
  }
}

type WatchHost = Parameters<typeof writeShorthandsOut>[1]

/** tslab keeps one timer, the program's next update. TypeScript has a second one, for files that appear. */
function withOwnTimers(host: WatchHost): WatchHost {
  const { setTimeout: later, clearTimeout: forget } = host
  const own = new Set<unknown>()
  host.setTimeout = (callback, ms) => {
    if (callback.name === 'updateProgramWithWatchStatus') return later?.(callback, ms)
    const timer = setTimeout(() => {
      own.delete(timer)
      callback()
    }, 0)
    own.add(timer)
    return timer
  }
  host.clearTimeout = (timer) => (own.delete(timer) ? clearTimeout(timer as NodeJS.Timeout) : forget?.(timer))
  return host
}

function toCommonJs(ts: TypeScript, passed: (pass: Pass) => void) {
  return (source: string, options: import('typescript').TranspileOptions): import('typescript').TranspileOutput => {
    const { text, map } = splitInlineMap(source)
    const pass: Pass = { imports: [], inner: map }
    const output = ts.transpileModule(text, {
      ...options,
      compilerOptions: { ...options.compilerOptions, sourceMap: true },
      transformers: { before: [guardAwaits(ts, pass.imports)] },
    })
    pass.outer = output.sourceMapText
    passed(pass)
    return { ...output, outputText: output.outputText.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n') }
  }
}

function original(map: SourceMap, { line, column }: Position): Position | undefined {
  const entry = map.findEntry(line, column) as Partial<{ originalLine: number; originalColumn: number }>
  return entry.originalLine === undefined ? undefined : { line: entry.originalLine, column: entry.originalColumn ?? 0 }
}

function splitInlineMap(source: string): { text: string; map?: string } {
  const found = /\n?\/\/# sourceMappingURL=data:application\/json;base64,([A-Za-z0-9+/=]+)\s*$/.exec(source)
  if (!found) return { text: source }
  return { text: source.slice(0, found.index) + '\n', map: Buffer.from(found[1], 'base64').toString('utf8') }
}

/** `exports.a = void 0` at the top would empty a variable of an earlier cell even where this cell then fails. */
function withoutPreamble(code: string): string {
  return code.replace(/^(exports\.[\p{ID_Continue}$]+ = )+void 0;$/mu, '')
}

function complaint(d: Diagnostic): Complaint {
  return {
    message: d.messageText,
    code: d.code,
    start: { line: d.start.line, column: d.start.character },
    end: { line: d.end.line, column: d.end.character },
    file: d.fileName,
  }
}

/** Node's types: those of the notebook's folder if it has some, else ours, else the ones that tslab brings. */
function nodeTypeRoots(cwd: string): string[] {
  const roots: string[] = []
  for (let folder = cwd; ; folder = dirname(folder)) {
    roots.push(join(folder, 'node_modules/@types'))
    if (dirname(folder) === folder) break
  }
  const require = createRequire(import.meta.url)
  const tslab = createRequire(require.resolve('tslab/dist/converter'))
  for (const from of [require, tslab]) {
    try {
      roots.push(dirname(dirname(from.resolve('@types/node/package.json'))))
    } catch {
      // not installed there
    }
  }
  return [...new Set(roots)].filter((root) => existsSync(join(root, 'node')))
}
