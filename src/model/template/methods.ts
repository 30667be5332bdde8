/** The methods of texts, lists and dicts that templates call, as Python has them. */
import { equal, Failure, itemsOf, kindOf, numberOf, isNumber, text, Tuple, Unsupported } from './values.js'
import type { Callable, Named, Value } from './values.js'

/** Positional and named arguments by name; the rest is what Python would refuse. */
export function bound(what: string, names: string[], words: Value[], named: Named): (Value | undefined)[] {
  if (words.length > names.length) throw new Failure(`${what}() takes at most ${names.length} arguments`)
  for (const name of named.keys())
    if (!names.includes(name)) throw new Unsupported(`the argument "${name}" of ${what}()`)
  return names.map((name, i) => (i < words.length ? words[i] : named.get(name)))
}

export function wordOf(what: string, value: Value | undefined): string {
  if (typeof value === 'string') return value
  throw new Failure(`${what}() expects a str, not ${value === undefined ? 'nothing' : kindOf(value)}`)
}

export function wholeOf(what: string, value: Value | undefined, fallback: number): number {
  if (value === undefined || value === null) return fallback
  if (isNumber(value) && Number.isInteger(numberOf(value))) return numberOf(value)
  throw new Failure(`${what}() expects an int, not ${kindOf(value)}`)
}

/** Python's white space: JavaScript's without U+FEFF, with four control characters and U+0085. */
const SPACE = '[\\s\\x1c-\\x1f\\x85]'
const SPACES = new RegExp(`(?:(?!\\ufeff)${SPACE})+`, 'u')

export function strip(value: string, characters: string | undefined, left: boolean, right: boolean): string {
  const points = Array.from(value)
  const gone = (c: string) => (characters === undefined ? SPACES.test(c) : Array.from(characters).includes(c))
  let [start, end] = [0, points.length]
  if (left) while (start < end && gone(points[start])) start++
  if (right) while (end > start && gone(points[end - 1])) end--
  return points.slice(start, end).join('')
}

function split(value: string, separator: string | undefined, most: number, fromRight: boolean): string[] {
  if (separator === '') throw new Failure('empty separator')
  if (separator === undefined) {
    const parts = strip(value, undefined, true, true)
      .split(SPACES)
      .filter((part) => part !== '')
    if (most < 0 || parts.length <= most + 1) return parts
    if (fromRight) throw new Unsupported('rsplit() by white space with a limit')
    let rest = strip(value, undefined, true, false)
    for (const part of parts.slice(0, most)) rest = strip(rest.slice(part.length), undefined, true, false)
    return [...parts.slice(0, most), rest]
  }
  const parts = value.split(separator)
  if (most < 0 || parts.length <= most + 1) return parts
  return fromRight
    ? [parts.slice(0, parts.length - most).join(separator), ...parts.slice(parts.length - most)]
    : [...parts.slice(0, most), parts.slice(most).join(separator)]
}

export function replaced(value: string, from: string, to: string, most: number): string {
  if (from === '') {
    const points = Array.from(value)
    const places = most < 0 ? points.length + 1 : Math.min(most, points.length + 1)
    return points.map((c, i) => (i < places ? to : '') + c).join('') + (places > points.length ? to : '')
  }
  const parts = value.split(from)
  const count = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1)
  return (
    parts.slice(0, count + 1).join(to) +
    parts
      .slice(count + 1)
      .map((part) => from + part)
      .join('')
  )
}

export const capitalized = (value: string) => {
  const [first = '', ...rest] = Array.from(value)
  return first.toUpperCase() + rest.join('').toLowerCase()
}

const titled = (value: string) => value.replace(/\p{L}+/gu, (word) => capitalized(word))

function startsOrEnds(what: string, value: string, given: Value | undefined): boolean {
  const test = (one: Value) =>
    what === 'startswith' ? value.startsWith(wordOf(what, one)) : value.endsWith(wordOf(what, one))
  return given instanceof Tuple ? given.some(test) : test(given ?? null)
}

const TEXT: Record<string, (value: string, words: Value[], named: Named) => Value> = {
  upper: (v) => v.toUpperCase(),
  lower: (v) => v.toLowerCase(),
  capitalize: (v) => capitalized(v),
  title: (v) => titled(v),
  strip: (v, [characters]) => strip(v, characters == null ? undefined : wordOf('strip', characters), true, true),
  lstrip: (v, [characters]) => strip(v, characters == null ? undefined : wordOf('lstrip', characters), true, false),
  rstrip: (v, [characters]) => strip(v, characters == null ? undefined : wordOf('rstrip', characters), false, true),
  startswith: (v, [given]) => startsOrEnds('startswith', v, given),
  endswith: (v, [given]) => startsOrEnds('endswith', v, given),
  split: (v, words, named) => splitting('split', v, words, named),
  rsplit: (v, words, named) => splitting('rsplit', v, words, named),
  splitlines: (v) => {
    const lines = v.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines
  },
  replace: (v, words, named) => {
    const [from, to, count] = bound('replace', ['old', 'new', 'count'], words, named)
    return replaced(v, wordOf('replace', from), wordOf('replace', to), wholeOf('replace', count, -1))
  },
  find: (v, [what]) => {
    const at = v.indexOf(wordOf('find', what))
    return at < 0 ? -1 : Array.from(v.slice(0, at)).length
  },
  count: (v, [what]) => v.split(wordOf('count', what)).length - 1,
  join: (v, [items]) =>
    itemsOf(items ?? null)
      .map((one) => wordOf('join', one))
      .join(v),
  removeprefix: (v, [what]) => (v.startsWith(wordOf('removeprefix', what)) ? v.slice(wordOf('', what).length) : v),
  removesuffix: (v, [what]) => {
    const end = wordOf('removesuffix', what)
    return end !== '' && v.endsWith(end) ? v.slice(0, -end.length) : v
  },
  isdigit: (v) => /^\p{Nd}+$/u.test(v),
  isalpha: (v) => /^\p{L}+$/u.test(v),
  isalnum: (v) => /^[\p{L}\p{N}]+$/u.test(v),
  isspace: (v) => v !== '' && strip(v, undefined, true, true) === '',
  isupper: (v) => v === v.toUpperCase() && v !== v.toLowerCase(),
  islower: (v) => v === v.toLowerCase() && v !== v.toUpperCase(),
}

function splitting(what: 'split' | 'rsplit', v: string, words: Value[], named: Named): Value {
  const [separator, most] = bound(what, ['sep', 'maxsplit'], words, named)
  return split(v, separator == null ? undefined : wordOf(what, separator), wholeOf(what, most, -1), what === 'rsplit')
}

const DICT: Record<string, (value: Map<Value, Value>, words: Value[]) => Value> = {
  get: (v, [key, fallback]) => (v.has(key) ? v.get(key)! : (fallback ?? null)),
  items: (v) => [...v].map((pair) => Tuple.from<Value>(pair) as Tuple),
  keys: (v) => [...v.keys()],
  values: (v) => [...v.values()],
  copy: (v) => new Map(v),
}

const LIST: Record<string, (value: Value[], words: Value[]) => Value> = {
  index: (v, [what]) => {
    const at = v.findIndex((one) => equal(one, what))
    if (at < 0) throw new Failure(`${text(what)} is not in list`)
    return at
  },
  count: (v, [what]) => v.filter((one) => equal(one, what)).length,
  copy: (v) => [...v],
}

/** What the sandbox of transformers refuses: it lets no template change a list or dict. */
const CHANGES = [
  'append',
  'extend',
  'insert',
  'pop',
  'remove',
  'clear',
  'sort',
  'reverse',
  'update',
  'setdefault',
  'popitem',
]
/** What Python has and we have not: named, since Jinja would not call it undefined. */
const OTHERS = [
  ...[
    'format',
    'format_map',
    'encode',
    'center',
    'ljust',
    'rjust',
    'zfill',
    'partition',
    'rpartition',
    'rfind',
    'rindex',
  ],
  ...[
    'swapcase',
    'casefold',
    'expandtabs',
    'translate',
    'isnumeric',
    'isdecimal',
    'istitle',
    'isidentifier',
    'isascii',
  ],
  ...['isprintable', 'index', 'fromkeys', 'maketrans'],
]

/** The method `name` of `value`; undefined where Python has none. */
export function methodOf(value: Value, name: string): Callable | undefined {
  const table: object | undefined =
    typeof value === 'string' ? TEXT : value instanceof Map ? DICT : Array.isArray(value) ? LIST : undefined
  if (table === undefined) return undefined
  if (Object.hasOwn(table, name)) {
    const method = (table as Record<string, (v: Value, words: Value[], named: Named) => Value>)[name]
    return (words, named) => method(value, words, named)
  }
  if (CHANGES.includes(name) && typeof value !== 'string')
    return () => {
      throw new Unsupported(`${name}(), which changes a ${kindOf(value)} (transformers refuses it as well)`)
    }
  if (OTHERS.includes(name)) throw new Unsupported(`the method ${name}() of a ${kindOf(value)}`)
  return undefined
}
