/** What slots could have given the prompt's last queries: weights and values by least squares, of all slots or of merged ones alone. */
import { ZslabError } from '../errors.js'
import { integer, number } from '../expect.js'
import { Breaks } from './breaks.js'
import { slotRows, weighted, type Centroid, type ReadSlot } from './head.js'
import { Equations } from './least-squares.js'
import { seenByPrompt } from './oracle-rows.js'
import type { HeadVectors } from './vectors.js'

/** Equations for each slot below which solutions are held back, and how strongly. */
const ENOUGH = 4
const RIDGE = 1e-3
/** Least weight of the clamped variant, as in the Attention Matching code. */
const LEAST_WEIGHT = 1e-12

export interface FitOptions {
  /** Of the run. */
  alpha: number
  keys?: Centroid
  values?: Centroid
  promptTokens: number
  /** Equations (queries of the prompt's last rows) for each slot that is fitted, as far as they were recorded. Default 8. */
  equations?: number
  /** Of all fits; default 0, and 1e-3 with fewer than 4 equations a slot. */
  ridge?: number
}

/** Weights of all slots; these by ridge and clamp; values beside these weights; weights, and values, of merged slots alone. */
export const ORACLES = ['bias', 'clamped', 'values', 'merged', 'mergedValues'] as const
export type OracleName = (typeof ORACLES)[number]

/** As an oracle would have them. */
export interface FittedSlots {
  /** [slots] w of w·exp(q·c/√d). Slots of tokens since the prompt alone keep 1. */
  weights: Float64Array
  /** [slots, headDim] */
  values: Float64Array
}

/** √(Σ what is left² / Σ what was to be reached²) over the equations of a fit. */
export interface Left {
  /** Of Σ_j w_j·exp(q·c_j/√d) beside Σ_t exp(q·k_t/√d). */
  mass: number
  output: number
}

/** On the equations of all slots, and on those of merged slots alone: the prompt's last. */
export interface OracleLeft {
  all: Record<'drop' | 'zsmerge' | 'bias' | 'clamped' | 'values', Left>
  merged: Record<'drop' | 'zsmerge' | 'merged' | 'mergedValues', Left>
}

/** Of one read's slots. drop: each slot's first token alone; zsmerge: as the run merged. */
export interface OracleFit {
  slots: Record<OracleName, FittedSlots>
  left: OracleLeft
  equations: number
  /** The larger one of all slots' and of merged ones'. */
  ridge: number
}

/**
 * All fits for one read's slots. `bias`: argmin over w ≥ 0 of Σ_i (Σ_j w_j·exp(q_i·c_j/√d) − Σ_t exp(q_i·k_t/√d))² over slots j and
 * tokens t, each row divided by its largest exp(q_i·k_t/√d); `clamped`: the same without w ≥ 0, with ridge 1e-3 (or more), then raised to
 * 1e-12; `values`: argmin over C of Σ_i ‖softmax(q_i·c/√d + ln w)·C − output_i‖² (Attention Matching, arXiv 2602.16284). `merged` and
 * `mergedValues`: the same while slots of one token stay as they are, which is right for them: free, they make up for the mass of others,
 * of which a sum over all cannot say whose it is. What each query saw: seenByPrompt.
 */
export async function fitOracle(
  vectors: HeadVectors,
  slots: readonly ReadSlot[],
  options: FitOptions,
  breaks = new Breaks(),
): Promise<OracleFit> {
  const { headDim, group, firstQuery, queries } = vectors
  const each = options.equations === undefined ? 8 : integer('equations', options.equations, 1, 1000)
  const promptTokens = integer('promptTokens', options.promptTokens, 1)
  const given = options.ridge === undefined ? undefined : number('ridge', options.ridge, 0, 1e6)
  const recorded = Math.min(promptTokens - firstQuery, queries.length / (group * headDim))
  if (recorded < 1)
    throw new ZslabError(
      'invalid',
      `oracles are fitted on queries of the prompt, positions below ${promptTokens}, but those from position ${firstQuery} on were recorded: make the session with trace: { level: 'vectors', queries: n }, which keeps the prompt's last n (default 512)`,
    )
  // No query of the prompt can speak of slots that hold only what came later.
  const fitted = Array.from(slots.keys()).filter((i) => slots[i].origins.some((origin) => origin < promptTokens))
  const known = fitted.map((i) => slots[i])
  const all = Array.from(fitted.keys())
  const merged = all.filter((i) => known[i].origins.length > 1)
  const rowsFor = (count: number) => Math.min(recorded, Math.ceil((each * count) / group))
  const ridgeFor = (count: number) => given ?? (rowsFor(count) * group < ENOUGH * count ? RIDGE : 0)
  const rows = rowsFor(all.length)
  const equations = rows * group
  const { masses, firsts, outputs } = await seenByPrompt(vectors, known, { ...options, rows }, breaks)
  const values = slotRows(vectors.values, headDim, known, options.values ?? 'mean')

  const bias = await weightsOf(all)
  const clamping = masses.withRidge(ridgeFor(all.length) || RIDGE)
  const clamped = (await clamping.solution(breaks)).map((weight) => Math.max(weight, LEAST_WEIGHT))
  const alone = await weightsOf(merged)
  const found: Record<OracleName, FittedSlots> = {
    bias: { weights: bias, values },
    clamped: { weights: clamped, values },
    values: { weights: bias, values: await valuesOf(all, bias) },
    merged: { weights: alone, values },
    mergedValues: { weights: alone, values: await valuesOf(merged, alone) },
  }
  const drop = {
    weights: new Float64Array(all.length).fill(1),
    values: slotRows(vectors.values, headDim, known.map(first), 'mean'),
  }
  const asRun = { weights: Float64Array.from(known, ({ origins }) => origins.length ** options.alpha), values }
  const [everyRow, lastRows] = [rows, rowsFor(merged.length)]
  const left: OracleLeft = {
    all: {
      drop: await leftOf(firsts, drop, everyRow),
      zsmerge: await leftOf(masses, asRun, everyRow),
      bias: await leftOf(masses, found.bias, everyRow),
      clamped: await leftOf(masses, found.clamped, everyRow),
      values: await leftOf(masses, found.values, everyRow),
    },
    merged: {
      drop: await leftOf(firsts, drop, lastRows),
      zsmerge: await leftOf(masses, asRun, lastRows),
      merged: await leftOf(masses, found.merged, lastRows),
      mergedValues: await leftOf(masses, found.mergedValues, lastRows),
    },
  }
  for (const name of Object.keys(found) as OracleName[]) found[name] = everywhere(found[name])
  return {
    slots: found,
    left,
    equations,
    ridge: Math.max(ridgeFor(all.length), ridgeFor(merged.length)),
  }

  /** Of all slots; those that are not among `free` stay 1. */
  async function weightsOf(free: readonly number[]): Promise<Float64Array> {
    const made = new Float64Array(all.length).fill(1)
    if (!free.length) return made
    const others = complement(free)
    const system = new Equations(rowsFor(free.length) * group, free.length, 1)
    for (let i = 0; i < system.rows; i++) {
      const [row, from] = [system.row(i), masses.row(equations - system.rows + i)]
      free.forEach((slot, j) => (row[j] = from[slot]))
      row[free.length] = others.reduce((mass, slot) => mass - from[slot], from[all.length])
    }
    const ridge = ridgeFor(free.length)
    const weights = await (ridge ? system.withRidge(ridge) : system).nonNegative(breaks)
    free.forEach((slot, j) => (made[slot] = weights[j]))
    return made
  }

  /** Of all slots; those that are not among `free`, or of weight 0 and never read, stay what they are. */
  async function valuesOf(free: readonly number[], weights: Float64Array): Promise<Float64Array> {
    const made = values.slice()
    const used = free.filter((slot) => weights[slot] > 0)
    if (!used.length) return made
    const others = complement(used)
    const rest = new Float64Array(all.length)
    const system = new Equations(rowsFor(free.length) * group, used.length, headDim)
    for (let i = 0; i < system.rows; i++) {
      if (breaks.due()) await breaks.take()
      const at = equations - system.rows + i
      const probs = sharesOf(masses.row(at), weights)
      const row = system.row(i)
      used.forEach((slot, j) => (row[j] = probs[slot]))
      others.forEach((slot) => (rest[slot] = probs[slot]))
      const kept = weighted(rest, values, headDim)
      for (let j = 0; j < headDim; j++) row[used.length + j] = outputs[at * headDim + j] - kept[j]
    }
    const ridge = ridgeFor(free.length)
    const solved = await (ridge ? system.withRidge(ridge) : system).solution(breaks)
    used.forEach((slot, j) => made.set(solved.subarray(j * headDim, (j + 1) * headDim), slot * headDim))
    return made
  }

  async function leftOf(seen: Equations, { weights, values }: FittedSlots, rows: number): Promise<Left> {
    const sums = { mass: 0, masses: 0, output: 0, outputs: 0 }
    for (let i = equations - rows * group; i < equations; i++) {
      if (breaks.due()) await breaks.take()
      const row = seen.row(i)
      const wanted = row[all.length]
      sums.mass += (weights.reduce((sum, weight, slot) => sum + weight * row[slot], 0) - wanted) ** 2
      sums.masses += wanted ** 2
      const output = weighted(sharesOf(row, weights), values, headDim)
      for (let j = 0; j < headDim; j++) {
        sums.output += (output[j] - outputs[i * headDim + j]) ** 2
        sums.outputs += outputs[i * headDim + j] ** 2
      }
    }
    const share = (part: number, whole: number) => (whole ? Math.sqrt(part / whole) : 0)
    return { mass: share(sums.mass, sums.masses), output: share(sums.output, sums.outputs) }
  }

  function complement(some: readonly number[]): number[] {
    const among = new Set(some)
    return all.filter((slot) => !among.has(slot))
  }

  /** With the slots that nothing was fitted of. */
  function everywhere({ weights, values }: FittedSlots): FittedSlots {
    const made = {
      weights: new Float64Array(slots.length).fill(1),
      values: slotRows(vectors.values, headDim, slots, options.values ?? 'mean'),
    }
    fitted.forEach((slot, i) => {
      made.weights[slot] = weights[i]
      made.values.set(values.subarray(i * headDim, (i + 1) * headDim), slot * headDim)
    })
    return made
  }
}

const first = ({ slot, origins: [origin] }: ReadSlot): ReadSlot => ({ slot, origins: [origin] })

/** Probabilities of slots from their masses; all 0 where none has any. */
function sharesOf(row: Float64Array, weights: Float64Array): Float64Array {
  const made = weights.map((weight, slot) => weight * row[slot])
  const sum = made.reduce((a, b) => a + b, 0)
  return sum ? made.map((mass) => mass / sum) : made
}
