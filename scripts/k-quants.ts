/**
 * Blocks of 256 values with scales in two steps, Q4_K, Q5_K and Q6_K: a half for all of them, and of each sub-block a small whole number.
 * Encoders round to nearest, with scales that span a sub-block's values: nothing is searched for, so llama.cpp's are a little closer.
 */
import { fromHalf, toHalf } from './half.js'

const SUPER = 256
const SUB = 32
const NARROW = 16 // sub-block of Q6_K
const MOST = 63 // of a 6-bit scale

const clipped = (x: number, least: number, most: number) => Math.min(most, Math.max(least, Math.round(x)))
/** The half nearest to `most / steps`, written at `at`, and of each of `all` its multiple of it. */
function inSteps(all: number[], steps: number, to: DataView, at: number): { unit: number; multiples: number[] } {
  const half = toHalf(Math.max(...all) / steps)
  to.setUint16(at, half, true)
  const unit = fromHalf(half)
  return { unit, multiples: all.map((x) => (unit ? clipped(x / unit, 0, steps) : 0)) }
}

/** Q4_K and Q5_K: eight sub-blocks of scale × level − minimum. `fifth`: the upper bits' place in a block, 0 for none. */
interface MinimumLayout {
  levels: number
  fifth: number
  nibbles: number
}
const Q4_K: MinimumLayout = { levels: 16, fifth: 0, nibbles: 16 }
const Q5_K: MinimumLayout = { levels: 32, fifth: 16, nibbles: 48 }
const PACKED = 4 // where the 12 bytes of scales and minima are

function encodeMinimum(layout: MinimumLayout, block: Float32Array, to: DataView, at: number): void {
  const most = layout.levels - 1
  const least: number[] = []
  const scales: number[] = []
  for (let i = 0; i < SUPER; i += SUB) {
    const values = block.subarray(i, i + SUB)
    const low = values.reduce((a, x) => Math.min(a, x), 0)
    least.push(-low)
    scales.push((values.reduce((a, x) => Math.max(a, x), low) - low) / most)
  }
  const scale = inSteps(scales, MOST, to, at)
  const minimum = inSteps(least, MOST, to, at + 2)
  for (let i = 0; i < 8; i++) setScaleMin(to, at + PACKED, i, scale.multiples[i], minimum.multiples[i])
  block.forEach((x, i) => {
    const sub = Math.floor(i / SUB)
    const step = scale.unit * scale.multiples[sub]
    const level = step ? clipped((x + minimum.unit * minimum.multiples[sub]) / step, 0, most) : 0
    const nibble = at + layout.nibbles + (sub >> 1) * SUB + (i % SUB)
    or(to, nibble, (level & 15) << ((sub & 1) * 4))
    if (layout.fifth) or(to, at + layout.fifth + (i % SUB), (level >> 4) << sub)
  })
}

function decodeMinimum(layout: MinimumLayout, from: DataView, at: number, to: Float32Array): void {
  const scale = fromHalf(from.getUint16(at, true))
  const least = fromHalf(from.getUint16(at + 2, true))
  for (let sub = 0; sub < 8; sub++) {
    const own = scaleMin(from, at + PACKED, sub)
    const [step, minimum] = [Math.fround(scale * own.scale), Math.fround(least * own.least)]
    for (let j = 0; j < SUB; j++) {
      const nibble = from.getUint8(at + layout.nibbles + (sub >> 1) * SUB + j) >> ((sub & 1) * 4)
      const fifth = layout.fifth ? (from.getUint8(at + layout.fifth + j) >> sub) & 1 : 0
      to[sub * SUB + j] = Math.fround(step * ((nibble & 15) | (fifth << 4))) - minimum
    }
  }
}

/** 6 bits each: of the first four sub-blocks as they are, of the others four bits together and two above those of the first. */
function scaleMin(view: DataView, at: number, i: number): { scale: number; least: number } {
  const [a, b] = [view.getUint8(at + (i & 3)), view.getUint8(at + 4 + (i & 3))]
  if (i < 4) return { scale: a & 63, least: b & 63 }
  const both = view.getUint8(at + 4 + i)
  return { scale: (both & 15) | ((a >> 6) << 4), least: (both >> 4) | ((b >> 6) << 4) }
}

function setScaleMin(view: DataView, at: number, i: number, scale: number, least: number): void {
  const upper = i < 4 ? 0 : 6
  or(view, at + (i & 3), i < 4 ? scale : (scale >> 4) << upper)
  or(view, at + 4 + (i & 3), i < 4 ? least : (least >> 4) << upper)
  if (i >= 4) or(view, at + 4 + i, (scale & 15) | ((least & 15) << 4))
}

function or(view: DataView, at: number, bits: number): void {
  view.setUint8(at, view.getUint8(at) | bits)
}

/** Where value `i` of a Q6_K block is: byte and shift of its low four bits and of its upper two. */
function placesOfQ6(i: number): { low: number; lowShift: number; high: number; highShift: number } {
  const [half, within, j] = [i >> 7, (i >> 5) & 3, i & 31]
  return {
    low: half * 64 + (within & 1) * 32 + j,
    lowShift: (within >> 1) * 4,
    high: 128 + half * 32 + j,
    highShift: within * 2,
  }
}
const Q6 = { scales: 192, half: 208 }

function encodeQ6(block: Float32Array, to: DataView, at: number): void {
  const scales: number[] = []
  for (let i = 0; i < SUPER; i += NARROW)
    scales.push(block.subarray(i, i + NARROW).reduce((a, x) => Math.max(a, Math.abs(x)), 0) / 32)
  const { unit, multiples } = inSteps(scales, 127, to, at + Q6.half)
  multiples.forEach((multiple, i) => to.setInt8(at + Q6.scales + i, multiple))
  block.forEach((x, i) => {
    const step = unit * multiples[Math.floor(i / NARROW)]
    const level = 32 + (step ? clipped(x / step, -32, 31) : 0)
    const { low, lowShift, high, highShift } = placesOfQ6(i)
    or(to, at + low, (level & 15) << lowShift)
    or(to, at + high, (level >> 4) << highShift)
  })
}

function decodeQ6(from: DataView, at: number, to: Float32Array): void {
  const scale = fromHalf(from.getUint16(at + Q6.half, true))
  for (let i = 0; i < SUPER; i++) {
    const { low, lowShift, high, highShift } = placesOfQ6(i)
    const level = ((from.getUint8(at + low) >> lowShift) & 15) | (((from.getUint8(at + high) >> highShift) & 3) << 4)
    to[i] = Math.fround(scale * from.getInt8(at + Q6.scales + (i >> 4))) * (level - 32)
  }
}

/** One block, both ways: `values` numbers in `bytes`, at `at` of a view; what is written to was zeros. */
export interface Blocks {
  values: number
  bytes: number
  encode(block: Float32Array, to: DataView, at: number): void
  decode(from: DataView, at: number, to: Float32Array): void
}

const withMinima = (layout: MinimumLayout, bytes: number): Blocks => ({
  values: SUPER,
  bytes,
  encode: (block, to, at) => encodeMinimum(layout, block, to, at),
  decode: (from, at, to) => decodeMinimum(layout, from, at, to),
})

/** By GGUF's numbers. */
export const K_QUANTS: Readonly<Record<number, Blocks>> = {
  12: withMinima(Q4_K, 144),
  13: withMinima(Q5_K, 176),
  14: { values: SUPER, bytes: 210, encode: encodeQ6, decode: decodeQ6 },
}
