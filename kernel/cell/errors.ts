/** Errors as notebooks show them: stack frames on the cell's own lines, nothing of the kernel, an excerpt of the line. */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { Position } from '../compiler/protocol.js'
import type { ErrorContent } from '../error.js'
import { brokenAt, brokenBelow } from './syntax.js'

/** What a cell is known by while its functions may still run. */
export interface CellSource {
  /** File name in V8's frames. */
  file: string
  /** What users read: "Cell [3]", or the name of a file beside the notebook. */
  label: string
  source: string
  /** Where a place in the code as it runs (or, with `before`, in what the converter reads) stands in the cell. */
  position(line: number, column: number, before?: boolean): Position | undefined
}

/** Raised inside a cell that the user interrupts. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  constructor() {
    super('the cell was interrupted')
  }
}

const cells = new Map<string, CellSource>()
const labels = new Map<string, CellSource>()
const awaits = new WeakMap<object, { cell: CellSource; line: number; column: number }[]>()
const roots = new WeakMap<object, string>()
const KERNEL = dirname(dirname(fileURLToPath(import.meta.url)))
const EXCERPT = 80 // columns; front ends wrap longer lines, and the caret would point elsewhere
const REPEATED = 3 // equal frames that stay as they are
const HEADER_LINES = 1 // the line that opens the function around a cell's code

export function remember(cell: CellSource): void {
  cells.set(cell.file, cell)
  labels.set(cell.label, cell)
}

/** `error` came of loading the ES module at `path`. */
export function failedToLoad(error: unknown, path: string): void {
  if (error instanceof SyntaxError) roots.set(error, path)
}

/** `error` came out of an await at this place of `cell`. */
export function passedAwait(error: unknown, cell: CellSource, line: number, column: number): void {
  if (typeof error !== 'object' || error === null) return
  const places = awaits.get(error)
  if (places) places.push({ cell, line, column })
  else awaits.set(error, [{ cell, line, column }])
}

/** Makes `error.stack` speak of cells. Call once per process. */
export function mapStacks(): void {
  Error.stackTraceLimit = 25
  Error.prepareStackTrace = (error, sites) => {
    const lines = sites.map(frame).filter((line) => line !== undefined)
    return [headOf(error), ...lines].join('\n')
  }
}

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error)
  } catch {
    return 'Error'
  }
}

function frame(site: NodeJS.CallSite): string | undefined {
  const file = site.getFileName() ?? site.getScriptNameOrSourceURL() ?? ''
  const cell = cells.get(file)
  if (!cell) {
    const path = file.startsWith('file:') ? fileURLToPath(file) : file
    const internal = path.startsWith(KERNEL) || path.startsWith('node:')
    if (internal || (file === '' && !site.isNative())) return undefined
    // Functions of cells are properties of a proxy.
    return `    at ${String(site)
      .replace(file, path)
      .replace(/^(async )?Proxy\./, '$1')}`
  }
  const at = placeOf(cell, site)
  const name = site.getFunctionName()?.replace(/^exports\..*/, '') // the last expression's
  const where = at ? `${cell.label}:${at.line + 1}:${at.column + 1}` : cell.label
  const method = site.getMethodName()
  const type = site.getTypeName()
  const full = name && type && !site.isToplevel() && method === name && type !== 'Object' ? `${type}.${name}` : name
  const prefix = site.isAsync() ? 'async ' : site.isConstructor() ? 'new ' : ''
  return full ? `    at ${prefix}${full} (${where})` : `    at ${prefix}${where}`
}

function placeOf(cell: CellSource, site: NodeJS.CallSite): Position | undefined {
  const line = (site.getLineNumber() ?? 1) - 1 - HEADER_LINES
  const at = cell.position(line, (site.getColumnNumber() ?? 1) - 1)
  return at && calledAt(linesOf(cell.source)[at.line] ?? '', at)
}

/** Where V8 names the parenthesis of a call, as it does for what is imported: the name before it. */
function calledAt(text: string, { line, column }: Position): Position {
  const name = text[column] === '(' ? /[\p{ID_Continue}$]*$/u.exec(text.slice(0, column))![0] : ''
  return { line, column: column - name.length }
}

const linesOf = (source: string) => source.split(/\r\n|[\n\r\u2028\u2029]/)

const FRAME = /(?:\(|at (?:async )?)([^()]+):(\d+):(\d+)\)?$/

/** What a notebook shows for a thrown value, whatever its properties do when they are read. */
export function errorContent(thrown: unknown, above: readonly unknown[] = []): ErrorContent {
  try {
    return contentOf(thrown, above)
  } catch (error) {
    const evalue = `a thrown value that cannot be shown: reading it fails (${typeof error === 'object' ? headOf(error as Error) : String(error)})`
    return { ename: 'Error', evalue, traceback: [`${red('Error')}: ${evalue}`] }
  }
}

function contentOf(thrown: unknown, above: readonly unknown[]): ErrorContent {
  if (!(thrown instanceof Error) && !isErrorLike(thrown)) {
    const evalue = typeof thrown === 'string' ? thrown : inspect(thrown)
    return { ename: thrown === null ? 'null' : typeof thrown, evalue, traceback: [`${red('Thrown')}: ${evalue}`] }
  }
  const error = thrown as Error
  const ename = String(error.name || error.constructor?.name || 'Error')
  const evalue = asWritten(String(error.message ?? ''))
  const stack = typeof error.stack === 'string' ? error.stack : ''
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  const broken = unreadable(error, stack, frames[0])
  if (broken) frames.unshift(`    at ${broken.label}:${broken.at.line + 1}:${broken.at.column + 1}`)
  for (const { cell, line, column } of awaits.get(error) ?? []) {
    const at = cell.position(line, column, true)
    const text = `    at async ${cell.label}:${(at?.line ?? 0) + 1}:${(at?.column ?? 0) + 1}`
    if (!frames.some((known) => known.includes(`${cell.label}:${(at?.line ?? 0) + 1}:`))) frames.push(text)
  }
  if (thrown instanceof Interrupted) frames.length = 0
  const details = above.includes(error) ? ['(told above)'] : withoutStack(error, [...above, error])
  const where = broken ? excerpt(broken.source, broken.at) : excerptOf(frames)
  const lines = [`${red(ename)}${evalue ? `: ${evalue}` : ''}`, ...where, ...folded(frames), ...details]
  return { ename, evalue, traceback: lines.flatMap((line) => line.split('\n')) }
}

/** Frames of a function that called itself, once. */
function folded(frames: readonly string[]): string[] {
  const shown: string[] = []
  for (let at = 0; at < frames.length;) {
    const end = frames.findIndex((frame, i) => i > at && frame !== frames[at])
    const times = (end < 0 ? frames.length : end) - at
    shown.push(
      ...(times > REPEATED ? [frames[at], `    … and ${times - 1} more of these`] : frames.slice(at, at + times)),
    )
    at += times
  }
  return shown
}

/** V8 quotes a cell's code as it runs: `exports.f`, `(0 , node_path_1.f)`. */
function asWritten(message: string): string {
  if (!/^[^'"]* is not (a function|a constructor|iterable|async iterable)\b/.test(message)) return message
  return message.replace(/\(0 , ([^()]*)\)/g, '$1').replace(/^(exports|[\w$]+_\d+)\.(default\.)?/, '')
}

/** The place that V8 could not read: it says so above the stack only, and of ES modules not even there. */
function unreadable(
  error: Error,
  stack: string,
  first = '',
): { label: string; source: string; at: Position } | undefined {
  if (!(error instanceof SyntaxError)) return undefined
  const root = roots.get(error)
  const [, label = ''] = FRAME.exec(first) ?? []
  const ran = first !== '' && !/^\s+at async /.test(first) && !labels.has(label) // the error is of code, not of its source
  const broken = brokenAt(stack) ?? (root === undefined || ran ? undefined : brokenBelow(root))
  if (!broken) return undefined
  const { path, line, column } = broken
  const cell = cells.get(path)
  if (!cell) return { label: path, source: readFileSync(path, 'utf8'), at: { line, column } }
  const at = cell.position(line - HEADER_LINES, column)
  return at && { label: cell.label, source: cell.source, at }
}

/** Own properties and the cause, as util.inspect shows them below a stack. */
function withoutStack(error: Error, above: readonly unknown[]): string[] {
  const { cause } = error
  const shown: string[] = []
  const skipped = ['stack', 'message', 'name', 'cause']
  const own = Object.entries(error).filter(([name, value]) => !skipped.includes(name) && typeof value !== 'function')
  if (own.length > 0) shown.push(inspect(Object.fromEntries(own), { depth: 2 }))
  if (error instanceof AggregateError)
    for (const one of (error.errors as unknown[]).slice(0, 5))
      shown.push(...errorContent(one, above).traceback.map((l) => `  ${l}`))
  if (cause !== undefined) shown.push('caused by', ...errorContent(cause, above).traceback.map((l) => `  ${l}`))
  return shown
}

function isErrorLike(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Error]' // from another realm
}

/** The line of the first frame that lies in a cell, with a caret below the column. */
function excerptOf(frames: readonly string[]): string[] {
  for (const text of frames) {
    const [, label, line, column] = FRAME.exec(text) ?? []
    const cell = labels.get(label)
    if (cell) return excerpt(cell.source, { line: +line - 1, column: +column - 1 })
  }
  return []
}

/** A line of `source` with a caret below the place. */
function excerpt(source: string, at: Position): string[] {
  const text = linesOf(source)[at.line]
  if (text === undefined) return []
  const number = String(at.line + 1)
  const from = Math.max(0, Math.min(at.column - EXCERPT / 2, text.length - EXCERPT))
  const [before, after] = [from > 0 ? '…' : '', text.length > from + EXCERPT ? '…' : '']
  const gutter = ' '.repeat(number.length)
  const pad = (before + text.slice(from, at.column)).replace(/[^\t]/g, ' ')
  const shown = before + text.slice(from, from + EXCERPT) + after
  return [`  ${number} | ${shown}`, `  ${gutter} | ${pad}${red('^')}`]
}

export function red(text: string): string {
  return `\u001b[31m${text}\u001b[39m`
}
