/** The rotation of queries and keys by position (RoPE) that a cache is told where its policy keeps keys before it. */
import { integer, invalid, number, oneOf, options as checked } from './expect.js'
import type { NativeRotation } from './native/binding.js'
import type { Policy } from './policies/index.js'

export interface Rotation {
  /** Rotated part of headDim, from the front: even; the rest stays as it is. */
  dims: number
  /** Pair i at position p is turned by p · base^(−2i / dims) (default 10000). */
  base?: number
  /** Instead of base: radians per position of each pair [dims / 2]. */
  frequencies?: ArrayLike<number>
  /** Pair i: 'adjacent' (default) dims 2i and 2i + 1, as in GGUF's llama files; 'halves' dims i and i + dims / 2, as in transformers. */
  pairs?: 'adjacent' | 'halves'
}

/** `value` as the engine takes it, for `policy` and heads of `headDim`. Errors: 'invalid', also where the policy has no use for it. */
export function rotationOf(value: unknown, policy: Policy, headDim: number): NativeRotation | undefined {
  if (value === undefined && !policy.rotates) return undefined
  const example = `rotation: { dims: ${headDim}, base: 10000 }`
  if (value === undefined)
    throw invalid(
      'rotation',
      `the model's rotation, since ${policy.name} as it is set keeps keys before it`,
      value,
      `give ${example}, and q and k before rotation`,
    )
  if (!policy.rotates)
    throw invalid(
      'rotation',
      `none, since ${policy.name} as it is set takes q and k as they are to be used`,
      value,
      'leave it out, and rotate q and k before they come',
    )
  const given = checked('rotation', value, ['dims', 'base', 'frequencies', 'pairs'])
  const dims = integer('rotation.dims', given.dims, 2, headDim)
  if (dims % 2 !== 0) throw invalid('rotation.dims', `an even number from 2 to ${headDim}`, dims)
  const pairs = given.pairs === undefined ? 'adjacent' : oneOf('rotation.pairs', given.pairs, ['adjacent', 'halves'])
  const { base, frequencies } = given
  if (base !== undefined && frequencies !== undefined)
    throw invalid('rotation', 'base or frequencies', value, 'they say the same: leave one out')
  return {
    dims,
    halves: pairs === 'halves' ? 1 : 0,
    base: base === undefined ? 10_000 : number('rotation.base', base, Number.MIN_VALUE, 1e300, 'above 0'),
    frequencies: frequencies === undefined ? undefined : tableOf(frequencies, dims / 2),
  }
}

function tableOf(value: unknown, length: number): Float64Array {
  const table = Float64Array.from((value ?? []) as ArrayLike<number>)
  if (typeof value !== 'object' || table.length !== length || !table.every(Number.isFinite))
    throw invalid('rotation.frequencies', `${length} finite numbers, one for each pair`, value)
  return table
}
