/** Completion of file names in strings, such as what is given to readFile: TypeScript knows paths only where modules are named. */
import type * as tsTypes from 'typescript'
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TypeScript } from './typescript.js'
import type { Completion } from './protocol.js'

/** What the string at the cursor may go on with; undefined: nothing. Folders end with a slash. */
export function completePath(ts: TypeScript, code: string, cursor: number): Completion | undefined {
  const from = stringAt(ts, code, cursor)
  if (from === undefined) return undefined
  const typed = code.slice(from, cursor)
  const start = from + typed.lastIndexOf('/') + 1
  const name = code.slice(start, cursor)
  const folder = typed.includes('/') ? typed.slice(0, typed.lastIndexOf('/') + 1) : '.'
  const matches = entriesOf(resolve(folder))
    .filter((text) => text.startsWith(name) && (name !== '' || !text.startsWith('.')))
    .map((text) => ({ text, type: 'path' }))
  return matches.length > 0 ? { matches, start, end: cursor } : undefined
}

function entriesOf(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.map((one) => (one.isDirectory() ? `${one.name}/` : one.name)).sort()
  } catch {
    return []
  }
}

/** Where the text of the string begins that the cursor stands in. */
function stringAt(ts: TypeScript, code: string, cursor: number): number | undefined {
  const file = ts.createSourceFile('cell.ts', code, ts.ScriptTarget.Latest, true)
  const find = (node: tsTypes.Node): tsTypes.Node | undefined => {
    if (cursor < node.pos || cursor > node.end) return undefined
    return ts.isStringLiteralLike(node) ? node : ts.forEachChild(node, find)
  }
  const found = find(file)
  if (!found) return undefined
  const start = found.getStart(file)
  const open = found as tsTypes.StringLiteralLike
  const closed = cursor === found.end && !open.isUnterminated
  return cursor > start && !closed ? start + 1 : undefined
}
