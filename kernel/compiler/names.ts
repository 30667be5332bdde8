/**
 * How later cells reach the names of a cell. The converter exports them all, and TypeScript then copies each write to the
 * exports: functions of the cell would not see what later cells assign, and loops would pay for every step. Instead the
 * variables are shared (`__names.share`), the rest, which nobody can assign to, is handed on as it is (`__names.give`).
 */
import type * as tsTypes from 'typescript'
import { edited, type Edit } from './edits.js'
import type { TypeScript } from './typescript.js'
import { bindings, hoistedNames, importedNames } from './prepare.js'

/** The name under which a cell's code finds `CellNames`. */
export const NAMES = '__names'

export interface CellNames {
  give(name: string, value: unknown): void
  share(name: string, get: () => unknown, set: (value: unknown) => void): void
}

/** What a cell says after it has declared a name that nobody can assign to, */
export const give = (name: string) => `${NAMES}.give("${name}", ${name});`
/** and after a variable. */
export const share = (name: string) => `${NAMES}.share("${name}", () => ${name}, (__value) => { ${name} = __value; });`

/** The converter's JavaScript of a cell with the same lines, without its exports. */
export function handOn(ts: TypeScript, js: string): string {
  const file = ts.createSourceFile('cell.js', js, ts.ScriptTarget.Latest, false, ts.ScriptKind.JS)
  // Not what TypeScript adds to help itself, such as __decorate.
  const exported = new Set(file.statements.flatMap((one) => exportedBy(ts, one)))
  const edits: Edit[] = []
  for (const statement of file.statements) {
    const { end } = statement
    const after = (names: string[], way: (name: string) => string) =>
      names
        .filter((name) => exported.has(name))
        .forEach((name) => edits.push({ at: end, removed: 0, text: ` ${way(name)}` }))
    if (ts.isExportDeclaration(statement)) {
      const at = statement.getStart(file)
      if (!statement.moduleSpecifier) edits.push({ at, removed: end - at, text: '' })
    } else if (ts.isVariableStatement(statement)) {
      const { declarations, flags } = statement.declarationList
      if (statement.modifiers) {
        // The last expression, in the same columns.
        const { name } = declarations[0]
        const at = statement.getStart(file)
        const text = `exports.${(name as tsTypes.Identifier).text}`
        edits.push({ at, removed: name.end - at, text: text.padEnd(name.end - at) })
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
  return edited(js, edits)
}

function exportedBy(ts: TypeScript, statement: tsTypes.Statement): string[] {
  if (!ts.isExportDeclaration(statement) || statement.moduleSpecifier) return []
  const { exportClause } = statement
  return exportClause && ts.isNamedExports(exportClause) ? exportClause.elements.map(({ name }) => name.text) : []
}
