/** Errors that users meet: each says what was given, what was expected and what to do, and carries a stable `code`. */

export type ErrorCode =
  | 'invalid' // a bad argument or option
  | 'file' // a model, tokenizer or notebook file that is malformed or missing
  | 'source' // a download or the cache folder failed
  | 'native' // the addon is missing, does not load, or does not fit
  | 'memory'
  | 'unsupported'
  | 'internal'

export class ZslabError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'ZslabError'
  }
}

/** `value` as a short text for an error message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? value.slice(0, 57) + '…' : value)
  if (typeof value === 'number' || typeof value === 'boolean' || value == null) return String(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (ArrayBuffer.isView(value)) return `${className(value)} of ${'length' in value ? value.length : value.byteLength}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return `an object (${className(value)})`
}

/** The name of `value`'s class, however odd the object. */
function className(value: object): string {
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name
  return typeof name === 'string' && /^[\w$]{1,60}$/.test(name) ? name : 'Object'
}
