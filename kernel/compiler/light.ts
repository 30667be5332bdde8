/**
 * Programs without TypeScript's books of what changed from one to the next: the converter only asks them which local files a cell
 * imports, and keeping them costs a type checker for each program, also for those that nothing is checked with.
 */
import { dirname, resolve } from 'node:path'
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import type { Host } from './shorthand.js'

type Bound = tsTypes.SourceFile & { locals?: unknown; imports?: readonly tsTypes.StringLiteralLike[] }

interface Internals {
  createAbstractBuilder: Host['createProgram']
  bindSourceFile(file: tsTypes.SourceFile, options: tsTypes.CompilerOptions): void
  getResolvedModule(file: tsTypes.SourceFile, name: string, mode?: unknown): tsTypes.ResolvedModuleFull | undefined
}

/** `host`, whose programs keep no books. */
export function keepNoBooks(ts: TypeScript, host: Host): Host {
  const { bindSourceFile, createAbstractBuilder } = ts as unknown as Internals
  host.createProgram = (...args) => {
    const builder = createAbstractBuilder(...args)
    const { getSourceFile } = builder
    builder.getSourceFile = (path) => {
      const file = getSourceFile(path) as Bound | undefined
      // The converter reads the names that a cell declares before anything is checked.
      if (file && !file.locals) bindSourceFile(file, builder.getCompilerOptions())
      return file
    }
    builder.getAllDependencies = (file) => imported(ts, builder.getProgram(), file)
    return builder
  }
  return host
}

/** `file` and the files written in TypeScript or JavaScript that it imports, and they in turn. */
export function imported(ts: TypeScript, program: tsTypes.Program, file: tsTypes.SourceFile): string[] {
  const { getResolvedModule } = ts as unknown as Internals
  const found = new Set<string>()
  const visit = (path: string): void => {
    const one = program.getSourceFile(path) as Bound | undefined
    if (!one || one.isDeclarationFile || found.has(one.fileName)) return
    found.add(one.fileName)
    for (const { text } of one.imports ?? []) {
      const target = getResolvedModule(one, text)?.resolvedFileName
      if (target !== undefined) visit(target)
    }
    for (const { fileName } of one.referencedFiles) visit(resolve(dirname(one.fileName), fileName))
  }
  visit(file.fileName)
  return [...found].map((path) => named(path, program.getSourceFile(path)))
}

/** Of TypeScript that the converter does not know. */
const OTHER_ENDINGS = /\.[cm]ts$|\.tsx$/

/** Under which the converter compiles `path`: what ends with .ts and .js, each version once. */
function named(path: string, file: tsTypes.SourceFile | undefined): string {
  return OTHER_ENDINGS.test(path) ? `${path}?${(file as { version?: string } | undefined)?.version}.ts` : path
}

/** Of what `imported` names. */
export const pathOf = (name: string) => name.replace(/\?[^?]*\.ts$/, '')
