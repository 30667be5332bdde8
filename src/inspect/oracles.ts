/** What could be reached with the same slots: weights and values fitted on the prompt's queries, judged on those that came after. */
import { integer, number } from '../expect.js'
import { ZslabError } from '../errors.js'
import {
  attended,
  biasesOf,
  checkReads,
  checkVectors,
  logitsOf,
  logSumExp,
  probsOf,
  queriesOf,
  relativeError,
  slotRows,
  weighted,
  type Centroid,
  type ReadSlot,
  type SlotsRead,
} from './head.js'
import type { HeadVectors } from './vectors.js'
import { Equations } from './least-squares.js'

/** Equations for each slot below which solutions are held back, and how strongly. */
const ENOUGH = 4
const RIDGE = 1e-3
/** Least weight of the clamped variant, as in the Attention Matching code. */
const LEAST_WEIGHT = 1e-12

export interface OracleOptions {
  /** Of the run. */
  alpha: number
  keys?: Centroid
  values?: Centroid
  promptTokens: number
  /** Decode reads that are judged, evenly spaced; each has fits of its own. Default 8. */
  judged?: number
  /** Equations (queries of the prompt's last rows) for each slot, as far as they were recorded. Default 8. */
  equations?: number
  /** Of all three fits; default 0, and 1e-3 with fewer than 4 equations a slot. */
  ridge?: number
}

/** Of one read's slots. */
export interface OracleFit {
  /** [slots] w ≥ 0: the least squares on masses. Slots of tokens since the prompt alone keep 1. */
  weights: Float64Array
  /** [slots] the same without w ≥ 0, with ridge 1e-3 (or more), then raised to 1e-12. */
  clamped: Float64Array
  /** [slots, headDim]: least squares on outputs, under the bias ln `weights`. */
  values: Float64Array
  equations: number
  ridge: number
}

export type OracleName = 'bias' | 'clamped' | 'values'

export interface HeadOracles {
  layer: number
  kvHead: number
  /** Of the judged reads. */
  steps: Int32Array
  /** Mean of ‖o − o*‖/‖o*‖ over judged reads and query heads. drop: each slot's first token alone; zsmerge: as the run merged. */
  errors: Record<'drop' | 'zsmerge' | OracleName, number>
  /** (drop − zsmerge) / (drop − oracle): the part of what can be won over dropping that the run won; null where that is nothing. */
  shares: Record<OracleName, number | null>
  /** Equations and slots of the smallest fit; ridge: the largest that was used. */
  equations: number
  slots: number
  ridge: number
}

/**
 * Oracles of one kv head, as Attention Matching fits them (arXiv 2602.16284): weights w ≥ 0 with Σ_j w_j·exp(q·c_j/√d) ≈ Σ_t exp(q·k_t/√d)
 * over slots j and tokens t, each row divided by its largest exp(q·k_t/√d); values with softmax(q·c/√d + ln w)·C ≈ outputs. Every query of
 * the fit sees every token, as theirs do. Errors: 'invalid' where no query of the prompt was recorded, or none after it.
 */
export function headOracles(vectors: HeadVectors, reads: readonly SlotsRead[], options: OracleOptions): HeadOracles {
  checkVectors(vectors)
  checkReads(vectors, reads)
  const alpha = number('alpha', options.alpha, 0, 100)
  const wanted = options.judged === undefined ? 8 : integer('judged', options.judged, 1)
  const after = reads.filter(({ position }) => position >= options.promptTokens)
  if (!after.length)
    throw new ZslabError('invalid', 'oracles are judged on queries after the prompt, and there is none')
  const count = Math.min(wanted, after.length)
  const judged = Array.from({ length: count }, (_, i) => after[Math.floor(((i + 0.5) * after.length) / count)])
  const errors = { drop: 0, zsmerge: 0, bias: 0, clamped: 0, values: 0 }
  let [equations, slots, ridge] = [Infinity, 1, 0]
  const { headDim, group } = vectors
  for (const read of judged) {
    const { length } = read.slots
    const fit = fitOracle(vectors, read.slots, options)
    const keys = slotRows(vectors.keys, headDim, read.slots, options.keys ?? 'mean')
    const values = slotRows(vectors.values, headDim, read.slots, options.values ?? 'mean')
    const firsts = read.slots.map(({ origins: [origin] }) => origin)
    const first = { keys: rowsAt(vectors.keys, headDim, firsts), values: rowsAt(vectors.values, headDim, firsts) }
    const ln = (weights: Float64Array) => weights.map((weight) => Math.log(weight))
    const [bias, clamped] = [ln(fit.weights), ln(fit.clamped)]
    for (const { q, output } of queriesOf(vectors, read.position)) {
      const logits = logitsOf(q, keys, length)
      const add = (name: keyof typeof errors, made: Float64Array) =>
        (errors[name] += relativeError(made, output) / (count * group))
      add('drop', attended(logitsOf(q, first.keys, length), undefined, first.values, headDim))
      add('zsmerge', attended(logits, biasesOf(read.slots, read.alpha ?? alpha), values, headDim))
      add('bias', attended(logits, bias, values, headDim))
      add('clamped', attended(logits, clamped, values, headDim))
      add('values', attended(logits, bias, fit.values, headDim))
    }
    if (fit.equations / length < equations / slots) [equations, slots] = [fit.equations, length]
    ridge = Math.max(ridge, fit.ridge)
  }
  const share = (name: OracleName) => {
    const most = errors.drop - errors[name]
    return most > 0 ? (errors.drop - errors.zsmerge) / most : null
  }
  return {
    layer: vectors.layer,
    kvHead: vectors.kvHead,
    steps: Int32Array.from(judged, ({ step }) => step),
    errors,
    shares: { bias: share('bias'), clamped: share('clamped'), values: share('values') },
    equations,
    slots,
    ridge,
  }
}

/** All three fits for one read's slots. */
export function fitOracle(
  vectors: HeadVectors,
  slots: readonly ReadSlot[],
  options: Omit<OracleOptions, 'alpha' | 'judged'>,
): OracleFit {
  const { headDim, group, firstQuery, queries, keys, values } = vectors
  const each = options.equations === undefined ? 8 : integer('equations', options.equations, 1, 1000)
  const promptTokens = integer('promptTokens', options.promptTokens, 1)
  const recorded = Math.min(promptTokens - firstQuery, queries.length / (group * headDim))
  if (recorded < 1)
    throw new ZslabError(
      'invalid',
      `oracles are fitted on queries of the prompt, positions below ${promptTokens}, but those from position ${firstQuery} on were recorded`,
    )
  // No query of the prompt can speak of slots that hold only what came later.
  const fitted = Array.from(slots.keys()).filter((i) => slots[i].origins.some((origin) => origin < promptTokens))
  const tokens = Array.from({ length: promptTokens }, (_, t) => t)
  for (const i of fitted) tokens.push(...slots[i].origins.filter((origin) => origin >= promptTokens))
  const slotKeys = slotRows(
    keys,
    headDim,
    fitted.map((i) => slots[i]),
    options.keys ?? 'mean',
  )
  const all = { keys: rowsAt(keys, headDim, tokens), values: rowsAt(values, headDim, tokens) }
  const rows = Math.min(recorded, Math.ceil((each * fitted.length) / group))
  const equations = rows * group
  const ridge =
    options.ridge === undefined
      ? equations < ENOUGH * fitted.length
        ? RIDGE
        : 0
      : number('ridge', options.ridge, 0, 1e6)

  const masses = new Equations(equations, fitted.length, 1)
  const logits: Float64Array[] = []
  const outputs: Float64Array[] = []
  for (let i = 0; i < equations; i++) {
    const at = ((promptTokens - firstQuery - rows) * group + i) * headDim
    const q = queries.subarray(at, at + headDim)
    const full = logitsOf(q, all.keys, tokens.length)
    const [top, lse] = [full.reduce((a, b) => Math.max(a, b)), logSumExp(full)]
    logits.push(logitsOf(q, slotKeys, fitted.length))
    outputs.push(weighted(probsOf(full, lse), all.values, headDim))
    const row = masses.row(i)
    logits[i].forEach((logit, j) => (row[j] = Math.exp(logit - top)))
    row[fitted.length] = Math.exp(lse - top)
  }
  const own = (found: Float64Array, kept: (slot: number) => number) => {
    const made = Float64Array.from(slots, (_, slot) => kept(slot))
    fitted.forEach((slot, i) => (made[slot] = found[i]))
    return made
  }
  const found = (ridge ? masses.withRidge(ridge) : masses).nonNegative()
  const clamped = masses
    .withRidge(ridge || RIDGE)
    .solution()
    .map((weight) => Math.max(weight, LEAST_WEIGHT))
  return {
    weights: own(found, () => 1),
    clamped: own(clamped, () => 1),
    values: fittedValues(),
    equations,
    ridge,
  }

  /** Slots of weight 0 are not read, whatever their value. */
  function fittedValues(): Float64Array {
    const made = slotRows(values, headDim, slots, options.values ?? 'mean')
    const used = Array.from(found.keys()).filter((i) => found[i] > 0)
    if (!used.length) return made
    const system = new Equations(equations, used.length, headDim)
    for (let i = 0; i < equations; i++) {
      const row = system.row(i)
      row.set(probsOf(Float64Array.from(used, (j) => logits[i][j] + Math.log(found[j]))))
      row.set(outputs[i], used.length)
    }
    const solved = (ridge ? system.withRidge(ridge) : system).solution()
    used.forEach((j, i) => made.set(solved.subarray(i * headDim, (i + 1) * headDim), fitted[j] * headDim))
    return made
  }
}

function rowsAt(rows: Float32Array, headDim: number, places: readonly number[]): Float32Array {
  const made = new Float32Array(places.length * headDim)
  places.forEach((place, i) => made.set(rows.subarray(place * headDim, (place + 1) * headDim), i * headDim))
  return made
}
