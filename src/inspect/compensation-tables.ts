/** What the microscope found, as tables and as text: compensation of a head, the corners of a merge, oracles. */
import { ablationText, compensationText, oraclesText } from '../show/compensation-text.js'
import { showsItself } from '../show/show.js'
import type { Card } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import type { RunToken } from '../trace/data.js'
import { meanOf } from '../statistics/moments.js'
import type { Corner, HeadAblation } from './ablation.js'
import { intervalsOf, meanAt, type Bootstrap } from './bootstrap.js'
import type { CompensationColumns, FittedAlpha, HeadCompensation } from './compensation.js'

import { ORACLES } from './oracle-fits.js'
import { sharesOf, type HeadOracles } from './oracles.js'
import { ABLATION_COLUMNS, COMPENSATION_COLUMNS } from './table-columns.js'
import { SavedTable } from './saved-table.js'
import type { TableColumn } from './tables.js'

interface Of {
  card: Card
  tokens: readonly RunToken[]
}

type Table = Record<string, TraceCell[]>

/** What all of them do. */
abstract class Shown extends SavedTable {
  /** Of the run. */
  readonly card: Card

  constructor({ card }: Of) {
    super()
    this.card = card
  }

  /** What the table is, and its columns. */
  protected abstract found(): { what: string; columns: readonly TableColumn[] }

  protected saved() {
    return { ...this.found(), cards: [this.card] }
  }
}

/** Compensation of one kv head. */
export class Compensation extends Shown implements HeadCompensation {
  readonly layer: number
  readonly kvHead: number
  /** Of the policy; where it was changed in between, `columns.bias` has what held. */
  readonly alpha: number
  readonly reads: number
  readonly group: number
  readonly columns: CompensationColumns
  readonly fitted: FittedAlpha | null
  readonly bootstrap: Bootstrap
  readonly error: number
  readonly deviation: number | null
  private readonly tokens: readonly RunToken[]

  /** @internal */
  constructor(found: HeadCompensation, of: Of) {
    super(of)
    this.layer = found.layer
    this.kvHead = found.kvHead
    this.alpha = found.alpha
    this.reads = found.reads
    this.group = found.group
    this.columns = found.columns
    this.fitted = found.fitted
    this.bootstrap = found.bootstrap
    this.error = found.error
    this.deviation = found.deviation
    this.tokens = of.tokens
  }

  /** A row for each step, query head and slot, as in `columns`, with `token`, the text of the slot's first member. */
  table(): Table {
    const columns = Object.entries(this.columns).map(([name, values]: [string, ArrayLike<number>]) => [
      name,
      Array.from(values),
    ])
    const token = Array.from(this.columns.first, (position) => this.tokens[position]?.text ?? '')
    return { ...(Object.fromEntries(columns) as Table), token }
  }

  protected found() {
    return { what: 'the compensation', columns: COMPENSATION_COLUMNS }
  }
}

/** All eight corners of keys × values × bias, by head and over the heads. */
export class CompensationAblation extends Shown {
  readonly heads: readonly HeadAblation[]
  /** Mean over the heads, intervals over the same resamples of steps. */
  readonly corners: readonly Corner[]
  readonly bootstrap: Bootstrap

  /** @internal */
  constructor(heads: readonly HeadAblation[], of: Of) {
    super(of)
    this.heads = heads
    this.bootstrap = heads[0].bootstrap
    this.corners = overHeads(heads)
  }

  /**
   * A row for each head and corner: `error` (mean ‖o − o*‖/‖o*‖ over steps and query heads) with `low` and `high` (95%), and its `difference`
   * from keys mean, values mean, bias on, with `differenceLow` and `differenceHigh`. null with fewer than two steps.
   */
  table(): Table {
    const rows = this.heads.flatMap(({ layer, kvHead, alpha, corners }) =>
      corners.map((corner) => ({ layer, kvHead, alpha, ...corner })),
    )
    return {
      layer: rows.map(({ layer }) => layer),
      kvHead: rows.map(({ kvHead }) => kvHead),
      alpha: rows.map(({ alpha }) => alpha),
      keys: rows.map(({ keys }) => keys),
      values: rows.map(({ values }) => values),
      bias: rows.map(({ bias }) => (bias ? 'on' : 'off')),
      error: rows.map(({ error }) => error),
      low: rows.map(({ interval }) => interval?.low ?? null),
      high: rows.map(({ interval }) => interval?.high ?? null),
      difference: rows.map(({ difference }) => difference),
      differenceLow: rows.map(({ differenceInterval }) => differenceInterval?.low ?? null),
      differenceHigh: rows.map(({ differenceInterval }) => differenceInterval?.high ?? null),
    }
  }

  protected found() {
    return { what: 'the ablation', columns: ABLATION_COLUMNS }
  }
}

function overHeads(heads: readonly HeadAblation[]): Corner[] {
  const [{ corners, steps, bootstrap }] = heads
  const byRead = corners.map((_, corner) =>
    Float64Array.from(steps, (_, at) => meanOf(heads.map((head) => head.corners[corner].byRead[at]))),
  )
  const differences = byRead.map((errors) => errors.map((error, at) => error - byRead[0][at]))
  const intervals = intervalsOf(steps.length, bootstrap, [...byRead, ...differences].map(meanAt))
  return corners.map(({ keys, values, bias }, i) => ({
    keys,
    values,
    bias,
    error: meanOf(byRead[i]),
    interval: intervals[i],
    difference: meanOf(differences[i]),
    differenceInterval: intervals[corners.length + i],
    byRead: byRead[i],
  }))
}

/** What could be reached with the same slots, by head. */
export class Oracles extends Shown {
  readonly heads: readonly HeadOracles[]
  /** Means over the heads. */
  readonly errors: HeadOracles['errors']
  /** Of those means; null where the oracle wins nothing over dropping. */
  readonly shares: HeadOracles['shares']

  /** @internal */
  constructor(heads: readonly HeadOracles[], of: Of) {
    super(of)
    this.heads = heads
    const names = Object.keys(heads[0].errors) as (keyof HeadOracles['errors'])[]
    this.errors = Object.fromEntries(
      names.map((name) => [name, meanOf(heads.map(({ errors }) => errors[name]))]),
    ) as HeadOracles['errors']
    this.shares = sharesOf(this.errors)
  }

  /**
   * A row for each head: mean ‖o − o*‖/‖o*‖ of `drop` (each slot's first token alone), `zsmerge` (as the run merged) and the oracles: of all
   * slots `bias`, `clamped` and `values`, of merged ones alone `merged` and `mergedValues`; `shareBias` …: of what each wins over dropping,
   * the part that the run won (null: it wins nothing); `massDrop` …, `outputDrop` …: what each leaves on the queries of the fits
   * themselves, as a part of what was to be reached (`massOfMerged…`: on those of the fits of merged slots).
   */
  table(): Table {
    const { heads } = this
    const column = (name: string, value: (head: HeadOracles) => TraceCell): [string, TraceCell[]] => [
      name,
      heads.map(value),
    ]
    const names = Object.keys(this.errors) as (keyof HeadOracles['errors'])[]
    return Object.fromEntries([
      column('layer', ({ layer }) => layer),
      column('kvHead', ({ kvHead }) => kvHead),
      ...names.map((name) => column(name, ({ errors }) => errors[name])),
      ...ORACLES.map((name) => column(prefixed('share', name), ({ shares }) => shares[name])),
      ...leftColumns(heads),
      column('equations', ({ equations }) => equations),
      column('slots', ({ slots }) => slots),
      column('ridge', ({ ridge }) => ridge),
    ])
  }

  protected found() {
    return { what: 'the oracles', columns: Object.keys(this.table()).map(oracleColumn) }
  }
}

function leftColumns(heads: readonly HeadOracles[]): [string, TraceCell[]][] {
  const [{ left }] = heads
  const column = (name: string, of: (head: HeadOracles) => number): [string, TraceCell[]] => [name, heads.map(of)]
  return (['mass', 'output'] as const).flatMap((what) => [
    ...(Object.keys(left.all) as (keyof typeof left.all)[]).map((name) =>
      column(prefixed(what, name), (head) => head.left.all[name][what]),
    ),
    ...(Object.keys(left.merged) as (keyof typeof left.merged)[]).map((name) =>
      column(prefixed(`${what}OfMerged`, name), (head) => head.left.merged[name][what]),
    ),
  ])
}

function oracleColumn(name: string): TableColumn {
  if (name === 'layer' || name === 'kvHead') return { name, type: 'uint16', about: 'from 0' }
  if (name === 'equations' || name === 'slots')
    return { name, type: 'int32', about: 'of the smallest fit of all slots' }
  if (name === 'ridge') return { name, type: 'float64', about: 'the largest that was used' }
  const about = name.startsWith('share')
    ? '(drop − zsmerge) / (drop − oracle); null: it wins nothing over dropping'
    : /^(mass|output)/.test(name)
      ? 'left on the queries of the fit, as a part of what was to be reached'
      : 'mean ‖o − o*‖/‖o*‖ over the judged steps and query heads'
  return { name, type: 'float64', none: NaN, about }
}

const prefixed = (word: string, name: string) => `${word}${name[0].toUpperCase()}${name.slice(1)}`

showsItself(Compensation.prototype, compensationText)
showsItself(CompensationAblation.prototype, ablationText)
showsItself(Oracles.prototype, oraclesText)
