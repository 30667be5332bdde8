/** Compensation, slot by slot: α·ln w beside the mass that a merged slot's members had, and the α that would have been right. */
import { number } from '../expect.js'
import { meanOf } from '../statistics/moments.js'
import { bootstrapOf, intervalsOf, type Bootstrap, type BootstrapOptions, type Interval } from './bootstrap.js'
import {
  attended,
  biasesOf,
  checkReads,
  checkVectors,
  logitsOf,
  logSumExp,
  queriesOf,
  relativeError,
  slotRows,
  type Centroid,
  type SlotsRead,
} from './head.js'
import type { HeadVectors } from './vectors.js'

/** How the run merged. */
export interface Merging {
  /** logit += alpha · ln(weight) */
  alpha: number
  /** Default 'mean'. */
  keys?: Centroid
  values?: Centroid
}

export interface CompensationOptions extends Merging, BootstrapOptions {
  /** Rows of slots that stand for several tokens, or of all. Default 'merged'. */
  slots?: 'merged' | 'all'
}

/** A row for each read, query head and slot; natural logarithms. */
export interface CompensationColumns {
  step: Int32Array
  /** Of the query's token. */
  position: Int32Array
  /** Query head of the group. */
  head: Uint16Array
  slot: Int32Array
  /** Position of the slot's first member. */
  first: Int32Array
  /** Tokens that the slot stands for (w). */
  weight: Int32Array
  /** α · ln w */
  bias: Float64Array
  /** Received by the slot, under the policy. */
  prob: Float64Array
  /** Of its members together, with nothing removed. */
  membersProb: Float64Array
  /** ln of the slot's mass: α·ln w + q·k/√d. */
  lnMass: Float64Array
  /** ln Σ exp(q·k_m/√d) over its members. */
  membersLnMass: Float64Array
  /** ln(prob / membersProb) */
  probLogRatio: Float64Array
  /** lnMass − membersLnMass: below 0, the slot is under-compensated. */
  massLogRatio: Float64Array
}

export interface FittedAlpha {
  alpha: number
  /** 95%, by a moving-block bootstrap over steps; null with fewer than two. */
  interval: Interval | null
  /** Pairs of query and merged slot that it was fitted on, and root mean square of what it leaves, in nats. */
  pairs: number
  rms: number
}

export interface HeadCompensation {
  layer: number
  kvHead: number
  alpha: number
  /** Reads and query heads that this is of. */
  reads: number
  group: number
  columns: CompensationColumns
  /** The α that fits the masses of the same queries best; null without a merged slot. */
  fitted: FittedAlpha | null
  bootstrap: Bootstrap
  /** Mean of ‖o − o*‖/‖o*‖ over reads and query heads: o of these slots, o* with nothing removed. */
  error: number
  /** Largest ‖o − recorded‖/‖recorded‖: how far these slots are from what the run's attention gave; null where that was not recorded. */
  deviation: number | null
}

/**
 * Of one kv head: for every read, query head and merged slot weight, α·ln w, probability received, probability and mass of its members with
 * nothing removed, and both log-ratios. The fitted α is argmin over merged slots and queries of (α·ln w + q·k_slot/√d − ln Σ_members
 * exp(q·k_m/√d))². Float64; time and memory grow with reads × (tokens + slots). Errors: 'invalid' for what does not fit or is not finite,
 * and a query that was not recorded.
 */
export function headCompensation(
  vectors: HeadVectors,
  reads: readonly SlotsRead[],
  options: CompensationOptions,
): HeadCompensation {
  checkVectors(vectors)
  checkReads(vectors, reads)
  const { headDim, group } = vectors
  const alpha = number('alpha', options.alpha, 0, 100)
  const bootstrap = bootstrapOf(options, reads.length)
  const shown = (weight: number) => options.slots === 'all' || weight > 1
  const rows = reads.reduce((sum, { slots }) => sum + slots.filter(({ origins }) => shown(origins.length)).length, 0)
  const columns = emptyColumns(rows * group)
  // Per read: Σ x·r, Σ x², Σ r² of x = ln w and r = q·k_slot/√d − ln Σ exp(q·k_m/√d).
  const sums = { xr: new Float64Array(reads.length), xx: new Float64Array(reads.length) }
  const errors: number[] = []
  let [row, rr, pairs] = [0, 0, 0]
  let deviation: number | null = null
  reads.forEach((read, at) => {
    const { slots } = read
    const keys = slotRows(vectors.keys, headDim, slots, options.keys ?? 'mean')
    const values = slotRows(vectors.values, headDim, slots, options.values ?? 'mean')
    const bias = biasesOf(slots, read.alpha ?? alpha)
    for (const full of queriesOf(vectors, read.position)) {
      const logits = logitsOf(full.q, keys, slots.length)
      const output = attended(logits, bias, values, headDim)
      errors.push(relativeError(output, full.output))
      const given = recorded(vectors, read.position, full.head)
      if (given) deviation = Math.max(deviation ?? 0, relativeError(output, given))
      const lse = logSumExp(logits.map((logit, i) => logit + bias[i]))
      slots.forEach(({ slot, origins }, i) => {
        const weight = origins.length
        const members = logSumExp(full.logits, origins)
        if (weight > 1) {
          const [x, r] = [Math.log(weight), logits[i] - members]
          sums.xr[at] += x * r
          sums.xx[at] += x * x
          rr += r * r
          pairs++
        }
        if (!shown(weight)) return
        const lnMass = logits[i] + bias[i]
        columns.step[row] = read.step
        columns.position[row] = read.position
        columns.head[row] = full.head
        columns.slot[row] = slot
        columns.first[row] = origins[0]
        columns.weight[row] = weight
        columns.bias[row] = bias[i]
        columns.prob[row] = Math.exp(lnMass - lse)
        columns.membersProb[row] = Math.exp(members - full.lse)
        columns.lnMass[row] = lnMass
        columns.membersLnMass[row] = members
        columns.probLogRatio[row] = lnMass - lse - (members - full.lse)
        columns.massLogRatio[row] = lnMass - members
        row++
      })
    }
  })
  return {
    layer: vectors.layer,
    kvHead: vectors.kvHead,
    alpha,
    reads: reads.length,
    group,
    columns,
    fitted: pairs ? fittedOf(sums, rr, pairs, bootstrap) : null,
    bootstrap,
    error: meanOf(errors),
    deviation,
  }
}

function fittedOf(
  { xr, xx }: Record<'xr' | 'xx', Float64Array>,
  rr: number,
  pairs: number,
  bootstrap: Bootstrap,
): FittedAlpha {
  // Only steps with a merged slot say something of α.
  const steps = Array.from(xx.keys()).filter((at) => xx[at] > 0)
  const [top, below] = [steps.map((at) => xr[at]), steps.map((at) => xx[at])]
  const sum = (values: readonly number[], chosen?: ArrayLike<number>) => {
    let all = 0
    for (let i = 0; i < values.length; i++) all += values[chosen ? chosen[i] : i]
    return all
  }
  const alpha = -sum(top) / sum(below)
  const [interval] = intervalsOf(steps.length, { ...bootstrap, block: Math.min(bootstrap.block, steps.length) }, [
    (chosen) => -sum(top, chosen) / sum(below, chosen),
  ])
  const left = rr + 2 * alpha * sum(top) + alpha * alpha * sum(below)
  return { alpha, interval, pairs, rms: Math.sqrt(Math.max(0, left) / pairs) }
}

/** What attention gave to the query at `position`; undefined where it was not recorded. */
function recorded(vectors: HeadVectors, position: number, head: number): Float64Array | undefined {
  const { outputs, group, headDim, firstOutput } = vectors
  const at = ((position - firstOutput) * group + head) * headDim
  return at < 0 || at >= outputs.length ? undefined : Float64Array.from(outputs.subarray(at, at + headDim))
}

function emptyColumns(rows: number): CompensationColumns {
  return {
    step: new Int32Array(rows),
    position: new Int32Array(rows),
    head: new Uint16Array(rows),
    slot: new Int32Array(rows),
    first: new Int32Array(rows),
    weight: new Int32Array(rows),
    bias: new Float64Array(rows),
    prob: new Float64Array(rows),
    membersProb: new Float64Array(rows),
    lnMass: new Float64Array(rows),
    membersLnMass: new Float64Array(rows),
    probLogRatio: new Float64Array(rows),
    massLogRatio: new Float64Array(rows),
  }
}
