/**
 * A template's text → the library's program, with what the library's own reading gets wrong put right first: white space around
 * tags as trim_blocks and lstrip_blocks have it, {% raw %}, {% generation %}, escapes in strings, and tests with arguments
 * (`is divisibleby(2)`, `is in [1, 2]`), which its parser lacks and which are written as filters for it.
 */
import { parse, tokenize } from '@huggingface/jinja'

type Program = ReturnType<typeof parse>
type Token = ReturnType<typeof tokenize>[number]

export function programOf(template: string): Program {
  // The library takes one line's end off, which has been done.
  return parse(withTests(tokenize(tidied(template).replace(/\n$/, '\n\n'))))
}

const CLOSE: Record<string, string> = { '{%': '%}', '{{': '}}', '{#': '#}' }

/** Tags without marks of white space, the texts between them as Jinja leaves them. */
function tidied(template: string): string {
  let source = template.replace(/\r\n?/g, '\n')
  if (source.endsWith('\n')) source = source.slice(0, -1)
  let out = ''
  let at = 0
  let line = true // nothing but what was written since the line began
  for (;;) {
    const open = /\{[%{#]/g
    open.lastIndex = at
    const found = open.exec(source)
    let text = source.slice(at, found?.index ?? source.length)
    if (!found) return out + text
    const start = found.index
    const mark = source[start + 2]
    const { end, tag } = tagAt(source, start)
    const dashed = mark === '-'
    const block = found[0] !== '{{'
    if (dashed) text = text.replace(/\s+$/, '')
    else if (block && mark !== '+') {
      const last = text.lastIndexOf('\n') + 1
      if ((last > 0 || line) && /^[ \t\f\v]*$/.test(text.slice(last))) text = text.slice(0, last)
    }
    out += text
    at = end
    const inner = tag.slice(dashed || mark === '+' ? 3 : 2, -2)
    const after = inner.at(-1)
    const body = after === '-' || (after === '+' && block) ? inner.slice(0, -1) : inner
    const raw = found[0] === '{%' && body.trim() === 'raw'
    if (raw) {
      const stop = /\{%([-+]?)\s*endraw\s*([-+]?)%\}/g
      stop.lastIndex = at
      const ended = stop.exec(source)
      if (!ended) throw new Error('{% raw %} without {% endraw %}')
      let kept = trimmedAfter(source.slice(at, ended.index), after, true)
      if (ended[1] === '-') kept = kept.replace(/\s+$/, '')
      else if (ended[1] !== '+') kept = kept.replace(/(^|\n)[ \t]*$/, '$1')
      out += `{{ ${JSON.stringify(kept)} }}`
      at = ended.index + ended[0].length
      at = source.length - trimmedAfter(source.slice(at), ended[2], true).length
    } else {
      // transformers' own tag, which marks what the assistant wrote and changes no text.
      const marks = found[0] === '{%' && /^(end)?generation$/.test(body.trim())
      if (found[0] === '{#' || marks) out += '{# #}'
      else out += `${found[0]} ${escaped(body)} ${CLOSE[found[0]]}`
      at = source.length - trimmedAfter(source.slice(at), after, block).length
    }
    line = source[at - 1] === '\n'
  }
}

function trimmedAfter(rest: string, mark: string | undefined, block: boolean): string {
  if (mark === '-') return rest.replace(/^\s+/, '')
  return block && mark !== '+' ? rest.replace(/^\n/, '') : rest
}

/** The whole tag at `start`; closing marks in its strings and, for {{ }}, in its dicts do not end it. */
function tagAt(source: string, start: number): { end: number; tag: string } {
  const open = source.slice(start, start + 2)
  const close = CLOSE[open]
  let depth = 0
  for (let at = start + 2; at < source.length; at++) {
    const c = source[at]
    if (open !== '{#' && (c === "'" || c === '"')) {
      for (at++; at < source.length && source[at] !== c; at++) if (source[at] === '\\') at++
    } else if (source.startsWith(close, at) && depth === 0) return { end: at + 2, tag: source.slice(start, at + 2) }
    else if (open === '{{' && c === '{') depth++
    else if (open === '{{' && c === '}') depth--
  }
  throw new Error(`${open} without ${close}`)
}

/** Python keeps the backslash before what is no escape, which the library refuses. */
function escaped(body: string): string {
  return body.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/gs, (literal) =>
    literal.replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)/gis, (all, what: string) => {
      if (what === '\n') return ''
      if (what === 'a') return '\\x07'
      if (/^[0-7]/.test(what) || what === 'N' || what === 'U') throw new Error(`the escape \\${what} in a string`)
      return /^([ntrbfv'"\\]|x..|u....)$/.test(what) ? all : `\\\\${what}`
    }),
  )
}

/** `x is [not] name …` → `x | is_name(…)`, or is_not_name. */
function withTests(tokens: Token[]): Token[] {
  const made = (value: string, type: Token['type']) => ({ value, type }) as Token
  const out: Token[] = []
  const isWord = (token: { type: string; value: string } | undefined, ...words: string[]) =>
    token?.type === 'Identifier' && words.includes(token.value)
  for (let i = 0; i < tokens.length; i++) {
    const before = tokens[i - 1]
    if (!isWord(tokens[i], 'is') || before?.type === 'Dot' || before?.type === 'OpenStatement') {
      out.push(tokens[i])
      continue
    }
    const negated = isWord(tokens[i + 1], 'not')
    const at = i + (negated ? 2 : 1)
    const name = tokens[at]
    if (name === undefined) throw new Error('"is" without a test')
    const called = made(`is_${negated ? 'not_' : ''}${name.value}`, 'Identifier')
    out.push(made('|', 'Pipe'), called)
    i = at
    const next = tokens[at + 1]
    if (next === undefined || next.type === 'OpenParen') continue
    const begins = ['StringLiteral', 'NumericLiteral', 'OpenSquareBracket', 'OpenCurlyBracket', 'Identifier']
    if (!begins.includes(next.type) || isWord(next, 'else', 'or', 'and', 'is', 'if', 'in', 'not')) continue
    const end = operandEnd(tokens, at + 1)
    out.push(made('(', 'OpenParen'), ...withTests(tokens.slice(at + 1, end)), made(')', 'CloseParen'))
    i = end - 1
  }
  return out
}

/** One past the operand that begins at `at`: a literal or name with what is called on it. */
function operandEnd(tokens: Token[], at: number): number {
  const opens = ['OpenParen', 'OpenSquareBracket', 'OpenCurlyBracket']
  const past = (from: number) => {
    let depth = 0
    for (let i = from; i < tokens.length; i++) {
      if (opens.includes(tokens[i].type)) depth++
      else if (tokens[i].type.startsWith('Close')) depth--
      if (depth === 0) return i + 1
    }
    return tokens.length
  }
  let end = past(at)
  for (;;)
    if (tokens[end]?.type === 'Dot') end += 2
    else if (['OpenParen', 'OpenSquareBracket'].includes(tokens[end]?.type)) end = past(end)
    else return end
}
