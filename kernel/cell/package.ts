/** The package that this kernel ships in, as cells see it: found by walking up, loaded from its own folder. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

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
