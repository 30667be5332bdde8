/** The one helper for checking what users pass: every sentence has the form "expected … for NAME but received …: advice". */
import { shown, ZslabError } from './errors.js'

export function invalid(name: string, expected: string, received: unknown, advice?: string): ZslabError {
  return new ZslabError(
    'invalid',
    `expected ${expected} for ${name} but received ${shown(received)}${advice ? `: ${advice}` : ''}`,
  )
}

export function integer(name: string, value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw invalid(
      name,
      most === Number.MAX_SAFE_INTEGER ? `a whole number ≥ ${least}` : `a whole number from ${least} to ${most}`,
      value,
    )
  return value
}

export function number(
  name: string,
  value: unknown,
  least: number,
  most: number,
  interval = `from ${least} to ${most}`,
): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least || value > most)
    throw invalid(name, `a number ${interval}`, value)
  return value
}

/** As doubles; `each` is what each is of. */
export function finiteNumbers(name: string, values: ArrayLike<number>, each: string): Float64Array {
  const all = Array.from(values)
  const at = all.findIndex((value) => !Number.isFinite(value))
  if (at >= 0) throw invalid(`${name}[${at}]`, `a finite number, one for each ${each}`, all[at])
  return Float64Array.from(all)
}

export function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalid(name, 'a string', value)
  return value
}

export function flag(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(name, 'true or false', value)
  return value
}

export function oneOf<T extends string>(name: string, value: unknown, words: readonly T[]): T {
  if (typeof value !== 'string' || !(words as readonly string[]).includes(value))
    throw invalid(name, `one of ${words.map((w) => `'${w}'`).join(', ')}`, value)
  return value as T
}

/** Refuses names that `known` does not hold: an option is never accepted and ignored. */
export function options(name: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  if (value === undefined) return {}
  for (const key of Object.keys(object(name, value)))
    if (!known.includes(key)) {
      const near = known.find((k) => k.toLowerCase() === key.toLowerCase() || k.startsWith(key) || key.startsWith(k))
      throw new ZslabError(
        'invalid',
        `${name} has no option ${shown(key)}${near ? `, did you mean '${near}'?` : ''}; it has: ${known.join(', ')}`,
      )
    }
  return value as Record<string, unknown>
}

export function object(name: string, value: unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(name, 'an object', value)
  return value
}

export function abortSignal(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', value)
}

/**
 * Options of a call that takes a signal and progress, with the `others` that it has. progress: a function gets the counts, false draws
 * no bar; true where there is a `bar`.
 */
export function callOptions(name: string, value: unknown, others: readonly string[] = [], bar = true): void {
  const { signal, progress } = options(name, value, [...others, 'signal', 'progress'])
  abortSignal(signal)
  if (progress !== undefined && progress !== false && typeof progress !== 'function' && !(bar && progress === true))
    throw invalid('progress', bar ? 'true, false or a function' : 'a function or false', progress)
}

export function float32(name: string, value: unknown, length: number, shape: string): Float32Array {
  if (!(value instanceof Float32Array)) throw invalid(name, `a Float32Array ${shape}`, value)
  if (value.length !== length) throw invalid(name, `a Float32Array ${shape} of ${length} elements`, value)
  return value
}
