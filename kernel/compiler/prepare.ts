/**
 * A cell's text before the converter reads it. What belongs to modules and not to cells is blanked out in place, so that every
 * position stays; what the parser alone can tell (syntax errors, whether the last value is shown, names) is found here.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'

export interface Prepared {
  /** What the converter compiles; longer than the cell only at its end. */
  text: string
  /** The cell as it was written. */
  file: tsTypes.SourceFile
  /** Of modules, enums and namespaces nothing stands at its top level. */
  plain: boolean
  /** `// @ts-nocheck` stands above its first statement. */
  unchecked: boolean
  /** Names that its top level declares. */
  names: Set<string>
  /** Not empty: there is nothing to compile. */
  errors: tsTypes.Diagnostic[]
}

/** Names under which the code around a cell hands it what it needs. */
const TAKEN = ['exports', '__cell', '__names']

export function prepare(ts: TypeScript, code: string): Prepared {
  const source = withoutExtras(ts, code)
  const file = parse(ts, source, ts.ScriptKind.TS)
  const names = declaredNames(ts, file)
  const written = source === code ? file : ts.createSourceFile('cell.ts', code, file.languageVersion)
  const unchecked = isUnchecked(ts, code)
  const errors = syntaxErrors(ts, file, names).map((one) => ({ ...one, file: written }))
  let text = source
  for (const { pos, end } of blanks(ts, file)) text = text.slice(0, pos) + blank(text.slice(pos, end)) + text.slice(end)
  // The converter shows the last expression.
  const last = file.statements.at(-1)
  if (isQuiet(ts, last, source)) text += '\n;void 0'
  else if (isGlobalThis(ts, last)) text += '\n;'
  const plain = !file.statements.some((one) => isMore(ts, one))
  return { text, file: written, plain, unchecked, names, errors }
}

function parse(ts: TypeScript, code: string, kind: tsTypes.ScriptKind): tsTypes.SourceFile {
  return ts.createSourceFile('cell.ts', code, ts.ScriptTarget.Latest, true, kind)
}

const blank = (text: string) => text.replace(/[^\r\n]/g, ' ')

/**
 * `import … with { … }` is of a newer TypeScript than the converter's, and no module needs to be told its type here; `#!` is no
 * longer at the start.
 */
function withoutExtras(ts: TypeScript, code: string): string {
  let text = code.replace(/^#!.*/, blank)
  if (!ATTRIBUTES.test(text)) return text
  // The first statement after attributes is read as a part of them: after each it is read anew.
  for (let at = attributesIn(ts, text); at; at = attributesIn(ts, text))
    text = text.slice(0, at.pos) + blank(text.slice(at.pos, at.end)) + text.slice(at.end)
  return text
}

/** Stands in all that has attributes; elsewhere too at times. */
const ATTRIBUTES = /\b(?:import|export)\b[^]*['"]\s*(?:\/[/*][^]*)?with\b/

/** The first `with { … }` that follows an import or export. */
function attributesIn(ts: TypeScript, text: string): { pos: number; end: number } | undefined {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, true, ts.LanguageVariant.Standard, text)
  for (const statement of parse(ts, text, ts.ScriptKind.TS).statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue
    const { moduleSpecifier } = statement
    if (!moduleSpecifier || !ts.isStringLiteral(moduleSpecifier)) continue
    scanner.setTextPos(moduleSpecifier.end)
    if (scanner.scan() !== ts.SyntaxKind.WithKeyword) continue
    const pos = scanner.getTokenPos()
    if (scanner.scan() !== ts.SyntaxKind.OpenBraceToken) continue
    const { CloseBraceToken, EndOfFileToken } = ts.SyntaxKind
    for (let token = scanner.scan(); token !== EndOfFileToken; token = scanner.scan())
      if (token === CloseBraceToken) return { pos, end: scanner.getTextPos() }
  }
  return undefined
}

// ---------------------------------------------------------------- errors

/** The syntax errors of a parsed file. */
export function parseErrors(file: tsTypes.SourceFile): tsTypes.DiagnosticWithLocation[] {
  return (file as unknown as { parseDiagnostics: tsTypes.DiagnosticWithLocation[] }).parseDiagnostics
}

function syntaxErrors(ts: TypeScript, file: tsTypes.SourceFile, names: Set<string>): tsTypes.Diagnostic[] {
  const errors = parseErrors(file)
  if (errors.length > 0) return jsxIn(ts, file) ?? errors
  return TAKEN.filter((name) => names.has(name)).map((name) => {
    const start = Math.max(0, file.text.search(new RegExp(`\\b${name}\\b`)))
    return complaint(ts, start, name.length, 2441, `Cells need the name '${name}' themselves: choose another.`)
  })
}

/** What the parser says about JSX names no cause. */
function jsxIn(ts: TypeScript, { text }: tsTypes.SourceFile): tsTypes.Diagnostic[] | undefined {
  const file = parse(ts, text, ts.ScriptKind.TSX)
  if (parseErrors(file).length > 0) return undefined
  const find = (node: tsTypes.Node): tsTypes.Node | undefined =>
    ts.isJsxElement(node) || ts.isJsxSelfClosingElement(node) || ts.isJsxFragment(node)
      ? node
      : ts.forEachChild(node, find)
  const found = ts.forEachChild(file, find)
  const advice = 'JSX is off in cells: show HTML with display.html(…), or write the calls that the tags stand for.'
  return found && [complaint(ts, found.getStart(file), found.getEnd() - found.getStart(file), 17004, advice)]
}

function complaint(ts: TypeScript, start: number, length: number, code: number, messageText: string) {
  return { file: undefined, start, length, code, messageText, category: ts.DiagnosticCategory.Error }
}

function isUnchecked(ts: TypeScript, code: string): boolean {
  const comments = ts.getLeadingCommentRanges(code, ts.getShebang(code)?.length ?? 0) ?? []
  return comments.some(({ pos, end }) => /^\/\/\/?\s*@ts-nocheck\b/i.test(code.slice(pos, end)))
}

// ---------------------------------------------------------------- what the cell says

/** `export` of declarations: all that a cell declares is for later cells anyway. */
function blanks(ts: TypeScript, file: tsTypes.SourceFile): { pos: number; end: number }[] {
  return file.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement))
      return statement.moduleSpecifier ? [] : [{ pos: statement.getStart(file), end: statement.end }]
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
    const words = [ts.SyntaxKind.ExportKeyword, ts.SyntaxKind.DefaultKeyword]
    const nameless =
      (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) && statement.name === undefined
    return nameless
      ? []
      : modifiers.filter(({ kind }) => words.includes(kind)).map((one) => ({ pos: one.getStart(file), end: one.end }))
  })
}

/** An expression that ends with `;`, and an assignment. */
function isQuiet(ts: TypeScript, last: tsTypes.Statement | undefined, source: string): boolean {
  if (!last || !ts.isExpressionStatement(last)) return false
  if (source[last.end - 1] === ';') return true
  const { expression } = last
  const { FirstAssignment, LastAssignment } = ts.SyntaxKind
  if (!ts.isBinaryExpression(expression)) return false
  const { kind } = expression.operatorToken
  return kind >= FirstAssignment && kind <= LastAssignment
}

/** `global`, which with what the converter adds behind it would begin a `declare global`. */
function isGlobalThis(ts: TypeScript, last: tsTypes.Statement | undefined): boolean {
  return (
    !!last && ts.isExpressionStatement(last) && ts.isIdentifier(last.expression) && last.expression.text === 'global'
  )
}

/** Neither JavaScript of a script nor a type. */
function isMore(ts: TypeScript, one: tsTypes.Statement): boolean {
  if (ts.isExportDeclaration(one)) return one.moduleSpecifier !== undefined
  const isUnnamed = (ts.isFunctionDeclaration(one) || ts.isClassDeclaration(one)) && one.name === undefined
  const isImport = ts.isImportDeclaration(one) || ts.isImportEqualsDeclaration(one)
  return isImport || isUnnamed || ts.isExportAssignment(one) || ts.isModuleDeclaration(one) || ts.isEnumDeclaration(one)
}

export function declaredNames(ts: TypeScript, file: tsTypes.SourceFile): Set<string> {
  const names = file.statements.flatMap((statement) => {
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.flatMap(({ name }) => bindings(ts, name))
    if (ts.isImportDeclaration(statement)) return importedNames(ts, statement)
    const { name } = statement as { name?: tsTypes.Node }
    return name && ts.isIdentifier(name) ? [name.text] : hoistedNames(ts, statement)
  })
  return new Set(names)
}

/** The `var`s within a statement, which are variables of the cell as well. */
export function hoistedNames(ts: TypeScript, node: tsTypes.Node): string[] {
  if (ts.isFunctionLike(node) || ts.isClassLike(node) || ts.isModuleDeclaration(node)) return []
  const own =
    ts.isVariableDeclarationList(node) && !(node.flags & ts.NodeFlags.BlockScoped)
      ? node.declarations.flatMap(({ name }) => bindings(ts, name))
      : []
  ts.forEachChild(node, (child) => void own.push(...hoistedNames(ts, child)))
  return own
}

export function bindings(ts: TypeScript, name: tsTypes.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text]
  return name.elements.flatMap((one) => (ts.isBindingElement(one) ? bindings(ts, one.name) : []))
}

export function importedNames(ts: TypeScript, { importClause }: tsTypes.ImportDeclaration): string[] {
  const { name, namedBindings } = importClause ?? {}
  const own = name ? [name.text] : []
  if (!namedBindings) return own
  if (ts.isNamespaceImport(namedBindings)) return [...own, namedBindings.name.text]
  return [...own, ...namedBindings.elements.map((one) => one.name.text)]
}
