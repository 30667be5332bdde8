/** Tables: frames of danfojs, and rows that a cell asks to see as one; HTML, and text where there is none. */
import { inspect, types } from 'node:util'
import { numberText } from './numbers.js'
import type { Bundle } from './protocol.js'

const ROWS = 50
const COLUMNS = 50
const DIGITS = 7

interface Frame {
  columns: unknown[]
  index: unknown[]
  dtypes: unknown[]
  shape: number[]
  values: unknown[]
  $isSeries: boolean
}

/** Frames and series of danfojs. */
export function frame(value: object): Bundle | undefined {
  if (!('$isSeries' in value)) return undefined
  const { columns, index, dtypes, shape, values, $isSeries: series } = value as Frame
  if (![columns, index, dtypes, shape, values].every(Array.isArray)) return undefined
  const rows = series ? (values as unknown[]).map((one) => [one]) : (values as unknown[][])
  const name = series ? `Series ${rows.length}` : `DataFrame ${rows.length} × ${columns.length}`
  return table(name, { names: columns, dtypes, labels: index, rows })
}

/** What a cell asks to see as a table: a list, map or object of rows, which are objects, lists or single values. */
export function tableOf(value: unknown): Bundle {
  const entries = entriesOf(value)
  const fields = entries.map(([, row]) => fieldsOf(row))
  const names = [...new Set(fields.flatMap((row) => [...row.keys()]))]
  const rows = fields.map((row) => names.map((name) => (row.has(name) ? row.get(name) : '')))
  return table(`${rows.length} × ${names.length}`, { names, dtypes: [], labels: entries.map(([label]) => label), rows })
}

function entriesOf(value: unknown): [label: unknown, row: unknown][] {
  if (typeof value !== 'object' || value === null)
    throw new TypeError(`display.table expects a list, map or object of rows but was given ${inspect(value)}`)
  if (value instanceof Map) return [...(value as Map<unknown, unknown>)]
  if (Symbol.iterator in value) return [...(value as Iterable<unknown>)].map((row, at) => [at, row])
  return Object.entries(value)
}

/** By their names. */
function fieldsOf(row: unknown): Map<string, unknown> {
  if (typeof row !== 'object' || row === null || types.isDate(row)) return new Map([['value', row]])
  return new Map(
    row instanceof Map ? [...row].map(([name, field]) => [String(name), field as unknown]) : Object.entries(row),
  )
}

function table(
  name: string,
  all: { names: unknown[]; dtypes: unknown[]; labels: unknown[]; rows: unknown[][] },
): Bundle {
  const [count, width] = [all.rows.length, all.names.length]
  const texts = (list: unknown[], most: number) => list.slice(0, most).map(cellText)
  const rest = [
    ...(count > ROWS ? [`${count - ROWS} more rows`] : []),
    ...(width > COLUMNS ? [`${width - COLUMNS} more columns`] : []),
  ].join(', ')
  const made: Table = {
    head: name,
    names: texts(all.names, COLUMNS),
    dtypes: texts(all.dtypes, COLUMNS),
    labels: texts(all.labels, ROWS),
    rows: all.rows.slice(0, ROWS).map((row) => texts(row, COLUMNS)),
    rest,
  }
  return { 'text/html': htmlTable(made), 'text/plain': textTable(made) }
}

interface Table {
  head: string
  names: string[]
  dtypes: string[]
  labels: string[]
  rows: string[][]
  rest: string
}

function cellText(value: unknown): string {
  const text = typeof value === 'number' ? numberText(value, DIGITS) : wordsOf(value)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function wordsOf(value: unknown): string {
  if (types.isDate(value) && !Number.isNaN(value.getTime())) return value.toISOString()
  return typeof value === 'object' && value !== null
    ? inspect(value, { depth: 1, breakLength: Infinity })
    : String(value)
}

function htmlTable({ head, names, dtypes, labels, rows, rest }: Table): string {
  const line = (tag: string, first: string, cells: string[]) =>
    `<tr><th>${escaped(first)}</th>${cells.map((one) => `<${tag}>${escaped(one)}</${tag}>`).join('')}</tr>`
  const body = rows.map((row, at) => line('td', labels[at] ?? '', row)).join('')
  const caption = `${head}${rest ? ` (${rest})` : ''}`
  // Beside a table wider than its place, a centred caption would be out of sight.
  return `<table><caption style="text-align: left">${escaped(caption)}</caption><thead>${line('th', '', names)}${dtypes.length > 0 ? line('td', 'dtype', dtypes) : ''}</thead><tbody>${body}</tbody></table>`
}

export function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (one) => names[one])
}

function textTable({ head, names, dtypes, labels, rows, rest }: Table): string {
  const all = [
    ['', ...names],
    ...(dtypes.length > 0 ? [['', ...dtypes]] : []),
    ...rows.map((row, at) => [labels[at] ?? '', ...row]),
  ]
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const lines = all.map((row) =>
    row
      .map((one, column) => one.padStart(widths[column]))
      .join('  ')
      .trimEnd(),
  )
  return [head, ...lines, ...(rest ? [`… ${rest}`] : [])].join('\n')
}
