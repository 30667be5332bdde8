/** What code says, however it is written: printed by TypeScript without comments, needless parentheses and empty statements. */
import ts from 'typescript'

export function meaning(code: string): string {
  const file = ts.createSourceFile('code.ts', code, ts.ScriptTarget.Latest, true)
  const { transformed } = ts.transform(file, [plain])
  return ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed }).printFile(transformed[0])
}

/** What `code` declares, in no order. */
export function declared(code: string): string[] {
  const file = ts.createSourceFile('code.d.ts', code, ts.ScriptTarget.Latest, true)
  return file.statements.map((one) => one.getText(file)).sort()
}

const plain: ts.TransformerFactory<ts.SourceFile> = (context) => {
  const { factory } = context
  const isEmpty = (node: ts.Node) => ts.isEmptyStatement(node) || ts.isNotEmittedStatement(node)
  const visit = (node: ts.Node): ts.Node | undefined => {
    if (isEmpty(node) && (ts.isSourceFile(node.parent) || ts.isBlock(node.parent))) return undefined
    if (ts.isSemicolonClassElement(node)) return undefined
    if (ts.isParenthesizedExpression(node)) return ts.visitNode(node.expression, visit)
    if (ts.isShorthandPropertyAssignment(node)) {
      const { name, objectAssignmentInitializer: otherwise } = node
      const value = otherwise ? factory.createAssignment(name, ts.visitNode(otherwise, visit) as ts.Expression) : name
      return factory.createPropertyAssignment(name.text, value)
    }
    if (ts.isBlock(node)) return factory.createBlock(ts.visitNodes(node.statements, visit, ts.isStatement), true)
    return ts.visitEachChild(node, visit, context)
  }
  return (file) => ts.visitNode(file, visit) as ts.SourceFile
}
