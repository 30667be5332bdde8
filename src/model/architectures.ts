/**
 * From GGUF metadata to the shape that the native runner needs. One entry per architecture: which keys it reads and which
 * tensors it must find. A further LLaMA-like architecture is a further entry here and in native/model/architectures.inc.
 */
import { shown, ZslabError } from '../errors.js'
import type { GgufFile, GgufTensor } from './gguf.js'
import { realOf, wholeOf, wholesOf, wordOf } from './metadata.js'

/** What zs_model_config (native/include/zslab/zslab.h) wants, with the architecture's name beside its number. */
export interface ModelDescription {
  /** general.architecture. */
  arch: string
  /** zs_arch. */
  archNumber: number
  name: string
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  hidden: number
  feedForward: number
  vocabulary: number
  /** Tokens the model was trained for. */
  context: number
  /** Rotated part of headDim. */
  ropeDims: number
  ropeBase: number
  normEps: number
  /** True where the embedding is the output head (no output.weight). */
  tiedOutput: boolean
  /** Parameters in all tensors. */
  parameters: number
}

type Expected = Record<string, number[]>

interface Architecture {
  number: number
  /** Tensors with their GGUF shapes; the output head is added where the file has one. */
  once: (d: ModelDescription) => Expected
  /** Tensors of one layer, without "blk.N." in front. */
  perLayer: (d: ModelDescription) => Expected
  /** Keys whose values change the mathematics: [key after the prefix, values that change nothing, what it is]. */
  neutral: [string, (number | string | boolean)[], string][]
}

const ARCHITECTURES: Record<string, Architecture> = {
  llama: {
    number: 0,
    once: (d) => ({ 'token_embd.weight': [d.hidden, d.vocabulary], 'output_norm.weight': [d.hidden] }),
    perLayer: (d) => ({
      'attn_norm.weight': [d.hidden],
      'attn_q.weight': [d.hidden, d.heads * d.headDim],
      'attn_k.weight': [d.hidden, d.kvHeads * d.headDim],
      'attn_v.weight': [d.hidden, d.kvHeads * d.headDim],
      'attn_output.weight': [d.heads * d.headDim, d.hidden],
      'ffn_norm.weight': [d.hidden],
      'ffn_gate.weight': [d.hidden, d.feedForward],
      'ffn_up.weight': [d.hidden, d.feedForward],
      'ffn_down.weight': [d.feedForward, d.hidden],
    }),
    neutral: [
      ['rope.scaling.factor', [0, 1], 'rotary scaling'],
      ['rope.scale_linear', [0, 1], 'rotary scaling'],
      ['rope.scaling.attn_factor', [0, 1], 'rotary scaling'],
      ['expert_count', [0], 'a mixture of experts'],
      ['attention.sliding_window', [0], 'sliding-window attention'],
      ['attention.clamp_kqv', [0], 'clamped queries, keys and values'],
      ['logit_scale', [0, 1], 'scaled logits'],
      ['residual_scale', [0, 1], 'a scaled residual stream'],
      ['embedding_scale', [0, 1], 'scaled embeddings'],
      ['attention.scale', [0], 'an attention scale of its own'],
      ['attention.causal', [true], 'attention to later tokens'],
    ],
  },
}

/**
 * The shape of the model in `gguf`, after checking that every tensor of its architecture is there with the right shape and
 * nothing else is. Errors: 'unsupported' (architecture or a feature), 'file' (missing or contradictory metadata, tensors).
 */
export function describe(gguf: GgufFile): ModelDescription {
  const arch = wordOf(gguf, 'general.architecture')
  const found = Object.hasOwn(ARCHITECTURES, arch) ? ARCHITECTURES[arch] : undefined
  if (!found) {
    const known = Object.keys(ARCHITECTURES).join(', ')
    throw new ZslabError(
      'unsupported',
      `${gguf.path} is a model of architecture ${shown(arch)}; supported so far: ${known}`,
    )
  }
  refuseFeatures(gguf, arch, found)
  const description = shapeOf(gguf, arch, found)
  checkTensors(gguf, description, found)
  return description
}

function refuseFeatures(gguf: GgufFile, arch: string, architecture: Architecture): void {
  const refuse = (key: string, what: string) =>
    new ZslabError(
      'unsupported',
      `${gguf.path} uses ${what} (${arch}.${key} = ${shown(gguf.metadata[`${arch}.${key}`])}), which zslab does not compute yet: use a model without it`,
    )
  for (const [key, neutral, what] of architecture.neutral) {
    const value = gguf.metadata[`${arch}.${key}`]
    if (value !== undefined && !neutral.some((one) => one === value)) throw refuse(key, what)
  }
  // Linear scaling divides positions by the factor, so that by 1, or by none, changes nothing.
  const scaling = gguf.metadata[`${arch}.rope.scaling.type`] ?? 'none'
  if (scaling !== 'none' && scaling !== 'linear') throw refuse('rope.scaling.type', 'rotary scaling')
}

function shapeOf(gguf: GgufFile, arch: string, architecture: Architecture): ModelDescription {
  const whole = (key: string, least: number, most: number, fallback?: number) =>
    wholeOf(gguf, `${arch}.${key}`, least, most, fallback)
  const layers = whole('block_count', 1, 4096)
  const hidden = whole('embedding_length', 1, 2 ** 20)
  const perLayer = (key: string, what: string, most: number, fallback?: number) =>
    sameInLayers(gguf, `${arch}.${key}`, layers, what, most, fallback)
  const heads = perLayer('attention.head_count', 'numbers of heads', 4096)
  const kvHeads = perLayer('attention.head_count_kv', 'numbers of kv heads', 4096, heads)
  const headDim = whole('attention.key_length', 1, 4096, hidden / heads)
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || headDim > 512)
    throw fault(
      gguf,
      `headDim ${headDim} (${arch}.attention.key_length, or embedding_length / head_count)`,
      'an even number up to 512',
    )
  const valueDim = whole('attention.value_length', 1, 4096, headDim)
  if (valueDim !== headDim) throw fault(gguf, `values of ${valueDim} beside keys of ${headDim}`, 'one headDim for both')
  if (heads % kvHeads !== 0) throw fault(gguf, `${heads} heads on ${kvHeads} kv heads`, 'heads divisible by kv heads')
  const ropeDims = whole('rope.dimension_count', 2, headDim, headDim)
  if (ropeDims % 2 !== 0) throw fault(gguf, `${arch}.rope.dimension_count = ${ropeDims}`, 'an even number')
  const embedding = gguf.tensors.find((t) => t.name === 'token_embd.weight')
  if (!embedding || embedding.shape.length !== 2)
    throw fault(gguf, 'no two-dimensional tensor "token_embd.weight"', 'the embedding of a language model')
  const vocabulary = whole('vocab_size', 1, 2 ** 24, embedding.shape[1])
  return {
    arch,
    archNumber: architecture.number,
    name: wordOf(gguf, 'general.name', arch),
    layers,
    heads,
    kvHeads,
    headDim,
    hidden,
    feedForward: perLayer('feed_forward_length', 'widths of the feed-forward part', 2 ** 24),
    vocabulary,
    context: whole('context_length', 1, 2 ** 28),
    ropeDims,
    ropeBase: realOf(gguf, `${arch}.rope.freq_base`, 1e-6, 1e15, 10_000),
    normEps: realOf(gguf, `${arch}.attention.layer_norm_rms_epsilon`, 0, 1),
    tiedOutput: !gguf.tensors.some((t) => t.name === 'output.weight'),
    parameters: gguf.tensors.reduce((sum, t) => sum + t.shape.reduce((a, b) => a * b, 1), 0),
  }
}

/** A number, or one per layer as some converters write it; unequal ones are another architecture. */
function sameInLayers(
  gguf: GgufFile,
  key: string,
  layers: number,
  what: string,
  most: number,
  fallback?: number,
): number {
  if (!Array.isArray(gguf.metadata[key])) return wholeOf(gguf, key, 1, most, fallback)
  const each = wholesOf(gguf, key)
  if (each.length !== layers || each[0] < 1 || each[0] > most)
    throw fault(gguf, `${key} with ${each.length} entries`, `${layers} numbers from 1 to ${most}`)
  if (each.some((n) => n !== each[0]))
    throw new ZslabError(
      'unsupported',
      `${gguf.path} has layers with different ${what} (${key}), which zslab does not run yet`,
    )
  return each[0]
}

function checkTensors(gguf: GgufFile, d: ModelDescription, architecture: Architecture): void {
  const expected = new Map(Object.entries(architecture.once(d)))
  for (let layer = 0; layer < d.layers; layer++)
    for (const [name, shape] of Object.entries(architecture.perLayer(d))) expected.set(`blk.${layer}.${name}`, shape)
  if (!d.tiedOutput) expected.set('output.weight', [d.hidden, d.vocabulary])
  const byName = new Map<string, GgufTensor>(gguf.tensors.map((t) => [t.name, t]))
  for (const [name, shape] of expected) {
    const tensor = byName.get(name)
    if (!tensor) throw fault(gguf, `no tensor "${name}"`, `one of shape [${shape.join(', ')}]`)
    if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i]))
      throw fault(
        gguf,
        `tensor "${name}" of shape [${tensor.shape.join(', ')}]`,
        `[${shape.join(', ')}] from the metadata`,
      )
  }
  for (const { name } of gguf.tensors)
    if (!expected.has(name)) {
      const what = name.startsWith('rope_f')
        ? 'rotary scaling by a table'
        : 'a part of the network that zslab does not compute yet'
      throw new ZslabError(
        'unsupported',
        `${gguf.path} holds the tensor ${shown(name)}, ${what}: use a plain ${d.arch} model`,
      )
    }
}

function fault(gguf: GgufFile, found: string, expected: string): ZslabError {
  return new ZslabError(
    'file',
    `${gguf.path}: found ${found}, expected ${expected}: the file is damaged or was converted wrongly; convert it again`,
  )
}
