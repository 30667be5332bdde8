/**
 * `{ a }` where `a` is an earlier cell's: tslab's converter asks for the symbol of the property and leaves the name as it is, so
 * the cell fails. Written out as `{ a: a }` before the converter sees it, and asked for as the variable that it means.
 */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { isGlobal } from './namespaces.js'

export type Host = tsTypes.WatchCompilerHostOfFilesAndCompilerOptions<tsTypes.EmitAndSemanticDiagnosticsBuilderProgram>

/** `host`, whose programs write shorthands out when they emit. */
export function writeShorthandsOut(ts: TypeScript, host: Host): Host {
  const create = host.createProgram
  host.createProgram = (...args) => {
    const builder = create.apply(host, args)
    const { emit } = builder
    builder.emit = (file, write, cancellation, declarationsOnly, transformers) => {
      const checker = builder.getProgram().getTypeChecker()
      const { getSymbolAtLocation } = checker
      checker.getSymbolAtLocation = (node) => {
        const { parent } = ts.getOriginalNode(node)
        const symbol = isShorthand(ts, parent)
          ? checker.getShorthandAssignmentValueSymbol(parent)
          : getSymbolAtLocation(node)
        return symbol?.declarations?.some((one) => isWithinGlobal(ts, one)) ? undefined : symbol
      }
      const before = [writeOut(ts), ...(transformers?.before ?? [])]
      try {
        return emit(file, write, cancellation, declarationsOnly, { ...transformers, before })
      } finally {
        checker.getSymbolAtLocation = getSymbolAtLocation
      }
    }
    return builder
  }
  return host
}

const isShorthand = (ts: TypeScript, node: tsTypes.Node | undefined): node is tsTypes.ShorthandPropertyAssignment =>
  node !== undefined && ts.isShorthandPropertyAssignment(node)

/** What an earlier cell declared globally is no variable of a cell. */
function isWithinGlobal(ts: TypeScript, node: tsTypes.Node | undefined): boolean {
  return node !== undefined && (isGlobal(ts, node) || isWithinGlobal(ts, node.parent))
}

function writeOut(ts: TypeScript): tsTypes.TransformerFactory<tsTypes.SourceFile> {
  return (context) => {
    const { factory } = context
    const visit = (node: tsTypes.Node): tsTypes.Node => {
      if (!isShorthand(ts, node)) return ts.visitEachChild(node, visit, context)
      const { name, objectAssignmentInitializer: otherwise } = node
      const copy = factory.createIdentifier(name.text)
      const variable = ts.setTextRange(ts.setOriginalNode(copy, name), name)
      const value = otherwise
        ? factory.createAssignment(variable, ts.visitNode(otherwise, visit) as tsTypes.Expression)
        : variable
      return ts.setTextRange(factory.createPropertyAssignment(name.text, value), node)
    }
    return (source) => ts.visitNode(source, visit) as tsTypes.SourceFile
  }
}
