/** What `import` and `require` find in a cell: the shipped package, the notebook folder's packages and files, node's own. */
import { existsSync, readFileSync } from 'node:fs'
import Module, { createRequire, isBuiltin } from 'node:module'
import { dirname, extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInThisContext } from 'node:vm'
import type { ShippedPackage } from './package.js'
import { SCOPE, type CellScope } from '../compiler/transform.js'

type Exports = Record<string, unknown>

export class Modules {
  private readonly require: NodeJS.Require
  private readonly loaded = new Map<string, Exports>()
  private readonly provided = new Map<string, () => Exports>()
  private readonly sideCode = new Map<string, string>()
  private readonly sideModules = new Map<string, Module>()
  /** Names that differ between the package and the notebook's folder are decided on the disk: a real package wins. */
  private readonly shipsItself: boolean

  constructor(
    private readonly folder: string,
    private readonly shipped: ShippedPackage,
    private readonly sideScope: CellScope,
  ) {
    this.require = createRequire(join(folder, 'cell.js'))
    this.shipsItself = !existsSync(join(folder, 'node_modules', shipped.name))
  }

  /** What `specifier` loads where the notebook's folder has no such package. */
  provide(specifier: string, make: () => Exports): void {
    if (existsSync(join(this.folder, 'node_modules', specifier))) return
    this.provided.set(specifier, () => {
      const found = this.loaded.get(specifier) ?? make()
      this.loaded.set(specifier, found)
      return found
    })
  }

  /** New code of files beside the notebook: they load again at their next import. */
  updateSides(files: readonly { path: string; data: string }[]): void {
    for (const { path, data } of files) {
      this.sideCode.set(path, data)
      this.sideModules.delete(path)
    }
  }

  /** Loads the ES modules among `specifiers`, so that `requireFor` finds them without waiting. */
  async preload(specifiers: readonly string[]): Promise<void> {
    for (const specifier of specifiers) {
      if (this.loaded.has(specifier) || this.provided.has(specifier) || this.sidePath(this.folder, specifier)) continue
      const target = this.esModule(specifier)
      if (target) this.loaded.set(specifier, interoperable((await import(target)) as Exports))
    }
  }

  /** `require` for code in `folder`. */
  requireFor(folder = this.folder, require = this.require): (specifier: string) => unknown {
    return (specifier) => {
      const side = this.sidePath(folder, specifier)
      if (side) return this.side(side).exports
      const found = this.loaded.get(specifier) ?? this.provided.get(specifier)?.()
      if (found) return found
      const target = this.esModule(specifier, require)
      // Files beside the notebook reach ES modules through node's own require of them (node ≥ 20.19).
      return target ? interoperable(require(fileOf(target)) as Exports) : require(specifier)
    }
  }

  /** `import()` in a cell: a module namespace, as in any ES module. */
  async import(specifier: unknown): Promise<unknown> {
    const name = String(specifier)
    const side = this.sidePath(this.folder, name)
    if (side) return interoperable(this.side(side).exports as Exports)
    const provided = this.provided.get(name)
    if (provided) return provided()
    if (isBuiltin(name) || /^(data|file|node):/.test(name)) return import(name)
    return import(this.esModule(name) ?? pathToFileURL(this.require.resolve(name)).href)
  }

  /** The URL of an ES module, or undefined where `require` is the right way in. */
  private esModule(specifier: string, require = this.require): string | undefined {
    if (this.shipsItself && specifier === this.shipped.name) return pathToFileURL(this.shipped.module).href
    if (isBuiltin(specifier)) return undefined
    if (/^(data|file):/.test(specifier)) return specifier
    let path: string
    try {
      path = require.resolve(specifier)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined // `require` says what is wrong
      const found = importEntry(this.folder, specifier) // a package for `import` only
      if (!found) throw error
      path = found
    }
    return isEsModule(path) ? pathToFileURL(path).href : undefined
  }

  private sidePath(folder: string, specifier: string): string | undefined {
    if (!/^\.{0,2}\//.test(specifier)) return undefined
    const full = resolve(folder, specifier)
    return [full, `${full}.js`, full.replace(/\.tsx?$/, '.js'), join(full, 'index.js')].find((p) =>
      this.sideCode.has(p),
    )
  }

  private side(path: string): Module {
    const found = this.sideModules.get(path)
    if (found) return found
    const module = new Module(path)
    module.filename = path
    this.sideModules.set(path, module)
    try {
      const run = runInThisContext(
        `(function (exports, require, module, __filename, __dirname, ${SCOPE}) {${this.sideCode.get(path)}\n})`,
        {
          filename: path,
        },
      ) as (...args: unknown[]) => void
      run(
        module.exports,
        this.requireFor(dirname(path), createRequire(path)),
        module,
        path,
        dirname(path),
        this.sideScope,
      )
    } catch (error) {
      this.sideModules.delete(path)
      throw error
    }
    return module
  }
}

/** An ES module's namespace in the shape that TypeScript's CommonJS expects of one. */
function interoperable(namespace: Exports): Exports {
  if (namespace.__esModule) return namespace
  const exports: Exports = {}
  Object.defineProperty(exports, '__esModule', { value: true })
  for (const name of Object.keys(namespace))
    Object.defineProperty(exports, name, { enumerable: true, get: () => namespace[name] })
  return exports
}

function isEsModule(path: string): boolean {
  const extension = extname(path)
  if (extension === '.mjs') return true
  if (extension !== '.js') return false
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest)) return (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }).type === 'module'
    if (dirname(folder) === folder) return false
  }
}

/** The file that `import` finds for a package which `require` may not load. */
function importEntry(from: string, specifier: string): string | undefined {
  const [, name, rest] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(specifier) ?? []
  if (!name) return undefined
  for (let folder = from; ; folder = dirname(folder)) {
    const root = join(folder, 'node_modules', name)
    if (existsSync(join(root, 'package.json'))) {
      const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports?: unknown }
      const target = condition(subpath(exports, `.${rest ?? ''}`))
      return target === undefined ? undefined : join(root, target)
    }
    if (dirname(folder) === folder) return undefined
  }
}

function subpath(exports: unknown, path: string): unknown {
  if (typeof exports !== 'object' || exports === null || Array.isArray(exports))
    return path === '.' ? exports : undefined
  const table = exports as Exports
  if (!Object.keys(table).some((key) => key.startsWith('.'))) return path === '.' ? table : undefined
  if (path in table) return table[path]
  for (const [pattern, target] of Object.entries(table)) {
    const [before, after, more] = pattern.split('*')
    if (after === undefined || more !== undefined || !path.startsWith(before) || !path.endsWith(after)) continue
    const entry = condition(target)
    if (entry) return entry.replaceAll('*', path.slice(before.length, path.length - after.length))
  }
  return undefined
}

function condition(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (Array.isArray(target)) return target.map(condition).find((found) => found !== undefined)
  if (typeof target !== 'object' || target === null) return undefined
  for (const [name, value] of Object.entries(target))
    if (['node', 'import', 'module-sync', 'default'].includes(name)) {
      const found = condition(value)
      if (found) return found
    }
  return undefined
}

function fileOf(url: string): string {
  return url.startsWith('file:') ? decodeURIComponent(new URL(url).pathname) : url
}
