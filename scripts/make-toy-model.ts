/**
 * Makes the toy model of the tests: a three-layer LLaMA with a byte-level vocabulary, random weights from a seed, tensors of four
 * types. `npx tsx scripts/make-toy-model.ts [PATH]` writes test/models/toy.gguf; tests make variants with toyModel.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { encodeGguf, type MetadataEntry, type TensorData } from './gguf-writer.js'
import { encode } from './quants.js'

export interface ToyOptions {
  seed?: number
  layers?: number
  heads?: number
  kvHeads?: number
  headDim?: number
  hidden?: number
  feedForward?: number
  context?: number
  /** True: no output.weight, the embedding is the output head. */
  tied?: boolean
  /** GGUF types of the matrices, in turn; left out: F32, F16, Q8_0 and Q4_1. */
  types?: readonly number[]
}

const F32 = 0
const TURN = [0, 1, 8, 3]

/** Uniform numbers in [0, 1) from a 32-bit linear congruential generator; the same on every machine. */
function generator(seed: number): () => number {
  let x = seed >>> 0
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return (x >>> 8) / 2 ** 24
  }
}

/** Nearly normal, variance 1: twelve uniforms, so that no transcendental function of the platform decides a bit. */
function normals(random: () => number, count: number, deviation: number, mean = 0): Float32Array {
  return Float32Array.from({ length: count }, () => {
    let sum = -6
    for (let i = 0; i < 12; i++) sum += random()
    return mean + deviation * sum
  })
}

/** GPT-2's printable stand-ins for the 256 bytes, in the order of its vocabulary. */
export function byteCharacters(): string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255)
  const bytes = Array.from({ length: 256 }, (_, b) => b)
  const others = bytes.filter((b) => !printable(b))
  return [
    ...bytes.filter(printable).map((b) => String.fromCharCode(b)),
    ...others.map((_, i) => String.fromCharCode(256 + i)),
  ]
}

const CONTROL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const USER_DEFINED = ['<note>']
const MERGES = (
  'Ġ t|Ġ a|h e|i n|r e|o n|Ġt he|e r|Ġ s|a t|Ġ w|Ġ o|e n|Ġ c|i t|i s|a n|o r|e s|Ġ b|e d|Ġ f|in g|Ġ p|o u|Ġa n|a l|a r|' +
  'Ġt o|Ġ m|Ġo f|Ġ in|Ġ d|Ġ h|Ġan d|i c|a s|l e|Ġt h|i on|o m|l l|en t|Ġ n|Ġ l|s t|Ġ re|v e|Ġ e|r o|l y|Ġb e|Ġ g|' +
  'Ã ©|ð Ł|Ġ Ġ|Ċ Ċ|ĠĠ ĠĠ|e Ì'
).split('|')

const TEMPLATE =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nA toy.<|im_end|>\\n' }}" +
  "{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

export function toyVocabulary(): { tokens: string[]; types: number[]; merges: string[] } {
  const tokens = [...CONTROL, ...USER_DEFINED, ...byteCharacters(), ...MERGES.map((m) => m.replace(' ', ''))]
  const types = tokens.map((_, i) => (i < CONTROL.length ? 3 : i < CONTROL.length + USER_DEFINED.length ? 4 : 1))
  return { tokens, types, merges: MERGES }
}

/** Metadata and tensors of a toy; encodeGguf makes them a file. */
export function toyModel(options: ToyOptions = {}): { metadata: MetadataEntry[]; tensors: TensorData[] } {
  const {
    seed = 20250314,
    layers = 3,
    heads = 4,
    kvHeads = 2,
    headDim = 16,
    feedForward = 96,
    context = 2048,
    tied = false,
  } = options
  const hidden = options.hidden ?? heads * headDim
  const { tokens, types, merges } = toyVocabulary()
  const whole = (key: string, value: number): MetadataEntry => ({ key, type: 'uint32', value })
  const word = (key: string, value: string): MetadataEntry => ({ key, type: 'string', value })
  const metadata: MetadataEntry[] = [
    word('general.architecture', 'llama'),
    word('general.name', 'zslab toy'),
    word('general.license', 'apache-2.0'),
    whole('llama.block_count', layers),
    whole('llama.context_length', context),
    whole('llama.embedding_length', hidden),
    whole('llama.feed_forward_length', feedForward),
    whole('llama.attention.head_count', heads),
    whole('llama.attention.head_count_kv', kvHeads),
    whole('llama.attention.key_length', headDim),
    whole('llama.attention.value_length', headDim),
    whole('llama.rope.dimension_count', headDim),
    whole('llama.vocab_size', tokens.length),
    { key: 'llama.rope.freq_base', type: 'float32', value: 10_000 },
    { key: 'llama.attention.layer_norm_rms_epsilon', type: 'float32', value: 1e-5 },
    word('tokenizer.ggml.model', 'gpt2'),
    word('tokenizer.ggml.pre', 'smollm'),
    { key: 'tokenizer.ggml.tokens', type: 'array', of: 'string', value: tokens },
    { key: 'tokenizer.ggml.token_type', type: 'array', of: 'int32', value: types },
    { key: 'tokenizer.ggml.merges', type: 'array', of: 'string', value: merges },
    whole('tokenizer.ggml.bos_token_id', 1),
    whole('tokenizer.ggml.eos_token_id', 2),
    whole('tokenizer.ggml.padding_token_id', 2),
    { key: 'tokenizer.ggml.add_bos_token', type: 'bool', value: false },
    word('tokenizer.chat_template', TEMPLATE),
  ]

  const random = generator(seed)
  const tensors: TensorData[] = []
  let turns = 0
  const typeOf = (usual: number) => (options.types ? options.types[turns++ % options.types.length] : usual)
  const add = (name: string, shape: number[], type: number, values: Float32Array) => {
    const data = encode(type, values)
    tensors.push({ name, type, shape, bytes: data.length, data })
  }
  /** Deviation gain / sqrt(inputs): activations keep their size from layer to layer. */
  const matrix = (name: string, inputs: number, rows: number, type: number, gain: number) =>
    add(name, [inputs, rows], typeOf(type), normals(random, inputs * rows, gain / Math.sqrt(inputs)))
  const norm = (name: string) => add(name, [hidden], F32, normals(random, hidden, 0.1, 1))

  add('token_embd.weight', [hidden, tokens.length], typeOf(8), normals(random, hidden * tokens.length, 1))
  for (let layer = 0; layer < layers; layer++) {
    const turn = (i: number) => TURN[(layer + i) % TURN.length]
    const b = `blk.${layer}.`
    norm(`${b}attn_norm.weight`)
    // Queries and keys are larger, so that attention prefers some tokens to others.
    matrix(`${b}attn_q.weight`, hidden, heads * headDim, turn(0), 1.6)
    matrix(`${b}attn_k.weight`, hidden, kvHeads * headDim, turn(1), 1.6)
    matrix(`${b}attn_v.weight`, hidden, kvHeads * headDim, turn(2), 1.5)
    matrix(`${b}attn_output.weight`, heads * headDim, hidden, turn(3), 1.5)
    norm(`${b}ffn_norm.weight`)
    matrix(`${b}ffn_gate.weight`, hidden, feedForward, turn(1), 1.2)
    matrix(`${b}ffn_up.weight`, hidden, feedForward, turn(2), 1.2)
    matrix(`${b}ffn_down.weight`, feedForward, hidden, turn(3), 1.5)
  }
  norm('output_norm.weight')
  if (!tied) {
    // Logits of deviation 3 leave the best token a clear lead; small rows make the control tokens rare, so that texts go on.
    const head = normals(random, hidden * tokens.length, 3 / Math.sqrt(hidden))
    head.subarray(0, CONTROL.length * hidden).forEach((x, i, rows) => (rows[i] = x / 4))
    add('output.weight', [hidden, tokens.length], typeOf(1), head)
  }
  return { metadata, tensors }
}

export function toyFile(options: ToyOptions = {}): Buffer {
  const { metadata, tensors } = toyModel(options)
  return encodeGguf(metadata, tensors)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = process.argv[2] ?? fileURLToPath(new URL('../test/models/toy.gguf', import.meta.url))
  const file = toyFile()
  writeFileSync(path, file)
  console.log(`${path}: ${file.length} bytes`)
}
