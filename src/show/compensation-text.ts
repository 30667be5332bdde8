/** The texts of what the compensation microscope found. */
import { counted, lines } from './texts.js'

interface Interval {
  low: number
  high: number
}

export interface CompensationFacts {
  layer: number
  kvHead: number
  alpha: number
  reads: number
  group: number
  columns: { weight: Int32Array; massLogRatio: Float64Array }
  fitted: { alpha: number; interval: Interval | null; pairs: number; rms: number } | null
  bootstrap: { seed: number }
  error: number
  deviation: number | null
}

export function compensationText(facts: CompensationFacts): string {
  const { fitted, columns } = facts
  const ratios = Array.from(columns.massLogRatio).filter((_, row) => columns.weight[row] > 1)
  return lines(
    `Compensation in layer ${facts.layer}, kv head ${facts.kvHead}: α ${facts.alpha}, ${counted(facts.reads)} steps of ${facts.group} query head${facts.group === 1 ? '' : 's'}, output error ${percent(facts.error)}`,
    fitted
      ? `the α that fits the members' masses: ${fitted.alpha.toFixed(2)}${between(fitted.interval, (value) => value.toFixed(2))}, from ${counted(fitted.pairs)} pairs of query and merged slot; it leaves ${fitted.rms.toFixed(2)} nats (root mean square)`
      : 'no merged slot was read, so there is no α to fit',
    ratios.length
      ? `ln of a merged slot's mass over its members': median ${signed(median(ratios))} (below 0: under-compensated)`
      : undefined,
    facts.deviation === null
      ? undefined
      : `outputs made again from what was recorded are within ${facts.deviation.toExponential(0)} of the run's`,
    'next: compensation.frame(), a row per step, query head and slot; compensation.columns',
  )
}

export interface AblationFacts {
  heads: readonly { alpha: number; steps: { length: number } }[]
  corners: readonly {
    keys: string
    values: string
    bias: boolean
    error: number
    interval: Interval | null
    difference: number
    differenceInterval: Interval | null
  }[]
  bootstrap: { seed: number }
}

export function ablationText({ heads, corners, bootstrap }: AblationFacts): string {
  const many = heads.length === 1 ? '1 kv head' : `${counted(heads.length)} kv heads`
  return lines(
    `Corners of a merge: output error over ${many}, ${counted(heads[0].steps.length)} steps, α ${heads[0].alpha} (95% by blocks of steps, seed ${bootstrap.seed})`,
    ...corners.map((corner, i) => {
      const change = i
        ? `, ${signed(100 * corner.difference)}${between(corner.differenceInterval, (value) => signed(100 * value))} points`
        : ''
      return `keys ${corner.keys}, values ${corner.values}, bias ${corner.bias ? 'on' : 'off'}: ${percent(corner.error)}${between(corner.interval, percent)}${change}`
    }),
    'next: ablation.frame(), a row per head and corner; ablation.heads[i].corners',
  )
}

export interface WhatIfFacts {
  step: number
  position: number
  weights: Int32Array
}

export function whatIfText({ step, position, weights }: WhatIfFacts): string {
  const merged = weights.filter((weight) => weight > 1).length
  return lines(
    `What if α were another at step ${step} (position ${position}): ${counted(weights.length)} slots, ${counted(merged)} of them merged`,
    'next: whatIf.at(0.6), from −100 to 100; whatIf.weights, whatIf.membersProbs',
  )
}

export interface WhatIfAnswerFacts {
  alpha: number
  errors: Float64Array
  error: number
}

export function whatIfAnswerText({ alpha, errors, error }: WhatIfAnswerFacts): string {
  return lines(
    `At α ${alpha}: output error ${percent(error)}${errors.length > 1 ? ` (by query head ${Array.from(errors, (each) => percent(each)).join(', ')})` : ''}`,
    'next: answer.errors, answer.probs [query heads][slots], answer.outputs [query heads][head dimensions]',
  )
}

type Oracle = 'bias' | 'clamped' | 'values' | 'merged' | 'mergedValues'

export interface OraclesFacts {
  heads: readonly {
    steps: { length: number }
    equations: number
    slots: number
    ridge: number
    errors: Record<'drop' | Oracle, number>
  }[]
  errors: Record<'drop' | 'zsmerge' | Oracle, number>
  shares: Record<Oracle, number | null>
}

export function oraclesText({ heads, errors, shares }: OraclesFacts): string {
  const found = (name: Oracle) => {
    const share = shares[name]
    const worse = heads.filter((head) => head.errors[name] > head.errors.drop).length
    return `${percent(errors[name])}, ${share === null ? 'wins nothing over dropping' : `the run won ${percent(share)} of that`}; worse than dropping in ${counted(worse)}`
  }
  const least = heads.reduce((a, b) => (b.equations / b.slots < a.equations / a.slots ? b : a))
  const held = heads.some(({ ridge }) => ridge > 0) ? ', held by a ridge' : ''
  return lines(
    `Oracles of ${counted(heads.length)} kv head${heads.length === 1 ? '' : 's'}, judged on ${counted(heads[0].steps.length)} steps: output error ${percent(errors.drop)} dropping, ${percent(errors.zsmerge)} as the run merged`,
    `bias of merged slots alone: ${found('merged')}`,
    `bias and values of merged slots alone: ${found('mergedValues')}`,
    `bias of all slots (w ≥ 0): ${found('bias')}`,
    `by ridge and clamp: ${found('clamped')}`,
    `bias and values of all slots: ${found('values')}`,
    `fitted on the prompt's queries: at least ${counted(least.equations)} equations for ${counted(least.slots)} slots${held}`,
    'next: oracles.frame(), a row per head',
  )
}

const percent = (value: number) => `${(100 * value).toFixed(1)}%`
const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`
const between = (interval: Interval | null, text: (value: number) => string) =>
  interval ? ` (${text(interval.low)} to ${text(interval.high)})` : ''

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
