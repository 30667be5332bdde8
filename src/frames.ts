/** The one door to danfojs: loaded on first use, since it costs tens of megabytes; what it gets wrong is mended there, once. */
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import type { DataFrame } from 'danfojs-node'
import { ZslabError } from './errors.js'
import { flag, invalid, options as checked, text } from './expect.js'
import { mendArithmetic } from './frames/arithmetic.js'
import { missing, type Cell } from './frames/cells.js'
import { mendChanges } from './frames/changes.js'
import { mendGroups } from './frames/groups.js'
import { mendMerge } from './frames/merge.js'
import { mendOrder } from './frames/order.js'
import { makers, replace, type Column, type Danfo, type Makers, type Table } from './frames/parts.js'
import { mendRoots } from './frames/roots.js'
import { mendSummaries } from './frames/summaries.js'
import { showsItself } from './show/show.js'

export type { Cell }
/** Columns of one length by name. */
export type Columns = Record<string, ArrayLike<Cell>>
const ROWS_SHOWN = 20
const DIGITS = 5
const SHOWS = Symbol.for('Jupyter.display')

let loaded: { danfo: Danfo; make: Makers } | undefined

/** danfojs-node itself, mended. Errors: 'unsupported' where it is not installed or does not load. */
export const danfojs = (): Danfo => opened().danfo

function opened(): { danfo: Danfo; make: Makers } {
  if (loaded) return loaded
  let danfo: Danfo
  try {
    danfo = createRequire(import.meta.url)('danfojs-node') as Danfo
  } catch (error) {
    throw new ZslabError(
      'unsupported',
      'danfojs-node does not load, so there are no frames: install zslab anew (in a clone: `npm ci`, without --omit=dev)',
      { cause: error },
    )
  }
  const make = makers(danfo)
  // On the classes that all frames share: query, groupby and their like make new frames that no wrapper would reach.
  mendRoots(danfo)
  mendOrder(danfo, make)
  mendArithmetic(danfo, make)
  mendSummaries(danfo, make)
  mendChanges(danfo, make)
  mendMerge(make)
  mendGroups(danfo, make)
  mendShown(danfo)
  return (loaded = { danfo, make })
}

/**
 * Columns of one length [rows] → a danfojs DataFrame (synchronous) that shows itself in a notebook. Typed arrays are copied.
 * Zero rows are fine. Frames and series do as pandas documents: missing values (null, undefined, NaN) come last when sorted, are left
 * out of statistics and group keys and equal nothing; numbers are float64, BigInts exact; nothing is written into the frame that was
 * asked. Beyond danfojs there are rank() and quantile(). toCSV({ sep, header, filePath }) quotes as RFC 4180 says and returns the text.
 * Errors: 'invalid' where columns differ in length.
 */
export function frame(columns: Columns): DataFrame {
  const names = Object.keys(columns)
  const rows = rowsOf(columns)
  return opened().make.table(
    Array.from({ length: rows }, (_, row) => names.map((name) => columns[name][row])),
    { columns: names },
  )
}

function rowsOf(columns: Columns): number {
  const names = Object.keys(columns)
  const rows = names.length ? columns[names[0]].length : 0
  for (const name of names)
    if (columns[name].length !== rows)
      throw invalid(`column ${name}`, `${rows} rows like column ${names[0]}`, columns[name].length)
  return rows
}

export interface CsvOptions {
  /** Between cells; default ','. */
  sep?: string
  /** Whether the first line names the columns; default true. */
  header?: boolean
  /** Written there as well. */
  filePath?: string
}

/** Columns as CSV (RFC 4180 quoting, lines end in \n, missing values are empty). Errors: 'invalid'. */
export function csvOf(columns: Columns, given: CsvOptions = {}): string {
  checked('toCSV', given, ['sep', 'header', 'filePath'])
  const sep = text('sep', given.sep ?? ',')
  const header = flag('header', given.header ?? true)
  if (sep === '' || /["\r\n]/.test(sep)) throw invalid('sep', 'a separator without quotes and line ends', given.sep)
  const quoted = (cell: string) => (/["\r\n]/.test(cell) || cell.includes(sep) ? `"${cell.replace(/"/g, '""')}"` : cell)
  const names = Object.keys(columns)
  const rows = rowsOf(columns)
  const lines = header ? [names.map(quoted).join(sep)] : []
  for (let row = 0; row < rows; row++) lines.push(names.map((name) => quoted(shownCell(columns[name][row]))).join(sep))
  const written = lines.map((line) => line + '\n').join('')
  if (given.filePath !== undefined) {
    const path = text('filePath', given.filePath)
    try {
      writeFileSync(path, written)
    } catch (error) {
      throw new ZslabError('file', `the table could not be written to ${path}: ${(error as Error).message}`, {
        cause: error,
      })
    }
  }
  return written
}

const shownCell = (cell: Cell) => (missing(cell) ? '' : cell instanceof Date ? cell.toISOString() : String(cell))

/** For reading: of fractions five significant digits and three decimals, so that none looks whole; all else as it is. */
function readableCell(cell: Cell): string {
  if (typeof cell !== 'number' || !Number.isFinite(cell) || Number.isInteger(cell)) return shownCell(cell)
  const whole = Math.max(0, Math.floor(Math.log10(Math.abs(cell))) + 1)
  const text = cell.toPrecision(Math.max(DIGITS, whole + 3))
  return Number.isInteger(Number(text)) ? text : String(Number(text))
}

/** What a frame holds now, by column. */
const columnsOf = (table: Table): Record<string, Cell[]> =>
  Object.fromEntries(table.columns.map((name, at) => [name, table.values.map((row) => row[at])]))

function mendShown(danfo: Danfo): void {
  replace(danfo.DataFrame, {
    toCSV(this: Table, options?: CsvOptions) {
      return csvOf(columnsOf(this), options)
    },
    [SHOWS](this: Table) {
      return display(columnsOf(this))
    },
    toJSON: danfo.DataFrame.prototype.toJSON as never,
  })
  for (const made of [Object.getPrototypeOf(danfo.DataFrame.prototype) as object, danfo.DataFrame.prototype])
    showsItself(made, (self) => display(columnsOf(self as Table))['text/plain'])
  replace(danfo.Series, {
    toCSV(this: Column, options?: CsvOptions) {
      return csvOf({ [this.columns[0]]: this.values }, options)
    },
    toJSON: danfo.Series.prototype.toJSON as never,
  })
}

const escaped = (cell: string) =>
  cell.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')

function display(columns: Record<string, Cell[]>): Record<string, string> {
  const names = Object.keys(columns)
  const rows = names.length ? columns[names[0]].length : 0
  const shown = Array.from({ length: Math.min(rows, ROWS_SHOWN) }, (_, row) =>
    names.map((n) => readableCell(columns[n][row])),
  )
  const size = `${rows} rows × ${names.length} columns${rows > ROWS_SHOWN ? `, the first ${ROWS_SHOWN} shown` : ''}`
  const line = (cells: string[], tag: string) =>
    `<tr>${cells.map((c) => `<${tag}>${escaped(c)}</${tag}>`).join('')}</tr>`
  return {
    'text/plain': [names, ...shown].map((cells) => cells.join('\t')).join('\n') + `\n${size}`,
    'text/html': `<table>${line(names, 'th')}${shown.map((cells) => line(cells, 'td')).join('')}</table><div>${size}</div>`,
  }
}
