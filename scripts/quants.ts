/** The four tensor encodings that zslab reads, both ways: for the scripts that write model files and the tests that judge them. */

const single = new Float32Array(1)
const bits = new Uint32Array(single.buffer)

/** float32 → IEEE half, to nearest, ties to even; beyond the largest half becomes infinity. */
export function toHalf(value: number): number {
  single[0] = value
  const word = bits[0]
  const sign = (word >>> 16) & 0x8000
  const exponent = (word >>> 23) & 0xff
  const mantissa = word & 0x7fffff
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 : 0)
  const shifted = exponent - 112
  if (shifted >= 31) return sign | 0x7c00
  if (shifted <= 0) {
    if (shifted < -10) return sign
    return sign | rounded(mantissa | 0x800000, 14 - shifted)
  }
  return sign | (((shifted << 10) | 0) + rounded(mantissa, 13)) // a carry out of the mantissa moves the exponent, as it should
}

function rounded(mantissa: number, drop: number): number {
  const kept = mantissa >>> drop
  const rest = mantissa & ((1 << drop) - 1)
  const half = 1 << (drop - 1)
  return kept + (rest > half || (rest === half && kept & 1) ? 1 : 0)
}

export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const mantissa = half & 1023
  if (exponent === 31) return mantissa ? NaN : sign * Infinity
  return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : mantissa * 2 ** -24)
}

const BLOCK = 32

/** Encodes `values` (a multiple of 32 for the block types) as GGUF type F32 0, F16 1, Q4_1 3 or Q8_0 8. */
export function encode(type: number, values: Float32Array): Uint8Array {
  if (type === 0) return new Uint8Array(values.slice().buffer)
  if (type === 1) {
    const halves = new Uint16Array(values.length)
    for (let i = 0; i < halves.length; i++) halves[i] = toHalf(values[i]) // a loop: from() with a function takes ten times as long
    return new Uint8Array(halves.buffer)
  }
  const blocks = values.length / BLOCK
  if (!Number.isInteger(blocks)) throw new Error(`${values.length} values are no whole number of blocks of ${BLOCK}`)
  const bytes = new Uint8Array(blocks * (type === 8 ? 34 : 20))
  const view = new DataView(bytes.buffer)
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * BLOCK, (b + 1) * BLOCK)
    if (type === 8) encodeQ8(block, view, b * 34)
    else if (type === 3) encodeQ4(block, view, b * 20)
    else throw new Error(`no encoder for tensor type ${type}`)
  }
  return bytes
}

function encodeQ8(block: Float32Array, view: DataView, at: number): void {
  const scale = block.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127
  view.setUint16(at, toHalf(scale), true)
  block.forEach((x, i) => view.setInt8(at + 2 + i, scale ? Math.round(x / scale) : 0))
}

function encodeQ4(block: Float32Array, view: DataView, at: number): void {
  const least = block.reduce((a, x) => Math.min(a, x), Infinity)
  const scale = (block.reduce((a, x) => Math.max(a, x), -Infinity) - least) / 15
  view.setUint16(at, toHalf(scale), true)
  view.setUint16(at + 2, toHalf(least), true)
  const level = (x: number) => (scale ? Math.min(15, Math.max(0, Math.round((x - least) / scale))) : 0)
  for (let i = 0; i < 16; i++) view.setUint8(at + 4 + i, level(block[i]) | (level(block[i + 16]) << 4))
}

/** The values of `bytes` in GGUF type `type`, float32. */
export function decode(type: number, bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (type === 0) return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(i * 4, true))
  if (type === 1)
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => fromHalf(view.getUint16(i * 2, true)))
  const size = type === 8 ? 34 : 20
  if (type !== 8 && type !== 3) throw new Error(`no decoder for tensor type ${type}`)
  const values = new Float32Array((bytes.length / size) * BLOCK)
  for (let b = 0; b < bytes.length / size; b++) {
    const at = b * size
    const scale = fromHalf(view.getUint16(at, true))
    const out = values.subarray(b * BLOCK, (b + 1) * BLOCK)
    if (type === 8) for (let i = 0; i < BLOCK; i++) out[i] = scale * view.getInt8(at + 2 + i)
    else {
      const least = fromHalf(view.getUint16(at + 2, true))
      for (let i = 0; i < 16; i++) {
        const pair = view.getUint8(at + 4 + i)
        out[i] = scale * (pair & 15) + least
        out[i + 16] = scale * (pair >> 4) + least
      }
    }
  }
  return values
}
