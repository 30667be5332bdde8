/** The one door to danfojs: loaded on first use, since it costs tens of megabytes; what it gets wrong is mended there, once. */
import { createRequire } from 'node:module'
import { writeFileSync } from 'node:fs'
import type { DataFrame } from 'danfojs-node'
import { ZslabError } from './errors.js'
import { flag, invalid, options as checked, text } from './expect.js'
import { mendGroups } from './frames-groups.js'

type Danfo = typeof import('danfojs-node')
export type Cell = number | string | boolean | null | undefined
/** Columns of one length by name. */
export type Columns = Record<string, ArrayLike<Cell>>
const ROWS_SHOWN = 20

let loaded: Danfo | undefined

/** danfojs-node itself, mended. Errors: 'unsupported' where it is not installed or does not load. */
export function danfojs(): Danfo {
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
  loaded = danfo
  mend(danfo)
  return danfo
}

/**
 * Columns of one length [rows] → a danfojs DataFrame (synchronous) that shows itself in a notebook. Typed arrays are copied.
 * Zero rows are fine. In this frame and in all that come from it (query, groupby, …): toCSV({ sep, header, filePath }) quotes as
 * RFC 4180 says and returns the text, describe() and groups leave out missing values (null, undefined, NaN).
 * Errors: 'invalid' where columns differ in length.
 */
export function frame(columns: Columns): DataFrame {
  const names = Object.keys(columns)
  const rows = rowsOf(columns)
  // danfojs infers types from the first rows; without any, query and sortValues would fail for want of a type.
  if (rows === 0) return emptyFrame(names)
  const plain = Object.fromEntries(names.map((name) => [name, Array.from(columns[name])]))
  return new (danfojs().DataFrame)(plain as Record<string, (number | string | boolean)[]>)
}

const emptyFrame = (names: string[]): DataFrame =>
  new (danfojs().DataFrame)([], { columns: names, dtypes: names.map(() => 'float32') })

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

export const missing = (cell: Cell) =>
  cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))
const shownCell = (cell: Cell) => (missing(cell) ? '' : String(cell))
/** For reading: fractions with five significant digits; whole numbers and words as they are. */
const readableCell = (cell: Cell) =>
  typeof cell === 'number' && !Number.isInteger(cell) && Number.isFinite(cell)
    ? String(Number(cell.toPrecision(5)))
    : shownCell(cell)

/** What a frame holds now, by column. */
function columnsOf(table: DataFrame): Record<string, Cell[]> {
  const rows = table.values as Cell[][]
  return Object.fromEntries(table.columns.map((name, at) => [name, rows.map((row) => row[at])]))
}

// On the prototype that all frames share: query, groupby and their like make new frames that no wrapper would reach.
function mend(danfo: Danfo): void {
  const base = Object.getPrototypeOf(danfo.DataFrame.prototype) as object
  const { sortValues } = base as DataFrame
  const mended: PropertyDescriptorMap = {
    sortValues: method(function (this: DataFrame, ...given: Parameters<typeof sortValues>) {
      if (this.shape[0] > 0) return sortValues.apply(this, given)
      return given[1]?.inplace ? undefined : emptyFrame(this.columns)
    }),
    toCSV: method(function (this: DataFrame, options?: CsvOptions) {
      return csvOf(columnsOf(this), options)
    }),
    describe: method(function (this: DataFrame) {
      return describe(columnsOf(this))
    }),
    [Symbol.for('Jupyter.display')]: method(function (this: DataFrame) {
      return display(columnsOf(this))
    }),
    toJSON: method((danfo.DataFrame.prototype as { toJSON: unknown }).toJSON),
  }
  for (const target of [base, danfo.DataFrame.prototype]) Object.defineProperties(target, mended)
  mendGroups(base, emptyFrame, missing)
}

const method = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true })

/** count, mean, standard deviation (n − 1), least, median, greatest of every numeric column; missing values are left out. */
function describe(columns: Record<string, Cell[]>): DataFrame {
  const out: Record<string, Cell[]> = { statistic: ['count', 'mean', 'std', 'min', 'median', 'max'] }
  for (const [name, cells] of Object.entries(columns)) {
    const values = cells.filter((cell): cell is number => typeof cell === 'number' && !Number.isNaN(cell))
    if (!values.length) continue
    values.sort((a, b) => a - b)
    const n = values.length
    const mean = values.reduce((sum, value) => sum + value, 0) / n
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
    const median = n % 2 ? values[n >> 1] : (values[n / 2 - 1] + values[n / 2]) / 2
    out[name] = [n, mean, n > 1 ? Math.sqrt(squares / (n - 1)) : null, values[0], median, values[n - 1]]
  }
  return frame(out)
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
