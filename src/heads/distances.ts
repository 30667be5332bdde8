/** How far back heads look: the mean distance, and how much of their attention goes how far. */
import { eachMarked, headCount, watched, type Measure, type Probe, type Work } from './measure.js'

const MEASURES: readonly Measure[] = [
  {
    name: 'distance',
    formula: 'Σ A[t, s] · (t − s) / T over all t and s ≤ t',
    unit: 'tokens',
    least: 0,
    most: Infinity,
    source: 'Vig and Belinkov 2019, arXiv 1906.04284',
    differs: '',
    kv: 'mean',
    leastTokens: 2,
  },
]

/** [layers, heads, bins]: share of attention by distance (distanceBins()). */
export const BY_DISTANCE = 'byDistance'

/** Distances from `from` to `to`, the latter included. */
export interface DistanceBin {
  from: number
  to: number
}

/** 0, 1, 2 to 3, 4 to 7 … by powers of two, as far as a text of `context` tokens goes. */
export function distanceBins(context: number): DistanceBin[] {
  const bins: DistanceBin[] = [{ from: 0, to: 0 }]
  for (let from = 1; from < context; from *= 2) bins.push({ from, to: Math.min(2 * from, context) - 1 })
  return bins
}

export const distances = (): Probe => ({
  name: 'distances',
  measures: MEASURES,
  more: ({ model }) => ({ [BY_DISTANCE]: headCount(model) * distanceBins(model.description.context).length }),
  layers: ({ model }) => model.description.layers,
  run,
})

async function run(work: Work): Promise<void> {
  const { model, ids, marks, values } = work
  const bins = distanceBins(model.description.context).length
  const count = marks.reduce((sum, marked) => sum + marked, 0)
  const sums = new Float64Array(count)
  const byDistance = new Float64Array(count * bins)
  await watched(work, ids, { distances: sums, byDistance, distanceBins: bins })
  const shares = new Float64Array(headCount(model) * bins).fill(NaN)
  eachMarked(marks, (head, i) => {
    values.get('distance')![head] = sums[i] / ids.length
    for (let bin = 0; bin < bins; bin++) shares[head * bins + bin] = byDistance[i * bins + bin] / ids.length
  })
  work.more.set(BY_DISTANCE, shares)
}
