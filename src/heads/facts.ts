/** What a collection of measures is made of, whoever measured: this project, or others whose file was read. */
import type { EngineCard } from '../trace/card.js'
import type { Reliability } from './agreement.js'
import type { DistanceBin } from './distances.js'
import type { Measure } from './measure.js'

/** A measure, and its values [layers * heads]: over all texts, and of each. */
export interface HeadMeasure {
  measure: Measure
  values: Float64Array
  /** Empty for scores that were read from a file and are of no given text. */
  perText: Float64Array[]
  /** Of random sequences, not of the given texts. */
  random: boolean
  /** Where it is not that of perText. */
  reliability?: Reliability
}

/** One measure of all heads; NaN for heads that were not asked for. */
export interface MeasuredHeads extends Measure {
  /** [layers][heads]; a measure of kv heads is repeated over the group. */
  values: Float64Array[]
  /** [texts][layers][heads]; of random sequences for measures that read those. */
  perText: Float64Array[][]
  /** Of random sequences, not of the given texts. */
  random: boolean
  /** How far the measure agrees with itself on other texts. */
  reliability: Reliability
  /** [layers][kvHeads]: largest or mean of the group's heads that were asked for, as `kv` says. */
  kvValues: Float64Array[]
}

/** How far back heads look, over all texts. */
export interface Distances {
  /** Tokens between a query and who it looks at. */
  bins: readonly DistanceBin[]
  /** [layers][heads][bins]: share of all attention of the head; 1 in sum, NaN for heads that were not asked for. */
  shares: Float64Array[][]
}

/** Of the measure budgetCurve. */
export interface CurveValues {
  /** Kept shares of the prompt of the head that varies, ascending; and of all others. */
  shares: readonly number[]
  others: number
  /** [layers][kvHeads][texts][shares]: change of −ln p of the next token, nats; null: not asked for. */
  perText: readonly (readonly (readonly (readonly number[])[] | null)[])[]
}

export interface ImportanceText {
  tokens: number
  ids: number[]
}

/** Where scores of others come from. */
export interface FileCard {
  /** By its file: who made it does not say of which model. */
  model: { name: string }
  file: string
  sha256: string
  format: string
}

export interface ImportanceFacts {
  card: EngineCard | FileCard
  /** Empty where everything was read from a file of others. */
  texts: readonly ImportanceText[]
  /** Of the random sequences; empty where none was read. */
  seeds: readonly number[]
  /** Of the needles, one for each text; empty where none was asked for. */
  needleSeeds: readonly number[]
  /** Tokens of a text that ablations and gates are of, and the last rows that count, there and under a policy. */
  tokens: number
  rows: number
  /** The call that makes the policy under which heads were measured; null: none was needed. */
  policy: string | null
}

/** Layers, query heads and kv heads of a layer. */
export interface HeadsShape {
  layers: number
  heads: number
  kvHeads: number
}

/** Everything that an Importance is made of. */
export interface ImportanceParts {
  shape: HeadsShape
  found: HeadMeasure[]
  distances: Distances | null
  curves: CurveValues | null
  facts: ImportanceFacts
}
