/** What `import` and `require` find in a cell: the shipped package, the notebook folder's packages and files, node's own. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import Module, { createRequire, isBuiltin } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { types } from 'node:util'
import { runInThisContext } from 'node:vm'
import type { SideFile } from '../compiler/protocol.js'
import { SCOPE, type CellScope } from '../compiler/transform.js'
import { failedToLoad, remember, type CellSource } from './errors.js'
import type { ShippedPackage } from './package.js'
import { positions } from './positions.js'
import { isEsModule, locate, locateImport, packageName } from './resolve.js'

type Exports = Record<string, unknown>

/** How code in one file reaches others. */
export interface Home {
  /** What its imports became. */
  scope: Pick<CellScope, 'import' | 'require' | 'meta'>
  /** Its own. */
  require: NodeJS.Require
}

/** Of packages with both forms `import` loads the ES module, `require` the other. */
type Way = 'import' | 'require'

export class Modules {
  /** ES modules by their URL. */
  private readonly loaded = new Map<string, Exports>()
  private readonly provided = new Map<string, () => Exports>()
  private readonly sides = new Map<string, SideFile>()
  private readonly sideModules = new Map<string, Module>()
  /** A file beside the notebook, whoever loads it → those that import it. */
  private readonly importers = new Map<string, Set<string>>()
  /** Local files that are loaded by node: when they changed, and how often that was seen. */
  private readonly local = new Map<string, { changed: number; times: number }>()
  /** Names that differ between the package and the notebook's folder are decided on the disk: a real package wins. */
  private readonly shipsItself: boolean

  constructor(
    private readonly folder: string,
    private readonly shipped: ShippedPackage,
    private readonly scopeOf: (source: CellSource, home: Home) => CellScope,
  ) {
    this.shipsItself = !existsSync(join(folder, 'node_modules', shipped.name))
  }

  /** What `specifier` loads where the notebook's folder has no such package. */
  provide(specifier: string, make: () => Exports): void {
    if (existsSync(join(this.folder, 'node_modules', specifier))) return
    let made: Exports | undefined
    this.provided.set(specifier, () => (made ??= make()))
  }

  /** New code of files beside the notebook: they, and what imports them or a file that has changed, load again at their next import. */
  updateSides(files: readonly SideFile[]): void {
    const forget = (path: string) => {
      if (this.sideModules.delete(path)) this.importers.get(path)?.forEach(forget)
    }
    for (const [path, { changed }] of this.local)
      if (statSync(path, { throwIfNoEntry: false })?.mtimeMs !== changed) this.importers.get(path)?.forEach(forget)
    for (const side of files) {
      this.sides.set(side.path, side)
      forget(side.path)
    }
  }

  /** For the file at `path`, which need not exist. */
  home(path = join(this.folder, 'cell.ts')): Home {
    const native = createRequire(path)
    const { resolve, cache, extensions, main } = native
    const require = Object.assign((specifier: string) => this.require(specifier, path, native, 'require'), {
      resolve,
      cache,
      extensions,
      main,
    })
    const url = pathToFileURL(path).href
    const findUrl = (specifier: string) => {
      if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`
      return (
        this.esModule(specifier, path, native) ??
        pathToFileURL(locateImport(dirname(path), specifier, native) ?? resolve(specifier)).href
      )
    }
    const meta = { url, filename: path, dirname: dirname(path), resolve: findUrl }
    const scope: Home['scope'] = {
      import: (specifier) => this.import(String(specifier), path, native),
      require: (specifier) => this.require(specifier, path, native, 'import'),
      meta,
    }
    return { scope, require }
  }

  /** Loads what `require` would not find without waiting: ES modules, and files beside the notebook that may await. */
  async preload(specifiers: readonly string[], from = join(this.folder, 'cell.ts')): Promise<void> {
    const native = createRequire(from)
    for (const specifier of specifiers) {
      const side = this.sidePath(dirname(from), specifier)
      if (side) await this.preloadSide(side)
      else if (!this.provided.has(specifier)) {
        const url = this.esModule(specifier, from, native)
        if (url && !this.loaded.has(url)) this.loaded.set(url, interoperable((await load(url)) as Exports))
      }
    }
  }

  private require(specifier: string, from: string, native: NodeJS.Require, way: Way): unknown {
    const side = this.sidePath(dirname(from), specifier)
    if (side) {
      this.imported(side, from)
      return this.side(side).exports
    }
    const provided = this.provided.get(specifier)
    if (provided) return provided()
    const url = this.esModule(specifier, from, native, way)
    if (!url) {
      const path =
        way === 'import' && !isBuiltin(specifier) ? locateImport(dirname(from), specifier, native) : undefined
      const found = this.advised(specifier, () => native(path ?? specifier) as unknown)
      return types.isModuleNamespaceObject(found) ? interoperable(found as Exports) : found
    }
    // A `require` that no static import announced reaches ES modules through node's own (node ≥ 20.19).
    return this.loaded.get(url) ?? interoperable(loadNow(fileURLToPath(url), native) as Exports)
  }

  /** `import()`: a module namespace, as in any ES module. */
  private async import(specifier: string, from: string, native: NodeJS.Require): Promise<unknown> {
    const side = this.sidePath(dirname(from), specifier)
    if (side) {
      await this.preloadSide(side)
      return interoperable(this.side(side).exports as Exports)
    }
    const provided = this.provided.get(specifier)
    if (provided) return provided()
    if (isBuiltin(specifier) || /^(data|file|node):/.test(specifier)) return import(specifier)
    const url = this.esModule(specifier, from, native)
    if (url) return load(url)
    const path =
      locateImport(dirname(from), specifier, native) ?? this.advised(specifier, () => native.resolve(specifier))
    if (!/\.(json|node)$/.test(path)) return import(this.urlOf(path, from))
    const value = native(path) as unknown
    return { ...(typeof value === 'object' && value), default: value }
  }

  /** What node says about a package that is not there, and what to do. */
  private advised<T>(specifier: string, find: () => T): T {
    try {
      return find()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const [said, missing] = /^Cannot find module '([^']*)'/.exec(message) ?? []
      if (code !== 'MODULE_NOT_FOUND' || missing !== specifier) throw error
      const name = packageName(specifier)
      const advice = name ? `: npm install ${name} (in ${this.folder})` : ` from ${this.folder}`
      throw Object.assign(new Error(`${said}${advice}`), { code })
    }
  }

  /** The URL of an ES module, or undefined where `require` is the right way in. */
  private esModule(specifier: string, from: string, native: NodeJS.Require, way: Way = 'import'): string | undefined {
    if (this.shipsItself && specifier === this.shipped.name) return pathToFileURL(this.shipped.module).href
    if (isBuiltin(specifier)) return undefined
    if (/^(data|file):/.test(specifier)) return specifier
    const path = (way === 'import' ? locateImport : locate)(dirname(from), specifier, native)
    if (path === undefined) return undefined // `require` says what is wrong
    const url = this.urlOf(path, from)
    return isEsModule(path) ? url : undefined
  }

  /** The URL of a file; another one when a local file has changed, and then `require` loads it anew too. */
  private urlOf(path: string, from: string): string {
    const url = pathToFileURL(path).href
    if (path.includes('/node_modules/') || path.endsWith('.node')) return url
    this.imported(path, from)
    const changed = statSync(path).mtimeMs
    const known = this.local.get(path) ?? { changed, times: 0 }
    const times = known.times + (known.changed === changed ? 0 : 1)
    this.local.set(path, { changed, times })
    if (times > known.times) delete Module.createRequire(path).cache[path]
    return times === 0 ? url : `${url}?changed=${times}`
  }

  private imported(path: string, from: string): void {
    this.importers.set(path, (this.importers.get(path) ?? new Set()).add(compiledPath(from)))
  }

  // ---------------------------------------------------------------- files beside the notebook

  private sidePath(folder: string, specifier: string): string | undefined {
    if (!/^\.{0,2}\//.test(specifier) && !/^\.\.?$/.test(specifier)) return undefined
    const full = resolve(folder, specifier)
    return [full, `${full}.js`, compiledPath(full), join(full, 'index.js')].find((p) => this.sides.has(p))
  }

  private side(path: string): Module {
    const found = this.sideModules.get(path)
    if (found) return found
    const [module, body] = this.begin(path)
    try {
      body('function')
    } catch (error) {
      this.sideModules.delete(path)
      throw error
    }
    return module
  }

  private async preloadSide(path: string): Promise<void> {
    if (this.sideModules.has(path)) return // or is being loaded: a circle
    const { imports, source } = this.sides.get(path)!
    const [, body] = this.begin(path)
    try {
      await this.preload(imports, source)
      await body('async function')
    } catch (error) {
      this.sideModules.delete(path)
      throw error
    }
  }

  private begin(path: string): [Module, (kind: string) => unknown] {
    const { data, source, maps } = this.sides.get(path)!
    const label = relative(this.folder, source)
    const about: CellSource = {
      file: path,
      label,
      source: readFileSync(source, 'utf8'),
      position: positions(maps, 0),
    }
    remember(about)
    const module = new Module(path)
    module.filename = path
    this.sideModules.set(path, module)
    const home = this.home(source)
    const run = (kind: string) => {
      const text = `(${kind} (exports, require, module, __filename, __dirname, ${SCOPE}) { 'use strict'\n${data}\n})`
      const body = runInThisContext(text, { filename: path }) as (...args: unknown[]) => unknown
      return body(module.exports, home.require, module, source, dirname(source), this.scopeOf(about, home))
    }
    return [module, run]
  }
}

/** Under which a file of TypeScript is found once it is compiled. */
const compiledPath = (path: string) => path.replace(/\.([cm]?)tsx?$/, '.$1js')

async function load(url: string): Promise<unknown> {
  try {
    return await import(url)
  } catch (error) {
    if (url.startsWith('file:')) failedToLoad(error, fileURLToPath(url))
    throw error
  }
}

function loadNow(path: string, native: NodeJS.Require): unknown {
  try {
    return native(path)
  } catch (error) {
    failedToLoad(error, path)
    throw error
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
