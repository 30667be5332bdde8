/** What columns and rows come to: statistics, running ones, and the table of them that describe() gives. */
import { invalid } from '../expect.js'
import { missing, type Cell } from './cells.js'
import {
  along,
  axisOf,
  columnOf,
  replace,
  transposed,
  type Axis,
  type Column,
  type Danfo,
  type Makers,
  type Methods,
  type Table,
} from './parts.js'
import { cumulative, mode, STATISTICS } from './statistics.js'

const RUNNING = { cumSum: 'sum', cumProd: 'prod', cumMin: 'min', cumMax: 'max' }
const DESCRIBED = ['count', 'mean', 'std', 'min', 'median', 'max']

interface Choice {
  axis?: Axis
  inplace?: boolean
}

const each = <V>(names: Record<string, V>, make: (name: string, value: V) => Methods[string]): Methods =>
  Object.fromEntries(Object.entries(names).map(([name, value]) => [name, make(name, value)]))

export function mendSummaries(danfo: Danfo, { table, column }: Makers): void {
  replace(danfo.DataFrame, {
    ...each(
      STATISTICS,
      (_, statistic) =>
        function (this: Table, given?: Choice) {
          const axis = axisOf(given)
          return column(along(this, axis).map(statistic), { index: axis === 1 ? this.index : this.columns })
        },
    ),
    ...each(
      RUNNING,
      (_, operation) =>
        function (this: Table, given: Choice = {}) {
          const axis = axisOf(given)
          const lists = along(this, axis).map((cells) => cumulative(cells, operation))
          const rows = axis === 1 || !this.values.length ? lists : transposed(lists)
          if (given.inplace) return this.$setValues(rows)
          return table(this.values.length ? rows : [], {
            columns: this.columns,
            index: this.index,
            config: this.config,
          })
        },
    ),
    mode(this: Table, given: { axis?: Axis; keep?: number } = {}) {
      const axis = axisOf(given)
      const found = along(this, axis).map((cells) => mode(cells)[given.keep ?? 0] ?? NaN)
      return column(found, { index: axis === 1 ? this.index : this.columns })
    },
    /** count, mean, standard deviation (n − 1), least, median, greatest of every column of numbers. */
    describe(this: Table) {
      const numbers = this.columns.flatMap((name, at) => {
        const cells = columnOf(this, at)
        const known = cells.filter((cell) => !missing(cell))
        return known.length && known.every((cell) => typeof cell === 'number' || typeof cell === 'bigint')
          ? [{ name, cells }]
          : []
      })
      const rows = DESCRIBED.map((name) => [name, ...numbers.map(({ cells }) => orNull(STATISTICS[name](cells)))])
      return table(rows, { columns: ['statistic', ...numbers.map(({ name }) => name)] })
    },
  })
  replace(danfo.Series, {
    ...each(
      STATISTICS,
      (_, statistic) =>
        function (this: Column) {
          return statistic(this.values)
        },
    ),
    ...each(
      RUNNING,
      (_, operation) =>
        function (this: Column, given: Choice = {}) {
          const cells = cumulative(this.values, operation)
          if (given.inplace) return this.$setValues(cells)
          return column(cells, { columns: this.columns, index: this.index, config: this.config })
        },
    ),
    mode(this: Column) {
      return mode(this.values)
    },
    describe(this: Column) {
      if (this.dtypes[0] === 'string')
        throw invalid('describe', 'a column of numbers', 'texts', 'valueCounts() counts them')
      const names = [...DESCRIBED, 'variance']
      return column(
        names.map((name) => STATISTICS[name === 'variance' ? 'var' : name](this.values)),
        { index: names },
      )
    },
  })
}

const orNull = (cell: Cell): Cell => (missing(cell) ? null : cell)
