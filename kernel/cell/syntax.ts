/**
 * Where the syntax of an ES module, or of one that it imports, is wrong: node knows, but tells only a process that dies of it.
 * As a program (started by `brokenBelow`) it reads the module and all that it imports, runs nothing, and dies of the first error.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as vm from 'node:vm'
import { isEsModule, locateImport } from './resolve.js'

/** Zero-based. */
export interface Broken {
  path: string
  line: number
  column: number
}

const SELF = fileURLToPath(import.meta.url)
const LIMIT_MS = 10_000
/** What node puts above an error that it could not read the source of. */
const HEAD = /^(?:file:\/\/)?(.*):(\d+)\r?\n.*\r?\n([ \t]*)\^/

/** What an error's text says of its place above the message. */
export function brokenAt(text: string): Broken | undefined {
  const [, path, line, before] = HEAD.exec(text) ?? []
  return path === undefined ? undefined : { path: decodeURI(path), line: +line - 1, column: before.length }
}

/** Of the ES module at `path` and what it imports. */
export function brokenBelow(path: string): Broken | undefined {
  const flags = ['--experimental-vm-modules', '--no-warnings']
  const { stderr } = spawnSync(process.execPath, [...flags, SELF, path], { encoding: 'utf8', timeout: LIMIT_MS })
  return brokenAt(stderr)
}

interface Parsed {
  /** node ≥ 24 */
  moduleRequests?: readonly { specifier: string }[]
  dependencySpecifiers?: readonly string[]
}

function readAll(path: string, seen = new Set<string>()): void {
  if (seen.has(path) || !isEsModule(path)) return
  seen.add(path)
  const { SourceTextModule } = vm as unknown as { SourceTextModule: new (text: string, how: object) => Parsed }
  const module = new SourceTextModule(readFileSync(path, 'utf8'), { identifier: path })
  const specifiers = module.moduleRequests?.map(({ specifier }) => specifier) ?? module.dependencySpecifiers ?? []
  for (const specifier of specifiers) {
    const file = specifier.startsWith('file:') ? fileURLToPath(specifier) : locateImport(dirname(path), specifier)
    if (file !== undefined) readAll(file, seen)
  }
}

if (process.argv[1] === SELF && process.argv[2] !== undefined) readAll(process.argv[2])
