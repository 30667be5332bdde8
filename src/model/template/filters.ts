/** Jinja's filters and tests that chat templates use; tests are filters here, named is_…. Others are refused by their names. */
import { bound, capitalized, methodOf, replaced, strip, wholeOf, wordOf } from './methods.js'
import {
  compare, equal, Failure, Float, isNumber, itemsOf, json, kindOf, numberOf, text, truth, Tuple, Undefined, Unsupported,
} from './values.js' // prettier-ignore
import type { Named, Value } from './values.js'

type Filter = (value: Value, words: Value[], named: Named) => Value

/** `item.a.b` or `item.0`, as `attribute=` reads it. */
function attribute(item: Value, path: Value): Value {
  let at = item
  for (const part of text(path).split('.')) {
    const key = /^\d+$/.test(part) ? Number(part) : part
    const found: Value | undefined =
      at instanceof Map ? at.get(key) : Array.isArray(at) && typeof key === 'number' ? at[key] : undefined
    at = found ?? new Undefined(part)
    if (found === null) at = null
  }
  return at
}

const folded = (v: Value, sensitive: boolean): Value => (typeof v === 'string' && !sensitive ? v.toLowerCase() : v)

function sorted(v: Value, what: string, reverse: Value, sensitive: Value, path: Value | undefined): Value[] {
  const key = (item: Value) => folded(path == null ? item : attribute(item, path), truth(sensitive))
  const sign = truth(reverse) ? -1 : 1
  return [...itemsOf(v)].sort((a, b) => sign * compare(key(a), key(b)))
}

function length(v: Value): number {
  if (typeof v === 'string') return Array.from(v).length
  if (v instanceof Map) return v.size
  if (Array.isArray(v) || v instanceof Undefined) return itemsOf(v).length
  throw new Failure(`object of type '${kindOf(v)}' has no len()`)
}

function selected(v: Value, words: Value[], named: Named, keep: boolean, byAttribute: boolean): Value[] {
  if (named.size) throw new Unsupported('named arguments of select, reject, selectattr and rejectattr')
  const [path, test, ...rest] = byAttribute ? words : [null, ...words]
  return itemsOf(v).filter((item) => {
    const subject = byAttribute ? attribute(item, path ?? '') : item
    return (
      (test === undefined ? truth(subject) : truth(filterOf(`is_${text(test)}`)(subject, rest, new Map()))) === keep
    )
  })
}

const escape = (v: Value) =>
  text(v).replace(/[&<>'"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' })[c]!)

const FILTERS: Record<string, Filter> = {
  abs: (v) => (v instanceof Float ? new Float(Math.abs(v.value)) : isNumber(v) ? Math.abs(numberOf(v)) : bad('abs', v)),
  capitalize: (v) => capitalized(text(v)),
  count: (v) => length(v),
  length: (v) => length(v),
  default: (v, words, named) => {
    const [fallback = '', falsy = false] = bound('default', ['default_value', 'boolean'], words, named)
    return v instanceof Undefined || (truth(falsy) && !truth(v)) ? fallback : v
  },
  dictsort: (v, words, named) => {
    const [sensitive = false, by = 'key', reverse = false] = bound(
      'dictsort',
      ['case_sensitive', 'by', 'reverse'],
      words,
      named,
    )
    if (!(v instanceof Map)) bad('dictsort', v)
    const pairs = [...(v as Map<Value, Value>)].map((pair) => Tuple.from<Value>(pair) as Tuple)
    return sorted(pairs, 'dictsort', reverse, sensitive, by === 'value' ? 1 : 0)
  },
  escape,
  e: escape,
  first: (v) => itemsOf(v)[0] ?? new Undefined('the first of nothing'),
  last: (v) => itemsOf(v).at(-1) ?? new Undefined('the last of nothing'),
  float: (v, [fallback]) => {
    const number = isNumber(v) ? numberOf(v) : typeof v === 'string' && v.trim() !== '' ? Number(v.trim()) : NaN
    return Number.isNaN(number) ? (fallback ?? new Float(0)) : new Float(number)
  },
  int: (v, [fallback]) => {
    const number = isNumber(v) ? numberOf(v) : typeof v === 'string' && v.trim() !== '' ? Number(v.trim()) : NaN
    return Number.isFinite(number) ? Math.trunc(number) : (fallback ?? 0)
  },
  indent: (v, words, named) => {
    const [width = 4, first = false, blank = false] = bound('indent', ['width', 'first', 'blank'], words, named)
    const mark = typeof width === 'string' ? width : ' '.repeat(wholeOf('indent', width, 4))
    const [head, ...rest] = text(v).split('\n')
    const lines = rest.map((line) => (line || truth(blank) ? mark + line : line))
    return [(truth(first) ? mark : '') + head, ...lines].join('\n')
  },
  items: (v) =>
    v instanceof Undefined ? [] : v instanceof Map ? methodOf(v, 'items')!([], new Map()) : bad('items', v),
  join: (v, words, named) => {
    const [separator = '', path] = bound('join', ['d', 'attribute'], words, named)
    return itemsOf(v)
      .map((one) => text(path == null ? one : attribute(one, path)))
      .join(text(separator))
  },
  list: (v) => [...itemsOf(v)],
  lower: (v) => text(v).toLowerCase(),
  upper: (v) => text(v).toUpperCase(),
  map: (v, words, named) => {
    const path = named.get('attribute')
    if (path !== undefined && words.length === 0) {
      const fallback = named.get('default')
      return itemsOf(v).map((one) => {
        const found = attribute(one, path)
        return found instanceof Undefined && fallback !== undefined ? fallback : found
      })
    }
    const [name, ...rest] = words
    const filter = filterOf(wordOf('map', name))
    return itemsOf(v).map((one) => filter(one, rest, named))
  },
  max: (v) => itemsOf(v).reduce((a, b) => (compare(folded(b, false), folded(a, false)) > 0 ? b : a)),
  min: (v) => itemsOf(v).reduce((a, b) => (compare(folded(b, false), folded(a, false)) < 0 ? b : a)),
  reject: (v, words, named) => selected(v, words, named, false, false),
  rejectattr: (v, words, named) => selected(v, words, named, false, true),
  select: (v, words, named) => selected(v, words, named, true, false),
  selectattr: (v, words, named) => selected(v, words, named, true, true),
  replace: (v, words, named) => {
    const [from, to, count] = bound('replace', ['old', 'new', 'count'], words, named)
    return replaced(text(v), wordOf('replace', from), wordOf('replace', to), wholeOf('replace', count, -1))
  },
  reverse: (v) => (typeof v === 'string' ? Array.from(v).reverse().join('') : [...itemsOf(v)].reverse()),
  round: (v, [digits]) => {
    if (!isNumber(v) || wholeOf('round', digits, 0) !== 0) throw new Unsupported('round of digits')
    const floor = Math.floor(numberOf(v))
    const rest = numberOf(v) - floor
    return new Float(rest === 0.5 ? floor + (floor % 2 ? 1 : 0) : Math.round(numberOf(v)))
  },
  safe: (v) => text(v),
  sort: (v, words, named) => {
    const names = ['reverse', 'case_sensitive', 'attribute']
    const [reverse = false, sensitive = false, path] = bound('sort', names, words, named)
    return sorted(v, 'sort', reverse, sensitive, path)
  },
  string: (v) => text(v),
  sum: (v) => itemsOf(v).reduce((a, b) => (isNumber(a) && isNumber(b) ? numberOf(a) + numberOf(b) : bad('sum', b)), 0),
  title: (v) =>
    text(v)
      .split(/([-\s({[<]+)/)
      .map(capitalized)
      .join(''),
  tojson: (v, words, named) => {
    const names = ['ensure_ascii', 'indent', 'separators', 'sort_keys']
    const [ascii = false, indent = null, separators = null, sort = false] = bound('tojson', names, words, named)
    const step = typeof indent === 'string' ? indent : indent === null ? null : ' '.repeat(wholeOf('tojson', indent, 0))
    const pair = separators === null ? [step === null ? ', ' : ',', ': '] : itemsOf(separators).map(text)
    return json(v, { ascii: truth(ascii), indent: step, separators: [pair[0], pair[1]], sort: truth(sort) })
  },
  trim: (v, [characters]) => strip(text(v), characters == null ? undefined : text(characters), true, true),
  unique: (v) => {
    const found: Value[] = []
    for (const one of itemsOf(v)) if (!found.some((o) => equal(folded(o, false), folded(one, false)))) found.push(one)
    return found
  },
  wordcount: (v) => text(v).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
}

function bad(what: string, v: Value): never {
  if (v instanceof Undefined) v.fail()
  throw new Failure(`${what} cannot be had of a ${kindOf(v)}`)
}

const isWhole = (v: Value) => typeof v === 'number'
const known = (name: Value, prefix: string) => Object.hasOwn(prefix ? TESTS : FILTERS, text(name))

const TESTS: Record<string, (value: Value, words: Value[]) => boolean> = {
  boolean: (v) => typeof v === 'boolean',
  callable: (v) => typeof v === 'function',
  defined: (v) => !(v instanceof Undefined),
  undefined: (v) => v instanceof Undefined,
  divisibleby: (v, [by]) => remainder(v, by) === 0,
  even: (v) => remainder(v, 2) === 0,
  odd: (v) => remainder(v, 2) !== 0,
  eq: (v, [other]) => equal(v, other),
  ne: (v, [other]) => !equal(v, other),
  lt: (v, [other]) => compare(v, other) < 0,
  le: (v, [other]) => compare(v, other, '<=') <= 0,
  gt: (v, [other]) => compare(v, other, '>') > 0,
  ge: (v, [other]) => compare(v, other, '>=') >= 0,
  in: (v, [other]) => contains(other, v),
  true: (v) => v === true,
  false: (v) => v === false,
  filter: (v) => known(v, ''),
  test: (v) => known(v, 'is_'),
  float: (v) => v instanceof Float,
  integer: isWhole,
  number: isNumber,
  iterable: (v) => typeof v === 'string' || Array.isArray(v) || v instanceof Map || v instanceof Undefined,
  lower: (v) => text(v) === text(v).toLowerCase() && text(v) !== text(v).toUpperCase(),
  upper: (v) => text(v) === text(v).toUpperCase() && text(v) !== text(v).toLowerCase(),
  mapping: (v) => v instanceof Map,
  none: (v) => v === null,
  sameas: (v, [other]) => v === other,
  sequence: (v) => typeof v === 'string' || Array.isArray(v) || v instanceof Map || v instanceof Undefined,
  string: (v) => typeof v === 'string',
}
for (const [name, other] of Object.entries({
  equalto: 'eq',
  '==': 'eq',
  '!=': 'ne',
  lessthan: 'lt',
  greaterthan: 'gt',
}))
  TESTS[name] = TESTS[other]

function remainder(v: Value, by: Value): number {
  if (!isNumber(v) || !isNumber(by)) bad('a remainder', isNumber(v) ? by : v)
  const divisor = numberOf(by)
  if (divisor === 0) throw new Failure('integer modulo by zero')
  return ((numberOf(v) % divisor) + divisor) % divisor
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  if (typeof container === 'string') {
    if (typeof item === 'string') return container.includes(item)
    throw new Failure(`'in <string>' requires string as left operand, not ${kindOf(item)}`)
  }
  if (container instanceof Map) return container.has(item)
  return itemsOf(container).some((one) => equal(one, item))
}

/** The filter `name`, or the test that a name beginning with is_ stands for. */
export function filterOf(name: string): Filter {
  const [, not, test] = /^is_(not_)?(.+)$/.exec(name) ?? []
  if (test !== undefined) {
    if (!Object.hasOwn(TESTS, test)) throw new Unsupported(`the test "${test}"`)
    return (v, words) => TESTS[test](v, words) === (not === undefined)
  }
  if (!Object.hasOwn(FILTERS, name)) throw new Unsupported(`the filter "${name}"`)
  return FILTERS[name]
}
