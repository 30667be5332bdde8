/** All measures beside each other: a row for each two. */
import { ZslabError, shown } from '../errors.js'
import { SavedTable } from '../inspect/saved-table.js'
import { agreementsText } from '../show/importance-text.js'
import { showsItself } from '../show/show.js'
import type { Draws } from '../statistics/bootstrap.js'
import type { Estimate } from '../statistics/scaled.js'
import type { TraceCell } from '../trace/columns.js'
import type { ImportanceFacts } from './facts.js'
import { AGREEMENT_COLUMNS } from './table-columns.js'
import { agreementOf, resampledRanks, type Agreement, type Reliability, type Scored } from './agreement.js'

export class Agreements extends SavedTable {
  readonly names: readonly string[]
  /** Each two once, in the order of `names`. */
  readonly pairs: readonly Agreement[]
  /** Of each measure with itself. */
  readonly reliability: Readonly<Record<string, Reliability>>

  /** @internal */
  constructor(
    measures: readonly (Scored & { reliability: Reliability })[],
    readonly draws: Draws,
    readonly card: ImportanceFacts['card'],
  ) {
    super()
    this.names = measures.map(({ name }) => name)
    const all = measures.map((measure) => resampledRanks(measure, draws))
    this.pairs = all.flatMap((a, i) => all.slice(i + 1).map((b) => agreementOf(a, b)))
    this.reliability = Object.fromEntries(measures.map(({ name, reliability }) => [name, reliability]))
  }

  /** Of two measures, in either order. Errors: 'invalid' where one was not measured. */
  of(a: string, b: string): Agreement {
    const found = this.pairs.find((pair) => (pair.a === a && pair.b === b) || (pair.a === b && pair.b === a))
    if (found) return found
    throw new ZslabError(
      'invalid',
      `there is no agreement of ${shown(a)} and ${shown(b)}: expected two different ones of ${this.names.join(', ')}`,
    )
  }

  /** A row for each two: a, b, heads, and of each statistic its value and the ends of its interval over texts (null: none). */
  table(): Record<string, TraceCell[]> {
    const column = (value: (pair: Agreement) => TraceCell) => this.pairs.map(value)
    const statistic = (name: 'spearman' | 'kendall' | 'top') => {
      const end = (of: keyof Estimate) => column((pair) => pair[name][of])
      return { [name]: end('value'), [`${name}Low`]: end('low'), [`${name}High`]: end('high') }
    }
    return {
      a: column(({ a }) => a),
      b: column(({ b }) => b),
      heads: column(({ heads }) => heads),
      ...statistic('spearman'),
      ...statistic('kendall'),
      ...statistic('top'),
    }
  }

  protected saved() {
    return { what: 'the agreement', columns: AGREEMENT_COLUMNS, cards: [this.card] }
  }
}

showsItself(Agreements.prototype, agreementsText)
