/** DuoAttention's question without training: does the head's mean query, on its mean key at many positions, look far or near? */
import type { LoadedModel } from '../loaded-model.js'
import { watched, type Measure, type Probe, type Work } from './measure.js'

/** Positions that the mean query and key are turned to. */
const POSITIONS = 500

const MEASURES: readonly Measure[] = [
  {
    name: 'duoOnTheFly',
    formula: `mean query and key over the texts' tokens before rotation, turned to positions 0 … ${POSITIONS - 1}; p = softmax of the last query over all of them; mean over positions of Σ_{s ≤ position} p: 1 = all on the oldest, 1/${POSITIONS} = all on itself; mean over the group. High = retrieval head`,
    unit: 'share',
    least: 1 / POSITIONS,
    most: 1,
    source: 'kvpress, DuoAttentionPress (on_the_fly_scoring); question of DuoAttention, arXiv 2410.10819',
    differs: 'texts weigh alike in the mean; kvpress reads 50 texts of its own choice',
    kv: 'own',
    leastTokens: 1,
  },
]

interface Means {
  queries: Float64Array
  keys: Float64Array
}

/** [layers, heads] of one text, or of the mean of several texts' means. */
function scores({ description }: LoadedModel, { queries, keys }: Means): Float64Array {
  const { layers, heads, kvHeads, headDim, ropeDims, ropeBase } = description
  const group = heads / kvHeads
  const pairs = ropeDims / 2
  const scale = 1 / Math.sqrt(headDim)
  // Once for all heads: nobody waits to interrupt half a second of sines.
  const angles = Float64Array.from({ length: POSITIONS * pairs }, (_, at) => {
    const s = Math.floor(at / pairs)
    // Turned by their positions, so that only the distance counts.
    return (POSITIONS - 1 - s) * Math.fround(ropeBase) ** (-(at % pairs) / pairs)
  })
  const [cosines, sines] = [angles.map(Math.cos), angles.map(Math.sin)]
  const found = new Float64Array(layers * heads)
  for (let layer = 0; layer < layers; layer++)
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const key = (layer * kvHeads + kvHead) * headDim
      let sum = 0
      for (let g = 0; g < group; g++) {
        const query = (layer * heads + kvHead * group + g) * headDim
        const logits = new Float64Array(POSITIONS)
        for (let s = 0; s < POSITIONS; s++) {
          let dot = 0
          for (let i = 0; i < pairs; i++) {
            const at = s * pairs + i
            const [a, b] = [queries[query + 2 * i], queries[query + 2 * i + 1]]
            const [c, d] = [keys[key + 2 * i], keys[key + 2 * i + 1]]
            dot += (a * c + b * d) * cosines[at] + (b * c - a * d) * -sines[at]
          }
          for (let i = ropeDims; i < headDim; i++) dot += queries[query + i] * keys[key + i]
          logits[s] = dot * scale
        }
        sum += meanOfRunningSums(logits) / group
      }
      for (let g = 0; g < group; g++) found[layer * heads + kvHead * group + g] = sum
    }
  return found
}

/** Of the softmax of `logits`. */
function meanOfRunningSums(logits: Float64Array): number {
  const highest = Math.max(...logits)
  const e = logits.map((logit) => Math.exp(logit - highest))
  const total = e.reduce((sum, each) => sum + each, 0)
  let running = 0
  let sum = 0
  for (const each of e) {
    running += each / total
    sum += running
  }
  return sum / logits.length
}

export const duo = (): Probe => ({
  name: 'duo',
  measures: MEASURES,
  more: ({
    model: {
      description: { layers, heads, kvHeads, headDim },
    },
  }) => ({
    queries: layers * heads * headDim,
    keys: layers * kvHeads * headDim,
  }),
  layers: ({ model }) => model.description.layers,
  async run(work: Work) {
    const { model, ids, marks, values, more } = work
    const { layers, heads, kvHeads, headDim } = model.description
    const queries = new Float64Array(layers * heads * headDim)
    const keys = new Float64Array(layers * kvHeads * headDim)
    // All heads: a kv head's score is of its whole group.
    await watched({ ...work, marks: new Uint8Array(layers * heads).fill(1) }, ids, {
      meanQueries: queries,
      meanKeys: keys,
    })
    more.set('queries', queries).set('keys', keys)
    const found = scores(model, { queries, keys })
    values.get('duoOnTheFly')!.forEach((_, head, to) => (to[head] = marks[head] ? found[head] : NaN))
  },
  pooled(works) {
    const mean = (name: keyof Means) => {
      const texts = works.map(({ more }) => more.get(name)!)
      return texts[0].map((_, i) => texts.reduce((sum, text) => sum + text[i], 0) / texts.length)
    }
    return scores(works[0].model, { queries: mean('queries'), keys: mean('keys') })
  },
})
