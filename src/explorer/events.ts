/**
 * The events of one kv head as bytes and back. Whole numbers are varints of differences from row to row; scores keep 13 bits of their
 * mantissa (relative error below 1e-4) and lie byte by byte, all first bytes before all second ones, so that they deflate well.
 */

/** A row for each event of one kv head, in order. Missing values are −1 and NaN, as on the tape. */
export interface HeadEvents {
  step: Int32Array
  action: Int32Array
  reason: Int32Array
  position: Int32Array
  slot: Int32Array
  target: Int32Array
  rank: Int32Array
  weight: Int32Array
  targetWeight: Int32Array
  score: Float32Array
  threshold: Float32Array
  similarity: Float32Array
  targetScore: Float32Array
}

const WHOLE = ['step', 'action', 'reason', 'position', 'slot', 'target', 'rank', 'weight', 'targetWeight'] as const
const REAL = ['score', 'threshold', 'similarity', 'targetScore'] as const

/** What is taken of the tape's columns. */
export type Taken = Record<(typeof WHOLE)[number] | (typeof REAL)[number], ArrayLike<number>>

const KEPT = 0xffff_fc00

/** Rows `rows` of `events`. */
export function eventBytes(events: Taken, rows: Int32Array): Uint8Array {
  const whole = WHOLE.map((name) => varints(rows.length, (i) => events[name][rows[i]]))
  const bits = new Uint32Array(rows.length)
  const reals = new Float32Array(bits.buffer)
  const planes = REAL.map((name) => {
    const { [name]: column } = events
    for (let i = 0; i < rows.length; i++) reals[i] = column[rows[i]]
    return planesOf(bits)
  })
  return joined([varints(1, () => rows.length), ...whole, ...planes])
}

/** Floats by their bits: all first bytes, all second ones, … */
function planesOf(bits: Uint32Array): Uint8Array {
  const count = bits.length
  const bytes = new Uint8Array(4 * count)
  for (let i = 0; i < count; i++) {
    // Half of what is cut is added before, so that values are rounded; NaN has one form.
    const isNaN = (bits[i] & 0x7fff_ffff) > 0x7f80_0000
    const kept = isNaN ? 0x7fc0_0000 : (bits[i] + 0x200) & KEPT
    bytes[i] = kept >>> 24
    bytes[count + i] = kept >>> 16
    bytes[2 * count + i] = kept >>> 8
    bytes[3 * count + i] = kept
  }
  return bytes
}

/** What eventBytes made. Throws a RangeError on bytes that are cut. */
export function eventsOfBytes(bytes: Uint8Array): HeadEvents {
  const reader = new Varints(bytes)
  const [count] = reader.take(1)
  const whole = Object.fromEntries(WHOLE.map((name) => [name, reader.take(count)]))
  const { at } = reader
  if (bytes.length !== at + 4 * count * REAL.length) throw cut()
  const real = REAL.map((name, number) => {
    const values = new Uint32Array(count)
    const from = at + number * 4 * count
    for (let plane = 0; plane < 4; plane++)
      for (let i = 0; i < count; i++) values[i] |= bytes[from + plane * count + i] << (24 - 8 * plane)
    return [name, new Float32Array(values.buffer)] as const
  })
  return { ...whole, ...Object.fromEntries(real) } as unknown as HeadEvents
}

/** `count` whole numbers of 32 bits as zigzag varints of their differences. */
export function varints(count: number, value: (i: number) => number): Uint8Array {
  const bytes = new Uint8Array(5 * count)
  let [before, at] = [0, 0]
  for (let i = 0; i < count; i++) {
    const now = value(i)
    const difference = (now - before) | 0
    let rest = ((difference << 1) ^ (difference >> 31)) >>> 0
    for (; rest > 127; rest >>>= 7) bytes[at++] = (rest & 127) | 128
    bytes[at++] = rest
    before = now
  }
  return bytes.slice(0, at)
}

export class Varints {
  at = 0
  constructor(private readonly bytes: Uint8Array) {}

  /** The next `count` numbers, which varints() wrote in one call. Throws a RangeError where there are fewer. */
  take(count: number): Int32Array {
    if (count > this.bytes.length - this.at) throw cut()
    const values = new Int32Array(count)
    let before = 0
    for (let i = 0; i < count; i++) {
      let [value, shift, byte] = [0, 0, 128]
      for (; byte & 128; shift += 7) {
        if (this.at >= this.bytes.length) throw cut()
        byte = this.bytes[this.at++]
        value |= (byte & 127) << shift
      }
      before = (before + ((value >>> 1) ^ -(value & 1))) | 0
      values[i] = before
    }
    return values
  }
}

const cut = () => new RangeError('these events are cut or damaged')

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
