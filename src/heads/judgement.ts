/** What judge() found: each measure's order of heads beside the others and beside random ones. */
import { ZslabError, shown } from '../errors.js'
import { oneOf } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import { judgementText } from '../show/judgement-text.js'
import { showsItself } from '../show/show.js'
import type { MeanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { DAMAGES, pairedAreas, type DamageKind, type Judged } from './judged.js'

export const RANDOM = 'random'

export interface JudgementFacts {
  card: EngineCard
  /** ablate: outputs of query heads set to zero; compress: caches of kv heads made small. */
  take: 'ablate' | 'compress'
  /** Of a kv head that is taken: slots, or share of the prompt; null where heads are ablated. */
  budget: number | null
  /** The call that makes the policy, in place of whose budget there is the one above; null where heads are ablated. */
  policy: string | null
  heads: 'query' | 'kv'
  /** Heads that there are. */
  count: number
  texts: readonly { tokens: number; ids: number[] }[]
  /** Judged on the texts that measures are of, which favours those that look at damage, as ablation does. */
  sameTexts: boolean
  /** The last rows of a text that count. */
  rows: number
  /** Of the random orders. */
  seeds: readonly number[]
}

export class Judgement extends Tabular {
  /** By name, in the order that they were asked for. */
  readonly measures: Readonly<Record<string, Judged>>
  /** The measure whose order does least damage (area of KL), the first of equals: of many measures the least on few texts is lucky, too. */
  readonly best: string

  /** @internal */
  constructor(
    measures: readonly Judged[],
    /** Means over random orders: the damage of one that knows nothing. */
    readonly random: Judged,
    readonly facts: JudgementFacts,
  ) {
    super()
    this.measures = Object.fromEntries(measures.map((one) => [one.name, one]))
    this.best = measures.reduce((least, one) => (one.area.kl.mean < least.area.kl.mean ? one : least)).name
    for (const one of measures) {
      one.overBest = one.name === this.best ? null : this.difference(one.name, this.best)
      one.overRandom = this.difference(one.name, RANDOM)
    }
    random.overBest = this.difference(RANDOM, this.best)
  }

  get card(): EngineCard {
    return this.facts.card
  }

  /** One measure, or 'random'. Errors: 'invalid' for one that was not judged. */
  of(name: string): Judged {
    if (name === RANDOM) return this.random
    const found = Object.hasOwn(this.measures, name) ? this.measures[name] : undefined
    if (found) return found
    const names = [...Object.keys(this.measures), RANDOM].join(', ')
    throw new ZslabError('invalid', `${shown(name)} was not judged; there are: ${names}`)
  }

  /** Area of `a` less that of `b`, text by text: below 0 where the order of a does less damage. */
  difference(a: string, b: string, kind: DamageKind = 'kl'): MeanInterval {
    return pairedAreas(this.of(a), this.of(b), oneOf('kind', kind, DAMAGES), this.facts.seeds[0])
  }

  /** A row for each order and number of heads: damage, mean over texts and the ends of its interval (null: too few texts). */
  table(): Record<string, TraceCell[]> {
    const rows = [...Object.values(this.measures), this.random].flatMap(({ name, curve }) =>
      curve.map((point) => ({ name, ...point })),
    )
    const column = (value: (row: (typeof rows)[number]) => TraceCell) => rows.map(value)
    const damage = (kind: DamageKind) => ({
      [kind]: column((row) => row[kind].mean),
      [`${kind}Low`]: column((row) => row[kind].low),
      [`${kind}High`]: column((row) => row[kind].high),
    })
    return {
      measure: column(({ name }) => name),
      taken: column(({ taken }) => taken),
      share: column(({ share }) => share),
      ...damage('kl'),
      ...damage('loss'),
    }
  }

  /** Everything, with the card. */
  toJSON(): Record<string, unknown> {
    const { facts, best, measures, random } = this
    return { format: 'zslab.judgement', version: 1, ...facts, best, measures, random }
  }
}

showsItself(Judgement.prototype, judgementText)
