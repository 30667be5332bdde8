/** What a policy costs and saves, measured: the time of a step taken apart into operations, of prompts, and bytes, beside the full cache. */
import { costText } from '../show/cost-text.js'
import { showsItself } from '../show/show.js'
import { meanInterval, type MeanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import type { Operation } from './cost-operations.js'
import { countColumn, numberColumn, StudyTable, wordColumn } from './study-table.js'

/** 'model': all of a step but what depends on the tokens before it. */
export type Part = 'model' | Operation

export interface CostPart {
  part: Part
  about: string
  /** Milliseconds a step, over turns: what two runs differ by, so noise may make it less than 0. */
  step: MeanInterval
}

export interface CostCache {
  /** The call that makes the policy. */
  policy: string
  /** Adding up to a step. */
  parts: readonly CostPart[]
  /** Milliseconds of a step, over turns. */
  step: MeanInterval
  /** Milliseconds of the prompt, over the times that it was read; null: it was not. */
  prompt: MeanInterval | null
  /** Of the cache as allocated, after the last step. */
  bytes: number
}

export interface CostAt {
  length: number
  full: CostCache
  policy: CostCache
  /** Milliseconds a step of all that the policy does beyond attention; null where it is in one piece. */
  upkeep: MeanInterval | null
  /** The full cache's step over the policy's, turn by turn. */
  gain: MeanInterval
  /** What bytes alone would allow: weights and the full cache over weights and the policy's. */
  gainByBytes: number
  /** Milliseconds that the policy's prompt took more, each time beside the full cache's; null: prompts were not read. */
  promptMore: MeanInterval | null
  /** Tokens after which what the prompt took more in the mean is made up for; 0: it took no more, null: never, or prompts were not read. */
  tokens: number | null
}

/** Where the policy's step becomes faster than the full cache's. */
export interface CostBreakEven {
  /** By turns that cross between two of the lengths; null: fewer than half of them do. */
  length: MeanInterval | null
  /** Turns that are faster from the shortest length on, that cross, and that are slower at the longest. */
  turns: { always: number; crossing: number; never: number }
}

export interface CostFacts {
  /** Of the policy, and the call that makes it. */
  name: string
  policy: string
  storage: string
  steps: number
  turns: number
  prompts: number
  seed: number
  /** Bytes of weights as held. */
  weights: number
}

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
    return { format: 'zslab.cost', version: 1, ...facts, lengths, breakEven, cards }
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
