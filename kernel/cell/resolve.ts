/** Where a specifier leads on the disk, as node would find it. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'

type Table = Record<string, unknown>

/** The file that `specifier` means in `folder`; undefined: there is none, or node's own. */
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

/** The file that `import` finds for a package which `require` may not load. */
function importEntry(from: string, specifier: string): string | undefined {
  const [, name, rest] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(specifier) ?? []
  const root = name && packageRoot(from, name)
  if (!root) return undefined
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports?: unknown }
  const target = condition(subpath(exports, `.${rest ?? ''}`))
  return target === undefined ? undefined : join(root, target)
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
