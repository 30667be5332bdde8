/** Frames and series made from others by filling, dropping, casting and adding: never by writing into the one that was asked. */
import { flag, invalid, oneOf, options as checked, text } from '../expect.js'
import { missing, type Cell } from './cells.js'
import {
  axisOf,
  columnOf,
  replace,
  type Axis,
  type Column,
  type Danfo,
  type Label,
  type Makers,
  type Methods,
  type Table,
} from './parts.js'
import { cellsOf, setColumn } from './roots.js'

interface Change {
  rows?: Cell[][]
  columns?: string[]
  index?: Label[]
}

const inplaceOf = (given: { inplace?: unknown } | undefined) => flag('inplace', given?.inplace ?? false)

function filler(value: unknown): Cell {
  if (missing(value) || (typeof value === 'object' && !(value instanceof Date)) || typeof value === 'function')
    throw invalid('fillNa', 'a number, text or truth value', value)
  return value as Cell
}

const TYPES = ['float32', 'int32', 'string', 'boolean'] as const

function cast(cell: Cell, dtype: (typeof TYPES)[number]): Cell {
  if (dtype === 'string') return String(cell)
  if (dtype === 'boolean') return Boolean(cell)
  const value = missing(cell) || cell === '' ? NaN : Number(cell)
  if (dtype === 'float32') {
    if (Number.isNaN(value) && typeof cell === 'string' && cell !== '' && cell.trim() !== 'NaN')
      throw invalid('asType', 'texts that are numbers', cell)
    return value
  }
  if (!Number.isFinite(value))
    throw invalid('asType', 'values that a whole number can hold', cell, 'fillNa() or dropNa() first')
  return typeof cell === 'bigint' ? cell : Math.trunc(value)
}

const listed = (given: unknown): unknown[] => (Array.isArray(given) ? given : [given])

export function mendChanges(danfo: Danfo, { table, column, isTable, isColumn }: Makers): void {
  function change(self: Table, { rows, columns, index }: Change, inplace: boolean) {
    const like = { columns: columns ?? self.columns, index: index ?? self.index, config: self.config }
    if (!inplace) return table(rows ?? self.values.map((row) => [...row]), like)
    if (rows) self.$setValues(rows, false, false)
    if (index) self.$setIndex(index)
    if (!columns) return
    self.$setColumnNames(columns)
    self.$dtypes = rows?.length ? self.$dtypes : columns.map(() => 'float32')
    ;(self as unknown as { $setInternalColumnDataProperty(): void }).$setInternalColumnDataProperty()
  }
  function changed(self: Column, cells: Cell[], index: Label[] | undefined, inplace: boolean) {
    if (!inplace) return column(cells, { columns: self.columns, index: index ?? self.index, config: self.config })
    self.$setValues(cells, false)
    if (index) self.$setIndex(index)
  }
  const known = (self: Table, names: unknown[]): number[] =>
    names.map((name) => {
      const at = self.columns.indexOf(String(name))
      if (at < 0) throw invalid('columns', `one of ${self.columns.join(', ')}`, name)
      return at
    })

  const frames: Methods = {
    copy(this: Table) {
      return change(this, {}, false)
    },
    fillNa(this: Table, value: unknown, given: { columns?: string[]; inplace?: boolean } = {}) {
      checked('fillNa', given, ['columns', 'inplace'])
      if (Array.isArray(value) && value.length !== given.columns?.length)
        throw invalid(
          'fillNa',
          `one value, or columns: [...] with one for each of the ${value.length} values`,
          given.columns,
        )
      const places = known(this, given.columns ?? this.columns)
      const fill = new Map(places.map((at, i) => [at, filler(Array.isArray(value) ? value[i] : value)]))
      const rows = this.values.map((row) =>
        row.map((cell, at) => (missing(cell) && fill.has(at) ? fill.get(at) : cell)),
      )
      return change(this, { rows }, inplaceOf(given))
    },
    /** Axis 1 (default): rows without missing cells; 0: columns. */
    dropNa(this: Table, given: { axis?: Axis; inplace?: boolean } = {}) {
      checked('dropNa', given, ['axis', 'inplace'])
      if (axisOf(given) === 1) {
        const places = this.values.flatMap((row, at) => (row.some(missing) ? [] : [at]))
        const rows = places.map((at) => [...this.values[at]])
        return change(this, { rows, index: places.map((at) => this.index[at]) }, inplaceOf(given))
      }
      const places = this.columns.map((_, at) => at).filter((at) => !columnOf(this, at).some(missing))
      const rows = this.values.map((row) => places.map((at) => row[at]))
      return change(this, { rows, columns: places.map((at) => this.columns[at]) }, inplaceOf(given))
    },
    drop(this: Table, given: { columns?: string | string[]; index?: Label | Label[]; inplace?: boolean } = {}) {
      const { columns, index } = checked('drop', given, ['columns', 'index', 'inplace'])
      if ((columns === undefined) === (index === undefined))
        throw invalid('drop', 'either columns or index', columns === undefined ? 'neither' : 'both')
      if (columns !== undefined) {
        const gone = known(this, listed(columns))
        const places = this.columns.map((_, at) => at).filter((at) => !gone.includes(at))
        const rows = this.values.map((row) => places.map((at) => row[at]))
        return change(this, { rows, columns: places.map((at) => this.columns[at]) }, inplaceOf(given))
      }
      const labels = new Set(listed(index))
      for (const label of labels)
        if (!this.index.includes(label as Label)) throw invalid('index', 'labels of rows', label)
      const places = this.index.map((_, at) => at).filter((at) => !labels.has(this.index[at]))
      const rows = places.map((at) => [...this.values[at]])
      return change(this, { rows, index: places.map((at) => this.index[at]) }, inplaceOf(given))
    },
    addColumn(
      this: Table,
      name: string,
      given: unknown,
      options: { inplace?: boolean; atIndex?: number | string } = {},
    ) {
      checked('addColumn', options, ['inplace', 'atIndex'])
      const inplace = inplaceOf(options)
      if (this.columns.includes(text('addColumn', name))) {
        const self = inplace ? this : (change(this, {}, false) as unknown as Table)
        setColumn(self, name, given)
        return inplace ? undefined : self
      }
      const cells = cellsOf(given, this.shape[0])
      const { atIndex = this.columns.length } = options
      const at = typeof atIndex === 'string' ? known(this, [atIndex])[0] : atIndex
      const rows = this.values.map((row, i) => row.toSpliced(at, 0, cells[i]))
      return change(this, { rows, columns: this.columns.toSpliced(at, 0, name) }, inplace)
    },
    append(this: Table, given: unknown, index: Label | Label[], options?: { inplace?: boolean }) {
      const list = isColumn(given) || isTable(given) ? given.values : given
      if (!Array.isArray(list)) throw invalid('append', 'rows: an array, a series or a frame', given)
      const more = (Array.isArray(list[0]) ? list : [list]) as Cell[][]
      const labels = listed(index ?? []) as Label[]
      if (labels.length !== more.length) throw invalid('index', `${more.length} labels, one a new row`, labels.length)
      for (const row of more)
        if (row.length !== this.shape[1]) throw invalid('append', `${this.shape[1]} cells a row`, row.length)
      const rows = [...this.values, ...more].map((row) => [...row])
      return change(this, { rows, index: [...this.index, ...labels] }, inplaceOf(options))
    },
    asType(this: Table, name: string, dtype: (typeof TYPES)[number], options?: { inplace?: boolean }) {
      const [at] = known(this, [name])
      oneOf('asType', dtype, TYPES)
      const rows = this.values.map((row) => row.with(at, cast(row[at], dtype)))
      return change(this, { rows }, inplaceOf(options))
    },
  }
  replace(danfo.DataFrame, frames)

  replace(danfo.Series, {
    fillNa(this: Column, value: unknown, given?: { inplace?: boolean }) {
      const fill = filler(value)
      return changed(
        this,
        this.values.map((cell) => (missing(cell) ? fill : cell)),
        undefined,
        inplaceOf(checked('fillNa', given, ['inplace'])),
      )
    },
    dropNa(this: Column, given?: { inplace?: boolean }) {
      const places = this.values.flatMap((cell, at) => (missing(cell) ? [] : [at]))
      return changed(
        this,
        places.map((at) => this.values[at]),
        places.map((at) => this.index[at]),
        inplaceOf(checked('dropNa', given, ['inplace'])),
      )
    },
    append(this: Column, given: unknown, index: Label | Label[], options?: { inplace?: boolean }) {
      const more = (isColumn(given) ? given.values : listed(given)) as Cell[]
      const labels = listed(index ?? []) as Label[]
      if (labels.length !== more.length) throw invalid('index', `${more.length} labels, one a new value`, labels.length)
      return changed(this, [...this.values, ...more], [...this.index, ...labels], inplaceOf(options))
    },
    asType(this: Column, dtype: (typeof TYPES)[number], options?: { inplace?: boolean }) {
      oneOf('asType', dtype, TYPES)
      return changed(
        this,
        this.values.map((cell) => cast(cell, dtype)),
        undefined,
        inplaceOf(options),
      )
    },
    /** By a function, or by the own properties of an object: what it does not name stays. */
    map(this: Column, by: ((cell: Cell, at: number) => Cell) | Record<string, Cell>, options?: { inplace?: boolean }) {
      if (typeof by !== 'function' && (typeof by !== 'object' || by === null))
        throw invalid('map', 'a function or an object', by)
      const cells = this.values.map((cell, at) => {
        if (typeof by === 'function') return by(cell, at)
        return Object.hasOwn(by, String(cell)) ? by[String(cell)] : cell
      })
      return changed(this, cells, undefined, inplaceOf(options))
    },
  })
}
