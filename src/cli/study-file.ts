/** A file of TypeScript that makes a study: compiled and checked as a notebook's cell would be, and its default export. */
import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { errorContent, mapStacks } from '../../kernel/cell/errors.js'
import { Modules } from '../../kernel/cell/modules.js'
import { shippedPackage } from '../../kernel/cell/package.js'
import { scopeOf, Waits } from '../../kernel/cell/scope.js'
import { Compiler } from '../../kernel/compiler/compile.js'
import { errorOf } from '../../kernel/compiler/diagnostics.js'
import { shown, ZslabError } from '../errors.js'
import type { Study } from '../experiments/study.js'
import { UsageError } from './common.js'

/** Errors: of the compiler, of what runs while it loads, and where it exports no study. */
export async function studyIn(path: string): Promise<Study> {
  if (!existsSync(path)) throw new ZslabError('file', `there is no file ${shown(path)}: check the path`)
  if (!/\.[cm]?ts$/.test(path))
    throw new UsageError(`expected a file of TypeScript, such as study.ts, but received ${shown(path)}`)
  const found = await defaultOf(path)
  const { run, plan } = (found ?? {}) as Partial<Study>
  if (typeof run === 'function' && typeof plan === 'function') return found as Study
  throw new UsageError(
    `${path} exports ${shown(found)} as its default: expected a study, as in export default sweep({ … })`,
  )
}

async function defaultOf(path: string): Promise<unknown> {
  mapStacks()
  const shipped = shippedPackage()
  const folder = process.cwd()
  const from = relative(folder, resolve(path))
    .replace(/\.ts$/, '')
    .replace(/\.([cm])ts$/, '.$1js')
  const specifier = from.startsWith('.') ? from : `./${from}`
  const compiler = new Compiler(shipped)
  const result = compiler.compile('', `import study from ${JSON.stringify(specifier)}\nvoid study`)
  if (!result.ok) throw new UsageError(plain(errorOf(compiler.ts, result.complaints, path).traceback))
  compiler.close()
  const waits = new Waits()
  const modules = new Modules(folder, shipped, (source, home) => scopeOf(waits, source, home))
  modules.updateSides(result.compiled.sideOutputs)
  try {
    const home = modules.home(join(folder, 'cell.ts'))
    await modules.preload(result.compiled.imports)
    return (home.require(specifier) as { default?: unknown }).default
  } catch (error) {
    if (error instanceof ZslabError || (error as Error).name === 'AbortError') throw error
    throw new UsageError(plain(errorContent(error).traceback))
  }
}

/** Colours are for terminals. */
function plain(traceback: readonly string[]): string {
  const text = traceback.join('\n')
  return process.stderr.isTTY ? text : stripVTControlCharacters(text)
}
