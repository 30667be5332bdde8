/** Groups: keys that stay apart, numbers in order, without rows whose key is missing; statistics that leave out what is missing. */
import type { DataFrame } from 'danfojs-node'
import { invalid, oneOf } from '../expect.js'
import { keyOf, missing, type Cell } from './cells.js'
import { inOrder } from './merge.js'
import { replace, type Danfo, type Makers, type Table } from './parts.js'
import { cumulative, mode, STATISTICS } from './statistics.js'

type Operations = Record<string, string | string[]>

interface Group {
  key: Cell[]
  rows: Cell[][]
}

/** The part of danfojs's Groupby that is touched here; col() makes another with colDict, keyToValue and groupColNames. */
interface Groups {
  data: Cell[][] | null
  keyCol: string[]
  colIndex: number[]
  columnName: string[]
  groupColNames?: string[]
  /** Group → column → cells. */
  colDict: Record<string, Record<string, Cell[]>>
  keyToValue: Record<string, Cell[]>
}

const RUNNING: Record<string, string> = { cumsum: 'sum', cumprod: 'prod', cummax: 'max', cummin: 'min' }
const OPERATIONS = [...Object.keys(STATISTICS), 'mode', ...Object.keys(RUNNING)]

function resultOf(cells: Cell[], operation: string): Cell[] {
  if (RUNNING[operation]) return cumulative(cells, RUNNING[operation])
  return [operation === 'mode' ? (mode(cells)[0] ?? NaN) : STATISTICS[operation](cells)]
}

export function mendGroups(danfo: Danfo, { table, isTable, isColumn }: Makers): void {
  const { groupby } = danfo.DataFrame.prototype as unknown as { groupby(columns: string[]): Groups }
  replace(danfo.DataFrame, {
    groupby(this: Table, columns: string[]) {
      if (!Array.isArray(columns))
        throw invalid('groupby', 'an array of column names', columns, "write groupby(['layer'])")
      for (const name of columns)
        if (!this.columns.includes(name)) throw invalid('groupby', `one of ${this.columns.join(', ')}`, name)
      return groupby.call(this, columns)
    },
  })
  const empty = table([], { columns: ['a'] })
  const groups = Object.getPrototypeOf(groupby.call(empty, ['a'])) as object

  function byKey(self: Groups): Group[] {
    const found = new Map<string, Group>()
    for (const row of self.data ?? []) {
      const key = self.colIndex.map((at) => row[at])
      if (key.some(missing)) continue
      const name = nameOf(key)
      const group = found.get(name)
      if (group) group.rows.push(row)
      else found.set(name, { key, rows: [row] })
    }
    const list = [...found.values()]
    // Numbers in order, anything else as it first appears.
    const ordered = list.every(({ key }) => key.every((cell) => typeof cell === 'number' || typeof cell === 'bigint'))
    return ordered ? list.sort((a, b) => inOrder(a.key, b.key)) : list
  }
  const measured = (self: Groups) => self.groupColNames ?? self.columnName.filter((name) => !self.keyCol.includes(name))

  function computed(self: Groups, wanted: [column: string, operation: string][]): DataFrame {
    for (const [name, operation] of wanted) {
      if (!self.columnName.includes(name)) throw invalid('groups', `one of ${self.columnName.join(', ')}`, name)
      oneOf(`the operation on ${name}`, operation, OPERATIONS)
    }
    const rows = Object.entries(self.colDict).flatMap(([group, columns]) => {
      const lists = wanted.map(([name, operation]) => resultOf(columns[name], operation))
      const length = Math.max(...lists.map((list) => list.length))
      return Array.from({ length }, (_, at) => [
        ...self.keyToValue[group],
        ...lists.map((list) => list[list.length > 1 ? at : 0]),
      ])
    })
    return table(rows, { columns: [...self.keyCol, ...wanted.map(([name, operation]) => `${name}_${operation}`)] })
  }

  const rowsOf = (columns: Record<string, Cell[]>, names: string[]): Cell[][] =>
    (columns[names[0]] ?? []).map((_, at) => names.map((name) => columns[name][at]))

  /** What a function makes of each group, one below the other, keys first. */
  function applied(self: Groups, made: (group: DataFrame) => unknown): DataFrame {
    const names = self.groupColNames ?? self.columnName
    const parts = Object.entries(self.colDict).map(([group, columns]) => {
      const key = self.keyToValue[group]
      const value = made(table(rowsOf(columns, names), { columns: names }))
      if (isTable(value)) return { key, names: value.columns, rows: value.values }
      if (!isColumn(value)) return { key, names: ['applyOps'], rows: [[value as Cell]] }
      return { key, names: value.values.length > 1 ? value.index.map(String) : ['applyOps'], rows: [value.values] }
    })
    const columns = [...new Set(parts.length ? parts.flatMap((part) => part.names) : names)]
    const keys = self.keyCol.map((name) => (self.groupColNames ? name : `${name}_Group`))
    return table(
      parts.flatMap(({ key, names, rows }) => {
        const places = columns.map((name) => names.indexOf(name))
        return rows.map((row) => [...key, ...places.map((at) => (at < 0 ? NaN : row[at]))])
      }),
      { columns: [...keys, ...columns] },
    )
  }

  Object.assign(groups, {
    group(this: Groups) {
      const list = byKey(this)
      this.keyToValue = Object.fromEntries(list.map(({ key }) => [nameOf(key), key]))
      this.colDict = Object.fromEntries(
        list.map(({ key, rows }) => [
          nameOf(key),
          Object.fromEntries(this.columnName.map((column, at) => [column, rows.map((row) => row[at])])),
        ]),
      )
      return this
    },
    operations(this: Groups, operation: string) {
      return computed(
        this,
        measured(this).map((name) => [name, operation]),
      )
    },
    agg(this: Groups, wanted: Operations) {
      return computed(
        this,
        Object.entries(wanted).flatMap(([name, operations]) =>
          [operations].flat().map((one): [string, string] => [name, one]),
        ),
      )
    },
    getGroup(this: Groups, keys: Cell[]) {
      const columns = this.colDict[nameOf(keys)]
      if (!columns)
        throw invalid('getGroup', `the values of ${this.keyCol.join(', ')} of a group`, keys.map(String).join(', '))
      const names = this.groupColNames ? [...this.keyCol, ...this.groupColNames] : this.columnName
      const all = {
        ...Object.fromEntries(this.keyCol.map((name, at) => [name, lengthOf(columns).map(() => keys[at])])),
        ...columns,
      }
      return table(rowsOf(all, names), { columns: names })
    },
    apply(this: Groups, made: (group: DataFrame) => unknown) {
      return applied(this, made)
    },
    size(this: Groups) {
      return applied(this, (group) => group.shape[0])
    },
    first(this: Groups) {
      return applied(this, (group) => group.head(1))
    },
    last(this: Groups) {
      return applied(this, (group) => group.tail(1))
    },
    median(this: Groups) {
      return computed(
        this,
        measured(this).map((name) => [name, 'median']),
      )
    },
  })
}

/** Joined with '-', as danfojs does, ('a-', 'b') and ('a', '-b') would be one group, and tokens are full of dashes. */
const nameOf = (key: readonly Cell[]) => `[${keyOf(key)}]`
const lengthOf = (columns: Record<string, Cell[]>): Cell[] => Object.values(columns)[0] ?? []
