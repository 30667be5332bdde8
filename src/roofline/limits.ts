/** From bytes and operations to the least time of a step: each group of launches takes at least its bytes, and at least its operations. */
import { PARTS, stepBytes, type Part, type Slots, type StepShape } from './bytes.js'
import type { Device } from './devices.js'
import { parametersOf } from './shapes.js'

export type Bound = 'bandwidth' | 'arithmetic'

/** Launches that are bound together. */
const GROUPS: Readonly<Record<Part, 'matrices' | 'attention' | 'upkeep'>> = {
  weights: 'matrices',
  keys: 'attention',
  values: 'attention',
  exponentials: 'attention',
  partials: 'attention',
  append: 'attention',
  scores: 'upkeep',
  leaving: 'upkeep',
}
export type Group = (typeof GROUPS)[Part]

export interface StepLimit {
  bytes: Record<Part, number>
  total: number
  /** Microseconds, and what they follow from. */
  groups: Record<Group, { microseconds: number; bound: Bound }>
  /** The least that a step may take. */
  microseconds: number
}

/** Of one device; matrices on tensor cores unless weights are float32, attention and upkeep on the others, as our kernels are. */
export function stepLimit(step: StepShape, of: Slots, device: Device): StepLimit {
  const bytes = stepBytes(step, of)
  const { model, batch, weights, devices = 1 } = step
  const operations: Record<Group, number> = {
    matrices:
      (2 * batch * parametersOf(model, devices).matrices) / (weights === 'float32' ? device.float32 : device.tensor),
    attention: (4 * batch * model.layers * (model.heads / devices) * model.headDim * of.slots) / device.float32,
    upkeep: 0,
  }
  const limit = (group: Group) => {
    const moved = PARTS.reduce((sum, part) => sum + (GROUPS[part] === group ? bytes[part] : 0), 0) / device.bandwidth
    const computed = operations[group]
    const bound: Bound = computed > moved ? 'arithmetic' : 'bandwidth'
    return { microseconds: 1e6 * Math.max(moved, computed), bound }
  }
  const groups = { matrices: limit('matrices'), attention: limit('attention'), upkeep: limit('upkeep') }
  return {
    bytes,
    total: PARTS.reduce((sum, part) => sum + bytes[part], 0),
    groups,
    microseconds: groups.matrices.microseconds + groups.attention.microseconds + groups.upkeep.microseconds,
  }
}

/** Microseconds of a group spread over its parts as their bytes are. */
export function partLimit({ bytes, groups }: StepLimit, part: Part): { microseconds: number; bound: Bound } {
  const group = GROUPS[part]
  const all = PARTS.reduce((sum, one) => sum + (GROUPS[one] === group ? bytes[one] : 0), 0)
  const { microseconds, bound } = groups[group]
  return { microseconds: all ? (microseconds * bytes[part]) / all : 0, bound }
}
