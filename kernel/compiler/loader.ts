/**
 * Loads the CommonJS packages that the compiler stands on. Node's own loader leaves traces that a process must not have which is
 * saved as a snapshot, and it would not let one package be shown another in place of what it asks for.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { runInThisContext } from 'node:vm'
import { isEsModule, packageName, packageRoot } from '../cell/resolve.js'

interface Loaded {
  exports: unknown
}

type Run = (...words: unknown[]) => void

export class Loader {
  /** What ES modules are loaded as; without it none are. */
  writeAsCommonJs?: (text: string) => string
  private readonly loaded = new Map<string, Loaded>()

  /** The file that `specifier` means in `folder`. Knows files, and packages without `exports`. */
  resolve(specifier: string, folder: string): string {
    const base = specifier.startsWith('.') ? resolve(folder, specifier) : inPackage(specifier, folder)
    const found = base && ['', '.js', '/index.js'].map((ending) => base + ending).find(isFile)
    if (!found) throw new Error(`${specifier} is not there for ${folder}: the kernel's installation is broken`)
    return found
  }

  load(path: string): unknown {
    const known = this.loaded.get(path)
    if (known) return known.exports
    const module: Loaded = { exports: {} }
    this.loaded.set(path, module)
    const folder = dirname(path)
    const require = (specifier: string) =>
      process.getBuiltinModule(specifier) ?? this.load(this.resolve(specifier, folder))
    const text = readFileSync(path, 'utf8')
    const body = this.writeAsCommonJs && isEsModule(path) ? this.writeAsCommonJs(text) : text
    const code = `(function (exports, require, module, __filename, __dirname) {${body}\n})`
    const run = runInThisContext(`${code}\n//# sourceURL=${path}`) as Run // no options: node 20 cannot save what they make
    run.call(module.exports, module.exports, require, module, path, folder)
    return module.exports
  }

  /** What loads for `path` from now on. */
  replace(path: string, exports: unknown): void {
    this.loaded.set(path, { exports })
  }
}

function inPackage(specifier: string, folder: string): string | undefined {
  const name = packageName(specifier)
  const root = name === undefined ? undefined : packageRoot(folder, name)
  if (name === undefined || root === undefined) return undefined
  if (specifier !== name) return join(root, specifier.slice(name.length))
  const { main = 'index.js' } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { main?: string }
  return join(root, main)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
