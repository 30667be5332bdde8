/** The two-byte numbers of model files: IEEE half and bfloat16. */

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

/** float32 → bfloat16, to nearest, ties to even. */
export function toBfloat16(value: number): number {
  single[0] = value
  const word = bits[0]
  if (Number.isNaN(value)) return (word >>> 16) | 0x40
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
}

export function fromBfloat16(half: number): number {
  bits[0] = half << 16
  return single[0]
}
