/** The local part of a shadow: what each head lost by its own queries, keys and values; and sums over it. */
import { invalid } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { LocalData, ShadowData } from './data.js'

/** Errors: 'invalid' for what is no shadow, and for one without a local part or without rows. */
export function localOf(name: string, shadow: ShadowData): LocalData {
  if (typeof shadow !== 'object' || shadow === null || !('kl' in shadow))
    throw invalid(name, 'a result of run.shadow()', shadow, 'await it: await run.shadow()')
  const { local, localNote } = shadow
  if (!local)
    throw new ZslabError(
      'invalid',
      `this shadow has no local part, which the figure is drawn from${localNote ? `: ${localNote}` : ': make the session with trace: true, and the shadow anew'}`,
    )
  if (!local.steps.length)
    throw new ZslabError(
      'invalid',
      'this run fed no token after its prompt, so nothing was read from the compressed cache: generate at least 2 tokens',
    )
  return local
}

/** Mean of a measure over all rows and query heads, of one layer or of one row where given. */
export function meanOf(
  { layers, heads, steps }: LocalData,
  measure: Float64Array,
  of: { layer?: number; from?: number; to?: number } = {},
): number {
  const { layer, from = 0, to = steps.length } = of
  const [first, last] = layer === undefined ? [0, layers] : [layer, layer + 1]
  let sum = 0
  for (let row = from; row < to; row++)
    for (let at = (row * layers + first) * heads; at < (row * layers + last) * heads; at++) sum += measure[at]
  return sum / ((to - from) * (last - first) * heads)
}
