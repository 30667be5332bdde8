/** The package that this kernel ships in, as cells see it: found by walking up, typed and loaded from its own folder. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TypeScript } from '../compiler/compile.js'

export interface ShippedPackage {
  name: string
  root: string
  version: string
  /** Absolute paths of the declarations and the module that the package's "." exports. */
  types: string
  module: string
}

export function shippedPackage(from = dirname(fileURLToPath(import.meta.url))): ShippedPackage {
  for (let root = from; ; root = dirname(root)) {
    const path = join(root, 'package.json')
    if (existsSync(path)) {
      const { name, version, exports } = JSON.parse(readFileSync(path, 'utf8')) as {
        name: string
        version: string
        exports: Record<string, { types: string; default: string }>
      }
      const main = exports['.']
      return { name, root, version, types: join(root, main.types), module: join(root, main.default) }
    }
    if (dirname(root) === root) throw new Error(`no package.json above ${from}: the kernel's installation is broken`)
  }
}

/**
 * Makes `import … from '<package>'` resolve to the shipped package's declarations wherever the notebook lies, by showing
 * the compiler a `node_modules/<package>` in the notebook's folder that is not on the disk. A package of that name which is on the disk wins.
 * Must run before the converter is made: it copies these functions.
 */
export function typeFiles(ts: TypeScript, shipped: ShippedPackage): void {
  const { sys } = ts
  const folder = join(sys.getCurrentDirectory(), 'node_modules', shipped.name)
  if (existsSync(folder)) return
  const { fileExists, directoryExists, readFile } = sys
  const manifest = join(folder, 'package.json')
  const text = JSON.stringify({ name: shipped.name, version: shipped.version, type: 'module', types: 'index.d.ts' })
  const types = join(folder, 'index.d.ts')
  const source = shipped.types.replace(/\.d\.ts$/, '.js')
  const index = `export * from ${JSON.stringify(source)}\n`
  sys.fileExists = (path) => path === manifest || (path === types && existsSync(shipped.types)) || fileExists(path)
  sys.directoryExists = (path) => path === folder || path === dirname(folder) || directoryExists(path)
  sys.readFile = (path, encoding) => (path === manifest ? text : path === types ? index : readFile(path, encoding))
}
