/**
 * What TypeScript complains about in a cell and in the files that it imports: collected before tslab's converter flattens it, and
 * shown as TypeScript shows it.
 */
import type * as tsTypes from 'typescript'
import { builtinModules } from 'node:module'
import { dirname } from 'node:path'
import { red } from '../cell/errors.js'
import type { ErrorContent } from '../error.js'
import { locate, packageName, packageRoot } from '../cell/resolve.js'
import type { TypeScript } from './typescript.js'
import { parseErrors, type Prepared } from './prepare.js'

export interface Findings {
  complaints: tsTypes.Diagnostic[]
  /** Modules that are not there. */
  missing: string[]
  /** Packages of which the types, or some of them, cannot be read. */
  untyped: string[]
}

/** A cell that is being checked. */
export interface Checked {
  prepared: Prepared
  findings: Findings
  /** Files that no finding is wanted of any more. */
  seen: WeakSet<tsTypes.SourceFile>
}

type Check = (program: tsTypes.Program, files: readonly tsTypes.SourceFile[]) => tsTypes.Diagnostic[]

const CANNOT_FIND_MODULE = 2307
const NOT_UNDER_ROOT = 6059 // files above the notebook's folder are welcome
const SHOWN = 10

/** In place of TypeScript's own function, which the converter calls with the cell and the local files that it imports. */
export function collector(ts: TypeScript, current: () => Checked): Check {
  return (program, files) => {
    const [cell] = files
    const { prepared, findings, seen } = current()
    const inCell = inCellOf(ts, cell, prepared)
    for (const file of files) {
      // A cell's syntax errors are known before; types that cannot be written into declarations are no error here.
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
      for (const one of found) {
        if (one.code === NOT_UNDER_ROOT || (file === cell && prepared.unchecked)) continue
        if (one.code === CANNOT_FIND_MODULE) {
          const specifier = file.text.substr(one.start! + 1, one.length! - 2)
          if (locate(dirname(file.fileName), specifier) !== undefined) {
            findings.untyped.push(specifier)
            continue
          }
          findings.missing.push(specifier)
          findings.complaints.push(...inCell(withAdvice(one, specifier)))
        } else findings.complaints.push(...inCell(one))
      }
    }
    for (const file of program.getSourceFiles()) {
      if (seen.has(file)) continue
      seen.add(file)
      const name = packageOf(file.fileName)
      if (name !== undefined && parseErrors(file)?.length > 0) findings.untyped.push(name)
    }
    // The converter only needs to know that there is something, at a place that it knows.
    const fail = { file: cell, start: 0, length: 0, code: 0, messageText: '', category: ts.DiagnosticCategory.Error }
    return findings.complaints.length > 0 ? [fail] : []
  }
}

/** Moves what was found in the converter's file into the cell's own text. */
function inCellOf(ts: TypeScript, cell: tsTypes.SourceFile, { file, text }: Prepared) {
  const before = cell.text.indexOf(text)
  const move = <T extends tsTypes.DiagnosticRelatedInformation>(one: T): T | undefined => {
    if (one.file !== cell) return one
    const start = one.start! - before
    if (start > file.text.length) return undefined // what the converter added
    return { ...one, file, start, length: Math.min(one.length!, file.text.length - start) }
  }
  const related = (one: tsTypes.DiagnosticRelatedInformation) => {
    if (!one.file?.fileName.endsWith('/__prev__.d.ts')) return move(one)
    const { line } = one.file.getLineAndCharacterOfPosition(one.start!)
    const messageText = `${ts.flattenDiagnosticMessageText(one.messageText, '\n')} (an earlier cell: ${one.file.text.split('\n')[line].trim()})`
    return { ...one, file: undefined, messageText }
  }
  return (one: tsTypes.Diagnostic): tsTypes.Diagnostic[] => {
    const moved = move(one)
    if (!moved) return []
    const relatedInformation = one.relatedInformation?.map(related).filter((each) => each !== undefined)
    return [{ ...moved, relatedInformation }]
  }
}

function withAdvice(one: tsTypes.Diagnostic, specifier: string): tsTypes.Diagnostic {
  const name = packageName(specifier)
  if (name === undefined || builtinModules.includes(name)) return one
  const advice = packageRoot(process.cwd(), name)
    ? `The package ${name} has no '.${specifier.slice(name.length)}'.`
    : `If it is a package: npm install ${name} (in ${process.cwd()}).`
  return { ...one, messageText: `${one.messageText as string} ${advice}` }
}

/** The package that a declaration file belongs to, unless it is one of the compiler's own. */
function packageOf(path: string): string | undefined {
  const inside = /.*\/node_modules\/(.*)$/.exec(path)?.[1]
  return inside === undefined || inside.startsWith('@tslab/') || inside.startsWith('@types/node/')
    ? undefined
    : packageName(inside)
}

/** One error that a notebook shows. */
export function errorOf(ts: TypeScript, complaints: readonly tsTypes.Diagnostic[], label: string): ErrorContent {
  const host = {
    getCurrentDirectory: () => process.cwd(),
    getCanonicalFileName: (name: string) => name,
    getNewLine: () => '\n',
  }
  const shown = complaints.slice(0, SHOWN).map((one) => {
    const text = ts.formatDiagnosticsWithColorAndContext([withLabel(one, label)], host)
    return calmer(ofCells(text.replaceAll('\r', '').trimEnd()))
  })
  if (complaints.length > SHOWN) shown.push(red(`… and ${complaints.length - SHOWN} more`))
  const traceback = shown.join('\n\n').split('\n')
  const evalue = traceback[0].replace(/\u001b\[\d+m/g, '')
  return { ename: 'TypeScriptError', evalue, traceback }
}

/** Where two types have one name, TypeScript tells them apart by the converter's files. */
function ofCells(text: string): string {
  const where = { tslab: 'of this cell', prev: 'of an earlier cell' }
  return text.replace(
    /import\("[^"]*\/__(tslab|prev)__"\)\.([\p{ID_Continue}$.]+)/gu,
    (_, file: keyof typeof where, name: string) => `${name} (${where[file]})`,
  )
}

/** Of TypeScript's colours only red: the others are hard to read on the background of errors, light or dark. */
function calmer(text: string): string {
  return text.replaceAll('\u001b[91m', '\u001b[31m').replace(/\u001b\[(9[0-7]|3[02-7])m/g, '')
}

function withLabel<T extends tsTypes.DiagnosticRelatedInformation>(one: T, label: string): T {
  const { file } = one
  const { relatedInformation } = one as tsTypes.DiagnosticRelatedInformation & tsTypes.Diagnostic
  return {
    ...one,
    file: file?.fileName === 'cell.ts' ? (Object.create(file, { fileName: { value: label } }) as typeof file) : file,
    relatedInformation: relatedInformation?.map((each) => withLabel(each, label)),
  }
}
