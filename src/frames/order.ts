/** Order: sorting with what is missing last, places, ranks, and what is there more than once. */
import { flag, integer, invalid, oneOf, options as checked } from '../expect.js'
import { keyOf, missing, sorted, type Cell } from './cells.js'
import {
  along,
  axisOf,
  columnOf,
  replace,
  type Column,
  type Danfo,
  type Label,
  type Makers,
  type Table,
} from './parts.js'
import { count, extremeAt, quantile, rank } from './statistics.js'

interface Sorting {
  ascending?: boolean
  inplace?: boolean
}

function sorting(name: string, given: Sorting | undefined): { ascending: boolean; inplace: boolean } {
  const { ascending = true, inplace = false } = checked(name, given, ['ascending', 'inplace']) as Sorting
  return { ascending: flag('ascending', ascending), inplace: flag('inplace', inplace) }
}

type Ranking = { method?: 'average' | 'min' | 'max' | 'first' | 'dense'; ascending?: boolean; pct?: boolean }

function ranks(cells: Cell[], given: Ranking | undefined): number[] {
  const {
    method = 'average',
    ascending = true,
    pct = false,
  } = checked('rank', given, ['method', 'ascending', 'pct']) as Ranking
  oneOf('method', method, ['average', 'min', 'max', 'first', 'dense'])
  const found = rank(cells, method, sorted(cells, flag('ascending', ascending)))
  if (!flag('pct', pct)) return found
  const most = method === 'dense' ? Math.max(...found.filter((place) => !Number.isNaN(place))) : count(cells)
  return found.map((place) => place / most)
}

/** Places of the cells that are kept where equal ones are kept once. */
function distinct(cells: readonly Cell[], keep: 'first' | 'last'): number[] {
  const found = new Map<string, number>()
  cells.forEach((cell, at) => {
    const key = keyOf([cell])
    if (keep === 'last' || !found.has(key)) found.set(key, at)
  })
  return [...found.values()].sort((a, b) => a - b)
}

const unequal = (cells: readonly Cell[]) =>
  new Set(cells.filter((cell) => !missing(cell)).map((cell) => keyOf([cell]))).size

/** `places` in an order that `seed` decides (mulberry32, Fisher and Yates). */
function shuffled(places: number[], seed: number): number[] {
  let state = seed | 0
  const random = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  for (let i = places.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[places[i], places[j]] = [places[j], places[i]]
  }
  return places
}

function sampled(rows: number, n: number, given: { seed?: number } | undefined): number[] {
  const { seed = 1 } = checked('sample', given, ['seed']) as { seed?: number }
  const all = Array.from({ length: rows }, (_, at) => at)
  return shuffled(all, integer('seed', seed, 0)).slice(0, n === -1 ? rows : integer('n', n, 1, rows))
}

export function mendOrder(danfo: Danfo, { table, column }: Makers): void {
  const rowsOf = (self: Table, places: number[]) =>
    table(
      places.map((at) => [...self.values[at]]),
      { columns: self.columns, index: places.map((at) => self.index[at]), config: self.config },
    )
  const cellsOf = (self: Column, places: number[]) =>
    column(
      places.map((at) => self.values[at]),
      { columns: self.columns, index: places.map((at) => self.index[at]), config: self.config },
    )
  function inRows(self: Table, places: number[], inplace: boolean) {
    if (!inplace) return rowsOf(self, places)
    const index = places.map((at) => self.index[at])
    self.$setValues(places.map((at) => self.values[at]))
    self.$setIndex(index)
  }

  replace(danfo.DataFrame, {
    sortValues(this: Table, name: string, given?: Sorting) {
      const { ascending, inplace } = sorting('sortValues', given)
      const at = this.columns.indexOf(name)
      if (at < 0) throw invalid('sortValues', `one of ${this.columns.join(', ')}`, name)
      return inRows(this, sorted(columnOf(this, at), ascending), inplace)
    },
    sortIndex(this: Table, given?: Sorting) {
      const { ascending, inplace } = sorting('sortIndex', given)
      return inRows(this, sorted(this.index, ascending), inplace)
    },
    /** Ranks of every column (of rows with axis 1), as pandas' rank. */
    rank(this: Table, given: Ranking & { axis?: 0 | 1 } = {}) {
      const { axis, ...rest } = given
      const lists = along(this, axisOf({ axis }, 0)).map((cells) => ranks(cells, rest))
      const rows = axis === 1 ? lists : this.values.map((_, row) => lists.map((list) => list[row]))
      return table(rows, { columns: this.columns, index: this.index })
    },
    /** The q-th quantile of every column (of rows with axis 1), as a series. */
    quantile(this: Table, q = 0.5, given: { axis?: 0 | 1 } = {}) {
      checked('quantile', given, ['axis'])
      const axis = axisOf(given, 0)
      const found = along(this, axis).map((cells) => quantile(cells, q))
      return column(found, { index: axis === 1 ? this.index : this.columns })
    },
    nUnique(this: Table, axis: 0 | 1 = 1) {
      return column(along(this, axisOf({ axis })).map(unequal), { index: axis === 1 ? this.index : this.columns })
    },
    sample(this: Table, n = 5, given?: { seed?: number }) {
      return Promise.resolve().then(() => rowsOf(this, sampled(this.shape[0], n, given)))
    },
  })

  replace(danfo.Series, {
    sortValues(this: Column, given?: Sorting) {
      const { ascending, inplace } = sorting('sortValues', given)
      const places = sorted(this.values, ascending)
      if (!inplace) return cellsOf(this, places)
      const index = places.map((at) => this.index[at])
      this.$setValues(places.map((at) => this.values[at]))
      this.$setIndex(index)
    },
    argSort(this: Column, given?: Sorting) {
      return column(sorted(this.values, sorting('argSort', given).ascending))
    },
    argMax(this: Column) {
      return extremeAt(this.values, 1, 'argMax')
    },
    argMin(this: Column) {
      return extremeAt(this.values, -1, 'argMin')
    },
    /** Places from 1 on; equal values share theirs by `method`, missing ones have none. As pandas' rank. */
    rank(this: Column, given?: Ranking) {
      return column(ranks(this.values, given), { columns: this.columns, index: this.index })
    },
    /** The q-th quantile, linear between two; of a list of q, a series. */
    quantile(this: Column, q: number | number[] = 0.5) {
      if (!Array.isArray(q)) return quantile(this.values, q)
      return column(
        q.map((one) => quantile(this.values, one)),
        { index: q },
      )
    },
    unique(this: Column) {
      return column(
        distinct(this.values, 'first').map((at) => this.values[at]),
        { columns: this.columns },
      )
    },
    nUnique(this: Column) {
      return unequal(this.values)
    },
    valueCounts(this: Column) {
      const counts = new Map<string, { value: Label; count: number }>()
      for (const cell of this.values) {
        if (missing(cell)) continue
        const key = keyOf([cell])
        const found = counts.get(key)
        if (found) found.count++
        else counts.set(key, { value: cell as Label, count: 1 })
      }
      const list = [...counts.values()].sort((a, b) => b.count - a.count)
      return column(
        list.map((one) => one.count),
        { index: list.map(({ value }) => value) },
      )
    },
    dropDuplicates(this: Column, given?: { keep?: 'first' | 'last'; inplace?: boolean }) {
      const { keep = 'first', inplace = false } = checked('dropDuplicates', given, ['keep', 'inplace']) as {
        keep?: 'first' | 'last'
        inplace?: boolean
      }
      const places = distinct(this.values, oneOf('keep', keep, ['first', 'last']))
      if (!inplace) return cellsOf(this, places)
      const index = places.map((at) => this.index[at])
      this.$setValues(
        places.map((at) => this.values[at]),
        false,
      )
      this.$setIndex(index)
    },
    sample(this: Column, n = 5, given?: { seed?: number }) {
      return Promise.resolve().then(() => cellsOf(this, sampled(this.values.length, n, given)))
    },
  })
}
