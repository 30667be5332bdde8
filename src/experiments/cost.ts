/** What a policy costs and saves, measured: the time of a step taken apart into operations, of prompts, and bytes, beside the full cache. */
import { madeBy, Place, Recipe } from '../recipe/recipe.js'
import { costText } from '../show/cost-text.js'
import { showsItself } from '../show/show.js'
import { meanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import type { CostAt, CostBreakEven, CostFacts } from './cost-facts.js'
import { FORMAT, savedCost, VERSION } from './saved-cost.js'
import { countColumn, numberColumn, StudyTable, wordColumn } from './study-table.js'

export class Cost extends StudyTable {
  /** @internal */
  constructor(
    readonly facts: CostFacts,
    /** The shortest first. */
    readonly lengths: readonly CostAt[],
    readonly breakEven: CostBreakEven,
    readonly cards: readonly EngineCard[],
  ) {
    super()
  }

  /** Reads what save('….json') wrote: times stay those of the machine and day that they were measured on. Errors: 'file' with what was found, or is missing. */
  static async from(path: string): Promise<Cost> {
    const { facts, lengths, breakEven, cards } = await savedCost(path)
    return madeBy(new Cost(facts, lengths, breakEven, cards), Recipe.of('Cost.from', [new Place(path)]))
  }

  /** A row for each length, cache and part of a step, then 'step' and, where prompts were read, 'prompt': milliseconds with the ends of the interval (null: fewer than 6 turns). */
  table(): Record<string, TraceCell[]> {
    const rows = this.lengths.flatMap(({ length, full, policy }) =>
      (
        [
          ['full', full],
          ['policy', policy],
        ] as const
      ).flatMap(([cache, of]) =>
        [
          ...of.parts.map(({ part, step }) => ({ part, ms: step })),
          { part: 'step', ms: of.step },
          ...(of.prompt ? [{ part: 'prompt', ms: of.prompt }] : []),
        ].map(({ part, ms }) => ({ length, cache, part, ms, bytes: of.bytes })),
      ),
    )
    const column = (value: (row: (typeof rows)[number]) => TraceCell) => rows.map(value)
    return {
      length: column(({ length }) => length),
      cache: column(({ cache }) => cache),
      part: column(({ part }) => part),
      ms: column(({ ms }) => ms.mean),
      low: column(({ ms }) => ms.low),
      high: column(({ ms }) => ms.high),
      bytes: column(({ bytes }) => bytes),
    }
  }

  protected override saved() {
    const columns = [
      countColumn('length', 'tokens of the prompt'),
      wordColumn('cache', 'full or policy'),
      wordColumn('part', 'of a step; step: all of it; prompt: of the whole prompt'),
      numberColumn('ms', 'milliseconds, mean over turns'),
      numberColumn('low', 'of its interval; null: fewer than 6 turns'),
      numberColumn('high', 'of its interval'),
      numberColumn('bytes', 'of the cache as allocated, after the last step'),
    ]
    return { what: 'the cost', columns, cards: this.cards }
  }

  toJSON(): Record<string, unknown> {
    const { facts, lengths, breakEven, cards } = this
    return { format: FORMAT, version: VERSION, ...facts, lengths, breakEven, cards }
  }
}

showsItself(Cost.prototype, costText)

/** `saved[length][turn]`: milliseconds by which a step of the policy is faster. */
export function breakEvenOf(lengths: readonly number[], saved: readonly (readonly number[])[]): CostBreakEven {
  const turns = { always: 0, crossing: 0, never: 0 }
  const crossed: number[] = []
  saved[0].forEach((_, turn) => {
    const own = saved.map((of) => of[turn])
    // From where on it stays faster: one slow step in between is no break-even.
    const last = own.findLastIndex((ms) => ms <= 0)
    if (last < 0) return void turns.always++
    if (last === own.length - 1) return void turns.never++
    turns.crossing++
    const share = -own[last] / (own[last + 1] - own[last])
    crossed.push(lengths[last] + share * (lengths[last + 1] - lengths[last]))
  })
  const enough = crossed.length * 2 > saved[0].length
  return { length: enough ? meanInterval(crossed) : null, turns }
}
