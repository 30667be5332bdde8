/** Runs a template's program by Jinja's rules: scopes, loops, macros, and Python's operators. */
import type { parse } from '@huggingface/jinja'
import { contains, filterOf } from './filters.js'
import { methodOf } from './methods.js'
import { binary } from './operators.js'
import { strftime } from './strftime.js'
import {
  Failure, Float, fromJson, isNumber, itemsOf, kindOf, Namespace, numberOf, Raised, text, truth, Tuple, Undefined,
  Unsupported,
} from './values.js' // prettier-ignore
import type { Callable, Named, Value } from './values.js'

/** The library's nodes, of which it exports no types: read field by field. */
interface Node {
  type: string
  [field: string]: unknown
}
const nodes = (value: unknown) => (value ?? []) as Node[]

class Scope {
  private readonly values = new Map<string, Value>()
  constructor(private readonly outer?: Scope) {}
  get(name: string): Value {
    const found = this.values.get(name)
    return found !== undefined ? found : this.outer ? this.outer.get(name) : new Undefined(`'${name}'`)
  }
  set(name: string, value: Value): void {
    this.values.set(name, value)
  }
}

/** What was written before the loop was left. */
class Leave extends Error {
  text = ''
  constructor(readonly how: 'Break' | 'Continue') {
    super(`${how} outside a loop`)
  }
}

const MAX_RANGE = 100_000 // the sandbox's own limit

/** The text of `program` with `values`; `now` is what strftime_now tells. */
export function runTemplate(
  program: ReturnType<typeof parse>,
  values: Record<string, unknown>,
  now = new Date(),
): string {
  const scope = new Scope()
  const constants: [string, Value][] = [['true', true], ['false', false], ['none', null], ['True', true], ['False', false], ['None', null]] // prettier-ignore
  const functions: [string, Callable][] = [
    ['range', ([...ends]) => range(ends)],
    ['namespace', (words, named) => namespace(words, named)],
    ['dict', (words, named) => new Map([...(words[0] instanceof Map ? words[0] : []), ...named])],
    ['raise_exception', ([message]) => { throw new Raised(text(message)) }],
    ['strftime_now', ([format]) => strftime(now, text(format))],
  ] // prettier-ignore
  for (const [name, value] of [...constants, ...functions]) scope.set(name, value)
  for (const name of ['cycler', 'joiner', 'lipsum'])
    scope.set(name, () => {
      throw new Unsupported(`${name}()`)
    })
  for (const [name, value] of Object.entries(values)) scope.set(name, fromJson(value))
  const main = new Scope(scope)
  return block((program as unknown as { body: Node[] }).body, main)
}

function range(ends: Value[]): Value[] {
  const [start, stop, step] = ends.length === 1 ? [0, ends[0], 1] : [ends[0], ends[1], ends[2] ?? 1]
  if (typeof start !== 'number' || typeof stop !== 'number' || typeof step !== 'number' || step === 0)
    throw new Failure('range() expects whole numbers, and a step other than 0')
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (count > MAX_RANGE)
    throw new Failure(`Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`)
  return Array.from({ length: count }, (_, i) => start + i * step)
}

function namespace([given]: Value[], named: Named): Namespace {
  const made = new Namespace()
  const pairs = given instanceof Map ? [...given] : given === undefined ? [] : itemsOf(given).map((one) => itemsOf(one))
  for (const [key, value] of pairs) made.values.set(text(key), value)
  for (const [key, value] of named) made.values.set(key, value)
  return made
}

function block(statements: Node[], scope: Scope): string {
  let out = ''
  for (const statement of statements)
    try {
      out += written(statement, scope)
    } catch (error) {
      if (error instanceof Leave) error.text = out + error.text
      throw error
    }
  return out
}

/** What a statement writes; an expression writes its value. */
function written(node: Node, scope: Scope): string {
  switch (node.type) {
    case 'Comment':
      return ''
    case 'If':
      return block(nodes(truth(value(node.test as Node, scope)) ? node.body : node.alternate), scope)
    case 'For':
      return loop(node, scope)
    case 'Set': {
      // A block's own assignments end with it; its text is what is assigned.
      const given = node.value ? value(node.value as Node, scope) : block(nodes(node.body), new Scope(scope))
      assign(node.assignee as Node, given, scope)
      return ''
    }
    case 'Macro': {
      const name = (node.name as Node).value as string
      scope.set(name, macro(name, nodes(node.args), nodes(node.body), scope))
      return ''
    }
    case 'CallStatement': {
      const { callee, args } = node.call as { callee: Node; args: Node[] }
      const [words, named] = callWords(args, scope)
      named.set('caller', macro('caller', nodes(node.callerArgs), nodes(node.body), scope))
      return text(called(value(callee, scope), words, named, 'the callee of a call block'))
    }
    case 'FilterStatement':
      return text(filtered(block(nodes(node.body), new Scope(scope)), node.filter as Node, scope))
    case 'Break':
    case 'Continue':
      throw new Leave(node.type)
    default:
      return text(value(node, scope))
  }
}

function assign(target: Node, given: Value, scope: Scope): void {
  if (target.type === 'Identifier') return scope.set(target.value as string, given)
  if (target.type === 'TupleLiteral') {
    const [names, items] = [nodes(target.value), itemsOf(given)]
    if (names.length !== items.length) throw new Failure(`${items.length} values for ${names.length} names`)
    return names.forEach((name, i) => assign(name, items[i], scope))
  }
  const owner = value(target.object as Node, scope)
  if (!(owner instanceof Namespace)) throw new Failure('cannot assign attribute on non-namespace object')
  owner.values.set((target.property as Node).value as string, given)
}

function loop(node: Node, scope: Scope): string {
  const picked = (node.iterable as Node).type === 'SelectExpression'
  const { lhs, test } = node.iterable as unknown as { lhs: Node; test: Node }
  const bind = (item: Value) => {
    const own = new Scope(scope)
    assign(node.loopvar as Node, item, own)
    return own
  }
  const all = itemsOf(value(picked ? lhs : (node.iterable as Node), scope))
  const items = picked ? all.filter((item) => truth(value(test, bind(item)))) : all
  if (items.length === 0) return block(nodes(node.defaultBlock), new Scope(scope))
  let out = ''
  let last: Value | undefined
  for (const [i, item] of items.entries()) {
    const own = bind(item)
    const facts: [string, Value][] = [
      ['index', i + 1], ['index0', i], ['revindex', items.length - i], ['revindex0', items.length - i - 1],
      ['first', i === 0], ['last', i === items.length - 1], ['length', items.length], ['depth', 1], ['depth0', 0],
      ['previtem', i > 0 ? items[i - 1] : new Undefined('there is no previous item')],
      ['nextitem', i + 1 < items.length ? items[i + 1] : new Undefined('there is no next item')],
      ['cycle', (words) => words[i % words.length]],
      ['changed', ([now]) => { const other = last === undefined || compareable(last, now); last = now; return other }],
    ] // prettier-ignore
    const about = new Namespace()
    for (const [name, fact] of facts) about.values.set(name, fact)
    own.set('loop', about)
    try {
      out += block(nodes(node.body), own)
    } catch (error) {
      if (!(error instanceof Leave)) throw error
      out += error.text
      if (error.how === 'Break') break
    }
  }
  return out
}

const compareable = (a: Value, b: Value) => !truth(binary('==', a, b))

function macro(name: string, args: Node[], body: Node[], scope: Scope): Callable {
  const names = args.map((arg) => (arg.type === 'Identifier' ? arg.value : (arg.key as Node).value) as string)
  return (words, named) => {
    const own = new Scope(scope)
    names.forEach((parameter, i) => {
      const { value: fallback } = args[i] as { value?: unknown }
      const given = i < words.length ? words[i] : named.get(parameter)
      if (given !== undefined) own.set(parameter, given)
      else if (args[i].type === 'Identifier') own.set(parameter, new Undefined(`parameter '${parameter}'`))
      else own.set(parameter, value(fallback as Node, own))
    })
    const uses = JSON.stringify(body)
    const extra = [...named].filter(([key]) => !names.includes(key) && key !== 'caller')
    if (uses.includes('"kwargs"')) own.set('kwargs', new Map(extra))
    else if (extra.length) throw new Failure(`macro '${name}' takes no keyword argument '${extra[0][0]}'`)
    if (uses.includes('"varargs"')) own.set('varargs', Tuple.from<Value>(words.slice(names.length)) as Tuple)
    else if (words.length > names.length)
      throw new Failure(`macro '${name}' takes not more than ${names.length} argument(s)`)
    own.set('caller', named.get('caller') ?? new Undefined("'caller'"))
    return block(body, own)
  }
}

function callWords(args: Node[], scope: Scope): [Value[], Named] {
  const words: Value[] = []
  const named: Named = new Map()
  for (const arg of args)
    if (arg.type === 'SpreadExpression') words.push(...itemsOf(value(arg.argument as Node, scope)))
    else if (arg.type === 'KeywordArgumentExpression')
      named.set((arg.key as Node).value as string, value(arg.value as Node, scope))
    else if (arg.type === 'KeywordSpreadExpression') {
      const given = value(arg.argument as Node, scope)
      if (!(given instanceof Map)) throw new Failure('argument after ** must be a mapping')
      for (const [key, one] of given) named.set(text(key), one)
    } else words.push(value(arg, scope))
  return [words, named]
}

function called(callee: Value, words: Value[], named: Named, name: string): Value {
  if (callee instanceof Undefined) callee.fail()
  if (typeof callee !== 'function') throw new Failure(`'${kindOf(callee)}' object is not callable (${name})`)
  return callee(words, named)
}

function filtered(subject: Value, filter: Node, scope: Scope): Value {
  const call = filter.type === 'CallExpression'
  const name = (call ? (filter.callee as Node) : filter).value as string
  const [words, named] = call ? callWords(nodes(filter.args), scope) : [[], new Map<string, Value>()]
  return filterOf(name)(subject, words, named)
}

function value(node: Node, scope: Scope): Value {
  switch (node.type) {
    case 'IntegerLiteral':
    case 'StringLiteral':
      return node.value as Value
    case 'FloatLiteral':
      return new Float(node.value as number)
    case 'ArrayLiteral':
      return nodes(node.value).map((one) => value(one, scope))
    case 'TupleLiteral':
      return Tuple.from(nodes(node.value).map((one) => value(one, scope))) as Tuple
    case 'ObjectLiteral':
      return new Map([...(node.value as Map<Node, Node>)].map(([key, one]) => [value(key, scope), value(one, scope)]))
    case 'Identifier':
      return scope.get(node.value as string)
    case 'CallExpression': {
      const callee = node.callee as Node
      const [words, named] = callWords(nodes(node.args), scope)
      return called(value(callee, scope), words, named, String(callee.value ?? (callee.property as Node)?.value))
    }
    case 'MemberExpression':
      return member(node, scope)
    case 'FilterExpression':
      return filtered(value(node.operand as Node, scope), node.filter as Node, scope)
    case 'SelectExpression':
      return truth(value(node.test as Node, scope))
        ? value(node.lhs as Node, scope)
        : new Undefined('an if without else that did not hold')
    case 'Ternary':
      return value((truth(value(node.condition as Node, scope)) ? node.trueExpr : node.falseExpr) as Node, scope)
    case 'UnaryExpression': {
      const argument = value(node.argument as Node, scope)
      const operator = (node.operator as { value: string }).value
      if (operator === 'not') return !truth(argument)
      if (argument instanceof Undefined) argument.fail()
      if (!isNumber(argument)) throw new Failure(`bad operand type for unary ${operator}: '${kindOf(argument)}'`)
      const sign = operator === '-' ? -1 : 1
      return argument instanceof Float ? new Float(sign * argument.value) : sign * numberOf(argument) + 0
    }
    case 'BinaryExpression': {
      const operator = (node.operator as { value: string }).value
      const left = value(node.left as Node, scope)
      if (operator === 'and' || operator === 'or')
        return truth(left) === (operator === 'and') ? value(node.right as Node, scope) : left
      const right = value(node.right as Node, scope)
      if (operator === 'in' || operator === 'not in') return contains(right, left) === (operator === 'in')
      return binary(operator, left, right)
    }
    default:
      throw new Unsupported(`what the library calls ${node.type}`)
  }
}

function member(node: Node, scope: Scope): Value {
  const owner = value(node.object as Node, scope)
  const property = node.property as Node
  if (property.type === 'SliceExpression') return sliced(owner, property, scope)
  const key = node.computed ? value(property, scope) : (property.value as Value)
  if (owner instanceof Undefined) owner.fail()
  const found = owned(owner, key)
  const method = () => (typeof key === 'string' ? methodOf(owner, key) : undefined)
  // `a.b` looks for a method first, `a['b']` for the item.
  const result = node.computed ? (found ?? method()) : (method() ?? found)
  if (found === null && result === undefined) return null
  return result ?? new Undefined(`'${kindOf(owner)} object' has no attribute '${text(key)}'`)
}

function owned(owner: Value, key: Value): Value | undefined {
  if (owner instanceof Map) return owner.get(key)
  if (owner instanceof Namespace) return owner.values.get(text(key))
  if (typeof key !== 'number') return undefined
  return Array.isArray(owner) ? owner.at(key) : typeof owner === 'string' ? Array.from(owner).at(key) : undefined
}

function sliced(owner: Value, slice: Node, scope: Scope): Value {
  if (typeof owner !== 'string' && !Array.isArray(owner)) throw new Failure(`a ${kindOf(owner)} has no slices`)
  const items = itemsOf(owner)
  const part = (name: string) => {
    const given = slice[name] ? value(slice[name] as Node, scope) : null
    if (given !== null && typeof given !== 'number') throw new Failure('slice indices must be integers')
    return given
  }
  const [start, stop, step] = [part('start'), part('stop'), part('step') ?? 1]
  if (step === 0) throw new Failure('slice step cannot be zero')
  const clip = (at: number) =>
    Math.max(step < 0 ? -1 : 0, Math.min(step < 0 ? items.length - 1 : items.length, at < 0 ? at + items.length : at))
  const from = start === null ? (step < 0 ? items.length - 1 : 0) : clip(start)
  const to = stop === null ? (step < 0 ? -1 : items.length) : clip(stop)
  const out: Value[] = []
  for (let i = from; step < 0 ? i > to : i < to; i += step) out.push(items[i])
  if (typeof owner === 'string') return out.join('')
  return owner instanceof Tuple ? (Tuple.from(out) as Tuple) : out
}
