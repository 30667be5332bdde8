/**
 * Parsed files that all programs share: those of the language, of Node's types and of the shipped package, which are many and do
 * not change while a kernel runs. They are what a snapshot of the compiler saves to do.
 */
import type * as tsTypes from 'typescript'
import { changedAt } from './disk.js'
import type { Host } from './shorthand.js'

interface Known {
  file: tsTypes.SourceFile
  at: string
}

export class SharedFiles {
  private readonly known = new Map<string, Known>()
  /** Those that this process has found unchanged on the disk. */
  private readonly checked = new Set<string>()
  private readonly sharing = new WeakSet<tsTypes.CompilerHost>()

  /** `folders`: whose declarations stay as they are. */
  constructor(private readonly folders: readonly string[]) {}

  /** After time has passed, or in another process. */
  doubt(): void {
    this.checked.clear()
  }

  /** `host`, whose programs take shared files from here. */
  with(host: Host): Host {
    const create = host.createProgram
    host.createProgram = (names, options, files, ...rest) => {
      if (files && !this.sharing.has(files)) this.share(files)
      return create.call(host, names, options, files, ...rest)
    }
    return host
  }

  private share(files: tsTypes.CompilerHost): void {
    this.sharing.add(files)
    const { getSourceFile, getSourceFileByPath } = files
    files.getSourceFile = (name, ...rest) =>
      this.find(name) ?? this.keep(name, getSourceFile.call(files, name, ...rest))
    files.getSourceFileByPath = (name, ...rest) =>
      this.find(name) ?? this.keep(name, getSourceFileByPath!.call(files, name, ...rest))
  }

  private find(path: string): tsTypes.SourceFile | undefined {
    const known = this.known.get(path)
    if (!known || this.checked.has(path)) return known?.file
    if (changedAt(path) !== known.at) {
      this.known.delete(path)
      return undefined
    }
    this.checked.add(path)
    return known.file
  }

  private keep(path: string, file: tsTypes.SourceFile | undefined): tsTypes.SourceFile | undefined {
    const stays = path.endsWith('.d.ts') && this.folders.some((folder) => path.startsWith(`${folder}/`))
    const at = file && stays ? changedAt(path) : ''
    if (file && at !== '') this.known.set(path, { file, at })
    return file
  }
}
