/**
 * TypeScript cells to JavaScript: tslab's converter (types carried from cell to cell), with its compiler options mended
 * and a second pass of our own that makes awaits interruptible and keeps source maps.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Converter, Diagnostic } from 'tslab/dist/converter.js'
import { writeShorthandsOut } from './shorthand.js'
import { guardAwaits } from './transform.js'
import { typeFiles, type ShippedPackage } from '../cell/package.js'
import type { Compiled, Maps, Position } from './protocol.js'

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

interface Pass extends Maps {
  imports: string[]
}

interface Tslab {
  ts: TypeScript
  createConverter: typeof import('tslab/dist/converter.js').createConverter
  isCompleteCode: typeof import('tslab/dist/converter.js').isCompleteCode
}

export class Compiler {
  /** tslab is loaded once, with entry points that report to the compiler in use. */
  private static tslab?: Tslab
  private static pass: Pass = { imports: [] }
  readonly ts: TypeScript
  readonly converter: Converter
  readonly isComplete: Tslab['isCompleteCode']

  constructor(shipped: ShippedPackage) {
    const tslab = (Compiler.tslab ??= loadTslab(shipped, (pass) => (Compiler.pass = pass)))
    this.ts = tslab.ts
    this.converter = tslab.createConverter({ isJS: false, isBrowser: false })
    this.isComplete = tslab.isCompleteCode
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
    return {
      ok: true,
      compiled: {
        code: withoutPreamble(result.output ?? ''),
        declarations: result.declOutput ?? '',
        lastExpression: result.lastExpressionVar,
        imports,
        sideOutputs: result.sideOutputs ?? [],
        maps: { inner, outer },
      },
    }
  }

  close(): void {
    this.converter.close()
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
  cached.exports = { ...ts, createWatchCompilerHost: watchHost(ts, shipped), transpileModule: toCommonJs(ts, passed) }
  const { createConverter, isCompleteCode } = tslabRequire(converterPath) as Tslab
  cached.exports = ts
  return { ts, createConverter, isCompleteCode }
}

function watchHost(ts: TypeScript, shipped: ShippedPackage) {
  return (...args: unknown[]): unknown => {
    Object.assign(args[1] as object, {
      moduleResolution: ts.ModuleResolutionKind.Bundler, // reads `exports`, which tslab's Node10 does not
      inlineSourceMap: true,
      disableTopLevelAwait: false, // cells always run inside an async function
      types: ['node', 'cell-globals'],
      typeRoots: [...nodeTypeRoots(ts.sys.getCurrentDirectory()), join(shipped.root, 'kernel/types')],
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
