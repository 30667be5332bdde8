/** Values that do not know how to show themselves but are known by their shape: plotly specs, danfojs frames, numbers, pictures. */
import type { Bundle } from './protocol.js'

const ROWS = 50
const COLUMNS = 50

/** A bundle for `value` without its text/plain where only the ordinary text is there; undefined: nothing known. */
export function shapeOf(value: unknown): Bundle | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  return picture(value) ?? numbers(value) ?? plotly(value) ?? frame(value)
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

// ---------------------------------------------------------------- typed arrays

type Numbers = ArrayLike<number | bigint> & Iterable<number | bigint> & { shape?: unknown }

const SHORT = 100 // what util.inspect shows whole
const EDGE = 3 // with the widest numbers still one line

function numbers(value: object): Bundle | undefined {
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return undefined
  const all = value as unknown as Numbers
  if (all.length <= SHORT) return undefined
  const shape = isShape(all.shape) ? all.shape : [all.length]
  const name = (value.constructor as { name?: string } | undefined)?.name ?? 'TypedArray'
  const edge = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => numberText(all[from + i])).join(', ')
  const ends = `[ ${edge(0, EDGE)}, …, ${edge(all.length - EDGE, all.length)} ]`
  return { 'text/plain': `${name}(${shape.join(' × ')}) ${ends}${statistics(all)}` }
}

/** Whole numbers as they are; of others the six digits that a summary needs. */
function numberText(one: number | bigint): string {
  if (typeof one === 'bigint') return `${one}n`
  return String(Number.isInteger(one) ? one : Number(one.toPrecision(6)))
}

function statistics(all: Numbers): string {
  if (typeof all[0] === 'bigint') return ''
  let [min, max, sum, odd] = [Infinity, -Infinity, 0, 0]
  for (let at = 0; at < all.length; at++) {
    const one = all[at] as number
    if (!Number.isFinite(one)) odd++
    else {
      if (one < min) min = one
      if (one > max) max = one
      sum += one
    }
  }
  const finite = all.length - odd
  const known = finite > 0 ? [`min ${numberText(min)}, mean ${numberText(sum / finite)}, max ${numberText(max)}`] : []
  return `\n  ${[...known, ...(odd > 0 ? [`${odd} not finite`] : [])].join(', ')}`
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => Number.isInteger(one))
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

// ---------------------------------------------------------------- danfojs

interface Frame {
  columns: unknown[]
  index: unknown[]
  dtypes: unknown[]
  shape: number[]
  values: unknown[]
  $isSeries: boolean
}

function frame(value: object): Bundle | undefined {
  if (!('$isSeries' in value)) return undefined
  const { columns, index, dtypes, shape, values, $isSeries: series } = value as Frame
  if (![columns, index, dtypes, shape, values].every(Array.isArray)) return undefined
  const rows = series ? (values as unknown[]).map((one) => [one]) : (values as unknown[][])
  const count = rows.length
  const head = `${series ? 'Series' : 'DataFrame'} ${series ? count : `${count} × ${columns.length}`}`
  const names = columns.slice(0, COLUMNS).map(cellText)
  const types = dtypes.slice(0, COLUMNS).map(cellText)
  const shown = rows.slice(0, ROWS).map((row) => row.slice(0, COLUMNS).map(cellText))
  const labels = index.slice(0, ROWS).map(cellText)
  const rest = [
    ...(count > ROWS ? [`${count - ROWS} more rows`] : []),
    ...(columns.length > COLUMNS ? [`${columns.length - COLUMNS} more columns`] : []),
  ].join(', ')
  const table: Table = { head, names, types, labels, rows: shown, rest }
  return { 'text/html': htmlTable(table), 'text/plain': textTable(table) }
}

interface Table {
  head: string
  names: string[]
  types: string[]
  labels: string[]
  rows: string[][]
  rest: string
}

function cellText(value: unknown): string {
  const text = typeof value === 'number' ? String(Number(value.toPrecision(7))) : String(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function htmlTable({ head, names, types, labels, rows, rest }: Table): string {
  const line = (tag: string, first: string, cells: string[]) =>
    `<tr><th>${escaped(first)}</th>${cells.map((one) => `<${tag}>${escaped(one)}</${tag}>`).join('')}</tr>`
  const body = rows.map((row, at) => line('td', labels[at] ?? '', row)).join('')
  const caption = `${head}${rest ? ` (${rest})` : ''}`
  // Beside a table wider than its place, a centred caption would be out of sight.
  return `<table><caption style="text-align: left">${escaped(caption)}</caption><thead>${line('th', '', names)}${line('td', 'dtype', types)}</thead><tbody>${body}</tbody></table>`
}

function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (one) => names[one])
}

function textTable({ head, names, types, labels, rows, rest }: Table): string {
  const all = [['', ...names], ['', ...types], ...rows.map((row, at) => [labels[at] ?? '', ...row])]
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const lines = all.map((row) =>
    row
      .map((one, column) => one.padStart(widths[column]))
      .join('  ')
      .trimEnd(),
  )
  return [head, ...lines, ...(rest ? [`… ${rest}`] : [])].join('\n')
}
