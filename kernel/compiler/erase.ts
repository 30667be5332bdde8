/**
 * A cell's JavaScript made of its own text: types become blanks (ts-blank-space), and what `transform.ts` and `names.ts` do to
 * TypeScript's output is done in place. TypeScript's emitter takes half of the time of a cell; it is left what is more than
 * JavaScript and types.
 */
import type * as tsTypes from 'typescript'
import { edited, noted, type Edit } from './edits.js'
import { bodiesThatStep } from './loops.js'
import type { ModuleFile } from './module-files.js'
import { give, share } from './names.js'
import { bindings, hoistedNames } from './prepare.js'
import { SCOPE, type CellScope } from './transform.js'
import type { TypeScript } from './typescript.js'

export interface Erased {
  code: string
  /** Name under which the last expression's value is exported. */
  lastExpression?: string
  /** What stands elsewhere than in the cell, as `noted` does it. */
  edits: number[]
}

/** Blanks types out; tells `other` what is neither a type nor JavaScript. */
export type Blank = (file: tsTypes.SourceFile, other: (node: tsTypes.Node) => void) => string

/** What `cell`, checked after `earlier`, runs as; undefined: that is for TypeScript to say. */
export function erase(
  ts: TypeScript,
  blank: Blank,
  checker: tsTypes.TypeChecker,
  cell: ModuleFile,
  earlier: ModuleFile,
): Erased | undefined {
  const eraser = new Eraser(ts, checker, cell, earlier)
  const lastExpression = eraser.cell()
  let fits = eraser.fits
  const text = fits ? blank(cell, () => (fits = false)) : ''
  if (!fits || text.length !== cell.text.length) return undefined
  return { code: edited(text, eraser.edits), lastExpression, edits: noted(cell, eraser.edits) }
}

const LAST = 'tsLastExpr'
/** Comments where a script begins or ends HTML, operators where TypeScript reads a module. */
const HTML_COMMENT = /<!--|-->/

class Eraser {
  readonly edits: Edit[] = []
  fits: boolean
  /** How many functions the node that is visited stands in. */
  private depth = 0
  private readonly loops: ReadonlySet<tsTypes.Node>

  constructor(
    private readonly ts: TypeScript,
    private readonly checker: tsTypes.TypeChecker,
    private readonly file: ModuleFile,
    private readonly earlier: ModuleFile,
  ) {
    this.loops = bodiesThatStep(ts, file)
    this.fits = !HTML_COMMENT.test(file.text)
  }

  /** All of it; the name of the last expression. */
  cell(): string | undefined {
    const { ts, file } = this
    const own = file.statements.filter((one) => !ts.isExportDeclaration(one))
    let name: string | undefined
    for (const one of file.statements) {
      if (ts.isExportDeclaration(one)) this.replace(one.getStart(file), one.end, '')
      else if (one === own.at(-1) && ts.isExpressionStatement(one)) this.last(one, (name = this.freeName()))
      else if (!this.isErased(one)) {
        this.visit(one)
        for (const text of this.handedOn(one)) this.insert(one.end, text)
      }
    }
    return name
  }

  private last({ expression }: tsTypes.ExpressionStatement, name: string): void {
    const { ts } = this
    if (ts.isBinaryExpression(expression) && expression.operatorToken.kind === ts.SyntaxKind.CommaToken)
      this.fits = false
    this.insert(expression.getStart(this.file), `exports.${name} = `)
    this.visit(expression)
  }

  private freeName(): string {
    const { locals } = this.file
    for (let name = LAST, i = 0; ; name = `${LAST}${i++}`) if (!locals?.has(name)) return name
  }

  /** What follows a statement so that later cells have its names. */
  private handedOn(statement: tsTypes.Statement): string[] {
    const { ts } = this
    const after = (names: string[], way: (name: string) => string) => names.map((name) => `; ${way(name)}`)
    if (ts.isVariableStatement(statement)) {
      const { declarations, flags } = statement.declarationList
      const names = declarations.flatMap(({ name }) => bindings(ts, name))
      return after(names, flags & ts.NodeFlags.Const ? give : share)
    }
    if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement))
      return after(statement.name ? [statement.name.text] : [], give)
    return after(hoistedNames(ts, statement), share)
  }

  // -------------------------------------------------------------- nodes

  private readonly visit = (node: tsTypes.Node): void => {
    const { ts } = this
    if (this.isErased(node)) return
    const inner = ts.isFunctionLike(node) ? 1 : 0
    const steps = this.loops.has(node)
    if (steps) this.step(node as tsTypes.Statement)
    this.depth += inner
    this.change(node)
    this.depth -= inner
    if (steps && !ts.isBlock(node)) this.insert(node.end, ' }')
  }

  /** Types, and what only describes values. */
  private isErased(node: tsTypes.Node): boolean {
    const { ts } = this
    if (ts.isExpressionWithTypeArguments(node)) return false
    if (ts.isHeritageClause(node)) return node.token === ts.SyntaxKind.ImplementsKeyword
    if (ts.isFunctionLike(node) && !(node as tsTypes.FunctionLikeDeclaration).body) return true
    const { AbstractKeyword, DeclareKeyword } = ts.SyntaxKind
    const isAbstract = ts.isClassElement(node) // of a class itself it changes nothing
    const onlyTyped = ({ kind }: tsTypes.Node) => kind === DeclareKeyword || (isAbstract && kind === AbstractKeyword)
    return (
      ts.isTypeNode(node) ||
      ts.isTypeParameterDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isModuleDeclaration(node) || // one with values is no business of this file
      (ts.canHaveModifiers(node) && !!node.modifiers?.some(onlyTyped))
    )
  }

  private change(node: tsTypes.Node): void {
    const { ts, file } = this
    if (ts.isIdentifier(node)) return this.name(node)
    if (ts.isAwaitExpression(node)) return this.wrap('wait', node.expression, node)
    if (ts.isForOfStatement(node) && node.awaitModifier) {
      this.visit(node.initializer)
      this.wrap('each', node.expression, node)
      return this.visit(node.statement)
    }
    if (ts.isShorthandPropertyAssignment(node)) {
      if (this.isEarlier(node.name, this.checker.getShorthandAssignmentValueSymbol(node)))
        this.insert(node.name.end, `: exports.${node.name.text}`)
      return node.objectAssignmentInitializer && this.visit(node.objectAssignmentInitializer)
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return this.import(node)
    if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword)
      return this.replace(node.getStart(file), node.end, member('meta'))
    const isAccess = ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)
    // TypeScript writes values of constant enums instead of their names, and knows decorators and accessors that node does not.
    if (isAccess && this.checker.getConstantValue(node) !== undefined) this.fits = false
    if (ts.isDecorator(node) || node.kind === ts.SyntaxKind.AccessorKeyword) this.fits = false
    if (ts.isParameterPropertyDeclaration(node, node.parent)) this.fits = false
    ts.forEachChild(node, this.visit)
  }

  private name(node: tsTypes.Identifier): void {
    const { name, propertyName, label } = node.parent as unknown as Record<string, tsTypes.Node | undefined>
    if (node === name || node === propertyName || node === label) return
    const isEarlier = this.earlier.locals?.has(node.text)
    if (isEarlier && this.isEarlier(node, this.checker.getSymbolAtLocation(node)))
      this.insert(node.getStart(this.file), 'exports.')
  }

  /** Whether `node` means a variable of an earlier cell; not what one declared globally. */
  private isEarlier({ text }: tsTypes.Identifier, symbol: tsTypes.Symbol | undefined): boolean {
    const own = this.earlier.locals?.get(text)
    return own !== undefined && own === symbol
  }

  private import({ expression, arguments: [specifier, more], end }: tsTypes.CallExpression): void {
    this.replace(expression.getStart(this.file), expression.end, member('import'))
    this.visit(specifier)
    if (more) this.replace(specifier.end, end - 1, '') // what else it is told is for newer versions
  }

  /** `wait` or `each` around `value`; elsewhere what it waits for is itself. */
  private wrap(name: 'wait' | 'each', value: tsTypes.Expression, at: tsTypes.Node): void {
    const { line, character } = this.file.getLineAndCharacterOfPosition(at.getStart(this.file))
    const call = this.depth === 0 ? member(name) : `(${KNOWN} ? ${member(name)} : v => v)`
    this.insert(value.getStart(this.file), ` ${call}(`) // `await(x)` has no space
    this.visit(value)
    this.insert(value.end, `, ${line}, ${character})`)
  }

  private step(body: tsTypes.Statement): void {
    const step = this.depth === 0 ? `${member('step')}();` : `${KNOWN} && ${member('step')}();`
    const start = body.getStart(this.file)
    if (this.ts.isBlock(body)) this.insert(start + 1, ` ${step}`)
    else this.insert(start, `{ ${step} `)
  }

  // -------------------------------------------------------------- text

  private insert(at: number, text: string): void {
    this.edits.push({ at, removed: 0, text })
  }

  /** What spans lines is left to TypeScript. */
  private replace(from: number, to: number, text: string): void {
    if (/[\n\r\u2028\u2029]/.test(this.file.text.slice(from, to))) this.fits = false
    if (to > from || text !== '') this.edits.push({ at: from, removed: to - from, text })
  }
}

const member = (name: keyof CellScope) => `${SCOPE}.${name}`
/** The text of a function may be run elsewhere, in a thread or a browser. */
const KNOWN = `typeof ${SCOPE} === "object"`
