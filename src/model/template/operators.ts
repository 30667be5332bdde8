/** Python's binary operators on a template's values. */
import {
  compare,
  equal,
  Failure,
  Float,
  isNumber,
  kindOf,
  numberOf,
  repr,
  text,
  Tuple,
  Undefined,
  Unsupported,
} from './values.js'
import type { Value } from './values.js'

const ORDER: Record<string, (sign: number) => boolean> = {
  '<': (sign) => sign < 0,
  '<=': (sign) => sign <= 0,
  '>': (sign) => sign > 0,
  '>=': (sign) => sign >= 0,
}

export function binary(operator: string, a: Value, b: Value): Value {
  if (operator === '==') return equal(a, b)
  if (operator === '!=') return !equal(a, b)
  if (operator === '~') return text(a) + text(b)
  if (Object.hasOwn(ORDER, operator)) return ORDER[operator](compare(a, b, operator))
  for (const one of [a, b]) if (one instanceof Undefined) one.fail()
  if (isNumber(a) && isNumber(b)) return arithmetic(operator, a, b)
  if (operator === '+') {
    if (typeof a === 'string' && typeof b === 'string') return a + b
    if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple)
      return a instanceof Tuple ? (Tuple.from<Value>([...a, ...b]) as Tuple) : [...a, ...b]
  }
  if (operator === '*') {
    const [many, times] = isNumber(a) ? [b, a] : [a, b]
    if (isNumber(times) && !(times instanceof Float)) {
      const count = Math.max(0, Number(times))
      if (typeof many === 'string') return many.repeat(count)
      if (Array.isArray(many)) return Array.from({ length: count }, () => many).flat()
    }
  }
  if (operator === '%' && typeof a === 'string') return formatted(a, b)
  throw new Failure(`unsupported operand type(s) for ${operator}: '${kindOf(a)}' and '${kindOf(b)}'`)
}

function arithmetic(operator: string, left: number | boolean | Float, right: number | boolean | Float): Value {
  const [a, b] = [numberOf(left), numberOf(right)]
  const made = (value: number) => {
    if (left instanceof Float || right instanceof Float) return new Float(value)
    if (!Number.isSafeInteger(value)) throw new Unsupported('whole numbers beyond 2^53')
    return value + 0
  }
  if (b === 0 && ['/', '//', '%'].includes(operator)) throw new Failure('division by zero')
  switch (operator) {
    case '+':
      return made(a + b)
    case '-':
      return made(a - b)
    case '*':
      return made(a * b)
    case '/':
      return new Float(a / b)
    case '//':
      return made(Math.floor(a / b))
    case '%':
      return made(a - b * Math.floor(a / b))
    case '**':
      return b < 0 ? new Float(a ** b) : made(a ** b)
  }
  throw new Unsupported(`the operator ${operator}`)
}

/** `'%s and %d' % (a, 2)`. */
function formatted(format: string, given: Value): string {
  const values = given instanceof Tuple ? [...given] : [given]
  const out = format.replace(/%(.?)/gs, (all, how: string) => {
    if (how === '%') return '%'
    if (!['s', 'd', 'r'].includes(how)) throw new Unsupported(`${all} in a format`)
    if (values.length === 0) throw new Failure('not enough arguments for format string')
    const one = values.shift()!
    if (how === 'd' && !isNumber(one)) throw new Failure(`%d format: a real number is required, not ${kindOf(one)}`)
    return how === 's' ? text(one) : how === 'r' ? repr(one) : String(Math.trunc(numberOf(one as number)))
  })
  if (values.length && !(given instanceof Map))
    throw new Failure('not all arguments converted during string formatting')
  return out
}
