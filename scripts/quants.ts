/**
 * The tensor encodings that zslab reads, both ways: for the scripts that write model files and the tests that judge them. Decoders do
 * ggml's float32 operations in their order; encoders round to nearest, each block's scale from its own least and largest value.
 */
import { fromBfloat16, fromHalf, toBfloat16, toHalf } from './half.js'
import { K_QUANTS, type Blocks } from './k-quants.js'

const BLOCK = 32

/** Level `i` of 32: four bits at `nibbles`, and where `fifth` is given (where 32 bits are) one above them. */
interface Places {
  fifth?: number
  nibbles: number
}
function level(view: DataView, at: number, { fifth, nibbles }: Places, i: number): number {
  const four = (view.getUint8(at + nibbles + (i & 15)) >> ((i >> 4) * 4)) & 15
  return fifth === undefined ? four : four | (((view.getUint8(at + fifth + (i >> 3)) >> (i & 7)) & 1) << 4)
}
function setLevel(view: DataView, at: number, { fifth, nibbles }: Places, i: number, value: number): void {
  const or = (byte: number, bits: number) => view.setUint8(byte, view.getUint8(byte) | bits)
  or(at + nibbles + (i & 15), (value & 15) << ((i >> 4) * 4))
  if (fifth !== undefined) or(at + fifth + (i >> 3), (value >> 4) << (i & 7))
}

const within = (x: number, most: number) => Math.min(most, Math.max(0, Math.round(x)))

/** scale × (level − `zero`): Q4_0, Q5_0. The value of the largest size is at level 0. */
const around = (zero: number, bytes: number, places: Places): Blocks => ({
  values: BLOCK,
  bytes,
  encode(block, to, at) {
    const scale = block.reduce((far, x) => (Math.abs(x) > Math.abs(far) ? x : far), 0) / -zero
    to.setUint16(at, toHalf(scale), true)
    block.forEach((x, i) => setLevel(to, at, places, i, scale ? within(x / scale + zero, 2 * zero - 1) : zero))
  },
  decode(from, at, to) {
    const scale = fromHalf(from.getUint16(at, true))
    for (let i = 0; i < BLOCK; i++) to[i] = scale * (level(from, at, places, i) - zero)
  },
})

/** scale × level + least: Q4_1, Q5_1. */
const above = (most: number, bytes: number, places: Places): Blocks => ({
  values: BLOCK,
  bytes,
  encode(block, to, at) {
    const least = block.reduce((a, x) => Math.min(a, x), Infinity)
    const scale = (block.reduce((a, x) => Math.max(a, x), -Infinity) - least) / most
    to.setUint16(at, toHalf(scale), true)
    to.setUint16(at + 2, toHalf(least), true)
    block.forEach((x, i) => setLevel(to, at, places, i, scale ? within((x - least) / scale, most) : 0))
  },
  decode(from, at, to) {
    const [scale, least] = [fromHalf(from.getUint16(at, true)), fromHalf(from.getUint16(at + 2, true))]
    for (let i = 0; i < BLOCK; i++) to[i] = Math.fround(scale * level(from, at, places, i)) + least
  },
})

const Q8_0: Blocks = {
  values: BLOCK,
  bytes: 34,
  encode(block, to, at) {
    const scale = block.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127
    to.setUint16(at, toHalf(scale), true)
    block.forEach((x, i) => to.setInt8(at + 2 + i, scale ? Math.round(x / scale) : 0))
  },
  decode(from, at, to) {
    const scale = fromHalf(from.getUint16(at, true))
    for (let i = 0; i < BLOCK; i++) to[i] = scale * from.getInt8(at + 2 + i)
  },
}

const BLOCKS: Readonly<Record<number, Blocks>> = {
  2: around(8, 18, { nibbles: 2 }),
  3: above(15, 20, { nibbles: 4 }),
  6: around(16, 22, { fifth: 2, nibbles: 6 }),
  7: above(31, 24, { fifth: 4, nibbles: 8 }),
  8: Q8_0,
  ...K_QUANTS,
}
const [F32, F16, BF16] = [0, 1, 30]

/** Two-byte numbers; loops, as from() with a function takes ten times as long. */
function halves(values: Float32Array, to: (value: number) => number): Uint8Array {
  const words = new Uint16Array(values.length)
  for (let i = 0; i < words.length; i++) words[i] = to(values[i])
  return new Uint8Array(words.buffer)
}
function ofHalves(view: DataView, from: (half: number) => number): Float32Array {
  const values = new Float32Array(view.byteLength / 2)
  for (let i = 0; i < values.length; i++) values[i] = from(view.getUint16(i * 2, true))
  return values
}

/** Encodes `values`, whole blocks of them, as GGUF type `type`: each that src/model/gguf.ts lists. */
export function encode(type: number, values: Float32Array): Uint8Array {
  if (type === F32) return new Uint8Array(values.slice().buffer)
  if (type === F16) return halves(values, toHalf)
  if (type === BF16) return halves(values, toBfloat16)
  const kind = BLOCKS[type]
  if (!kind) throw new Error(`no encoder for tensor type ${type}`)
  const blocks = values.length / kind.values
  if (!Number.isInteger(blocks))
    throw new Error(`${values.length} values are no whole number of blocks of ${kind.values}`)
  const view = new DataView(new ArrayBuffer(blocks * kind.bytes))
  for (let b = 0; b < blocks; b++)
    kind.encode(values.subarray(b * kind.values, (b + 1) * kind.values), view, b * kind.bytes)
  return new Uint8Array(view.buffer)
}

/** The values of `bytes` in GGUF type `type`, float32. */
export function decode(type: number, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (type === F32) return new Float32Array(new Uint8Array(bytes).buffer)
  if (type === F16) return ofHalves(view, fromHalf)
  if (type === BF16) return ofHalves(view, fromBfloat16)
  const kind = BLOCKS[type]
  if (!kind) throw new Error(`no decoder for tensor type ${type}`)
  const blocks = bytes.length / kind.bytes
  if (!Number.isInteger(blocks)) throw new Error(`${bytes.length} bytes are no whole number of blocks of ${kind.bytes}`)
  const values = new Float32Array(blocks * kind.values)
  for (let b = 0; b < blocks; b++)
    kind.decode(view, b * kind.bytes, values.subarray(b * kind.values, (b + 1) * kind.values))
  return values
}
