/** Namespaces and `declare global` of earlier cells: the converter forgets them after one cell, so they are handed on here. */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'

/** `after`, the declarations of a cell and what it left of `before`, with the namespaces of `before` that it did not declare anew. */
export function keepNamespaces(ts: TypeScript, before: string, after: string, declared: ReadonlySet<string>): string {
  if (!/\b(?:namespace|module|global)\b/.test(before)) return after
  const read = (text: string) => ts.createSourceFile('declarations.d.ts', text, ts.ScriptTarget.Latest, true)
  const isLost = (one: tsTypes.Statement): one is tsTypes.ModuleDeclaration =>
    ts.isModuleDeclaration(one) && (isGlobal(ts, one) || !(ts.isIdentifier(one.name) && declared.has(one.name.text)))
  const texts = (text: string) => {
    const file = read(text)
    return file.statements.filter(isLost).map((one) => one.getText(file))
  }
  const known = new Set(texts(after))
  return [after, ...new Set(texts(before).filter((text) => !known.has(text)))].join('\n')
}

/** `before` without what `cell` declares globally anew: two declarations of it would have to agree. */
export function forgetGlobals(ts: TypeScript, before: string, cell: tsTypes.SourceFile): string {
  const anew = new Set(globalsIn(ts, cell).map(({ name }) => name))
  if (anew.size === 0) return before
  const known = globalsIn(ts, ts.createSourceFile('declarations.d.ts', before, ts.ScriptTarget.Latest))
  const forgotten = new Set(known.filter(({ name }) => anew.has(name)).map(({ node }) => node))
  return [...forgotten].reduceRight((text, { pos, end }) => text.slice(0, pos) + text.slice(end), before)
}

/** Whether `one` is a `declare global`. */
export function isGlobal(ts: TypeScript, one: tsTypes.Node): boolean {
  return ts.isModuleDeclaration(one) && (one.flags & ts.NodeFlags.GlobalAugmentation) !== 0
}

/** What `file` declares globally, in parts that stand or fall alone: members of interfaces, each other statement as a whole. */
function globalsIn(ts: TypeScript, file: tsTypes.SourceFile): { name: string; node: tsTypes.Node }[] {
  const named = (node: tsTypes.Node) => (node as { name?: tsTypes.Node }).name?.getText(file) ?? ''
  const statements = file.statements.flatMap((one) => {
    const { body } = one as tsTypes.ModuleDeclaration
    return isGlobal(ts, one) && body && ts.isModuleBlock(body) ? [...body.statements] : []
  })
  return statements.flatMap((one) => {
    if (ts.isInterfaceDeclaration(one))
      return one.members.map((node) => ({ name: `${named(one)}.${named(node)}`, node: node as tsTypes.Node }))
    const all = ts.isVariableStatement(one) ? one.declarationList.declarations : [one]
    return all.map((each) => ({ name: named(each), node: one }))
  })
}
