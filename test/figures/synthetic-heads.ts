/** Seeded measures of heads of any shape, as figures take them. */
import type { HeadMeasures, MeasureOfHeads } from '../../src/figures/head-measures.js'
import { draws } from '../src/model/files.js'

export interface MeasuredShape {
  layers?: number
  heads?: number
  kvHeads?: number
  names?: readonly string[]
  /** Measured heads among all. */
  share?: number
}

const UNITS: Record<string, string> = { ablation: 'nats', distance: 'tokens', entropy: 'nats', outputNorm: '1' }
const KV: Record<string, MeasureOfHeads['kv']> = { kvzip: 'own', ablation: 'max' }
export const NAMES = ['ablation', 'distance', 'entropy', 'sinkMass', 'previous', 'inductionNext', 'outputNorm', 'kvzip']

export function importanceMade(shape: MeasuredShape = {}): HeadMeasures {
  const { layers = 30, heads = 9, kvHeads = 3, names = NAMES, share = 1 } = shape
  const draw = draws(layers * 100 + heads)
  const part = () => draw(1 << 20) / (1 << 20)
  const measured = Array.from({ length: layers * heads }, () => part() < share)
  measured[0] = true
  const of = (name: string): MeasureOfHeads => {
    const kv = KV[name] ?? 'mean'
    const values = Array.from({ length: layers }, (_, layer) => {
      const row = new Float64Array(heads)
      for (let head = 0; head < heads; head++) {
        const repeated = kv === 'own' && head % (heads / kvHeads) > 0
        // Few are large.
        row[head] = repeated ? row[head - 1] : name === 'ablation' ? Math.exp(-9 * part()) : part() ** 2
        if (name === 'distance') row[head] *= 900
      }
      return row.map((value, head) => (measured[layer * heads + head] ? value : NaN))
    })
    return { name, unit: UNITS[name] ?? 'share', kv, values }
  }
  const bins = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256].map((from) => ({ from, to: from < 2 ? from : 2 * from - 1 }))
  const shares = Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: heads }, (_, head) => {
      const given = bins.map((_, bin) => (bin < 9 ? part() ** 3 : 0))
      const sum = given.reduce((all, one) => all + one, 0)
      return Float64Array.from(given, (one) => (measured[layer * heads + head] ? one / sum : NaN))
    }),
  )
  return {
    layers,
    heads,
    kvHeads,
    measures: Object.fromEntries(names.map((name) => [name, of(name)])),
    distances: names.includes('distance') ? { bins, shares } : null,
    card: { model: { name: 'models/synthetic.gguf' } },
  }
}
