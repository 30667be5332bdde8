/**
 * The passes over a cell and the files beside it. Before TypeScript's own: `await x` → `await __cell.wait(x)`, the same for
 * `for await`, so that an interrupt ends the cell at its awaits (and runs its finally blocks); `import(x)` → `__cell.import(x)`,
 * `import.meta` → `__cell.meta`; loops that may take long take a `__cell.step()` each time around. After they became CommonJS:
 * what static imports became is required through `__cell`.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { bodiesThatStep } from './loops.js'

/** The name under which a cell's code finds `CellScope`. */
export const SCOPE = '__cell'

export interface CellScope {
  /**
   * Settles as `value` does, or rejects when the cell is interrupted. `line`, `column`: where the await stands in what the
   * converter reads, because V8 cannot see through this promise when it lists async callers.
   */
  wait(value: unknown, line: number, column: number): unknown
  /** The same for each step of an iteration. */
  each(iterable: AsyncIterable<unknown> | Iterable<unknown>, line: number, column: number): AsyncIterable<unknown>
  /** Does nothing: V8 looks for interrupts where JavaScript functions begin, but in slow code seldom where loops go around. */
  step(): void
  import(specifier: unknown): Promise<unknown>
  require(specifier: string): unknown
  readonly meta: ImportMeta
}

export function guardAwaits(ts: TypeScript): tsTypes.TransformerFactory<tsTypes.SourceFile> {
  return (context) => {
    const { factory } = context
    let file: tsTypes.SourceFile
    let loops: Set<tsTypes.Node>
    /** How many functions the node that is visited stands in. */
    let depth = 0
    const place = (node: tsTypes.Node) => {
      const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file))
      return [factory.createNumericLiteral(line), factory.createNumericLiteral(character)]
    }
    const scope = () => factory.createIdentifier(SCOPE)
    const member = (name: keyof CellScope) => factory.createPropertyAccessExpression(scope(), name)
    /** The text of a function may be run elsewhere, in a thread or a browser. */
    const known = () =>
      factory.createStrictEquality(factory.createTypeOfExpression(scope()), factory.createStringLiteral('object'))
    const call = (callee: tsTypes.Expression, args: tsTypes.Expression[], at: tsTypes.Node) =>
      ts.setTextRange(factory.createCallExpression(callee, undefined, args), at)
    /** `wait` or `each`; elsewhere what it waits for is itself. */
    const waiting = (name: 'wait' | 'each') => {
      if (depth === 0) return member(name)
      const value = factory.createIdentifier('v')
      const parameters = [factory.createParameterDeclaration(undefined, undefined, value)]
      const same = factory.createArrowFunction(undefined, undefined, parameters, undefined, undefined, value)
      const either = factory.createConditionalExpression(known(), undefined, member(name), undefined, same)
      return factory.createParenthesizedExpression(either)
    }
    const stepping = (body: tsTypes.Statement) => {
      const taken = factory.createCallExpression(member('step'), undefined, [])
      const step = factory.createExpressionStatement(depth === 0 ? taken : factory.createLogicalAnd(known(), taken))
      ts.setSourceMapRange(step, body)
      if (ts.isBlock(body)) return factory.updateBlock(body, [step, ...body.statements])
      return ts.setTextRange(factory.createBlock([step, body], true), body)
    }
    const visit = (node: tsTypes.Node): tsTypes.Node => {
      const inner = ts.isFunctionLike(node) ? 1 : 0
      depth += inner
      const made = change(node)
      depth -= inner
      return loops.has(node) ? stepping(made as tsTypes.Statement) : made
    }
    const change = (node: tsTypes.Node): tsTypes.Node => {
      if (ts.isAwaitExpression(node)) {
        const inner = ts.visitNode(node.expression, visit) as tsTypes.Expression
        return factory.updateAwaitExpression(node, call(waiting('wait'), [inner, ...place(node)], node.expression))
      }
      if (ts.isForOfStatement(node) && node.awaitModifier) {
        const { awaitModifier, initializer, expression, statement } = ts.visitEachChild(node, visit, context)
        return factory.updateForOfStatement(
          node,
          awaitModifier,
          initializer,
          call(waiting('each'), [expression, ...place(node)], node.expression),
          statement,
        )
      }
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
        return call(member('import'), [ts.visitNode(node.arguments[0], visit) as tsTypes.Expression], node)
      if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword)
        return ts.setTextRange(member('meta'), node)
      return ts.visitEachChild(node, visit, context)
    }
    return (source) => {
      file = source
      loops = bodiesThatStep(ts, source)
      return ts.visitNode(source, visit) as tsTypes.SourceFile
    }
  }
}

/**
 * `require` of static imports → `__cell.require`, so that a cell may have a `require` of its own. `imports`: takes what they
 * import, in order.
 */
export function requireByScope(ts: TypeScript, imports: string[]): tsTypes.TransformerFactory<tsTypes.SourceFile> {
  return (context) => {
    const { factory } = context
    const visit = (node: tsTypes.Node): tsTypes.Node => {
      if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== 'require')
        return ts.visitEachChild(node, visit, context)
      if (node.expression.pos >= 0) return node // the cell's own words
      imports.push((node.arguments[0] as tsTypes.StringLiteral).text)
      const method = factory.createPropertyAccessExpression(factory.createIdentifier(SCOPE), 'require')
      return factory.updateCallExpression(node, method, undefined, node.arguments)
    }
    const isFunction = (node: tsTypes.Node) => ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node)
    return (source) => ts.visitEachChild(source, (node) => (isFunction(node) ? node : visit(node)), context)
  }
}
