/** Questions about code that is not run: completion, inspection, completeness. */
import type * as tsTypes from 'typescript'
import type { Compiler } from './compile.js'
import { completePath } from './paths.js'
import type { Completeness, Completion, Inspection } from './protocol.js'
import type { TypeScript } from './typescript.js'

/** TypeScript's words for what an entry is → those that front ends have icons for. */
const TYPES: Record<string, string> = {
  var: 'variable',
  let: 'variable',
  'local var': 'variable',
  const: 'constant',
  parameter: 'variable',
  'local function': 'function',
  method: 'method',
  getter: 'property',
  setter: 'property',
  'enum member': 'constant',
  alias: 'module',
  'external module name': 'module',
  directory: 'path',
  script: 'path',
  type: 'type',
  'primitive type': 'type',
}

const PATHS = ['directory', 'script', 'external module name']
const BEFORE = 'export {};\n'.length // what the converter puts before each cell

export function complete(compiler: Compiler, declarations: string, code: string, cursor: number): Completion {
  const found = compiler.converter.complete(declarations, code, cursor)
  const entries = found.original?.entries ?? []
  const path = entries.length === 0 ? completePath(compiler.ts, code, cursor) : undefined
  if (path) return path
  const kinds = new Map(entries.map(({ name, kind }) => [name, kind as string]))
  const typeOf = (text: string) => {
    const kind = kinds.get(text) ?? 'text'
    return TYPES[kind] ?? kind
  }
  const match = (text: string) => ({ text, type: typeOf(text) })
  const span = entries.find((one) => one.replacementSpan)?.replacementSpan
  const isPath = entries.some(({ kind }) => PATHS.includes(kind))
  if (!span && !isPath) return { matches: found.candidates.map(match), start: found.start, end: found.end }
  // In a string: the converter knows only names.
  const start = span ? span.start - BEFORE : code.slice(0, cursor).search(/[^'"`/\s]*$/)
  const typed = code.slice(start, cursor)
  const fits = (text: string) => text.startsWith(typed) && !text.startsWith('cell-globals')
  return { matches: found.candidates.filter(fits).map(match), start, end: span ? start + span.length : cursor }
}

type Info = NonNullable<ReturnType<Compiler['converter']['inspect']>>

/** What a caller has to know: the others (examples, links, …) make tooltips long. */
const TAGS = ['param', 'returns', 'return', 'throws', 'deprecated']

/** `detail` 0: signature, description and the tags that a caller needs; 1: all tags. */
export function inspect(
  compiler: Compiler,
  declarations: string,
  code: string,
  cursor: number,
  detail: number,
): Inspection | undefined {
  const info = infoAt(compiler, declarations, code, cursor)
  if (!info) return undefined
  const documentation = words(info.documentation)
  const signature = words(info.displayParts)
  const tags = (info.tags ?? [])
    .filter(({ name }) => detail > 0 || TAGS.includes(name))
    .map(({ name, text }) => ({ name, text: words(text) }))
  return {
    plain: [signature, documentation, tags.map(({ name, text }) => `@${name} ${text}`.trimEnd()).join('\n')]
      .filter(Boolean)
      .join('\n\n'),
    markdown: [
      `\`\`\`typescript\n${signature}\n\`\`\``,
      documentation,
      tags.map(({ name, text }) => `*@${name}* ${name === 'param' ? asCode(text) : text}`.trimEnd()).join('  \n'),
    ]
      .filter(Boolean)
      .join('\n\n'),
  }
}

/** The first word, which is a parameter's name. */
const asCode = (text: string) => text.replace(/^[\p{ID_Continue}$.]+/u, '`$&`')

/** Plain text; `{@link Name}` is the name and `{@link Name | words}` the words. */
function words(parts: readonly tsTypes.SymbolDisplayPart[] = []): string {
  const renamed = (next?: tsTypes.SymbolDisplayPart) => next?.kind === 'linkText' && !next.text.startsWith('(')
  return parts
    .filter(({ kind }, at) => kind !== 'link' && !(kind === 'linkName' && renamed(parts[at + 1])))
    .map(({ text }) => text)
    .join('')
}

/** Of the name at the cursor; where there is none, of the function whose arguments are being written. */
function infoAt(compiler: Compiler, declarations: string, code: string, cursor: number): Info | undefined {
  const ask = (text: string, at: number) => {
    const info = compiler.converter.inspect(declarations, text, at)
    return info && !/^any$|\/\*unresolved\*\//.test(words(info.displayParts)) ? info : undefined
  }
  const info = ask(code, cursor)
  if (info) return info
  const before = /[\p{ID_Continue}$]*$/u.exec(code.slice(0, cursor))![0]
  const name = before + /^[\p{ID_Continue}$]*/u.exec(code.slice(cursor))![0]
  if (/^[\p{ID_Start}$_]/u.test(name)) {
    const text = `${code}\n;type __asked = ${name}`
    return ask(text, text.length)
  }
  const call = callAt(compiler.ts, code, cursor)
  if (!call) return undefined
  const { expression, arguments: given, end } = call
  // Type parameters of which nothing is known yet would read as `unknown`.
  const bare = code.slice(0, expression.end) + ' '.repeat(end - expression.end) + code.slice(end)
  return ask(given!.length === 0 ? bare : code, expression.end)
}

/** The call in whose argument list the cursor stands. */
function callAt(
  ts: TypeScript,
  code: string,
  cursor: number,
): tsTypes.CallExpression | tsTypes.NewExpression | undefined {
  const file = ts.createSourceFile('cell.ts', code, ts.ScriptTarget.Latest, true)
  // A list that goes on ends, for the parser, at its last word.
  const at = code.slice(0, cursor).trimEnd().length
  let found: tsTypes.CallExpression | tsTypes.NewExpression | undefined
  const visit = (node: tsTypes.Node): void => {
    if (at < node.pos || at > node.end) return
    if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && node.arguments && at >= node.arguments.pos) {
      const closed = node.getChildren(file).at(-1)?.kind === ts.SyntaxKind.CloseParenToken
      if (!closed || cursor <= node.end) found = node
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** TypeScript's numbers for a template and a comment that go on. */
const OPEN = [1160, 1010]

export function completeness(compiler: Compiler, code: string): Completeness {
  const errors = compiler.syntaxErrors(code)
  if (errors.length === 0) return { status: 'complete', indent: '' }
  if (errors.some(({ code }) => OPEN.includes(code))) return { status: 'incomplete', indent: '' }
  // What is wrong before the end stays wrong, whatever follows.
  const { completed, indent = '' } = compiler.isComplete(code)
  const open = !completed && errors[0].start >= code.trimEnd().length
  return open ? { status: 'incomplete', indent } : { status: 'invalid', indent: '' }
}
