/** Where a specifier leads on the disk, as node would find it. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'

type Table = Record<string, unknown>

/** The file that `import` finds; of packages with both forms that is the ES module. undefined: there is none, or node's own. */
export function locateImport(folder: string, specifier: string, require?: NodeJS.Require): string | undefined {
  const entry = importEntry(folder, specifier)
  return entry !== undefined && existsSync(entry) ? entry : locate(folder, specifier, require)
}

/** The file that `require` finds, or `import` where it finds none; undefined: there is none, or node's own. */
export function locate(
  folder: string,
  specifier: string,
  require = createRequire(join(folder, 'cell.js')),
): string | undefined {
  try {
    return require.resolve(specifier)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ERR_PACKAGE_PATH_NOT_EXPORTED' ? importEntry(folder, specifier) : undefined
  }
}

/** The package that `specifier` names; undefined: a file, or no package's name. */
export function packageName(specifier: string): string | undefined {
  return /^(?:@[\w.~-]+\/)?[\w~-][\w.~-]*(?=$|\/)/.exec(specifier)?.[0]
}

export function isEsModule(path: string): boolean {
  const extension = extname(path)
  if (extension === '.mjs') return true
  if (extension !== '.js') return false
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest)) return (JSON.parse(readFileSync(manifest, 'utf8')) as { type?: string }).type === 'module'
    if (dirname(folder) === folder) return false
  }
}

/** The file that a package names for `import`. */
function importEntry(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return ownEntry(from, specifier)
  const name = packageName(specifier)
  const root = name && packageRoot(from, name)
  if (!root) return undefined
  const { exports } = manifestOf(root)
  const target = condition(subpath(exports, `.${specifier.slice(name.length)}`))
  return target === undefined ? undefined : join(root, target)
}

/** What the nearest package.json names for itself. */
function ownEntry(from: string, specifier: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) {
      const target = condition(subpath(manifestOf(folder).imports, specifier))
      if (target === undefined) return undefined
      return target.startsWith('.') ? join(folder, target) : locateImport(folder, target)
    }
    if (dirname(folder) === folder) return undefined
  }
}

function manifestOf(root: string): { exports?: unknown; imports?: unknown } {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Table
}

/** The folder of the package that code in `from` finds under this name. */
export function packageRoot(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const root = join(folder, 'node_modules', name)
    if (existsSync(join(root, 'package.json'))) return root
    if (dirname(folder) === folder) return undefined
  }
}

function subpath(exports: unknown, path: string): unknown {
  if (typeof exports !== 'object' || exports === null || Array.isArray(exports))
    return path === '.' ? exports : undefined
  const table = exports as Table
  if (!Object.keys(table).some((key) => /^[.#]/.test(key))) return path === '.' ? table : undefined
  if (path in table) return table[path]
  // The longest beginning decides.
  for (const [pattern, target] of Object.entries(table).sort(([a], [b]) => b.indexOf('*') - a.indexOf('*'))) {
    const [before, after, more] = pattern.split('*')
    if (after === undefined || more !== undefined || !path.startsWith(before) || !path.endsWith(after)) continue
    const entry = condition(target)
    if (path.length < pattern.length) continue
    return entry?.replaceAll('*', path.slice(before.length, path.length - after.length))
  }
  return undefined
}

function condition(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (Array.isArray(target)) return target.map(condition).find((found) => found !== undefined)
  if (typeof target !== 'object' || target === null) return undefined
  for (const [name, value] of Object.entries(target))
    if (['node-addons', 'node', 'import', 'module-sync', 'default'].includes(name)) {
      const found = condition(value)
      if (found) return found
    }
  return undefined
}
