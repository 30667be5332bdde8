/**
 * How later cells reach the names of a cell. The converter exports them all, and TypeScript then copies each write to the
 * exports: functions of the cell would not see what later cells assign, and loops would pay for every step. Instead the
 * variables are shared (`__names.share`), the rest, which nobody can assign to, is handed on as it is (`__names.give`).
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { bindings, hoistedNames, importedNames } from './prepare.js'

/** The name under which a cell's code finds `CellNames`. */
export const NAMES = '__names'

export interface CellNames {
  give(name: string, value: unknown): void
  share(name: string, get: () => unknown, set: (value: unknown) => void): void
}

/** The converter's JavaScript of a cell with the same lines, without its exports. */
export function handOn(ts: TypeScript, js: string): string {
  const file = ts.createSourceFile('cell.js', js, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS)
  // Not what TypeScript adds to help itself, such as __decorate.
  const exported = new Set(file.statements.flatMap((one) => exportedBy(ts, one)))
  const edits: { from: number; to: number; text: string }[] = []
  const give = (name: string) => `${NAMES}.give("${name}", ${name});`
  const share = (name: string) => `${NAMES}.share("${name}", () => ${name}, (__value) => { ${name} = __value; });`
  for (const statement of file.statements) {
    const { end } = statement
    const after = (names: string[], way: (name: string) => string) =>
      names
        .filter((name) => exported.has(name))
        .forEach((name) => edits.push({ from: end, to: end, text: ` ${way(name)}` }))
    if (ts.isExportDeclaration(statement)) {
      if (!statement.moduleSpecifier) edits.push({ from: statement.getStart(file), to: end, text: '' })
    } else if (ts.isVariableStatement(statement)) {
      const { declarations, flags } = statement.declarationList
      if (statement.modifiers) {
        // The last expression, in the same columns.
        const { name } = declarations[0]
        const from = statement.getStart(file)
        const text = `exports.${(name as tsTypes.Identifier).text}`
        edits.push({ from, to: name.end, text: text.padEnd(name.end - from) })
        continue
      }
      after(
        declarations.flatMap(({ name }) => bindings(ts, name)),
        flags & ts.NodeFlags.Const ? give : share,
      )
    } else if (ts.isImportDeclaration(statement)) after(importedNames(ts, statement), give)
    else if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      if (statement.name) after([statement.name.text], give)
    } else after(hoistedNames(ts, statement), share)
  }
  let at = 0
  const pieces = edits.map(({ from, to, text }) => {
    const before = js.slice(at, from)
    at = to
    return before + text
  })
  return pieces.join('') + js.slice(at)
}

function exportedBy(ts: TypeScript, statement: tsTypes.Statement): string[] {
  if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier) return []
  const { exportClause } = statement
  return exportClause && ts.isNamedExports(exportClause) ? exportClause.elements.map(({ name }) => name.text) : []
}
