/** What later cells see of a cell and of those before it, as the text of a declaration file. */
import type * as tsTypes from 'typescript'
import type { ModuleFile } from './module-files.js'
import { hoistedNames } from './prepare.js'
import type { TypeScript } from './typescript.js'

/** `program.emit` with the argument that makes TypeScript write what it can where a type has no name. */
type Emit = (
  file: tsTypes.SourceFile,
  write: tsTypes.WriteFileCallback,
  cancellation: undefined,
  onlyDeclarations: true,
  transformers: tsTypes.CustomTransformers,
  force?: boolean,
) => unknown

/** The declarations of `cell`, which has been checked and exports all that it declares. */
export function declarationsOf(ts: TypeScript, program: tsTypes.Program, cell: tsTypes.SourceFile): string {
  let declared: string | undefined
  const write = (_: string, text: string) => void (declared = text)
  const emit = program.emit as unknown as Emit
  const transformers = { afterDeclarations: [withoutExports(ts)] }
  emit(cell, write, undefined, true, transformers)
  if (declared === undefined) emit(cell, write, undefined, true, transformers, true)
  return (declared ?? '') + hoistedDeclarations(ts, program, cell)
}

function withoutExports(ts: TypeScript): tsTypes.TransformerFactory<tsTypes.SourceFile | tsTypes.Bundle> {
  return ({ factory }) =>
    (file) => {
      if (!ts.isSourceFile(file)) return file
      const own = file.statements.filter((one) => !ts.isExportDeclaration(one))
      return factory.updateSourceFile(file, own)
    }
}

/** Declarations of the `var`s that stand within statements of `file`: TypeScript's own lack them. */
export function hoistedDeclarations(ts: TypeScript, program: tsTypes.Program, file: tsTypes.SourceFile): string {
  const names = file.statements
    .filter((one) => !ts.isVariableStatement(one))
    .flatMap((statement) => hoistedNames(ts, statement))
  if (names.length === 0) return ''
  const checker = program.getTypeChecker()
  const { locals } = file as ModuleFile
  const typeOf = (name: string) =>
    checker.typeToString(
      checker.getTypeOfSymbolAtLocation(locals!.get(name)!, file),
      undefined,
      ts.TypeFormatFlags.NoTruncation,
    )
  return [...new Set(names)].map((name) => `declare var ${name}: ${typeOf(name)};\n`).join('')
}

// ---------------------------------------------------------------- of earlier cells

interface Meaning {
  value: boolean
  type: boolean
}

const VALUE: Meaning = { value: true, type: false }
const TYPE: Meaning = { value: false, type: true }

/** Of `earlier` what `cell` does not declare anew: types and values of one name are two things. Namespaces are not looked at. */
export function declarationsLeft(
  ts: TypeScript,
  checker: tsTypes.TypeChecker,
  cell: ModuleFile,
  earlier: ModuleFile,
): string {
  const meaning = (of: tsTypes.Symbol | undefined): Meaning => {
    const flags = of && (of.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(of) : of).flags
    return {
      value: !!flags && (flags & ts.SymbolFlags.Value) !== 0,
      type: !!flags && (flags & ts.SymbolFlags.Type) !== 0,
    }
  }
  /** Names whose type is another now, and whose value is still there. */
  const untyped = new Set<string>()
  const kept = (name: string, is: Meaning): boolean => {
    const now = meaning(cell.locals?.get(name))
    if (!(now.value && is.value) && !(now.type && is.type)) return true
    if (is.value && !now.value) untyped.add(name)
    return false
  }
  const left = earlier.statements.flatMap((one): string[] => {
    const whole = one.getFullText(earlier)
    if (ts.isVariableStatement(one)) {
      const { declarations } = one.declarationList
      const names = declarations.filter(({ name }) => kept(name.getText(earlier), VALUE))
      if (names.length === declarations.length) return [whole]
      const head = earlier.text.slice(one.pos, declarations[0].getStart(earlier))
      return names.length > 0 ? [`${head}${names.map((each) => each.getText(earlier)).join(', ')};`] : []
    }
    if (ts.isImportDeclaration(one)) {
      const wanted = (name: string) => kept(name, meaning(earlier.locals!.get(name)))
      return importOf(ts, earlier, one, wanted)
    }
    const { name } = one as { name?: tsTypes.Node }
    if (!name || !ts.isIdentifier(name) || ts.isModuleDeclaration(one)) return []
    const isType = ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)
    const is = isType ? TYPE : ts.isFunctionDeclaration(one) ? VALUE : { value: true, type: true }
    return kept(name.text, is) ? [whole] : []
  })
  return [...left, ...[...untyped].map((name) => `\nlet ${name}: any;`), '\n'].join('').trimStart()
}

/** `statement` with the names that are wanted. */
export function importOf(
  ts: TypeScript,
  file: tsTypes.SourceFile,
  statement: tsTypes.ImportDeclaration,
  wanted: (name: string, isTypeOnly: boolean) => boolean,
): string[] {
  const { importClause: clause, moduleSpecifier } = statement
  if (!clause) return []
  const { name, namedBindings: bindings } = clause
  const isWanted = (one: tsTypes.Identifier, isTypeOnly = false) => wanted(one.text, isTypeOnly || clause.isTypeOnly)
  const own = name && isWanted(name) ? [name.text] : []
  const listed = !bindings
    ? []
    : ts.isNamespaceImport(bindings)
      ? [bindings].filter((one) => isWanted(one.name))
      : bindings.elements.filter((one) => isWanted(one.name, one.isTypeOnly))
  const texts = listed.map((one) => one.getText(file)).join(', ')
  const rest = listed.length === 0 ? [] : ts.isNamespaceImport(listed[0]) ? [texts] : [`{ ${texts} }`]
  if (own.length + rest.length === 0) return []
  const head = clause.isTypeOnly ? 'import type' : 'import'
  return [`${head} ${[...own, ...rest].join(', ')} from ${moduleSpecifier.getText(file)};`]
}
