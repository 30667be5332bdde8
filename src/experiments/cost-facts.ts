/** What is measured of a policy's cost, beside the full cache's: milliseconds and bytes. */
import type { MeanInterval } from '../statistics/intervals.js'
import type { Operation } from './cost-operations.js'

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
