/** Arithmetic and comparisons in float64 (BigInts exactly), where danfojs computes frames in float32; missing stays missing. */
import { flag, integer, invalid, options as checked } from '../expect.js'
import { missing, numeric, type Cell } from './cells.js'
import {
  axisOf,
  replace,
  type Axis,
  type Column,
  type Danfo,
  type Label,
  type Makers,
  type Methods,
  type Table,
} from './parts.js'

type Operation = (a: Cell, b: Cell) => Cell

/** BigInts with BigInts, or with whole numbers, by `big`; all else by `small`. Missing values are NaN. */
function computed(
  name: string,
  small: (a: number, b: number) => number,
  big?: (a: bigint, b: bigint) => bigint,
): Operation {
  return (left, right) => {
    const [a, b] = [numeric(left, name), numeric(right, name)]
    const large = typeof a === 'bigint' || typeof b === 'bigint'
    if (big && large && isWhole(a) && isWhole(b) && !(name === 'mod' && Number(b) === 0))
      return big(BigInt(a), BigInt(b))
    return small(Number(a), Number(b))
  }
}
const isWhole = (value: number | bigint) => typeof value === 'bigint' || Number.isInteger(value)
const ARITHMETIC: Record<string, Operation> = {
  add: computed(
    'add',
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  sub: computed(
    'sub',
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  mul: computed(
    'mul',
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  div: computed('div', (a, b) => a / b),
  divNoNan: computed('divNoNan', (a, b) => (b === 0 ? 0 : a / b)),
  mod: computed(
    'mod',
    (a, b) => (b === 0 ? NaN : modulo(a, b)),
    (a, b) => ((a % b) + b) % b,
  ),
  pow: computed('pow', (a, b) => a ** b),
}
const ONLY_SERIES: Record<string, Operation> = {
  maximum: computed('maximum', Math.max, (a, b) => (a > b ? a : b)),
  minimum: computed('minimum', Math.min, (a, b) => (a < b ? a : b)),
}

/** With the sign of the divisor, as in Python. */
function modulo(a: number, b: number): number {
  const rest = a % b
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest
}

const kind = (cell: Cell) => (typeof cell === 'string' ? 'text' : cell instanceof Date ? 'date' : 'number')
const plain = (cell: Cell) => (cell instanceof Date ? cell.getTime() : cell)

/** A missing value is not even equal to another; texts and numbers are never equal and have no order. */
function comparison(name: string, holds: (a: never, b: never) => boolean): Operation {
  return (a, b) => {
    if (missing(a) || missing(b)) return name === 'ne'
    if (kind(a) !== kind(b)) {
      if (name === 'eq' || name === 'ne') return name === 'ne'
      throw invalid(name, `a ${kind(a)} to compare with a ${kind(a)}`, b)
    }
    return holds(plain(a) as never, plain(b) as never)
  }
}

const COMPARISONS: Record<string, Operation> = {
  lt: comparison('lt', (a: number, b: number) => a < b),
  le: comparison('le', (a: number, b: number) => a <= b),
  gt: comparison('gt', (a: number, b: number) => a > b),
  ge: comparison('ge', (a: number, b: number) => a >= b),
  // A number and a BigInt may be equal.
  eq: comparison('eq', (a: number, b: number) => a <= b && a >= b),
  ne: comparison('ne', (a: number, b: number) => !(a <= b && a >= b)),
}

const isTrue = (cell: Cell) => !missing(cell) && Boolean(cell)
const LOGIC: Record<string, Operation> = {
  and: (a, b) => isTrue(a) && isTrue(b),
  or: (a, b) => isTrue(a) || isTrue(b),
}

const magnitude = (cell: Cell): Cell => {
  const value = numeric(cell, 'abs')
  return value < 0 ? -value : value
}

interface Choice {
  axis?: Axis
  inplace?: boolean
}

export function mendArithmetic(danfo: Danfo, { table, column, isTable, isColumn }: Makers): void {
  const single = (value: unknown): value is Cell =>
    value === null || ['number', 'bigint', 'string', 'boolean'].includes(typeof value) || value instanceof Date
  const listOf = (value: unknown): Cell[] | undefined =>
    isColumn(value)
      ? value.values
      : Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value)
        ? Array.from(value as Cell[])
        : undefined

  /** What stands beside each cell of `self`: a value, a frame of its shape, or a list along an axis. */
  function beside(self: Table, other: unknown, axis: Axis, name: string): (row: number, at: number) => Cell {
    if (single(other)) return () => other
    const [rows, columns] = self.shape
    if (isTable(other)) {
      if (other.shape[0] !== rows || other.shape[1] !== columns)
        throw invalid(name, `a frame of ${rows} × ${columns}`, `one of ${other.shape.join(' × ')}`)
      return (row, at) => other.values[row][at]
    }
    const list = listOf(other)
    if (!list) throw invalid(name, 'a value, a frame, a series or an array', other)
    const length = axis === 0 ? rows : columns
    if (list.length !== length)
      throw invalid(name, `${length} values, one a ${axis === 0 ? 'row (axis 0)' : 'column (axis 1)'}`, list.length)
    return (row, at) => list[axis === 0 ? row : at]
  }
  function finish(self: Table, rows: Cell[][], inplace: boolean) {
    if (inplace) return self.$setValues(rows)
    return table(rows, { columns: self.columns, index: self.index, config: self.config })
  }
  const ofFrame = (name: string, operation: Operation) =>
    function (this: Table, other: unknown, given?: Choice) {
      const { inplace = false } = checked(name, given, ['axis', 'inplace']) as Choice
      const right = beside(this, other, axisOf(given), name)
      const rows = this.values.map((row, r) => row.map((cell, at) => operation(cell, right(r, at))))
      return finish(this, rows, flag('inplace', inplace))
    }
  const ofSeries = (name: string, operation: Operation) =>
    function (this: Column, other: unknown, given?: Choice) {
      const { inplace = false } = checked(name, given, ['inplace']) as Choice
      const list = single(other) ? undefined : listOf(other)
      if (!single(other) && !list) throw invalid(name, 'a value, a series or an array', other)
      if (list && list.length !== this.values.length)
        throw invalid(name, `${this.values.length} values, one a row`, list.length)
      const cells = this.values.map((cell, at) => operation(cell, list ? list[at] : (other as Cell)))
      if (flag('inplace', inplace)) return this.$setValues(cells)
      return column(cells, { columns: this.columns, index: this.index, config: this.config })
    }
  const made = (operations: Record<string, Operation>, make: typeof ofFrame | typeof ofSeries): Methods =>
    Object.fromEntries(Object.entries(operations).map(([name, operation]) => [name, make(name, operation)]))

  /** Each row (axis 0: column) against the one `periods` before, or against another frame. */
  const change = (name: string, operation: Operation) =>
    function (this: Table, other: unknown, given?: Choice) {
      const { inplace = false } = checked(name, given, ['axis', 'inplace']) as Choice
      if (typeof other !== 'number') return ofFrame(name, operation).call(this, other, given)
      const periods = integer('periods', other, Number.MIN_SAFE_INTEGER)
      const axis = axisOf(given)
      const before = (row: number, at: number) =>
        axis === 1 ? this.values[row - periods]?.[at] : this.values[row][at - periods]
      const rows = this.values.map((row, r) => row.map((cell, at) => operation(cell, before(r, at))))
      return finish(this, rows, flag('inplace', inplace))
    }

  replace(danfo.DataFrame, {
    ...made({ ...ARITHMETIC, ...COMPARISONS }, ofFrame),
    diff: change('diff', ARITHMETIC.sub),
    pctChange: change('pctChange', (a, b) => {
      const share = ARITHMETIC.div(a, b)
      return typeof share === 'number' ? share - 1 : NaN
    }),
    abs(this: Table, { inplace = false }: Choice = {}) {
      return finish(
        this,
        this.values.map((row) => row.map(magnitude)),
        inplace,
      )
    },
  })
  const logic = made(LOGIC, ofSeries)
  replace(danfo.Series, {
    ...made({ ...ARITHMETIC, ...ONLY_SERIES, ...COMPARISONS }, ofSeries),
    ...logic,
    abs(this: Column, { inplace = false }: Choice = {}) {
      const cells = this.values.map(magnitude)
      if (inplace) return this.$setValues(cells)
      return column(cells, { columns: this.columns, index: this.index as Label[], config: this.config })
    },
  })
}
