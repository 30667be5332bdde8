/** What judge() found: each measure's order of heads beside the others and beside random ones. */
import { ZslabError, shown } from '../errors.js'
import { oneOf } from '../expect.js'
import { SavedTable } from '../inspect/saved-table.js'
import { madeBy, Place, Recipe } from '../recipe/recipe.js'
import { judgementText } from '../show/judgement-text.js'
import { showsItself } from '../show/show.js'
import type { MeanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { JUDGEMENT_COLUMNS } from './table-columns.js'
import { FORMAT, savedJudgement, VERSION } from './saved-judgement.js'
import { DAMAGES, pairedAreas, RANDOM, type DamageKind, type Judged, type JudgementFacts } from './judged.js'

export class Judgement extends SavedTable {
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

  /** Reads what JSON.stringify(judgement) wrote. Errors: 'file' with what was found, or is missing. */
  static async from(path: string): Promise<Judgement> {
    const { judged, random, facts } = await savedJudgement(path)
    return madeBy(new Judgement(judged, random, facts), Recipe.of('Judgement.from', [new Place(path)]))
  }

  get card(): EngineCard {
    return this.facts.card
  }

  /** One measure, or 'random'. Errors: 'invalid' for one that was not judged. */
  of(name: string): Judged {
    if (name === RANDOM) return this.random
    const found = typeof name === 'string' && Object.hasOwn(this.measures, name) ? this.measures[name] : undefined
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

  protected saved() {
    return { what: 'the judgement', columns: JUDGEMENT_COLUMNS, cards: [this.card] }
  }

  /** Everything, with the card. */
  toJSON(): Record<string, unknown> {
    const { facts, best, measures, random } = this
    return { format: FORMAT, version: VERSION, ...facts, best, measures, random }
  }
}

showsItself(Judgement.prototype, judgementText)
