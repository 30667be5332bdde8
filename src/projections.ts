/** The key and value projections of a model, that a cache without one is told where its policy works on them. */
import { float32, integer, invalid, options as checked } from './expect.js'
import type { NativeProjections } from './native/binding.js'
import type { Policy } from './policies/index.js'
import type { CacheShape } from './trace/receipt.js'

export interface Projections {
  /** Of the model's hidden state x: k = keys x + keyBiases, before rotation. */
  width: number
  /** [layers], each [kvHeads · headDim, width] */
  keys: readonly Float32Array[]
  values: readonly Float32Array[]
  /** [layers], each [kvHeads · headDim]; default none. */
  keyBiases?: readonly Float32Array[]
  valueBiases?: readonly Float32Array[]
}

/** `value` as the engine takes it. Errors: 'invalid', also where the policy has no use for it. */
export function projectionsOf(value: unknown, policy: Policy, shape: CacheShape): NativeProjections | undefined {
  if (value === undefined && !policy.projects) return undefined
  if (value === undefined)
    throw invalid(
      'projections',
      `the model's key and value projections, since ${policy.name} works on them`,
      value,
      'give projections: { width, keys, values }, or take a session of a model, which has its own',
    )
  if (!policy.projects)
    throw invalid('projections', `none, since ${policy.name} has no use for them`, value, 'leave them out')
  const given = checked('projections', value, ['width', 'keys', 'values', 'keyBiases', 'valueBiases'])
  const width = integer('projections.width', given.width, 1, 1 << 20)
  const rows = shape.kvHeads * shape.headDim
  const layers = (name: string, each: number, form: string) => {
    const list = given[name]
    if (!Array.isArray(list) || list.length !== shape.layers)
      throw invalid(`projections.${name}`, `an array of ${shape.layers} layers`, list)
    return list.map((one, layer) => float32(`projections.${name}[${layer}]`, one, each, form))
  }
  const biases = (name: string) => (given[name] === undefined ? undefined : layers(name, rows, '[kvHeads · headDim]'))
  return {
    width,
    keys: layers('keys', rows * width, '[kvHeads · headDim, width]'),
    values: layers('values', rows * width, '[kvHeads · headDim, width]'),
    keyBiases: biases('keyBiases'),
    valueBiases: biases('valueBiases'),
  }
}
