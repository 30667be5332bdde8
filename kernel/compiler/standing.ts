/**
 * A program that stands while cells come and go. TypeScript makes a program and a type checker for each change of a file, and each
 * checker learns the types of the language anew. But a cell and what earlier cells declared are modules, of which no other file
 * knows: a checker can be shown new ones and keeps all that it has learned. That is done as long as they import nothing new and
 * change nothing global, and no file changed on the disk; else TypeScript makes its next program, which then stands.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { imported } from './light.js'
import { isAlone, ModuleFiles, type ModuleFile, type Resolutions } from './module-files.js'
import type { Host } from './shorthand.js'

type Builder = ReturnType<Host['createProgram']>

/** A program that was shown a cell and the declarations of those before it. */
export interface Shown {
  program: tsTypes.Program
  cell: ModuleFile
  declarations: ModuleFile
}

/** What a checker knows of texts that are over stays with it, some 50 bytes for each character: after so many it is time for a new one, */
const MANY = 250_000
/** and after so many it cannot wait for a quiet moment any more. */
const MOST = 1_000_000
/** What a text costs however short it is. */
const LEAST = 500

/** A program of TypeScript's that is shown other files in place of its cell and its declarations. */
interface Base {
  builder: Builder
  program: tsTypes.Program
  files: Map<string, ModuleFile>
  /** What imports of the cell and the declarations lead to. */
  resolutions: Resolutions
  /** Modules that are described by name, as node's own. */
  ambient: ReadonlySet<string>
  /** Characters that it was shown. */
  shown: number
}

export class Standing {
  private base?: Base
  private readonly files: ModuleFiles
  /** The declarations and the cell. */
  private readonly roots: readonly string[]
  /** TypeScript's own callbacks for these two. */
  private readonly changed = new Map<string, () => void>()
  /** TypeScript's next program, where it wants to make one. */
  private wanted?: () => void
  /** It has heard of changes and looks later what they mean. */
  private readonly unclear = new Set<unknown>()
  private programs = 0

  /** `compiling`: the converter has a cell in hand, and not a question about code that may be half written. */
  constructor(
    private readonly ts: TypeScript,
    private readonly host: Host,
    private readonly compiling: () => boolean,
  ) {
    this.files = new ModuleFiles(ts)
    this.roots = (host as unknown as { rootFiles: readonly string[] }).rootFiles
    this.watch()
    const { createProgram, readFile } = host
    host.createProgram = (...args) => this.take(createProgram.apply(host, args))
    // TypeScript makes no program for a text that it knows, also where the one that it has is of no use any more.
    host.readFile = (path, ...rest) => {
      const text = readFile.call(host, path, ...rest)
      return path === this.roots[1] && text !== undefined ? text + '\n'.repeat(this.programs % 2) : text
    }
  }

  /** Whether the next cell finds a program that has not seen too many. */
  get ready(): boolean {
    return this.base !== undefined && this.base.shown < MANY
  }

  /** The next cell gets a program of its own. */
  fall(): void {
    this.base = undefined
  }

  /** After a cell: a checker that found something wrong would say less of the like in another one. `written`: the converter had it. */
  settle(written: boolean): void {
    if (!this.base) return
    const { files, program } = this.base
    const [declarations, path] = this.roots
    const cell = files.get(path) ?? (program.getSourceFile(path) as ModuleFile)
    if ((program.getTypeChecker() as unknown as Checker).getDiagnostics(cell).length > 0) this.fall()
    files.delete(path) // it has been checked, and may have been written into
    if (!written) return
    // The converter takes out of the declarations what the cell declares anew, and all that it does not know.
    if (cell.locals!.size > 0 || /\b(?:namespace|module|global)\b/.test(files.get(declarations)?.text ?? ''))
      files.delete(declarations)
  }

  /** Stands between TypeScript, which hears of changed files, and the converter, which keeps one timer: the next update. */
  private watch(): void {
    const { host } = this
    const { watchFile, setTimeout: later } = host
    let asked = false
    const ask = () => {
      if (!asked)
        later!(() => {
          asked = false
          this.update()
        }, 0)
      asked = true
    }
    host.watchFile = (path, callback, ...rest) => {
      if (!this.roots.includes(path)) return watchFile(path, callback, ...rest)
      this.changed.set(path, () => callback(path, this.ts.FileWatcherEventKind.Changed))
      return watchFile(path, ask, ...rest)
    }
    host.setTimeout = (callback) => {
      if (callback.name === 'updateProgramWithWatchStatus') return (this.wanted = callback as () => void)
      const timer = setTimeout(() => {
        this.unclear.delete(timer)
        callback()
      }, 0)
      this.unclear.add(timer)
      return timer
    }
    host.clearTimeout = (timer) => {
      if (timer === this.wanted) this.wanted = undefined
      if (this.unclear.delete(timer)) clearTimeout(timer as NodeJS.Timeout)
    }
  }

  /** The program that stands, shown these texts; undefined: TypeScript must make the next one, which the converter asks it for. */
  show(declarations: string, cell: string): Shown | undefined {
    const base = this.standing()
    const program = base && this.shown(base, (path) => (path === this.roots[0] ? declarations : cell))
    if (!program) return undefined
    const [earlier, own] = this.roots.map((path) => base!.files.get(path)!)
    // Names that the cell does not declare are looked for there: the converter does the same.
    Object.assign(own, { parent: earlier })
    return { program, cell: own, declarations: earlier }
  }

  private standing(): Base | undefined {
    const { base } = this
    return base && base.shown < MOST && !this.wanted && this.unclear.size === 0 ? base : undefined
  }

  private update(): void {
    const base = this.standing()
    const program = base && this.shown(base, (path) => this.host.readFile(path)!)
    if (program)
      return this.host.afterProgramCreate!({
        ...base!.builder,
        getProgram: () => program,
        getAllDependencies: (file) => imported(this.ts, program, file),
      })
    this.base = undefined
    this.programs++
    for (const tell of this.changed.values()) tell()
    const make = this.wanted
    this.wanted = undefined
    make!()
  }

  /** A new program of TypeScript's. */
  private take(builder: Builder): Builder {
    const program = builder.getProgram()
    const files = new Map<string, ModuleFile>()
    const { getSourceFile } = builder
    builder.getSourceFile = (path) => files.get(path) ?? getSourceFile(path)
    const own = this.roots.map((path) => program.getSourceFile(path) as ModuleFile)
    if (!this.compiling() || !own.every(isAlone)) return builder
    const ambient = new Set(program.getSourceFiles().flatMap((one) => (one as ModuleFile).ambientModuleNames))
    files.set(this.roots[0], own[0])
    this.base = { builder, program, files, resolutions: this.files.resolutionsOf(own), ambient, shown: 0 }
    return builder
  }

  /** The program of `base` with these files; undefined where they ask for more than it has. */
  private shown(base: Base, textOf: (path: string) => string): tsTypes.Program | undefined {
    const { program, files, resolutions, ambient } = base
    for (const path of this.roots) {
      const text = textOf(path)
      if (files.get(path)?.text === text) continue
      const like = program.getSourceFile(path) as ModuleFile
      const file = this.files.make(text, like, program.getCompilerOptions(), resolutions)
      const isKnown = (name: string) => ambient.has(name) || resolutions.get(name, undefined)?.resolvedModule
      if (!isAlone(file) || !file.imports.every(({ text }) => isKnown(text))) return undefined
      files.set(path, file)
      base.shown += Math.max(text.length, LEAST)
    }
    const shown: tsTypes.Program = {
      ...program,
      getSourceFile: (path) => files.get(path) ?? program.getSourceFile(path),
    }
    if (!this.compiling()) {
      let checker: tsTypes.TypeChecker | undefined
      shown.getTypeChecker = () => (checker ??= (this.ts as unknown as Internals).createTypeChecker(shown))
    }
    return shown
  }
}

interface Checker {
  getDiagnostics(file: tsTypes.SourceFile): readonly tsTypes.Diagnostic[]
}

interface Internals {
  createTypeChecker(program: tsTypes.Program): tsTypes.TypeChecker
}
