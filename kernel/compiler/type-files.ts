/** Declarations that the compiler finds where the disk has none: the shipped package's, wherever a notebook lies. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ShippedPackage } from '../cell/package.js'
import type { TypeScript } from './typescript.js'

export class TypeFiles {
  private readonly fileExists: (path: string) => boolean
  private readonly directoryExists: (path: string) => boolean
  private readonly readFile: (path: string, encoding?: string) => string | undefined

  constructor(
    private readonly ts: TypeScript,
    private readonly shipped: ShippedPackage,
  ) {
    const { fileExists, directoryExists, readFile } = ts.sys
    this.fileExists = fileExists
    this.directoryExists = directoryExists
    this.readFile = readFile
  }

  /**
   * Makes `import … from '<package>'` resolve to the shipped package's declarations for notebooks in `notebooks`, by a
   * `node_modules/<package>` there that is not on the disk. A package of that name which is on the disk wins.
   */
  show(notebooks: string): void {
    const { shipped, fileExists, directoryExists, readFile } = this
    const { sys } = this.ts
    Object.assign(sys, { fileExists, directoryExists, readFile })
    const folder = join(notebooks, 'node_modules', shipped.name)
    if (existsSync(folder)) return
    const manifest = join(folder, 'package.json')
    const text = JSON.stringify({ name: shipped.name, version: shipped.version, type: 'module', types: 'index.d.ts' })
    const types = join(folder, 'index.d.ts')
    const source = shipped.types.replace(/\.d\.ts$/, '.js')
    const index = `export * from ${JSON.stringify(source)}\n`
    sys.fileExists = (path) => path === manifest || (path === types && existsSync(shipped.types)) || fileExists(path)
    sys.directoryExists = (path) => path === folder || path === dirname(folder) || directoryExists(path)
    sys.readFile = (path, encoding) => (path === manifest ? text : path === types ? index : readFile(path, encoding))
  }
}
