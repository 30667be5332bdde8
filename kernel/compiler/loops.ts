/**
 * The loops of a cell that must look for interrupts themselves. V8 looks where JavaScript functions begin, but in code that is not
 * optimized yet seldom where loops go around: not soon enough if each time around takes a while in native code.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'

/** The bodies of loops that may call something slow which is no function of the cell. */
export function bodiesThatStep(ts: TypeScript, file: tsTypes.SourceFile): Set<tsTypes.Node> {
  const own = ownFunctions(ts, file)
  const bodies = new Set<tsTypes.Node>()
  const isQuick = (node: tsTypes.Node) => {
    if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return false
    const { expression: callee } = node
    if (ts.isIdentifier(callee)) return own.has(callee.text)
    const owner = ts.isPropertyAccessExpression(callee) && callee.expression
    return owner && ts.isIdentifier(owner) && owner.text === 'Math'
  }
  const visit = (node: tsTypes.Node): boolean => {
    let slow = ts.isSpreadElement(node) || (ts.isCallLikeExpression(node) && !isQuick(node))
    ts.forEachChild(node, (child) => {
      if (visit(child) && !ts.isFunctionLike(child)) slow = true
    })
    if (slow && ts.isIterationStatement(node, false)) bodies.add(node.statement)
    return slow
  }
  visit(file)
  return bodies
}

/** Names that mean a function written in `file` wherever they stand there: declared as nothing else, and never assigned to. */
function ownFunctions(ts: TypeScript, file: tsTypes.SourceFile): Set<string> {
  const own = new Set<string>()
  const other = new Set<string>()
  const { FirstAssignment, LastAssignment } = ts.SyntaxKind
  const assigned = (target: tsTypes.Node): void => {
    if (ts.isIdentifier(target)) other.add(target.text)
    ts.forEachChild(target, assigned)
  }
  const visit = (node: tsTypes.Node, constant = false): void => {
    const { name } = node as { name?: tsTypes.Node }
    const isMember = ts.isClassElement(node) || ts.isObjectLiteralElement(node) || ts.isPropertyAccessExpression(node)
    if (name && ts.isIdentifier(name) && !isMember) {
      const isOwn = ts.isFunctionDeclaration(node) || (constant && isFunction(ts, (node as Initialized).initializer))
      ;(isOwn ? own : other).add(name.text)
    }
    if (ts.isBinaryExpression(node)) {
      const { kind } = node.operatorToken
      if (kind >= FirstAssignment && kind <= LastAssignment) assigned(node.left)
    } else if (
      (ts.isForInStatement(node) || ts.isForOfStatement(node)) &&
      !ts.isVariableDeclarationList(node.initializer)
    )
      assigned(node.initializer)
    const constants = ts.isVariableDeclarationList(node) && (node.flags & ts.NodeFlags.Const) !== 0
    ts.forEachChild(node, (child) => visit(child, constants))
  }
  visit(file)
  other.forEach((name) => own.delete(name))
  return own
}

interface Initialized {
  initializer?: tsTypes.Expression
}

function isFunction(ts: TypeScript, node: tsTypes.Node | undefined): boolean {
  return node !== undefined && (ts.isArrowFunction(node) || ts.isFunctionExpression(node))
}
