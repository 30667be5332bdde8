/**
 * What a template's values are, and what Python makes of them: texts, truth, equality, order, JSON. None is null; what is not
 * defined is an Undefined; a float is a Float, so that 2.0 stays one; tuples and lists are arrays, dicts are Maps.
 */

/** The template asks for something that is not done here: said by its name. */
export class Unsupported extends Error {}
/** raise_exception of the template. */
export class Raised extends Error {}
/** What Python would raise. */
export class Failure extends Error {}

export class Float {
  constructor(readonly value: number) {}
}
export class Undefined {
  constructor(readonly name: string) {}
  fail(): never {
    throw new Failure(`${this.name} is undefined`)
  }
}
export class Tuple extends Array<Value> {}
export class Namespace {
  readonly values = new Map<string, Value>()
}
export type Named = Map<string, Value>
/** `named`: keyword arguments. */
export type Callable = (words: Value[], named: Named) => Value
export type Value =
  null | boolean | number | string | Float | Undefined | Namespace | Callable | Value[] | Map<Value, Value>

export const isNumber = (v: Value): v is number | boolean | Float =>
  typeof v === 'number' || typeof v === 'boolean' || v instanceof Float
export const numberOf = (v: number | boolean | Float): number => (v instanceof Float ? v.value : Number(v))

/** Values of JSON as Python's json reads them. */
export function fromJson(value: unknown): Value {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value === 'object' && value !== null)
    return new Map(Object.entries(value).map(([key, one]) => [key, fromJson(one)]))
  return value as Value
}

export function kindOf(v: Value): string {
  if (v === null) return 'NoneType'
  if (typeof v === 'boolean') return 'bool'
  if (typeof v === 'number') return 'int'
  if (typeof v === 'string') return 'str'
  if (v instanceof Float) return 'float'
  if (v instanceof Tuple) return 'tuple'
  if (Array.isArray(v)) return 'list'
  if (v instanceof Map) return 'dict'
  if (v instanceof Undefined) return 'Undefined'
  return v instanceof Namespace ? 'Namespace' : 'function'
}

export function truth(v: Value): boolean {
  if (v instanceof Undefined || v === null) return false
  if (isNumber(v)) return numberOf(v) !== 0
  if (typeof v === 'string' || Array.isArray(v)) return v.length > 0
  return v instanceof Map ? v.size > 0 : true
}

export function equal(a: Value, b: Value): boolean {
  if (isNumber(a) && isNumber(b)) return numberOf(a) === numberOf(b)
  if (a instanceof Undefined || b instanceof Undefined) return a instanceof Undefined && b instanceof Undefined
  if (Array.isArray(a) && Array.isArray(b))
    return a instanceof Tuple === b instanceof Tuple && a.length === b.length && a.every((one, i) => equal(one, b[i]))
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, one]) => b.has(key) && equal(one, b.get(key)!))
  return a === b
}

/** Below, at or above 0; `how` for the sentence where Python has no order. */
export function compare(a: Value, b: Value, how = '<'): number {
  if (isNumber(a) && isNumber(b)) return numberOf(a) - numberOf(b)
  if (typeof a === 'string' && typeof b === 'string') return comparePoints(a, b)
  if (Array.isArray(a) && Array.isArray(b)) {
    const at = a.findIndex((one, i) => i >= b.length || !equal(one, b[i]))
    if (at >= 0 && at < b.length) return compare(a[at], b[at], how)
    return a.length - b.length
  }
  for (const one of [a, b]) if (one instanceof Undefined) one.fail()
  throw new Failure(`'${how}' not supported between instances of '${kindOf(a)}' and '${kindOf(b)}'`)
}

function comparePoints(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++)
    if (left[i] !== right[i]) return left[i].codePointAt(0)! - right[i].codePointAt(0)!
  return left.length - right.length
}

/** What is iterated over: a list's values, a dict's keys, a text's characters. */
export function itemsOf(v: Value): Value[] {
  if (Array.isArray(v)) return v
  if (v instanceof Map) return [...v.keys()]
  if (typeof v === 'string') return Array.from(v)
  if (v instanceof Undefined) return []
  throw new Failure(`'${kindOf(v)}' object is not iterable`)
}

/** str(v). */
export function text(v: Value): string {
  if (typeof v === 'string') return v
  return v instanceof Undefined ? '' : repr(v)
}

/** repr(v). */
export function repr(v: Value): string {
  if (v === null) return 'None'
  if (typeof v === 'boolean') return v ? 'True' : 'False'
  if (typeof v === 'number') return String(BigInt(v))
  if (v instanceof Float) return floatText(v.value)
  if (typeof v === 'string') return quoted(v)
  if (v instanceof Tuple) return `(${v.map(repr).join(', ')}${v.length === 1 ? ',' : ''})`
  if (Array.isArray(v)) return `[${v.map(repr).join(', ')}]`
  if (v instanceof Map) return `{${[...v].map(([key, one]) => `${repr(key)}: ${repr(one)}`).join(', ')}}`
  if (v instanceof Undefined) return 'Undefined'
  throw new Unsupported(`the text of a ${kindOf(v)}`)
}

function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const [digits, exponent] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 16) {
    const plain = power < 0 ? value.toFixed(Math.min(100, digits.replace(/\D/g, '').length - 1 - power)) : String(value)
    return plain.includes('.') ? plain : `${plain}.0`
  }
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

function quoted(v: string): string {
  const mark = v.includes("'") && !v.includes('"') ? '"' : "'"
  const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\', [mark]: `\\${mark}` }
  const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u
  const shown = (c: string) => {
    if (named[c]) return named[c]
    if (!hidden.test(c)) return c
    const point = c.codePointAt(0)!
    const hex = (length: number) => point.toString(16).padStart(length, '0')
    return point < 256 ? `\\x${hex(2)}` : point < 65536 ? `\\u${hex(4)}` : `\\U${hex(8)}`
  }
  return mark + Array.from(v, shown).join('') + mark
}

export interface JsonOptions {
  ascii: boolean
  indent: string | null
  separators: [string, string]
  sort: boolean
}

/** json.dumps(v). */
export function json(v: Value, options: JsonOptions, depth = 0): string {
  const { indent, separators, sort, ascii } = options
  if (v === null || typeof v === 'boolean') return String(v)
  if (typeof v === 'number') return String(BigInt(v))
  if (v instanceof Float) return Number.isFinite(v.value) ? floatText(v.value) : jsonWord(v.value)
  if (typeof v === 'string') return jsonText(v, ascii)
  const around = (open: string, parts: string[], close: string) => {
    if (parts.length === 0) return open + close
    if (indent === null) return open + parts.join(separators[0]) + close
    const line = (level: number) => `\n${indent.repeat(level)}`
    return open + line(depth + 1) + parts.join(separators[0] + line(depth + 1)) + line(depth) + close
  }
  if (Array.isArray(v))
    return around(
      '[',
      v.map((one) => json(one, options, depth + 1)),
      ']',
    )
  if (!(v instanceof Map)) throw new Failure(`Object of type ${kindOf(v)} is not JSON serializable`)
  const entries = sort ? [...v].sort(([a], [b]) => compare(a, b)) : [...v]
  const key = (one: Value) => jsonText(typeof one === 'string' ? one : json(one, options), ascii)
  return around(
    '{',
    entries.map(([name, one]) => key(name) + separators[1] + json(one, options, depth + 1)),
    '}',
  )
}

const jsonWord = (value: number) => (Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity')

/** As Python writes it: JSON.stringify escapes lone surrogates, which JSON from UTF-8 never has. */
const jsonText = (v: string, ascii: boolean) => {
  const written = JSON.stringify(v)
  return ascii
    ? written.replace(/[\x7f-\uffff]/g, (c) =>
        c === '\x7f' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    : written
}
