/** What danfojs-node 1.2.0 gets wrong about groups: missing values, no rows, unknown columns, keys that look alike when joined. */
import type { DataFrame } from 'danfojs-node'
import { invalid } from './expect.js'

type Cell = number | string | boolean | null | undefined
type Operations = string | Record<string, string | string[]>

/** The part of danfojs's Groupby (undocumented, pinned with its version) that is touched here. */
interface Groups {
  data: Cell[][] | null
  keyCol: string[]
  colIndex: number[]
  columnName: string[]
  groupColNames?: string[]
  /** Group → column → cells. */
  colDict: Record<string, Record<string, Cell[]>>
  keyToValue: Record<string, Cell[]>
  group(): Groups
  groupMathLog(cells: Cell[], operation: string): Cell[]
  operations(operation: Operations): DataFrame
  agg(operations: Operations): DataFrame
  apply(callable: (group: DataFrame) => unknown): DataFrame
  getGroup(keys: Cell[]): DataFrame
  toDataFrame(groups: Record<string, Record<string, Cell[]>>): DataFrame
}

const CUMULATIVE = ['cumsum', 'cumprod', 'cummax', 'cummin']

/** `frames` is the prototype that all frames share; `empty` makes a frame of no rows. */
export function mendGroups(
  frames: object,
  empty: (columns: string[]) => DataFrame,
  missing: (cell: Cell) => boolean,
): void {
  const table = frames as { groupby(this: DataFrame, columns: string[]): Groups }
  const grouped = table.groupby
  table.groupby = function (columns) {
    if (!Array.isArray(columns))
      throw invalid('groupby', 'an array of column names', columns, "write groupby(['layer'])")
    for (const name of columns)
      if (!this.columns.includes(name)) throw invalid('groupby', `one of ${this.columns.join(', ')}`, name)
    return grouped.call(this, columns)
  }
  const groups = Object.getPrototypeOf(grouped.call(empty(['a']), ['a'])) as Groups
  const { groupMathLog, operations, agg, apply } = groups

  // Joined with '-', as danfojs does, ('a-', 'b') and ('a', '-b') would be one group, and tokens are full of dashes.
  groups.group = function (this: Groups) {
    const found = new Map<string, { key: Cell[]; rows: Cell[][] }>()
    for (const row of this.data ?? []) {
      const key = this.colIndex.map((at) => row[at])
      const name = JSON.stringify(key)
      const group = found.get(name)
      if (group) group.rows.push(row)
      else found.set(name, { key, rows: [row] })
    }
    const entries = [...found]
    // Numbers in order, anything else as it first appears.
    if (entries.every(([, { key }]) => key.every((cell) => typeof cell === 'number')))
      entries.sort(([, a], [, b]) => firstDifference(a.key as number[], b.key as number[]))
    this.keyToValue = Object.fromEntries(entries.map(([name, { key }]) => [name, key]))
    this.colDict = Object.fromEntries(
      entries.map(([name, { rows }]) => [
        name,
        Object.fromEntries(this.columnName.map((column, at) => [column, rows.map((row) => row[at])])),
      ]),
    )
    return this
  }
  groups.getGroup = function (this: Groups, keys: Cell[]) {
    const name = JSON.stringify(keys)
    if (!this.colDict[name]) throw invalid('getGroup', `the values of ${this.keyCol.join(', ')} of a group`, name)
    return this.toDataFrame({ [name]: this.colDict[name] })
  }
  groups.groupMathLog = function (this: Groups, cells: Cell[], operation: string) {
    const present = cells.filter((cell) => !missing(cell))
    if (CUMULATIVE.includes(operation)) {
      const known = present.length ? groupMathLog.call(this, present, operation) : []
      let at = 0
      return cells.map((cell) => (missing(cell) ? NaN : known[at++]))
    }
    if (operation === 'count') return [present.length]
    if (!present.length) return [operation === 'sum' ? 0 : NaN]
    // One value has no spread that could be told; mathjs would say 0.
    if (present.length === 1 && (operation === 'std' || operation === 'var')) return [NaN]
    return groupMathLog.call(this, present, operation)
  }
  const none = (self: Groups) => Object.keys(self.colDict).length === 0
  groups.operations = function (this: Groups, operation: Operations) {
    if (!none(this)) return operations.call(this, operation)
    const measured = this.groupColNames ?? this.columnName.filter((name) => !this.keyCol.includes(name))
    return empty([...this.keyCol, ...measured.map((name) => `${name}_${operation as string}`)])
  }
  groups.apply = function (this: Groups, callable) {
    if (!none(this)) return apply.call(this, callable)
    return empty([...this.keyCol.map((name) => `${name}_Group`), ...this.columnName])
  }
  groups.agg = function (this: Groups, wanted: Operations) {
    if (!none(this)) return agg.call(this, wanted)
    const names = Object.entries(wanted as Record<string, string | string[]>)
    return empty([...this.keyCol, ...names.flatMap(([name, ops]) => [ops].flat().map((op) => `${name}_${op}`))])
  }
}

function firstDifference(a: number[], b: number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : a[at] - b[at]
}
