/** Namespaces and `declare global` of earlier cells: the converter forgets them after one cell, so they are handed on here. */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './compile.js'

/** `after`, the declarations of a cell and what it left of `before`, with the namespaces of `before` that it did not declare anew. */
export function keepNamespaces(ts: TypeScript, before: string, after: string, declared: ReadonlySet<string>): string {
  if (!/\b(?:namespace|module|global)\b/.test(before)) return after
  const read = (text: string) => ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true)
  const isLost = (one: tsTypes.Statement): one is tsTypes.ModuleDeclaration =>
    ts.isModuleDeclaration(one) && !(ts.isIdentifier(one.name) && declared.has(one.name.text))
  const texts = (text: string) => {
    const file = read(text)
    return file.statements.filter(isLost).map((one) => one.getText(file))
  }
  const known = new Set(texts(after))
  return [after, ...texts(before).filter((text) => !known.has(text))].join('\n')
}
