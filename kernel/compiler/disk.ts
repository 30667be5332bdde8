/**
 * Files that the compiler has read are looked at again before each question, instead of being watched: what one cell wrote, the
 * next one sees, and no folder above a notebook is walked through for it.
 */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { FileWatcherCallback, DirectoryWatcherCallback } from 'typescript'
import { packageName, packageRoot } from '../cell/resolve.js'
import type { TypeScript } from './typescript.js'

const ENDINGS = [
  ...['', '.ts', '.tsx', '.mts', '.cts', '.d.ts', '.js', '.mjs', '.cjs', '.json'],
  ...['/index.ts', '/index.tsx', '/index.js'],
]

export class Disk {
  private readonly files = new Map<string, { changed: FileWatcherCallback; at: string }>()
  private readonly folders = new Map<string, Set<DirectoryWatcherCallback>>()
  /** Imports that cells did not find. */
  private readonly missing = new Set<string>()

  /** Must be made before the converter is. */
  constructor(private readonly ts: TypeScript) {
    ts.sys.watchFile = (path, changed) => {
      this.files.set(path, { changed, at: changedAt(path) })
      return { close: () => void this.files.delete(path) }
    }
    ts.sys.watchDirectory = (path, changed) => {
      const all = this.folders.get(path) ?? new Set()
      this.folders.set(path, all.add(changed))
      return { close: () => void all.delete(changed) }
    }
  }

  notFound(specifiers: readonly string[]): void {
    for (const specifier of specifiers) this.missing.add(specifier)
  }

  /** Tells the compiler what has changed. */
  refresh(): void {
    const { Changed, Created, Deleted } = this.ts.FileWatcherEventKind
    for (const [path, known] of this.files) {
      const at = changedAt(path)
      if (at === known.at) continue
      const kind = at === '' ? Deleted : known.at === '' ? Created : Changed
      known.at = at
      known.changed(path, kind)
    }
    for (const specifier of this.missing)
      for (const path of candidates(specifier, this.ts.sys.getCurrentDirectory())) {
        if (changedAt(path) === '') continue
        this.missing.delete(specifier)
        for (const [folder, all] of this.folders) if (path.startsWith(folder)) for (const told of all) told(path)
      }
  }
}

/** Changes whenever the file does; empty: there is none. */
export function changedAt(path: string): string {
  const { mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {}
  return mtimeMs === undefined ? '' : `${mtimeMs} ${size}`
}

/** Where a file or package that was not there may be now. */
function candidates(specifier: string, cwd: string): string[] {
  const name = packageName(specifier)
  if (name === undefined) {
    const base = resolve(cwd, specifier).replace(/\.[cm]?[jt]sx?$/, '')
    return ENDINGS.map((ending) => base + ending)
  }
  const root = packageRoot(cwd, name)
  return root === undefined ? [] : [join(root, 'package.json')]
}
