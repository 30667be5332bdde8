/** Questions about code that is not run: completion, inspection, completeness. */
import type { Compiler } from './compile.js'
import type { Completeness, Completion, Inspection } from './protocol.js'

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
  type: 'type',
  'primitive type': 'type',
}

export function complete(compiler: Compiler, declarations: string, code: string, cursor: number): Completion {
  const { candidates, start, end, original } = compiler.converter.complete(declarations, code, cursor)
  const kinds = new Map(original?.entries.map(({ name, kind }) => [name, kind as string]))
  const typeOf = (text: string) => {
    const kind = kinds.get(text) ?? 'text'
    return TYPES[kind] ?? kind
  }
  return { matches: candidates.map((text) => ({ text, type: typeOf(text) })), start, end }
}

/** `detail` 0: signature and description; 1: also the tags (parameters, examples, …). */
export function inspect(
  compiler: Compiler,
  declarations: string,
  code: string,
  cursor: number,
  detail: number,
): Inspection | undefined {
  const info = compiler.converter.inspect(declarations, code, cursor)
  if (!info) return undefined
  const words = (parts: { text: string }[] | undefined) => (parts ?? []).map(({ text }) => text).join('')
  const signature = words(info.displayParts)
  const documentation = words(info.documentation)
  const tags = detail > 0 ? (info.tags ?? []).map(({ name, text }) => ({ name, text: words(text) })) : []
  return {
    plain: [signature, documentation, tags.map(({ name, text }) => `@${name} ${text}`.trimEnd()).join('\n')]
      .filter(Boolean)
      .join('\n\n'),
    markdown: [
      `\`\`\`typescript\n${signature}\n\`\`\``,
      documentation,
      tags.map(({ name, text }) => `*@${name}* ${text}`.trimEnd()).join('  \n'),
    ]
      .filter(Boolean)
      .join('\n\n'),
  }
}

/** TypeScript's numbers for a template and a comment that go on. */
const OPEN = [1160, 1010]

export function completeness(compiler: Compiler, code: string): Completeness {
  const errors = compiler.syntaxErrors(code)
  if (errors.length === 0) return { status: 'complete', indent: '' }
  if (errors.some((one) => OPEN.includes(one))) return { status: 'incomplete', indent: '' }
  const { completed, indent = '' } = compiler.isComplete(code)
  return { status: completed ? 'invalid' : 'incomplete', indent }
}
