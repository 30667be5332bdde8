/**
 * A model whose heads are known, written weight by weight: two layers of four heads on two kv heads, no feed-forward part. Layer 0, head 0
 * attends to the previous token and writes who that was; layer 1, head 2 attends to where the token before is the one it stands on, and
 * copies what is there into the prediction (an induction head); layer 0, head 3 gives the same vector everywhere, bit for bit. The others are small noise.
 * Tokens are codes of ±1, so that all have one norm.
 */
import { encodeGguf, type MetadataEntry, type TensorData } from '../../scripts/gguf-writer.js'
import { encode } from '../../scripts/quants.js'
import { toyModel, toyVocabulary } from '../../scripts/make-toy-model.js'
import { draws } from '../src/model/files.js'

export const PREVIOUS = { layer: 0, head: 0 }
export const COPYING = { layer: 1, head: 2 }
export const CONSTANT = { layer: 0, head: 3 }

const [LAYERS, HEADS, KV_HEADS, GROUP] = [2, 4, 2, 2]
const CODE = 64
/** Rotated part of a head, before the part that holds codes. */
const ROTATED = 16
const HEAD_DIM = ROTATED + CODE
const HIDDEN = 256
/** Where the residual stream holds: the token, the token before it, what is predicted, a constant, what nobody reads. */
const [TOKEN, BEFORE, NEXT, ONE, UNREAD] = [0, CODE, 2 * CODE, 3 * CODE, 3 * CODE + 1]
const NOISE = 0.01

/** Rows of weights [outputs][inputs] that are set one by one. */
class Matrix {
  readonly values: Float32Array
  constructor(
    readonly inputs: number,
    readonly outputs: number,
  ) {
    this.values = new Float32Array(inputs * outputs)
  }
  set(output: number, input: number, value: number): void {
    this.values[output * this.inputs + input] = value
  }
  /** outputs [to, to + count) take inputs [from, from + count). */
  copies(to: number, from: number, gain: number, count = CODE): void {
    for (let i = 0; i < count; i++) this.set(to + i, from + i, gain)
  }
}

export function copyingFile(): Buffer {
  const draw = draws(5)
  const noise = () => (NOISE * (draw(2001) - 1000)) / 1000
  const { tokens, types, merges } = toyVocabulary()
  // The lead-in of a needle ends in a token that is nowhere else, and there are whole words for needles.
  const words = Array.from(
    { length: 40 },
    (_, i) => `Ġword${String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26))}`,
  )
  const all = [...tokens, 'Ġare', ...words]
  const changed: Record<string, MetadataEntry['value']> = {
    'llama.vocab_size': all.length,
    'llama.rope.dimension_count': ROTATED,
    'tokenizer.ggml.tokens': all,
    'tokenizer.ggml.token_type': [...types, ...all.slice(tokens.length).map(() => 1)],
    'tokenizer.ggml.merges': [...merges, 'Ġa re'],
  }
  const shape = { layers: LAYERS, heads: HEADS, kvHeads: KV_HEADS, headDim: HEAD_DIM, hidden: HIDDEN, feedForward: 32 }
  const metadata = toyModel(shape).metadata.map((entry) =>
    entry.key in changed ? ({ ...entry, value: changed[entry.key] } as MetadataEntry) : entry,
  )

  const tensors: TensorData[] = []
  const add = (name: string, shape: number[], values: Float32Array) => {
    const data = encode(0, values)
    tensors.push({ name, type: 0, shape, bytes: data.length, data })
  }
  const matrix = (name: string, { inputs, outputs, values }: Matrix) => add(name, [inputs, outputs], values)
  const ones = (name: string) => add(name, [HIDDEN], new Float32Array(HIDDEN).fill(1))

  const codes = Array.from({ length: all.length }, () => Array.from({ length: CODE }, () => (draw(2) ? 1 : -1)))
  const embedding = new Matrix(HIDDEN, all.length)
  const output = new Matrix(HIDDEN, all.length)
  codes.forEach((code, id) => {
    embedding.set(id, ONE, 1)
    code.forEach((sign, i) => {
      embedding.set(id, TOKEN + i, sign)
      output.set(id, NEXT + i, sign / 12)
    })
  })
  matrix('token_embd.weight', embedding)
  for (let layer = 0; layer < LAYERS; layer++) {
    const b = `blk.${layer}.`
    const q = new Matrix(HIDDEN, HEADS * HEAD_DIM)
    const k = new Matrix(HIDDEN, KV_HEADS * HEAD_DIM)
    const v = new Matrix(HIDDEN, KV_HEADS * HEAD_DIM)
    const o = new Matrix(HEADS * HEAD_DIM, HIDDEN)
    const own = [PREVIOUS, COPYING, CONSTANT].filter((one) => one.layer === layer)
    for (let head = 0; head < HEADS; head++) {
      if (own.some((one) => one.head === head)) continue
      for (let i = 0; i < HEAD_DIM; i++)
        for (let j = 0; j < CODE; j++) {
          q.set(head * HEAD_DIM + i, TOKEN + j, noise())
          o.set(UNREAD + (j % (HIDDEN - UNREAD)), head * HEAD_DIM + i, noise())
        }
    }
    const at = ({ head }: { head: number }) => ({ q: head * HEAD_DIM, kv: Math.floor(head / GROUP) * HEAD_DIM })
    if (layer === PREVIOUS.layer) {
      const { q: query, kv } = at(PREVIOUS)
      looksBack(q, k, query, kv, 1, 200)
      v.copies(kv + ROTATED, TOKEN, 1)
      o.copies(BEFORE, query + ROTATED, 0.5)
      const constant = at(CONSTANT)
      // So much on itself that every other probability is 0 in float32: what it gives is its value, to the bit.
      looksBack(q, k, constant.q, constant.kv, 0, 4000)
      for (let i = 0; i < CODE; i++) v.set(constant.kv + ROTATED + i, ONE, (i % 5) / 4)
      for (let i = 0; i < CODE; i++) o.set(UNREAD + (i % 8), constant.q + ROTATED + i, 0.25)
    } else {
      const { q: query, kv } = at(COPYING)
      q.copies(query + ROTATED, TOKEN, 3)
      k.copies(kv + ROTATED, BEFORE, 1)
      v.copies(kv + ROTATED, TOKEN, 1)
      o.copies(NEXT, query + ROTATED, 3)
    }
    ones(`${b}attn_norm.weight`)
    matrix(`${b}attn_q.weight`, q)
    matrix(`${b}attn_k.weight`, k)
    matrix(`${b}attn_v.weight`, v)
    matrix(`${b}attn_output.weight`, o)
    ones(`${b}ffn_norm.weight`)
    for (const name of ['gate', 'up']) matrix(`${b}ffn_${name}.weight`, new Matrix(HIDDEN, 32))
    matrix(`${b}ffn_down.weight`, new Matrix(32, HIDDEN))
  }
  ones('output_norm.weight')
  matrix('output.weight', output)
  return encodeGguf(metadata, tensors)
}

/** A head that prefers what is `distance` tokens back: queries are keys turned so far, both made of the constant alone. */
function looksBack(q: Matrix, k: Matrix, query: number, kv: number, distance: number, gain: number): void {
  for (let pair = 0; pair < ROTATED / 2; pair++) {
    const angle = distance * 10_000 ** ((-2 * pair) / ROTATED)
    k.set(kv + 2 * pair, ONE, 1)
    q.set(query + 2 * pair, ONE, gain * Math.cos(angle))
    q.set(query + 2 * pair + 1, ONE, -gain * Math.sin(angle))
  }
}
