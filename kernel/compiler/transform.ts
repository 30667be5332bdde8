/**
 * The pass over a cell's JavaScript before it becomes CommonJS: `await x` → `await __cell.wait(x)`, the same for
 * `for await`, so that an interrupt ends the cell at its awaits (and runs its finally blocks); `import(x)` → `__cell.import(x)`;
 * static imports are listed.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './compile.js'

/** The name under which a cell's code finds `CellScope`. */
export const SCOPE = '__cell'

export interface CellScope {
  /**
   * Settles as `value` does, or rejects when the cell is interrupted. `line`, `column`: where the await stands in the
   * converter's JavaScript, because V8 cannot see through this promise when it lists async callers.
   */
  wait(value: unknown, line: number, column: number): unknown
  /** The same for each step of an iteration. */
  each(iterable: AsyncIterable<unknown> | Iterable<unknown>, line: number, column: number): AsyncIterable<unknown>
  import(specifier: unknown): Promise<unknown>
}

export function guardAwaits(ts: TypeScript, imports: string[]): tsTypes.TransformerFactory<tsTypes.SourceFile> {
  return (context) => {
    const { factory } = context
    const call = (name: keyof CellScope, args: tsTypes.Expression[], at: tsTypes.Node) => {
      const method = factory.createPropertyAccessExpression(factory.createIdentifier(SCOPE), name)
      return ts.setTextRange(factory.createCallExpression(method, undefined, args), at)
    }
    let file: tsTypes.SourceFile
    const place = (node: tsTypes.Node) => {
      const { line, character } = file.getLineAndCharacterOfPosition(node.getStart(file))
      return [factory.createNumericLiteral(line), factory.createNumericLiteral(character)]
    }
    const visit = (node: tsTypes.Node): tsTypes.Node => {
      if (ts.isAwaitExpression(node)) {
        const inner = ts.visitNode(node.expression, visit) as tsTypes.Expression
        return factory.updateAwaitExpression(node, call('wait', [inner, ...place(node)], node.expression))
      }
      if (ts.isForOfStatement(node) && node.awaitModifier) {
        const { awaitModifier, initializer, expression, statement } = ts.visitEachChild(node, visit, context)
        return factory.updateForOfStatement(
          node,
          awaitModifier,
          initializer,
          call('each', [expression, ...place(node)], node.expression),
          statement,
        )
      }
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
        return call('import', [ts.visitNode(node.arguments[0], visit) as tsTypes.Expression], node)
      if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier)
        if (ts.isStringLiteral(node.moduleSpecifier)) imports.push(node.moduleSpecifier.text)
      return ts.visitEachChild(node, visit, context)
    }
    return (source) => {
      file = source
      return ts.visitNode(source, visit) as tsTypes.SourceFile
    }
  }
}
