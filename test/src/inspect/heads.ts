/** Small random heads, and what is said of them worked out again in the plainest way: arrays of numbers, no shifts, no sums kept. */
import type { HeadVectors } from '../../../src/index.js'
import type { SlotsRead } from '../../../src/inspect/head.js'
import { draws } from '../model/files.js'

export interface Head {
  vectors: HeadVectors
  reads: SlotsRead[]
  promptTokens: number
}

export interface HeadShape {
  group?: number
  headDim?: number
  tokens?: number
  promptTokens?: number
  /** Merged slots, of at least two members each. Default 2. */
  merged?: number
  /** Every member of a merged slot has the key of its first. */
  sameKeys?: boolean
  sameValues?: boolean
  /** Prompt tokens that are in no slot. Default 3. */
  gone?: number
}

/** Slots as ZSMerge's: the first merged, then single tokens; each step merges one more into the first. */
export function headOf(seed: number, shape: HeadShape = {}): Head {
  const draw = draws(seed * 104729 + 17)
  const normal = () => (draw(1000) + draw(1000) + draw(1000) + draw(1000) - 2000) / 577
  const group = shape.group ?? 1 + draw(3)
  const headDim = shape.headDim ?? 4 + draw(13)
  const promptTokens = shape.promptTokens ?? 14 + draw(16)
  const tokens = shape.tokens ?? promptTokens + 3 + draw(8)
  const array = (rows: number) => Float32Array.from({ length: rows * headDim }, normal)
  const [keys, values, queries] = [array(tokens), array(tokens), array(tokens * group)]
  const order = Array.from({ length: promptTokens }, (_, i) => i)
  for (let i = order.length - 1; i > 0; i--) {
    const j = draw(i + 1)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  const merged = shape.merged ?? 2
  const groups = Array.from({ length: merged }, () => order.splice(0, 2 + draw(3)))
  order.splice(0, shape.gone ?? 3)
  const single = [...order].sort((a, b) => a - b)
  const vectors: HeadVectors = {
    layer: 1,
    kvHead: 2,
    group,
    headDim,
    keys,
    values,
    firstQuery: 0,
    firstOutput: 0,
    queries,
    outputs: array(tokens * group),
  }
  const reads: SlotsRead[] = []
  for (let position = promptTokens; position < tokens; position++) {
    single.push(position)
    const members = [...groups.map((each) => [...each]), ...single.map((each) => [each])]
    const slots = members.map((origins, slot) => ({ slot, origins, ...(origins.length > 2 && { seed: origins[1] }) }))
    reads.push({ position, step: position - promptTokens + 1, slots })
    if (groups.length && single.length > 4) groups[draw(groups.length)].push(...single.splice(draw(3), 1))
  }
  const members = reads[reads.length - 1].slots.map(({ origins }) => origins).filter((origins) => origins.length > 1)
  for (const [first, ...others] of members)
    for (const other of others) {
      if (shape.sameKeys) keys.copyWithin(other * headDim, first * headDim, (first + 1) * headDim)
      if (shape.sameValues) values.copyWithin(other * headDim, first * headDim, (first + 1) * headDim)
    }
  return { vectors, reads, promptTokens }
}

export const row = (rows: Float32Array, width: number, at: number) =>
  Array.from(rows.slice(at * width, (at + 1) * width), Number)

export const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0)

export const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)

const mean = (rows: number[][]) => rows[0].map((_, j) => total(rows.map((each) => each[j])) / rows.length)

export const combined = (probs: number[], rows: number[][]) =>
  rows[0].map((_, j) => total(probs.map((p, i) => p * rows[i][j])))

export const softmax = (logits: number[]) => {
  const all = total(logits.map((logit) => Math.exp(logit)))
  return logits.map((logit) => Math.exp(logit) / all)
}

export const distance = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((value, i) => value - b[i]))

/** One query head at one read. */
export function plainly({ vectors }: Pick<Head, 'vectors'>, read: SlotsRead, head: number) {
  const { headDim, group } = vectors
  const root = Math.sqrt(headDim)
  const q = row(vectors.queries, headDim, read.position * group + head)
  const keys = Array.from({ length: read.position + 1 }, (_, t) => row(vectors.keys, headDim, t))
  const values = Array.from({ length: read.position + 1 }, (_, t) => row(vectors.values, headDim, t))
  const logits = keys.map((key) => dot(q, key) / root)
  const probs = softmax(logits)
  const full = combined(probs, values)
  const under = (how: { alpha: number; keys?: string; values?: string }) => {
    const centre = (rows: number[][], fixed: boolean) =>
      read.slots.map(({ origins, seed }) =>
        fixed ? rows[seed ?? origins[0]] : mean(origins.map((origin) => rows[origin])),
      )
    const slotKeys = centre(keys, how.keys === 'fixed')
    const slotLogits = slotKeys.map(
      (key, slot) => dot(q, key) / root + how.alpha * Math.log(read.slots[slot].origins.length),
    )
    const slotProbs = softmax(slotLogits)
    const output = combined(slotProbs, centre(values, how.values === 'fixed'))
    return { slotLogits, slotProbs, output, error: distance(output, full) / Math.hypot(...full) }
  }
  return { logits, probs, full, under }
}
