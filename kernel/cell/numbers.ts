/** Numbers for people: whole numbers whole, fractions shortened so that they still look like fractions; long typed arrays in two lines. */
import type { Bundle } from './protocol.js'

/** Digits behind the point that even large fractions keep: 123456789.123. */
const LEAST_DECIMALS = 3

/** `one` with about `digits` significant digits. Whole numbers and BigInts are never shortened, and no fraction becomes a whole number. */
export function numberText(one: number | bigint, digits: number): string {
  if (typeof one === 'bigint' || Number.isInteger(one) || !Number.isFinite(one)) return String(one)
  const whole = Math.max(0, Math.floor(Math.log10(Math.abs(one))) + 1)
  const text = one.toPrecision(Math.max(digits, whole + LEAST_DECIMALS))
  const short = Number(text)
  // 0.99999999 is not 1: zeros that stay say that more digits follow.
  return Number.isInteger(short) ? text : String(short)
}

// ---------------------------------------------------------------- typed arrays

type Numbers = ArrayLike<number | bigint> & { shape?: unknown }

const SHORT = 100 // what util.inspect shows whole
const EDGE = 3 // with the widest numbers still one line
const DIGITS = 6

/** A long typed array: its shape, both ends, and what its numbers are like. */
export function numbers(value: object): Bundle | undefined {
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return undefined
  const all = value as unknown as Numbers
  if (all.length <= SHORT) return undefined
  const shape = isShape(all.shape) ? all.shape : [all.length]
  const name = (value.constructor as { name?: string } | undefined)?.name ?? 'TypedArray'
  const text = (one: number | bigint) => numberText(one, DIGITS) + (typeof one === 'bigint' ? 'n' : '')
  const edge = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => text(all[from + i])).join(', ')
  const ends = `[ ${edge(0, EDGE)}, …, ${edge(all.length - EDGE, all.length)} ]`
  const statistics =
    typeof all[0] === 'bigint' ? ofBigInts(all as ArrayLike<bigint>) : ofNumbers(all as ArrayLike<number>)
  return { 'text/plain': `${name}(${shape.join(' × ')}) ${ends}\n  ${statistics}` }
}

function ofBigInts(all: ArrayLike<bigint>): string {
  let [min, max, sum] = [all[0], all[0], 0n]
  for (let at = 0; at < all.length; at++) {
    const one = all[at]
    if (one < min) min = one
    if (one > max) max = one
    sum += one
  }
  const thousandths = (1000n * sum) / BigInt(all.length)
  const exact = thousandths * BigInt(all.length) === 1000n * sum && thousandths % 1000n === 0n
  const size = thousandths < 0n ? -thousandths : thousandths
  const mean = `${thousandths < 0n ? '-' : ''}${size / 1000n}${exact ? '' : `.${String(size % 1000n).padStart(3, '0')}`}`
  return `min ${min}n, mean ${mean}, max ${max}n`
}

function ofNumbers(all: ArrayLike<number>): string {
  // The sum with what its roundings lost (Neumaier), so that the mean of large whole numbers is right to its last digit.
  let [min, max, sum, lost, odd] = [Infinity, -Infinity, 0, 0, 0]
  for (let at = 0; at < all.length; at++) {
    const one = all[at]
    if (!Number.isFinite(one)) odd++
    else {
      if (one < min) min = one
      if (one > max) max = one
      const next = sum + one
      lost += Math.abs(sum) >= Math.abs(one) ? sum - next + one : one - next + sum
      sum = next
    }
  }
  const finite = all.length - odd
  const mean = (sum + lost) / finite
  const text = (one: number) => numberText(one, DIGITS)
  const means = Number.isFinite(mean) ? [`mean ${text(mean)}`] : []
  const known = finite > 0 ? [`min ${text(min)}`, ...means, `max ${text(max)}`] : []
  return [...known, ...(odd > 0 ? [`${odd} not finite`] : [])].join(', ')
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => Number.isInteger(one))
}
