/** What became of the tokens that answers need: the Global Eviction Ratio (arXiv 2603.01426), the share of them that every head has evicted. */
import { originsOf } from '../../native-cache.js'
import type { Reading } from '../../reading.js'
import type { Metric } from './measuring.js'

const share = (name: string, about: string): Metric => ({ name, about, unit: 'share', better: 'less' })

export const EVIDENCE_METRICS: readonly Metric[] = [
  share(
    'ger',
    'Global Eviction Ratio: of the tokens that answers need, those that no head of the model keeps as a slot of its own',
  ),
  share('layerGer', 'the same within a layer, mean over layers'),
  share('dropped', 'of the tokens that answers need, those that no head has, not even merged with others'),
]

/** Of the cache as it is now. `positions`: at least one. */
export function evictionRatios({ cache }: Reading, positions: Int32Array): Record<string, number> {
  const { layers } = cache.options.shape
  const [kept, held] = [new Set<number>(), new Set<number>()]
  let missing = 0
  for (let layer = 0; layer < layers; layer++) {
    const here = new Set<number>()
    for (const slots of originsOf(cache.origins(layer)))
      for (const origins of slots) for (const position of origins) (origins.length === 1 ? here : held).add(position)
    for (const position of here) kept.add(position)
    missing += positions.filter((position) => !here.has(position)).length
  }
  const count = positions.length
  return {
    ger: positions.filter((position) => !kept.has(position)).length / count,
    layerGer: missing / layers / count,
    dropped: positions.filter((position) => !kept.has(position) && !held.has(position)).length / count,
  }
}
