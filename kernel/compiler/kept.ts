/** What stays declared of a cell that failed on its way: the names that it reached. The others are what they were before it. */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { importOf } from './declared.js'

/** `after`, the declarations of a cell and what it left of `before`, as if it had not declared the values `lost`. */
export function keepReached(ts: TypeScript, before: string, after: string, lost: readonly string[]): string {
  const names = new Set(lost)
  const kept = pick(ts, after, (name) => !names.has(name), true)
  const restored = pick(ts, before, (name) => names.has(name), false)
  return [...kept, ...restored].join('\n')
}

/** The statements of `text` that declare values which are `wanted`; of statements with several names, those. `types`: and all types. */
function pick(ts: TypeScript, text: string, wanted: (name: string) => boolean, types: boolean): string[] {
  const file = ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true)
  return file.statements.flatMap((statement) => {
    const whole = statement.getText(file)
    if (ts.isVariableStatement(statement)) {
      const { declarations } = statement.declarationList
      const kept = declarations.filter(({ name }) => wanted(name.getText(file)))
      if (kept.length === declarations.length) return [whole]
      const head = text.slice(statement.getStart(file), declarations[0].getStart(file))
      return kept.length > 0 ? [`${head}${kept.map((one) => one.getText(file)).join(', ')};`] : []
    }
    if (ts.isImportDeclaration(statement))
      return importOf(ts, file, statement, (name, isTypeOnly) => (isTypeOnly ? types : wanted(name)))
    const { name } = statement as { name?: tsTypes.Node }
    const isValue =
      name && ts.isIdentifier(name) && !ts.isInterfaceDeclaration(statement) && !ts.isTypeAliasDeclaration(statement)
    return (isValue ? wanted(name.text) : types) ? [whole] : []
  })
}
