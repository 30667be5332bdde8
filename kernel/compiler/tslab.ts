/**
 * tslab's converter, loaded once: its compiler options are fixed, so it is handed a TypeScript whose entry points adjust them and
 * report to the cell that is being compiled.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ShippedPackage } from '../cell/package.js'
import { packageRoot } from '../cell/resolve.js'
import { withDisk } from './completions.js'
import { collector, type Checked } from './diagnostics.js'
import { Disk } from './disk.js'
import type { Blank } from './erase.js'
import { keepNoBooks } from './light.js'
import { Loader } from './loader.js'
import { emitAll } from './program.js'
import type { Maps } from './protocol.js'
import { SharedFiles } from './shared.js'
import { writeShorthandsOut, type Host } from './shorthand.js'
import { Standing } from './standing.js'
import { requireByScope } from './transform.js'
import { TypeFiles } from './type-files.js'
import type { TypeScript } from './typescript.js'

export interface Pass extends Maps {
  imports: string[]
}

/** What becomes of the cell that is being compiled. */
export interface Work extends Checked {
  /** CommonJS that it came to → how. */
  passes: Map<string, Pass>
}

export interface Tslab {
  ts: TypeScript
  disk: Disk
  types: TypeFiles
  shared: SharedFiles
  blank: Blank
  /** Of the converter that was made last. */
  standing: () => Standing
  createConverter: typeof import('tslab/dist/converter.js').createConverter
  isCompleteCode: typeof import('tslab/dist/converter.js').isCompleteCode
}

const HERE = dirname(fileURLToPath(import.meta.url))

export function loadTslab(shipped: ShippedPackage, current: () => Work | undefined): Tslab {
  const work = () => current()!
  let standing: Standing | undefined
  const loader = new Loader()
  const converterPath = loader.resolve('tslab/dist/converter', HERE)
  const tsPath = loader.resolve('@tslab/typescript-for-tslab', dirname(converterPath))
  const ts = loader.load(tsPath) as TypeScript
  loader.writeAsCommonJs = (text) => ts.transpile(text, COMMON_JS)
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
  const blank = loadBlank(loader, ts)
  return { ts, disk, types, shared, blank, standing: () => standing!, createConverter, isCompleteCode }
}

/** ts-blank-space with the converter's TypeScript, whose scanner has the names of before 5.1. */
function loadBlank(loader: Loader, ts: TypeScript): Blank {
  const path = loader.resolve('ts-blank-space/out/index', HERE)
  const createScanner: TypeScript['createScanner'] = (...words) => {
    const scanner = ts.createScanner(...words)
    const { setTextPos, getTokenPos, getTextPos } = scanner
    return Object.assign(scanner, { resetTokenState: setTextPos, getTokenStart: getTokenPos, getTokenEnd: getTextPos })
  }
  loader.replace(loader.resolve('typescript', dirname(path)), { ...ts, createScanner })
  const { blankSourceFile } = loader.load(path) as { blankSourceFile: Blank }
  return blankSourceFile
}

const COMMON_JS = { module: 1, target: 9, esModuleInterop: true } // CommonJS, ES2022

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
