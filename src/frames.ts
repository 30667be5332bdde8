/** The one door to danfojs: loaded on first use, since it costs tens of megabytes; toCSV and describe are mended here. */
import { createRequire } from 'node:module'
import type { DataFrame } from 'danfojs-node'
import { ZslabError } from './errors.js'
import { invalid } from './expect.js'

type Danfo = typeof import('danfojs-node')
type Cell = number | string | boolean | null | undefined
const ROWS_SHOWN = 20

let loaded: Danfo | undefined

/** danfojs-node itself. Errors: 'unsupported' where it is not installed or does not load. */
export function danfojs(): Danfo {
  if (loaded) return loaded
  try {
    return (loaded = createRequire(import.meta.url)('danfojs-node') as Danfo)
  } catch (error) {
    throw new ZslabError(
      'unsupported',
      'danfojs-node does not load, so there are no frames: npm applies the overrides of the root package only, so copy ' +
        '"overrides" and the entries "@tensorflow/tfjs-node" and "xlsx" of zslab\'s package.json into yours and run npm install',
      { cause: error },
    )
  }
}

/**
 * Columns of one length [rows] → a danfojs DataFrame (synchronous) that shows itself in a notebook. Typed arrays are copied.
 * Its toCSV() quotes as RFC 4180 says and describe() leaves out missing values; both return what they say, no file is written.
 * Errors: 'invalid' where columns differ in length.
 */
export function frame(columns: Record<string, ArrayLike<Cell>>): DataFrame {
  const names = Object.keys(columns)
  const rows = names.length ? columns[names[0]].length : 0
  for (const name of names)
    if (columns[name].length !== rows)
      throw invalid(`column ${name}`, `${rows} rows like column ${names[0]}`, columns[name].length)
  const plain = Object.fromEntries(names.map((name) => [name, Array.from(columns[name])]))
  const table = new (danfojs().DataFrame)(plain as Record<string, (number | string | boolean)[]>)
  return Object.defineProperties(table, {
    toCSV: { value: () => csv(names, plain, rows) },
    describe: { value: () => describe(plain) },
    [Symbol.for('Jupyter.display')]: { value: () => display(names, plain, rows) },
  })
}

const missing = (cell: Cell) => cell === null || cell === undefined || (typeof cell === 'number' && Number.isNaN(cell))
const shownCell = (cell: Cell) => (missing(cell) ? '' : String(cell))

function csv(names: string[], columns: Record<string, Cell[]>, rows: number): string {
  const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text)
  const lines = [names.map(quoted).join(',')]
  for (let row = 0; row < rows; row++) lines.push(names.map((name) => quoted(shownCell(columns[name][row]))).join(','))
  return lines.join('\n') + '\n'
}

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

const escaped = (text: string) =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')

function display(names: string[], columns: Record<string, Cell[]>, rows: number): Record<string, string> {
  const shown = Array.from({ length: Math.min(rows, ROWS_SHOWN) }, (_, row) =>
    names.map((n) => shownCell(columns[n][row])),
  )
  const size = `${rows} rows × ${names.length} columns${rows > ROWS_SHOWN ? `, the first ${ROWS_SHOWN} shown` : ''}`
  const line = (cells: string[], tag: string) =>
    `<tr>${cells.map((c) => `<${tag}>${escaped(c)}</${tag}>`).join('')}</tr>`
  return {
    'text/plain': [names, ...shown].map((cells) => cells.join('\t')).join('\n') + `\n${size}`,
    'text/html': `<table>${line(names, 'th')}${shown.map((cells) => line(cells, 'td')).join('')}</table><div>${size}</div>`,
  }
}
