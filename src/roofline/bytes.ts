/**
 * What a decode step has to move between a device's memory and its cores: the byte model that native/cuda/test/uniform.h holds the kernels
 * to, with merged slots and upkeep. Nothing is counted twice that one launch reads twice, and nothing that stays between launches in a
 * cache of the device is left out.
 */
import type { Storage } from '../native/engine.js'
import { parametersOf, type ModelShape } from './shapes.js'

/** kLane and kChunk of native/core/kernels.h. */
const LANE = 16
const CHUNK = 256
/** Bytes of the entries of work lists: DecodeTask, MergeTask, UpkeepTask, which has a MergeTask in it, and UpkeepChunk. */
const TASK = { decode: 112, merge: 72, upkeep: 176, upkeepChunk: 64 }
const FLOAT = 4

// prettier-ignore
export const WEIGHTS = [
  'float32', 'float16', 'bfloat16', 'q8_0', 'q6_k', 'q5_1', 'q5_0', 'q5_k', 'q4_1', 'q4_0', 'q4_k',
] as const
export type WeightsType = (typeof WEIGHTS)[number]

/** Bytes of a weight; those of GGUF's blocks, of 32 or 256 weights, are a block's shared out. */
export const WEIGHT_BYTES: Readonly<Record<WeightsType, number>> = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  q8_0: 34 / 32,
  q6_k: 210 / 256,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q5_k: 176 / 256,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  q4_k: 144 / 256,
}

export const STORAGE_BYTES: Readonly<Record<Storage, number>> = { float32: 4, float16: 2, bfloat16: 2 }

/** Slots of each kv head before the step. */
export interface Slots {
  slots: number
  /** Those that are merged, float32 in any storage. */
  merged: number
  /** Scores are kept. */
  scored: boolean
  /** The token that the step appends makes another one leave, into a merged slot where there is one. */
  over: boolean
}

export interface HeadShape {
  headDim: number
  /** Query heads of a kv head. */
  group: number
  storage: Storage
}

const padded = (headDim: number) => Math.ceil(headDim / LANE) * LANE
const chunksOf = ({ slots, merged }: Slots) => Math.ceil(merged / CHUNK) + Math.ceil((slots - merged) / CHUNK)

/** Of a kv head of one sequence, in the launch that decodes: UniformShape::decode_bytes() where nothing is merged. */
export function decodeBytes({ headDim, group, storage }: HeadShape, of: Slots) {
  const element = STORAGE_BYTES[storage]
  const kept = (of.slots - of.merged) * element + of.merged * FLOAT
  return {
    keys: kept * headDim,
    values: kept * padded(headDim),
    exponentials: group * of.slots * FLOAT,
    partials: chunksOf(of) * (group * (padded(headDim) + 2 + headDim) * FLOAT + TASK.decode) + of.merged * FLOAT,
  }
}

/** Of putting the chunks of a head together: partial outputs, statistics and queries in, factors and the output out. */
export function mergeBytes({ headDim, group }: HeadShape, of: Slots): number {
  return (chunksOf(of) * group * (padded(headDim) + 2 + 1) + 2 * group * headDim) * FLOAT + TASK.merge
}

/**
 * Of upkeep, which puts the chunks together in the same launch: scores; and where somebody leaves, whom it joins, and that the oldest recent
 * token takes its place and the newest token that one's.
 */
export function upkeepBytes({ headDim, group, storage }: HeadShape, of: Slots) {
  if (!of.scored) return { scores: 0, leaving: 0 }
  const scores = FLOAT * (group * of.slots + 2 * of.slots) + chunksOf(of) * TASK.upkeepChunk + TASK.upkeep - TASK.merge
  if (!of.over) return { scores, leaving: 0 }
  const element = STORAGE_BYTES[storage]
  const slot = (headDim + padded(headDim)) * element
  // Key, value, position and score of two slots, and whose turn is next, each read and written.
  const moved = 2 * (2 * (slot + 2 * FLOAT) + FLOAT)
  // Who leaves, all merged keys, and key, value, weight, bias and score of the one it joins, each read and written.
  const joined = slot + of.merged * headDim * FLOAT + 2 * FLOAT * (headDim + padded(headDim) + 3)
  return { scores, leaving: moved + (of.merged ? joined : 0) }
}

export const PARTS = ['weights', 'keys', 'values', 'exponentials', 'partials', 'append', 'scores', 'leaving'] as const
export type Part = (typeof PARTS)[number]

export interface StepShape {
  model: ModelShape
  weights: WeightsType
  storage: Storage
  /** Sequences, each with a token a step. */
  batch: number
  /** That share the heads; bytes are those of the one that moves most. Default 1. */
  devices?: number
}

/** Bytes of a step by part, on one device. */
export function stepBytes({ model, weights, storage, batch, devices = 1 }: StepShape, of: Slots): Record<Part, number> {
  const head = { headDim: model.headDim, group: model.heads / model.kvHeads, storage }
  const heads = batch * model.layers * (model.kvHeads / devices)
  const { matrices, vectors } = parametersOf(model, devices)
  const decode = decodeBytes(head, of)
  const upkeep = upkeepBytes(head, of)
  const appended = (model.headDim + padded(model.headDim)) * STORAGE_BYTES[storage] + (of.scored ? FLOAT : 0)
  return {
    weights: (matrices + vectors + batch * model.hidden) * WEIGHT_BYTES[weights],
    keys: heads * decode.keys,
    values: heads * decode.values,
    exponentials: heads * decode.exponentials,
    partials: heads * (decode.partials + mergeBytes(head, of)),
    append: heads * appended,
    scores: heads * upkeep.scores,
    leaving: heads * upkeep.leaving,
  }
}

/** Bytes of weights in a device's memory. */
export function weightsMemory({ model, weights, devices = 1 }: StepShape): number {
  const { total } = parametersOf(model, devices)
  return total * WEIGHT_BYTES[weights]
}

/**
 * Bytes of a sequence's cache in a device's memory: keys, values, positions, and where scores are kept those, and of merged slots weight, bias and
 * both ends of their chain. Origins (4 bytes a token and kv head, which a cache may go without) are not in it, nor room to spare.
 */
export function sequenceMemory({ model, storage, devices = 1 }: StepShape, of: Slots): number {
  const row = model.headDim + padded(model.headDim)
  const single = row * STORAGE_BYTES[storage] + FLOAT + (of.scored ? FLOAT : 0)
  const merged = row * FLOAT + 5 * FLOAT
  return model.layers * (model.kvHeads / devices) * ((of.slots - of.merged) * single + of.merged * merged)
}
