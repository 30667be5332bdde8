/** Values that do not know how to show themselves but are known by their shape: plotly and vega specs, frames, numbers, pictures, elements of a page. */
import { numbers } from './numbers.js'
import type { Bundle } from './protocol.js'
import { frame } from './tables.js'

/** A bundle for `value` without its text/plain where only the ordinary text is there; undefined: nothing known. */
export function shapeOf(value: unknown): Bundle | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  return (
    picture(value) ?? element(value) ?? numbers(value) ?? plotly(value) ?? vega(value) ?? frame(value) ?? timer(value)
  )
}

// ---------------------------------------------------------------- pictures

function picture(value: object): Bundle | undefined {
  if (!(value instanceof Uint8Array)) return undefined
  const begins = (...bytes: number[]) => bytes.every((byte, at) => value[at] === byte)
  if (begins(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return pictured('image/png', value)
  if (begins(0xff, 0xd8, 0xff)) return pictured('image/jpeg', value)
  const start = Buffer.from(value.subarray(0, 200)).toString('utf8')
  if (/^\uFEFF?\s*(<\?xml[^>]*>\s*)?(<!--[^]*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/.test(start))
    return { 'image/svg+xml': Buffer.from(value).toString('utf8'), 'text/plain': `[SVG, ${value.byteLength} bytes]` }
  return undefined
}

function pictured(type: string, value: Uint8Array): Bundle {
  const name = type.slice('image/'.length).toUpperCase()
  return { [type]: Buffer.from(value).toString('base64'), 'text/plain': `[${name}, ${value.byteLength} bytes]` }
}

/** What libraries make that draw into a document: a canvas, SVG or HTML. */
function element(value: object): Bundle | undefined {
  const { toDataURL, getContext, outerHTML } = value as Record<string, unknown>
  if (typeof toDataURL === 'function' && typeof getContext === 'function') {
    const [, bytes] = /^data:image\/png;base64,(.+)$/.exec(String(toDataURL.call(value, 'image/png'))) ?? []
    if (bytes !== undefined) return pictured('image/png', Buffer.from(bytes, 'base64'))
  }
  if (typeof outerHTML !== 'string') return undefined
  const about = (kind: string) => ({ 'text/plain': `[${kind}, ${outerHTML.length} characters]` })
  if (!/^<svg\b/i.test(outerHTML)) return { 'text/html': outerHTML, ...about('HTML') }
  const named = outerHTML.replace(/^<svg(?![^>]*\sxmlns=)/i, '<svg xmlns="http://www.w3.org/2000/svg"')
  // As a part of the page first: only there can it take the colours of a dark theme.
  return { 'text/html': outerHTML, 'image/svg+xml': named, ...about('SVG') }
}

// ---------------------------------------------------------------- plotly

function plotly(value: object): Bundle | undefined {
  const { data, layout, config, frames } = value as Record<string, unknown>
  if (!Array.isArray(data) || data.length === 0 || !isPlain(layout)) return undefined
  if (Object.keys(value).some((key) => !['data', 'layout', 'config', 'frames'].includes(key))) return undefined
  const traces = data as unknown[]
  if (!traces.every((trace) => isPlain(trace) && ['type', 'x', 'y', 'z', 'values'].some((key) => key in trace)))
    return undefined
  const kinds = traces.map((trace) => String((trace as { type?: unknown }).type ?? 'scatter'))
  const spec = { data, layout, ...(isPlain(config) && { config }), ...(Array.isArray(frames) && { frames }) }
  const title = layout.title
  const named = typeof title === 'string' ? title : isPlain(title) ? title.text : undefined
  const text = `[plotly: ${kinds.join(', ')}${typeof named === 'string' ? `: ${named}` : ''}]`
  return { 'application/vnd.plotly.v1+json': spec, 'text/plain': text }
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// ---------------------------------------------------------------- timers

const one = setTimeout(() => undefined, 0)
clearTimeout(one)
const Timeout = one.constructor

/** Cells often end with a call of setTimeout, and nobody wants to see node's list of timers then. */
function timer(value: object): Bundle | undefined {
  if (!(value instanceof Timeout)) return undefined
  const { _idleTimeout: ms, _repeat: every, _destroyed: over } = value as unknown as Record<string, unknown>
  const when = over === true ? 'over' : typeof every === 'number' ? `every ${every} ms` : `after ${String(ms)} ms`
  return { 'text/plain': `[timer, ${when}]` }
}

// ---------------------------------------------------------------- vega

/** The newest version of both that JupyterLab draws; later specs are told as this one too. */
const NEWEST = 5

/** What says itself that it is a vega or vega-lite spec. */
function vega(value: object): Bundle | undefined {
  const { $schema, title } = value as Record<string, unknown>
  if (typeof $schema !== 'string') return undefined
  const [, name, version] =
    /^https:\/\/vega\.github\.io\/schema\/(vega|vega-lite)\/v(\d+)[\d.]*\.json$/.exec($schema) ?? []
  if (name === undefined) return undefined
  const typeOf = (number: number) => `application/vnd.${name.replace('-', '')}.v${number}+json`
  const numbers = [Number(version), Math.min(Number(version), NEWEST)]
  const specs = Object.fromEntries(numbers.map((number) => [typeOf(number), value]))
  return { ...specs, 'text/plain': `[${name}${typeof title === 'string' ? `: ${title}` : ''}]` }
}
