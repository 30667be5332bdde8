/** The parts of danfojs (undocumented, pinned with its version) that are touched here, and how frames and series are made. */
import type { DataFrame, Series } from 'danfojs-node'
import { oneOf } from '../expect.js'
import type { Cell } from './cells.js'

export type Danfo = typeof import('danfojs-node')
export type Label = number | string | boolean
export type Axis = 0 | 1

interface Labelled {
  index: Label[]
  columns: string[]
  dtypes: string[]
  config: object
  shape: [number, number]
  $setIndex(index: Label[]): void
  $setColumnNames(columns: string[]): void
  $dataIncolumnFormat: Cell[][]
  copy(): unknown
}

/** A series as its methods see it. */
export interface Column extends Labelled {
  values: Cell[]
  $setValues(values: Cell[], checkLength?: boolean): void
}

/** A frame as its methods see it. */
export interface Table extends Labelled {
  values: Cell[][]
  $data: Cell[][]
  $dtypes: string[]
  $setValues(values: Cell[][], checkLength?: boolean, checkColumnLength?: boolean): void
}

type Method = (this: never, ...given: never[]) => unknown
export type Methods = Record<string | symbol, Method>

/** What makes frames and series: the classes that all methods share. */
export interface Makers {
  table(rows: Cell[][], like: { columns: string[]; index?: Label[]; config?: object }): DataFrame
  column(cells: Cell[], like?: { columns?: string[]; index?: Label[]; config?: object }): Series
  isTable(value: unknown): value is Table
  isColumn(value: unknown): value is Column
}

export function makers(danfo: Danfo): Makers {
  const [Frame, OneColumn] = [danfo.DataFrame, danfo.Series]
  const bases = [Frame, OneColumn].map(
    (made) => (Object.getPrototypeOf(made.prototype) as { constructor: new () => unknown }).constructor,
  )
  return {
    table: (rows, { columns, index, config }) =>
      rows.length
        ? new Frame(rows, {
            columns: [...columns],
            ...(index && { index: [...index] as string[] }),
            ...(config && { config }),
          })
        : new Frame([], { columns: [...columns], dtypes: columns.map(() => 'float32') }),
    column: (cells, { columns, index, config } = {}) =>
      new OneColumn(cells as number[], {
        ...(columns && { columns: [...columns] }),
        ...(index && { index: [...index] as string[] }),
        ...(config && { config }),
        ...(!cells.length && { dtypes: ['float32'] }),
      }),
    isTable: (value): value is Table => value instanceof bases[0],
    isColumn: (value): value is Column => value instanceof bases[1],
  }
}

/** Puts `methods` in the place of those of the class that all frames (series) share, and of the one that users name. */
export function replace(made: { prototype: object }, methods: Methods): void {
  for (const target of [Object.getPrototypeOf(made.prototype) as object, made.prototype])
    for (const name of Reflect.ownKeys(methods))
      Object.defineProperty(target, name, { value: methods[name], writable: true, configurable: true })
}

export function axisOf(options: { axis?: unknown } | undefined, otherwise: Axis = 1): Axis {
  return Number(oneOf('axis', String(options?.axis ?? otherwise), ['0', '1'])) as Axis
}

export const columnOf = (table: Table, at: number): Cell[] => table.values.map((row) => row[at])
/** By axis: 0 the columns, 1 the rows. */
export const along = (table: Table, axis: Axis): Cell[][] =>
  axis === 1 ? table.values : table.columns.map((_, at) => columnOf(table, at))
export const transposed = (rows: Cell[][]): Cell[][] => (rows[0] ?? []).map((_, at) => rows.map((row) => row[at]))
