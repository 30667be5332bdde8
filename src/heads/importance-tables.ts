/** What headImportance() found as tables: a row for each query head, or for each measure of each. */
import { oneOf, options as checkedOptions } from '../expect.js'
import type { IntervalOptions, MeanInterval } from '../statistics/intervals.js'
import type { TraceCell } from '../trace/columns.js'
import type { HeadsShape, MeasuredHeads } from './facts.js'

/** Which table: a row for each query head (default), or for each measure and query head; of the latter alone, how its intervals are made. */
export interface ImportanceTable extends IntervalOptions {
  by?: 'head' | 'measure'
}

type Table = Record<string, TraceCell[]>

export const WAYS = ['head', 'measure'] as const

/** Which of them, and how intervals are made. Errors: 'invalid' for an option that this table does not have. */
export function tableAsked(given: ImportanceTable): { by: 'head' | 'measure'; intervals: IntervalOptions } {
  checkedOptions('table of heads', given, ['by', 'method', 'level', 'seed', 'resamples'])
  const { by = 'head', ...intervals } = given
  if (oneOf('by', by, WAYS) === 'head') checkedOptions("table by: 'head'", given, ['by'])
  return { by, intervals }
}

const places = ({ layers, heads, kvHeads }: HeadsShape) =>
  Array.from({ length: layers * heads }, (_, at) => ({
    layer: Math.floor(at / heads),
    head: at % heads,
    kvHead: Math.floor((at % heads) / (heads / kvHeads)),
  }))

const cell = (value: number): TraceCell => (Number.isNaN(value) ? null : value)

export function headRows(shape: HeadsShape, measures: readonly MeasuredHeads[]): Table {
  const all = places(shape)
  return {
    layer: all.map(({ layer }) => layer),
    head: all.map(({ head }) => head),
    kvHead: all.map(({ kvHead }) => kvHead),
    ...Object.fromEntries(
      measures.map(({ name, values }) => [name, all.map(({ layer, head }) => cell(values[layer][head]))]),
    ),
  }
}

/** `intervals`: [layers][heads] of one measure; null for one that is of no text. */
export function measureRows(
  shape: HeadsShape,
  measures: readonly MeasuredHeads[],
  intervals: (measure: MeasuredHeads) => (MeanInterval | null)[][] | null,
): Table {
  const rows = measures.flatMap((measure) => {
    const found = intervals(measure)
    return places(shape).flatMap((place) => {
      const value = measure.values[place.layer][place.head]
      const interval = found?.[place.layer][place.head]
      return Number.isNaN(value) ? [] : [{ measure, ...place, value, interval }]
    })
  })
  const column = (of: (row: (typeof rows)[number]) => TraceCell) => rows.map(of)
  return {
    measure: column(({ measure }) => measure.name),
    layer: column(({ layer }) => layer),
    head: column(({ head }) => head),
    kvHead: column(({ kvHead }) => kvHead),
    value: column(({ value }) => value),
    low: column(({ interval }) => interval?.low ?? null),
    high: column(({ interval }) => interval?.high ?? null),
    texts: column(({ interval }) => interval?.texts ?? 0),
    reliability: column(({ measure }) => measure.reliability.all),
    unit: column(({ measure }) => measure.unit),
  }
}
