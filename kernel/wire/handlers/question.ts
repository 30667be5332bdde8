/** Cells that end with a question about a name: `name?`, `name??` or `?name`, as in IPython. */

const ASKED = [/^([\p{ID_Start}$_][\p{ID_Continue}$.]*)\s*\?{1,2}$/u, /^\?\s*([\p{ID_Start}$_][\p{ID_Continue}$.]*)$/u]

/**
 * The code above the question, and the name. Looks at the last line only: cells may be long. No code, string, template or
 * comment that is complete ends with such a line.
 */
export function question(code: string): [source: string, name?: string] {
  const cell = code.trimEnd()
  const start = cell.lastIndexOf('\n') + 1
  const line = cell.slice(start).trimStart()
  for (const asked of ASKED) {
    const found = asked.exec(line)
    if (found) return [cell.slice(0, start), found[1]]
  }
  return [code]
}
