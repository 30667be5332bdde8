/** Tables of what was found in runs, as files with the runs' cards. */
import { extname } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import { text } from '../expect.js'
import { ARRAYS, type ColumnOf, type Laid, type TraceCell } from '../trace/columns.js'
import { FORMATS, TRACE_ENDINGS } from '../trace/files/index.js'
import { replaceFile } from '../trace/files/replace.js'

/** A column of a table: what stands for a missing value where there may be one, and what its values mean. */
export type TableColumn = Pick<ColumnOf, 'name' | 'type' | 'about' | 'none'>

/** Of a run, of a measurement, or of a file of others. */
export type SavedCard = { readonly model: { readonly name: string } }

type Table = Record<string, TraceCell[]>

const KEY = 'zslab.table'

/**
 * Writes `table` to one file by the path's ending, .arrow (IPC, LZ4) or .parquet (Snappy), the cards and what each column means as JSON in the
 * schema's metadata (zslab.table). The file appears whole or not at all. Returns the path. `what` the table is, for errors. Errors: 'invalid'
 * for another ending, 'file' where it cannot be written.
 */
export async function saveTable(
  path: string,
  what: string,
  columns: readonly TableColumn[],
  table: Table,
  cards: readonly SavedCard[],
): Promise<string> {
  const ending = TRACE_ENDINGS.find((one) => one === extname(text('path', path)).toLowerCase())
  if (!ending)
    throw new ZslabError(
      'invalid',
      `${what} cannot be saved as ${shown(path)}: expected a name ending in ${TRACE_ENDINGS.join(' or ')}; csv() gives the text of a .csv`,
    )
  const about = Object.fromEntries(columns.map((column) => [column.name, column.about]))
  const metadata = new Map([[KEY, JSON.stringify({ format: KEY, version: 1, columns: about, cards })]])
  const laid = columns.map((column) => laidOut(column, table[column.name]))
  const written = await FORMATS[ending]()
  await replaceFile(path, what, written(laid, metadata))
  return path
}

/** Cells as numbers: their own, or those of their words. */
function laidOut(column: TableColumn, cells: readonly TraceCell[]): Laid {
  const values = new ARRAYS[column.type](cells.length)
  if (column.type !== 'text') {
    cells.forEach((cell, row) => (values[row] = cell === null ? column.none! : Number(cell)))
    return { ...column, values }
  }
  const numbers = new Map<TraceCell, number>()
  cells.forEach((cell, row) => {
    if (cell !== null && !numbers.has(cell)) numbers.set(cell, numbers.size)
    values[row] = cell === null ? column.none! : numbers.get(cell)!
  })
  // Readers want a word to look up even where all are missing.
  return { ...column, values, words: numbers.size ? Array.from(numbers.keys(), String) : [''] }
}
