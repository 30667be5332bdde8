/** Two settings of a study beside each other, place by place: what compare() takes the mean of. */
import { ZslabError } from '../errors.js'
import { differencesText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import type { Levels } from './designs.js'
import { levelCell, meansAt, placesOf, type Contrast, type Row, type Term } from './rows.js'
import { columnOf, levelColumn, numberColumn, StudyTable, wordColumn } from './study-table.js'
import type { Metric } from './measures/measuring.js'

export interface PlaceDifference {
  prompt: string
  cluster: string
  seed: number
  /** In the dimensions that are not compared; none of a fractional design, where they are balanced over a prompt. */
  levels: Levels
  /** The metric under each; their difference is a − b. */
  a: number
  b: number
}

export class Differences extends StudyTable {
  /** @internal */
  constructor(
    readonly metric: Metric,
    readonly a: Levels,
    readonly b: Levels,
    /** As compare() says. */
    readonly found: Contrast,
    readonly places: readonly PlaceDifference[],
    /** Places that are left out: one side failed, or changed nothing. */
    readonly left: { readonly failed: number; readonly unchanged: number },
    /** Of the engines that trials were done with. */
    readonly cards: readonly EngineCard[],
  ) {
    super()
  }

  /** A row for each place. */
  table(): Record<string, TraceCell[]> {
    const { places } = this
    const column = (value: (place: PlaceDifference) => TraceCell) => places.map(value)
    return {
      ...Object.fromEntries(
        this.others.map((name) => [columnOf(name), column(({ levels }) => levelCell(levels[name]))]),
      ),
      prompt: column(({ prompt }) => prompt),
      cluster: column(({ cluster }) => cluster),
      seed: column(({ seed }) => seed),
      a: column(({ a }) => a),
      b: column(({ b }) => b),
      difference: column(({ a, b }) => a - b),
    }
  }

  /** Dimensions that are not compared. */
  private get others(): string[] {
    return Object.keys(this.places[0].levels)
  }

  protected override saved() {
    const { places, others, metric, cards } = this
    const columns = [
      ...others.map((name) =>
        levelColumn(
          name,
          places.map(({ levels }) => levels[name]),
        ),
      ),
      wordColumn('prompt', 'its name'),
      wordColumn('cluster', 'that the prompt belongs to'),
      { name: 'seed', type: 'float64' as const, about: 'that drew the prompt' },
      numberColumn('a', `${metric.name}, ${metric.unit}`),
      numberColumn('b', `${metric.name}, ${metric.unit}`),
      numberColumn('difference', 'a − b'),
    ]
    return { what: 'the differences', columns, cards }
  }

  toJSON(): Record<string, unknown> {
    const { metric, a, b, found, places, left, cards } = this
    return { format: 'zslab.differences', version: 1, metric, a, b, found, places, left, cards }
  }
}

showsItself(Differences.prototype, differencesText)

/** `found`: their contrast. Errors: 'invalid' where there is none. */
export function differencesOf(
  rows: readonly Row[],
  terms: readonly [Term, Term],
  metric: Metric,
  found: Contrast | null,
  fraction: boolean,
  cards: readonly EngineCard[],
): Differences {
  const [a, b] = terms.map(({ levels }) => levels)
  const { tried, whole } = placesOf(rows, terms, fraction)
  if (!found)
    throw new ZslabError(
      'invalid',
      tried.length
        ? `nowhere do both count: ${tried.length} places have both, and in each of them one failed or changed nothing`
        : 'nowhere are both of them, everything else equal: compare what the design has at one prompt',
    )
  const failed = tried.filter((of) => of.flat().some(({ trial }) => trial.values === null)).length
  const places = whole.map((of): PlaceDifference => {
    const [[{ trial, levels }]] = of
    const others = fraction ? [] : Object.entries(levels).filter(([name]) => !(name in a))
    const { name: prompt, cluster, seed } = trial.prompt
    const [mine, other] = meansAt(of, metric.name)
    return { prompt, cluster, seed, levels: Object.fromEntries(others), a: mine, b: other }
  })
  return new Differences(metric, a, b, found, places, { failed, unchanged: found.left - failed }, cards)
}
