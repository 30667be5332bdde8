/** What each dimension of a study does, and each two together: differences of levels, with intervals over clusters and p values that hold for all of them. */
import { Tabular } from '../inspect/tabular.js'
import { effectsText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { holm } from '../statistics/holm.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import type { TraceCell } from '../trace/columns.js'
import { contrast, type Contrast, type Row, type Term } from './rows.js'
import type { Level } from './settings.js'
import type { Metric } from './task.js'

export interface Effect {
  /** One dimension, or two of an interaction. */
  dimensions: readonly string[]
  from: readonly Level[]
  to: readonly Level[]
  /** Of a main effect: value at `to` less that at `from`. Of an interaction: what the first does at the second's `to` less what it does at its `from`. Null: nowhere could they be compared. */
  found: Contrast | null
  /** Holm's adjusted p over all of them (main effects and interactions); null where nothing was found. */
  holm: number | null
}

/** Main effects and interactions of two, each level against its dimension's first. */
export class Effects extends Tabular {
  /** @internal */
  constructor(
    readonly metric: Metric,
    readonly main: readonly Effect[],
    readonly interactions: readonly Effect[],
  ) {
    super()
  }

  /** A row for each: effect with the ends of its interval (null: too few clusters), p, Holm’s p, the smallest that could have been found, and of how many pairs and clusters. */
  table(): Record<string, TraceCell[]> {
    const all = [...this.main, ...this.interactions]
    const column = (value: (effect: Effect) => TraceCell) => all.map(value)
    return {
      effect: column(({ dimensions }) => dimensions.join(' × ')),
      from: column(({ from }) => from.map(String).join(', ')),
      to: column(({ to }) => to.map(String).join(', ')),
      difference: column(({ found }) => found?.difference.mean ?? null),
      low: column(({ found }) => found?.difference.low ?? null),
      high: column(({ found }) => found?.difference.high ?? null),
      p: column(({ found }) => found?.test.p ?? null),
      holm: column(({ holm }) => holm),
      smallest: column(({ found }) => found?.smallest ?? null),
      pairs: column(({ found }) => found?.pairs ?? 0),
      clusters: column(({ found }) => found?.clusters ?? 0),
      left: column(({ found }) => found?.left ?? 0),
    }
  }

  toJSON(): Record<string, unknown> {
    return {
      format: 'zslab.effects',
      version: 1,
      metric: this.metric,
      main: this.main,
      interactions: this.interactions,
    }
  }
}

showsItself(Effects.prototype, effectsText)

/** How many comparisons effectsOf() makes. */
export function comparisonsOf(dimensions: Readonly<Record<string, readonly Level[]>>, interactions: boolean): number {
  const others = Object.values(dimensions).map(({ length }) => length - 1)
  const sum = others.reduce((all, one) => all + one, 0)
  const pairs = others.reduce(
    (all, one, i) => all + one * others.slice(i + 1).reduce((more, other) => more + other, 0),
    0,
  )
  return sum + (interactions ? pairs : 0)
}

export function effectsOf(
  rows: readonly Row[],
  dimensions: Readonly<Record<string, readonly Level[]>>,
  metric: Metric,
  interactions: boolean,
  options: IntervalOptions,
): Effects {
  const names = Object.keys(dimensions)
  const effect = (of: readonly string[]) =>
    // Every combination of other levels than the first, the last dimension's changing fastest.
    of
      .reduce<Level[][]>(
        (all, name) => all.flatMap((to) => dimensions[name].slice(1).map((level) => [...to, level])),
        [[]],
      )
      .map((to) => {
        const from = of.map((name) => dimensions[name][0])
        return { dimensions: of, from, to, found: contrast(rows, corners(of, from, to), metric.name, options) }
      })
  const main = names.flatMap((name) => effect([name]))
  const two = names.flatMap((a, i) => (interactions ? names.slice(i + 1).flatMap((b) => effect([a, b])) : []))
  const all = [...main, ...two]
  const adjusted = holm(all.flatMap(({ found }) => (found ? [found.test.p] : [])))
  let at = 0
  const effects = all.map((one): Effect => ({ ...one, holm: one.found ? adjusted[at++] : null }))
  return new Effects(metric, effects.slice(0, main.length), effects.slice(main.length))
}

/** `to` less `from` of one dimension; of two, that difference at the second's `to` less that at its `from`: every level at `from` turns the sign. */
function corners(names: readonly string[], from: readonly Level[], to: readonly Level[]): Term[] {
  return names.reduce<Term[]>(
    (terms, name, i) =>
      terms.flatMap(({ levels, sign }): Term[] => [
        { levels: { ...levels, [name]: to[i] }, sign },
        { levels: { ...levels, [name]: from[i] }, sign: sign === 1 ? -1 : 1 },
      ]),
    [{ levels: {}, sign: 1 }],
  )
}
