/** What a study found at each setting: means over clusters with their intervals, and how often a policy failed or did nothing. */
import { summaryText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { clusterMeans } from '../statistics/clusters.js'
import { meanInterval, type IntervalOptions, type MeanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { counts, levelCell, type Row } from './rows.js'
import type { Levels } from './designs.js'
import type { Metric } from './measures/measuring.js'
import { columnOf, countColumn, levelColumn, numberColumn, StudyTable } from './study-table.js'
import { valueOf } from './trial.js'

export interface SummaryRow {
  levels: Levels
  /** Trials that count. */
  trials: number
  clusters: number
  /** Trials whose policy was to change the cache and did not, and those that failed: neither counts. */
  unchanged: number
  failed: number
  /** By metric, of those that count; null where none does. */
  values: Readonly<Record<string, MeanInterval | null>>
}

export class Summary extends StudyTable {
  /** @internal */
  constructor(
    readonly by: readonly string[],
    readonly metrics: readonly Metric[],
    readonly rows: readonly SummaryRow[],
    /** Why nothing here tells policies apart; null: the task can be done. */
    readonly cannot: string | null = null,
    /** Of the engines that trials were done with. */
    readonly cards: readonly EngineCard[] = [],
  ) {
    super()
  }

  /** A row for each combination of levels: of each metric the mean over clusters and the ends of its interval (null: too few clusters). */
  table(): Record<string, TraceCell[]> {
    const { rows, by, metrics } = this
    const column = (value: (row: SummaryRow) => TraceCell) => rows.map(value)
    return {
      ...Object.fromEntries(by.map((name) => [columnOf(name), column(({ levels }) => levelCell(levels[name]))])),
      trials: column(({ trials }) => trials),
      clusters: column(({ clusters }) => clusters),
      unchanged: column(({ unchanged }) => unchanged),
      failed: column(({ failed }) => failed),
      ...Object.fromEntries(
        metrics.flatMap(({ name }) => [
          [name, column(({ values }) => values[name]?.mean ?? null)],
          [`${name}Low`, column(({ values }) => values[name]?.low ?? null)],
          [`${name}High`, column(({ values }) => values[name]?.high ?? null)],
        ]),
      ),
    }
  }

  protected override saved() {
    const { by, rows, metrics, cards } = this
    const columns = [
      ...by.map((name) =>
        levelColumn(
          name,
          rows.map(({ levels }) => levels[name]),
        ),
      ),
      countColumn('trials', 'that count'),
      countColumn('clusters', 'that they belong to'),
      countColumn('unchanged', 'trials whose policy was to change the cache and did not'),
      countColumn('failed', 'trials that failed'),
      ...metrics.flatMap(({ name, about, unit }) => [
        numberColumn(name, `${about}, ${unit}: mean over clusters`),
        numberColumn(`${name}Low`, 'of its interval; null: too few clusters'),
        numberColumn(`${name}High`, 'of its interval'),
      ]),
    ]
    return { what: 'the summary', columns, cards }
  }

  toJSON(): Record<string, unknown> {
    const { by, metrics, rows, cannot, cards } = this
    return { format: 'zslab.summary', version: 1, by, metrics, rows, cannot, cards }
  }
}

showsItself(Summary.prototype, summaryText)

export function summaryOf(
  rows: readonly Row[],
  by: readonly string[],
  metrics: readonly Metric[],
  options: IntervalOptions,
  cannot: string | null = null,
  cards: readonly EngineCard[] = [],
): Summary {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    const key = JSON.stringify(by.map((name) => row.levels[name]))
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const found = [...groups.values()].map((group): SummaryRow => {
    const counted = group.filter(counts)
    const clusters = counted.map(({ trial }) => trial.prompt.cluster)
    const meanOf = (name: string) => {
      const values = counted.map(({ trial }) => valueOf(trial, name))
      return values.length ? meanInterval(clusterMeans(values, clusters).means, options) : null
    }
    return {
      levels: Object.fromEntries(by.map((name) => [name, group[0].levels[name]])),
      trials: counted.length,
      clusters: new Set(clusters).size,
      unchanged: group.filter(({ trial }) => trial.unchanged).length,
      failed: group.filter(({ trial }) => trial.values === null).length,
      values: Object.fromEntries(metrics.map(({ name }) => [name, meanOf(name)])),
    }
  })
  return new Summary(by, metrics, found, cannot, cards)
}
