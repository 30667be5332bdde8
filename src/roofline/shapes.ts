/** Shapes of well-known models, as their configurations give them, and how many parameters a shape has. */

import type { ModelDescription } from '../model/architectures.js'

export interface ModelShape extends Pick<
  ModelDescription,
  | 'name'
  | 'layers'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'hidden'
  | 'feedForward'
  | 'vocabulary'
  | 'context'
  | 'tiedOutput'
> {
  /** Queries, keys and values have biases. */
  qkvBias: boolean
}

const shape = (
  name: string,
  [layers, heads, kvHeads, headDim]: [number, number, number, number],
  [hidden, feedForward, vocabulary, context]: [number, number, number, number],
  { tiedOutput = false, qkvBias = false } = {},
): ModelShape => ({
  name,
  layers,
  heads,
  kvHeads,
  headDim,
  hidden,
  feedForward,
  vocabulary,
  context,
  tiedOutput,
  qkvBias,
})

const TIED = { tiedOutput: true }

export const SHAPES: readonly ModelShape[] = [
  shape('llama2-7b', [32, 32, 32, 128], [4096, 11008, 32000, 4096]),
  shape('llama2-13b', [40, 40, 40, 128], [5120, 13824, 32000, 4096]),
  shape('llama2-70b', [80, 64, 8, 128], [8192, 28672, 32000, 4096]),
  shape('llama3-8b', [32, 32, 8, 128], [4096, 14336, 128256, 8192]),
  shape('llama3.1-8b', [32, 32, 8, 128], [4096, 14336, 128256, 131072]),
  shape('llama3.1-70b', [80, 64, 8, 128], [8192, 28672, 128256, 131072]),
  shape('llama3.2-1b', [16, 32, 8, 64], [2048, 8192, 128256, 131072], TIED),
  shape('llama3.2-3b', [28, 24, 8, 128], [3072, 8192, 128256, 131072], TIED),
  shape('mistral-7b', [32, 32, 8, 128], [4096, 14336, 32000, 32768]),
  shape('qwen2.5-0.5b', [24, 14, 2, 64], [896, 4864, 151936, 32768], { tiedOutput: true, qkvBias: true }),
  shape('qwen2.5-7b', [28, 28, 4, 128], [3584, 18944, 152064, 131072], { qkvBias: true }),
  shape('smollm2-135m', [30, 9, 3, 64], [576, 1536, 49152, 8192], TIED),
  shape('smollm2-360m', [32, 15, 5, 64], [960, 2560, 49152, 8192], TIED),
  shape('smollm2-1.7b', [24, 32, 32, 64], [2048, 8192, 49152, 8192], TIED),
]

export interface Parameters {
  /** In every matrix that a step multiplies by, the output head included. */
  matrices: number
  /** Norms and biases. */
  vectors: number
  /** One row of it is read for a token; tied, it is among the matrices already. */
  embedding: number
  /** Of the model: each once. */
  total: number
}

/**
 * Parameters of a shape; `devices`: the most that one of so many holds, which share heads, feed-forward columns and rows of the output head among
 * them. Norms and the embedding are on every device.
 */
export function parametersOf(of: ModelShape, devices = 1): Parameters {
  const { layers, heads, kvHeads, headDim, hidden } = of
  const [queries, keys] = [(heads / devices) * headDim, (kvHeads / devices) * headDim]
  const feedForward = Math.ceil(of.feedForward / devices)
  const layer = hidden * (2 * queries + 2 * keys) + 3 * hidden * feedForward
  const output = hidden * Math.ceil(of.vocabulary / devices)
  const matrices = layers * layer + output
  const vectors = layers * (2 * hidden + (of.qkvBias ? queries + 2 * keys : 0)) + hidden
  const embedding = hidden * of.vocabulary
  return { matrices, vectors, embedding, total: matrices + vectors + embedding - (of.tiedOutput ? output : 0) }
}
