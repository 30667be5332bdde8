/** Values as MIME bundles: those that know how to show themselves, and the text that stands for any other. */
import { inspect, types } from 'node:util'
import { cut, extentOf } from './extent.js'
import type { Bundle, Shown } from './protocol.js'
import { shapeOf } from './shapes.js'

const DISPLAYS = [Symbol.for('Jupyter.display'), Symbol.for('jupyter.mimebundle')]

/** The bundle of `value`; always with text/plain. Rejects with what the value's own display function throws. */
export function show(value: unknown): Shown | Promise<Shown> {
  const own = ownDisplay(value)
  if (!own) return { data: shapeData(value), metadata: {} }
  const made = own()
  if (isThenable(made)) return Promise.resolve(made).then((bundle) => finish(value, bundle))
  return finish(value, made)
}

/** Reading a value's properties may throw: then it is shown as text, as any other. */
function shapeData(value: unknown): Bundle {
  try {
    const data = shapeOf(value)
    if (data) return bundleOf(data, 'a value')
  } catch (error) {
    // A proxy, or a getter that fails; a spec with a number that cannot be written says so.
    if (error instanceof TypeError && error.message.includes('cannot be written as JSON'))
      return { 'text/plain': `[not drawn: ${error.message}]\n${plain(value)}` }
  }
  return { 'text/plain': plain(value) }
}

function ownDisplay(value: unknown): (() => unknown) | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined
  for (const symbol of DISPLAYS) {
    const found = read(value, symbol)
    if (typeof found === 'function') return () => (found as () => unknown).call(value)
  }
  return undefined
}

/** Reading may throw (a proxy, a getter): then there is nothing. */
function read(value: object, key: symbol): unknown {
  try {
    return (value as Record<symbol, unknown>)[key]
  } catch {
    return undefined
  }
}

function finish(value: unknown, made: unknown): Shown {
  // ipykernel's convention for mimebundles: [data, metadata]
  const [bundle, metadata] = Array.isArray(made) ? (made as unknown[]) : [made, undefined]
  const data = bundleOf(bundle, 'the display function of a value')
  if (!('text/plain' in data)) data['text/plain'] = plain(value)
  return { data, metadata: metadata === undefined ? {} : bundleOf(metadata, 'the metadata of a display') }
}

/** A copy of `value` that is fit to be sent as a MIME bundle; says what is wrong with it otherwise. */
export function bundleOf(value: unknown, what: string): Bundle {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${what} should be an object from MIME types to data, not ${inspect(value, { depth: 0 })}`)
  const bundle: Bundle = {}
  for (const [type, data] of Object.entries(value)) {
    if (data === undefined) continue
    // Binary MIME types travel as base64.
    bundle[type] =
      data instanceof Uint8Array ? Buffer.from(data).toString('base64') : plainData(data, `${what}, ${type}`)
  }
  return bundle
}

/** JSON data of `value` (typed arrays as plain arrays), since the wire carries JSON. */
function plainData(value: unknown, what: string): unknown {
  if (typeof value === 'string') return value
  try {
    return JSON.parse(
      JSON.stringify(value, (_, v: unknown) => {
        if (typeof v === 'bigint') return jsonNumber(v)
        if (!ArrayBuffer.isView(v) || v instanceof DataView) return v
        return Array.from(v as unknown as number[])
      }),
    ) as unknown
  } catch (error) {
    throw new TypeError(`${what} cannot be written as JSON: ${(error as Error).message}`)
  }
}

function jsonNumber(value: bigint): number {
  if (BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))) return Number(value)
  throw new TypeError(`${value}n is no number that JSON keeps exact: write it as Number(…) or String(…)`)
}

/** What node keeps on promises and timers to know whose they are. */
const BOOKKEEPING = ['async_id_symbol', 'trigger_async_id_symbol', 'kResourceStore']

function hideBookkeeping(value: object): void {
  for (const key of Object.getOwnPropertySymbols(value))
    if (BOOKKEEPING.includes(key.description!)) Object.defineProperty(value, key, { enumerable: false })
}

/** Promises look as they do where nobody follows them. Call once per process. */
export function hidePromiseBookkeeping(): void {
  const value = function (this: object) {
    hideBookkeeping(this)
    return this
  }
  Reflect.defineProperty(Promise.prototype, inspect.custom, { value, configurable: true, writable: true })
}

export function plain(value: unknown): string {
  try {
    if (typeof value === 'object' && value !== null && !types.isProxy(value)) hideBookkeeping(value)
    return cut(inspect(value, extentOf(value)))
  } catch (error) {
    return `[a value that cannot be shown: ${String((error as Error)?.message ?? error)}]`
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
