/** What all of danfojs builds on: types of whole columns, tensors that hold what they say, columns as properties, rows by place and label. */
import { createRequire } from 'node:module'
import { invalid } from '../expect.js'
import { dtypeOf, missing, type Cell, type Dtype } from './cells.js'
import { replace, transposed, type Column, type Danfo, type Label, type Table } from './parts.js'

const requireHere = createRequire(import.meta.url)

type Rows = Label[] | Column
interface Where {
  ndFrame: Table | Column
  rows?: Rows
  columns?: (string | number)[]
}
type Take = (where: Where) => Table | Column

export function mendRoots(danfo: Danfo): void {
  const frames = Object.getPrototypeOf(danfo.DataFrame.prototype) as object
  const all = Object.getPrototypeOf(frames) as { $setDtypes(dtypes?: string[]): void }
  mendTypes(danfo, all)
  replace(danfo.DataFrame, {
    $setInternalColumnDataProperty(this: Table, column?: string) {
      for (const name of column === undefined ? this.columns : [column]) {
        // A column named count or values would stand in front of the method: column('count') finds it.
        if (name in danfo.DataFrame.prototype) continue
        Object.defineProperty(this, name, {
          get: () => (this as never as { $getColumnData(name: string): unknown }).$getColumnData(name),
          set: (cells) => setColumn(this, name, cells),
          configurable: true,
        })
      }
    },
    $setColumnData(this: Table, name: string, cells: Cell[] | Column) {
      setColumn(this, name, cells)
    },
    // apply() would otherwise give rows without their missing cells, so that no place holds what it should.
    $getDataByAxisWithMissingValuesRemoved(this: Table, axis: 0 | 1) {
      return axis === 1 ? this.values.map((row) => [...row]) : transposed(this.values)
    },
  })
  const indexing = requireHere('danfojs-node/dist/danfojs-base/core/indexing') as { _iloc: Take; _loc: Take }
  const [byPlace, byLabel] = [indexing._iloc, indexing._loc]
  indexing._iloc = ({ ndFrame, rows, columns }) => byPlace({ ndFrame, rows: placesOf(ndFrame, rows), columns })
  indexing._loc = ({ ndFrame, rows, columns }) => {
    for (const name of columns ?? [])
      if (!String(name).includes(':') && !ndFrame.columns.includes(String(name)))
        throw invalid('columns', `one of ${ndFrame.columns.join(', ')}`, name)
    const list = listOf(rows)
    // A single text may be a range of labels, which danfojs reads.
    if (list?.length === 1 && typeof list[0] === 'string' && !ndFrame.index.includes(list[0]))
      return byLabel({ ndFrame, rows: list, columns })
    const some = list ? indexing._iloc({ ndFrame, rows: labelled(ndFrame, list) }) : ndFrame
    if (columns) return byPlace({ ndFrame: some, columns: columnPlaces(some, columns.map(String)) })
    return some === ndFrame ? (ndFrame.copy() as Table) : some
  }
}

function mendTypes(danfo: Danfo, all: { $setDtypes(dtypes?: string[]): void }): void {
  const flat = (list: unknown[]) =>
    list.length > 0 && !Array.isArray(list[0]) && Object.getPrototypeOf(list[0] ?? 0) !== Object.prototype
  Object.assign(danfo.Utils.prototype, {
    is1DArray: (list: unknown[]) => flat(list),
    inferDtype: (list: Cell[] | Cell[][]): Dtype[] =>
      flat(list) ? [dtypeOf(list as Cell[])] : transposed(list as Cell[][]).map(dtypeOf),
    range: (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i),
    round: (list: (Cell | Cell[])[], digits: number) =>
      list.map((one) => (Array.isArray(one) ? one.map((cell) => roundedTo(cell, digits)) : roundedTo(one, digits))),
  })
  const { $setDtypes } = all
  Object.defineProperty(all, '$setDtypes', {
    configurable: true,
    value(this: Table, dtypes?: string[]) {
      $setDtypes.call(this, dtypes)
      if (!dtypes || this.$data.length === 0) return
      // What a column was before it was filled, compared or extended is not what it is now.
      const found = (danfo.Utils.prototype as unknown as { inferDtype(list: unknown[]): Dtype[] }).inferDtype(
        this.$data,
      )
      this.$dtypes = found.map((dtype, at) => (dtype === 'int32' && dtypes[at] === 'float32' ? 'float32' : dtype))
    },
  })
  const { tensorflow } = danfo as unknown as { tensorflow: { tensor1d: Tensor; tensor2d: Tensor } }
  Object.defineProperty(all, 'tensor', {
    configurable: true,
    get(this: Table & { $isSeries: boolean }) {
      if (!this.$isSeries)
        return tensorflow.tensor2d(
          this.values.map((row) => row.map(inFloat)),
          this.shape,
          'float32',
        )
      const [dtype] = this.dtypes
      const cells = this.values as unknown as Cell[]
      if (dtype === 'string') return tensorflow.tensor1d(cells, 'string')
      if (dtype === 'boolean') return tensorflow.tensor1d(cells.map(Boolean), 'bool')
      return tensorflow.tensor1d(cells.map(inFloat), dtype === 'int32' ? 'int32' : 'float32')
    },
  })
}

type Tensor = (values: unknown, ...rest: unknown[]) => unknown

function inFloat(cell: Cell): number {
  if (missing(cell)) return NaN
  const value = Number(cell)
  if (typeof cell === 'string' || cell instanceof Date || (Number.isFinite(value) && !fits(value)))
    throw invalid('tensor', 'numbers that float32 holds', cell, 'use values, which hold every cell as it is')
  return value
}
/** Fractions are rounded, as everywhere in float32; whole numbers are not to become others. */
const fits = (value: number) =>
  Number.isInteger(value) ? Math.fround(value) === value : Number.isFinite(Math.fround(value))

/** Halves to the even neighbour, as pandas and numpy; negative `digits` round before the point. */
function roundedTo(cell: Cell, digits: number): Cell {
  if (typeof cell !== 'number' || !Number.isFinite(cell)) return cell
  const power = 10 ** Math.abs(digits)
  const scaled = digits < 0 ? cell / power : cell * power
  if (!Number.isFinite(scaled)) return cell
  const low = Math.floor(scaled)
  const whole = scaled - low === 0.5 ? low + (low % 2 === 0 ? 0 : 1) : Math.round(scaled)
  return digits < 0 ? whole * power : whole / power
}

/** The rows are copied first: frames that came from this one share them. */
export function setColumn(table: Table, name: string, given: unknown): void {
  const at = table.columns.indexOf(name)
  if (at < 0) throw invalid('a column', `one of ${table.columns.join(', ')}`, name, 'addColumn makes a new one')
  const cells = cellsOf(given, table.shape[0])
  const rows = table.values.map((row, i) => row.with(at, cells[i]))
  table.$setValues(rows, true, false)
}

/** The cells of a new column: an array, a typed array or a series of `rows` values. */
export function cellsOf(given: unknown, rows: number): Cell[] {
  const cells = (given as Partial<Column> | undefined)?.values
  const list = Array.isArray(cells) ? cells : given
  if (!Array.isArray(list) && !(ArrayBuffer.isView(list) && 'length' in list))
    throw invalid('a column', 'an array, typed array or series', given)
  if ((list as Cell[]).length !== rows) throw invalid('a column', `${rows} values, one a row`, (list as Cell[]).length)
  return Array.from(list as Cell[])
}

// ---------------------------------------------------------------- rows

const listOf = (rows: Rows | undefined) =>
  rows !== undefined && !Array.isArray(rows) ? (rows.values as Label[]) : rows

/** Places of rows; a mask says which by its true ones, whatever their labels. */
function placesOf(frame: Table | Column, rows: Rows | undefined): (number | string)[] | undefined {
  const list = listOf(rows)
  if (list === undefined || !Array.isArray(list)) return list
  if (list.length === 1 && typeof list[0] === 'string') return list as string[]
  const count = frame.shape[0]
  if (list.some((one) => typeof one === 'boolean')) return trueOnes(list, count)
  for (const one of list)
    if (typeof one !== 'number' || !Number.isInteger(one) || one < 0 || one >= count)
      throw invalid('rows', `whole numbers from 0 to ${count - 1}, or ${count} of true and false`, one)
  return list as number[]
}

function trueOnes(mask: readonly unknown[], count: number): number[] {
  if (mask.length !== count) throw invalid('rows', `${count} of true and false, one a row`, mask.length)
  return mask.flatMap((one, at) => {
    if (typeof one !== 'boolean' && !missing(one)) throw invalid('rows', 'true or false for every row', one)
    return one === true ? [at] : []
  })
}

function labelled(frame: Table | Column, list: readonly Label[]): number[] {
  if (list.some((one) => typeof one === 'boolean')) return trueOnes(list, frame.shape[0])
  const places = new Map(frame.index.map((label, at) => [label, at]))
  return list.map((label) => {
    const at = places.get(label)
    if (at === undefined) throw invalid('rows', 'labels of the index', label)
    return at
  })
}

function columnPlaces(frame: Table | Column, names: string[]): (number | string)[] {
  const [range] = names
  if (names.length !== 1 || frame.columns.includes(range)) return names.map((name) => frame.columns.indexOf(name))
  // As danfojs has it, the end of a range is left out.
  const [from, to] = range.split(':').map((name) => name.trim())
  const [first, last] = [from, to].map((name) => frame.columns.indexOf(name))
  if ((from && first < 0) || (to && last < 0)) throw invalid('columns', `a range of ${frame.columns.join(', ')}`, range)
  return [`${from ? first : 0}:${to ? last : frame.columns.length}`]
}
