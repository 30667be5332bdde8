/** `display`, `clearOutput`, `progress` and `input` in cells (typed in kernel/types), and the module that cells get as `tslab`. */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { show } from './display.js'
import type { Host } from './host.js'
import { makeProgress } from './progress.js'
import type { Bundle, FromCell, Shown } from './protocol.js'
import { tableOf } from './tables.js'

/** Helper's name → MIME type, as in tslab. */
const TYPES = {
  javascript: 'text/javascript',
  html: 'text/html',
  markdown: 'text/markdown',
  latex: 'text/latex',
  svg: 'image/svg+xml',
  png: 'image/png',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  pdf: 'application/pdf',
  text: 'text/plain',
} as const

/** Types that read well as they are. */
const READABLE = ['text/markdown', 'text/latex']
const bundle = (type: string, data: string | Uint8Array): Bundle =>
  READABLE.includes(type) && typeof data === 'string' ? { [type]: data, 'text/plain': data } : { [type]: data }

type Helpers<Result> = Record<keyof typeof TYPES, (data: string | Uint8Array) => Result>

function helpers<Result>(raw: (type: string, data: string | Uint8Array) => Result): Helpers<Result> {
  const made = Object.entries(TYPES).map(([name, type]) => [
    name,
    (data: unknown) => {
      if (typeof data !== 'string' && !(data instanceof Uint8Array))
        throw new TypeError(`display.${name} expects a string or bytes but was given ${typeof data}`)
      return raw(type, data)
    },
  ])
  return Object.fromEntries(made) as Helpers<Result>
}

const said = new WeakSet<object>()
let lastId: string | undefined

/** Whether `value` is what a display just answered: a cell that ends with one has nothing more to show. */
export function isDisplayed(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? said.has(value) : value !== undefined && value === lastId
}

/** At once where the value allows it: what is printed next comes after it, awaited or not. */
async function showNow<Result>(value: unknown, then: (shown: Shown) => Result): Promise<Result> {
  const shown = show(value)
  return then(shown instanceof Promise ? await shown : shown)
}

export function defineGlobals(host: Host, send: (frame: FromCell) => void): void {
  const answer = (data: Bundle, metadata?: Bundle) => (lastId = host.display(data, { metadata }))
  const display = Object.assign(
    (value: unknown) => {
      const id = showNow(value, ({ data, metadata }) => answer(data, metadata))
      said.add(id)
      return id
    },
    helpers((type, data) => answer(bundle(type, data))),
    {
      update: (id: string, value: unknown) => showNow(value, ({ data, metadata }) => host.update(id, data, metadata)),
      bundle: answer,
      table: (rows: unknown) => answer(tableOf(rows)),
    },
  )
  const clearOutput = ({ wait = false }: { wait?: boolean } = {}) =>
    send({ op: 'publish', type: 'clear_output', content: { wait: Boolean(wait) } })
  const all = { display, clearOutput, progress: makeProgress(host), input: host.input }
  for (const [name, value] of Object.entries(all))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  console.clear = () => clearOutput()
}

/** What notebooks written for tslab import from it; the real one would load a compiler. */
export function tslabModule(host: () => Host): Record<string, unknown> {
  const make = (id?: string) => {
    let shown = false
    const raw = (type: string, data: string | Uint8Array) => {
      if (id !== undefined && shown) host().update(id, bundle(type, data))
      else host().display(bundle(type, data), { displayId: id })
      shown = true
    }
    return { ...helpers(raw), raw }
  }
  const { version } = createRequire(import.meta.url)('tslab/package.json') as { version: string }
  return {
    __esModule: true,
    versions: { tslab: version, node: process.version },
    display: make(),
    newDisplay: () => make(randomUUID()),
  }
}
