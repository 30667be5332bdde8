/** What could be reached with the same slots: weights and values fitted on the prompt's queries, judged on those that came after. */
import { integer, number } from '../expect.js'
import { ZslabError } from '../errors.js'
import { meanOf } from '../statistics/moments.js'
import { Breaks } from './breaks.js'
import {
  attended,
  biasesOf,
  checkReads,
  checkVectors,
  logitsOf,
  queriesOf,
  relativeError,
  slotRows,
  type SlotsRead,
} from './head.js'
import { fitOracle, ORACLES, type FitOptions, type Left, type OracleLeft, type OracleName } from './oracle-fits.js'
import type { HeadVectors } from './vectors.js'

export interface OracleOptions extends FitOptions {
  /** Decode reads that are judged, evenly spaced; each has fits of its own. Default 8. */
  judged?: number
}

export interface HeadOracles {
  layer: number
  kvHead: number
  /** Of the judged reads. */
  steps: Int32Array
  /** Mean of ‖o − o*‖/‖o*‖ over judged reads and query heads. drop: each slot's first token alone; zsmerge: as the run merged. */
  errors: Record<'drop' | 'zsmerge' | OracleName, number>
  /** (drop − zsmerge) / (drop − oracle): the part of what can be won over dropping that the run won; null where that is nothing. */
  shares: Record<OracleName, number | null>
  /** On the queries of the fits themselves, mean over the judged reads. */
  left: OracleLeft
  /** Equations and slots of the smallest fit of all slots; ridge: the largest that was used. */
  equations: number
  slots: number
  ridge: number
}

/** Reads that are judged. */
export const judgedOf = (options: Pick<OracleOptions, 'judged'>, after: number): number =>
  Math.min(options.judged === undefined ? 8 : integer('judged', options.judged, 1), after)

/**
 * Oracles of one kv head, fitted for the slots of each judged read (fitOracle) and judged on its queries: what was fitted on other queries
 * may do worse than what it was fitted to beat. `fitted` is called after each. Errors: 'invalid' where no query of the prompt was recorded,
 * or none after it; what `breaks` throws.
 */
export async function headOracles(
  vectors: HeadVectors,
  reads: readonly SlotsRead[],
  options: OracleOptions,
  breaks = new Breaks(),
  fitted: () => unknown = () => {},
): Promise<HeadOracles> {
  checkVectors(vectors)
  checkReads(vectors, reads)
  const { headDim, group } = vectors
  number('alpha', options.alpha, 0, 100)
  const after = reads.filter(({ position }) => position >= options.promptTokens)
  if (!after.length)
    throw new ZslabError('invalid', 'oracles are judged on queries after the prompt, and there is none')
  const count = judgedOf(options, after.length)
  const judged = Array.from({ length: count }, (_, i) => after[Math.floor(((i + 0.5) * after.length) / count)])
  const names = ['drop', 'zsmerge', ...ORACLES] as const
  const errors = byName(names, () => 0)
  const lefts: OracleLeft[] = []
  let [equations, slots, ridge] = [Infinity, 1, 0]
  for (const read of judged) {
    const { length } = read.slots
    const alpha = read.alpha ?? options.alpha
    const fit = await fitOracle(vectors, read.slots, { ...options, alpha }, breaks)
    const keys = slotRows(vectors.keys, headDim, read.slots, options.keys ?? 'mean')
    const values = slotRows(vectors.values, headDim, read.slots, options.values ?? 'mean')
    const firsts = read.slots.map(({ slot, origins: [origin] }) => ({ slot, origins: [origin] }))
    const first = {
      keys: slotRows(vectors.keys, headDim, firsts, 'mean'),
      values: slotRows(vectors.values, headDim, firsts, 'mean'),
    }
    for (const { q, output } of queriesOf(vectors, read.position)) {
      const logits = logitsOf(q, keys, length)
      const add = (name: (typeof names)[number], made: Float64Array) =>
        (errors[name] += relativeError(made, output) / (count * group))
      add('drop', attended(logitsOf(q, first.keys, length), undefined, first.values, headDim))
      add('zsmerge', attended(logits, biasesOf(read.slots, alpha), values, headDim))
      for (const name of ORACLES) {
        const { weights, values: own } = fit.slots[name]
        add(name, attended(logits, weights.map(Math.log), own, headDim))
      }
    }
    lefts.push(fit.left)
    if (fit.equations / length < equations / slots) [equations, slots] = [fit.equations, length]
    ridge = Math.max(ridge, fit.ridge)
    await fitted()
  }
  return {
    layer: vectors.layer,
    kvHead: vectors.kvHead,
    steps: Int32Array.from(judged, ({ step }) => step),
    errors,
    shares: sharesOf(errors),
    left: meanLeft(lefts),
    equations,
    slots,
    ridge,
  }
}

/** Of errors: null where the oracle wins nothing over dropping. */
export function sharesOf(errors: HeadOracles['errors']): HeadOracles['shares'] {
  return byName(ORACLES, (name) => {
    const most = errors.drop - errors[name]
    return most > 0 ? (errors.drop - errors.zsmerge) / most : null
  })
}

function meanLeft(lefts: readonly OracleLeft[]): OracleLeft {
  const over = <N extends string>(of: (left: OracleLeft) => Record<N, Left>) =>
    byName(Object.keys(of(lefts[0])) as N[], (name) => ({
      mass: meanOf(lefts.map((left) => of(left)[name].mass)),
      output: meanOf(lefts.map((left) => of(left)[name].output)),
    }))
  return { all: over(({ all }) => all), merged: over(({ merged }) => merged) }
}

function byName<N extends string, T>(names: readonly N[], value: (name: N) => T): Record<N, T> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<N, T>
}
