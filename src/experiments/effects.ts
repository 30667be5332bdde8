/** What each dimension of a study does, and each two together: differences of levels, with intervals over clusters and p values that hold for all of them. */
import { effectsText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { holm } from '../statistics/holm.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { contrast, type Contrast, type Row, type Term } from './rows.js'
import type { Dimensions, Level, Levels } from './designs.js'
import type { Metric } from './measures/measuring.js'
import { countColumn, numberColumn, StudyTable, wordColumn } from './study-table.js'

export interface Effect {
  /** One dimension, or two of an interaction. */
  dimensions: readonly string[]
  from: readonly Level[]
  to: readonly Level[]
  /** Of a main effect: value at `to` less that at `from`, of a range as the plane of least squares has them, with the others in their middle. Of an interaction: what the first does at the second's `to` less what it does at its `from`. Null: nowhere could they be compared. */
  found: Contrast | null
  /** Of a fractional design: what it cannot be told from; it may be any of them, or their sum. */
  aliases: readonly (readonly string[])[]
  /**
   * Of ranges: half of the 95% interval that the choice of settings leaves open, as the plane does not explain all of how settings differ on average, whatever the
   * texts. An effect within it is not told, whatever its p. Null: none, or too few settings to say.
   */
  misfit: number | null
  /** Holm's adjusted p over all of them (main effects and interactions); null where nothing was found. */
  holm: number | null
}

/** Of a design that is spread over ranges: the plane that effects are of. */
export interface PlaneFit {
  settings: number
  /** Share of how each prompt's settings differ, squared, that its plane explains; null: they do not differ. */
  explained: number | null
  /** Why interactions are not told though they were wanted. */
  without: string | null
}

/** Main effects and interactions of two, each level against its dimension's first, and each range's end against its beginning. */
export class Effects extends StudyTable {
  /** @internal */
  constructor(
    readonly metric: Metric,
    readonly main: readonly Effect[],
    readonly interactions: readonly Effect[],
    /** Of the engines that trials were done with. */
    readonly cards: readonly EngineCard[] = [],
    /** Null: differences of levels, and no plane. */
    readonly fit: PlaneFit | null = null,
  ) {
    super()
  }

  /** A row for each: effect with the ends of its interval (null: too few clusters), p, Holm’s p, the smallest that could have been found, and of how many pairs and clusters. */
  table(): Record<string, TraceCell[]> {
    const all = [...this.main, ...this.interactions]
    const column = (value: (effect: Effect) => TraceCell) => all.map(value)
    return {
      effect: column(({ dimensions }) => dimensions.join(' × ')),
      aliases: column(({ aliases }) => aliases.map((names) => names.join(' × ')).join(', ')),
      from: column(({ from }) => from.map(String).join(', ')),
      to: column(({ to }) => to.map(String).join(', ')),
      difference: column(({ found }) => found?.difference.mean ?? null),
      low: column(({ found }) => found?.difference.low ?? null),
      high: column(({ found }) => found?.difference.high ?? null),
      p: column(({ found }) => found?.test.p ?? null),
      holm: column(({ holm }) => holm),
      misfit: column(({ misfit }) => misfit),
      smallest: column(({ found }) => found?.smallest ?? null),
      pairs: column(({ found }) => found?.pairs ?? 0),
      clusters: column(({ found }) => found?.clusters ?? 0),
      left: column(({ found }) => found?.left ?? 0),
    }
  }

  protected override saved() {
    const { name, unit } = this.metric
    const columns = [
      wordColumn('effect', 'a dimension, or two of an interaction'),
      wordColumn('aliases', 'what it cannot be told from'),
      wordColumn('from', 'level of each'),
      wordColumn('to', 'level of each'),
      numberColumn('difference', `of ${name}, ${unit}: at “to” less at “from”; of two: beyond the two by themselves`),
      numberColumn('low', 'of its interval; null: too few clusters'),
      numberColumn('high', 'of its interval'),
      numberColumn('p', 'by sign flips'),
      numberColumn('holm', 'p after Holm, over all rows'),
      numberColumn('misfit', 'of ranges: half of the interval that the choice of settings leaves open'),
      numberColumn('smallest', 'effect that so many clusters find four times of five'),
      countColumn('pairs', 'places that have all its levels'),
      countColumn('clusters', 'that they belong to'),
      countColumn('left', 'places left out: a trial there failed or changed nothing'),
    ]
    return { what: 'the effects', columns, cards: this.cards }
  }

  toJSON(): Record<string, unknown> {
    const { metric, main, interactions, cards, fit } = this
    return { format: 'zslab.effects', version: 1, metric, main, interactions, cards, ...(fit && { fit }) }
  }
}

showsItself(Effects.prototype, effectsText)

/** What is compared: of each one dimension or two, with the levels, and what it cannot be told from. */
type Asked = Pick<Effect, 'dimensions' | 'from' | 'to' | 'aliases'>

/** Every main effect, then interactions of two, the last dimension's levels changing fastest. `fraction`: the settings of a fractional design. */
export function effectsAsked(dimensions: Dimensions, interactions: boolean, fraction?: readonly Levels[]): Asked[] {
  const names = Object.keys(dimensions).filter((name) => dimensions[name].length > 1)
  const sets = [
    ...names.map((name) => [name]),
    ...names.flatMap((a, i) => (interactions ? names.slice(i + 1).map((b) => [a, b]) : [])),
  ]
  const all = sets.flatMap((of) =>
    of
      .reduce<Level[][]>(
        (tos, name) => tos.flatMap((to) => dimensions[name].slice(1).map((level) => [...to, level])),
        [[]],
      )
      .map((to): Asked => ({ dimensions: of, from: of.map((name) => dimensions[name][0]), to, aliases: [] })),
  )
  if (!fraction) return all
  // Of two levels each: where as many of them are the second, the first one's sign is turned. Equal columns are one effect.
  const column = ({ dimensions: of, to }: Asked) =>
    fraction.map((levels) => of.filter((name, i) => levels[name] === to[i]).length & 1).join('')
  const found = new Map<string, Asked[]>()
  for (const one of all) found.set(column(one), [...(found.get(column(one)) ?? []), one])
  return [...found.values()].map(([one, ...others]) => ({ ...one, aliases: others.map(({ dimensions: of }) => of) }))
}

export function effectsOf(
  rows: readonly Row[],
  dimensions: Dimensions,
  metric: Metric,
  interactions: boolean,
  options: IntervalOptions,
  fraction?: readonly Levels[],
  cards: readonly EngineCard[] = [],
): Effects {
  const all = effectsAsked(dimensions, interactions, fraction).map((asked) => {
    const terms = corners(asked.dimensions, asked.from, asked.to)
    return { ...asked, found: contrast(rows, terms, metric.name, options, fraction !== undefined) }
  })
  const adjusted = holm(all.flatMap(({ found }) => (found ? [found.test.p] : [])))
  let at = 0
  const effects = all.map((one): Effect => ({ ...one, misfit: null, holm: one.found ? adjusted[at++] : null }))
  const isMain = ({ dimensions: of }: Effect) => of.length === 1
  return new Effects(
    metric,
    effects.filter(isMain),
    effects.filter((one) => !isMain(one)),
    cards,
  )
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
