/** The list of policies. A new one is a file beside this one and a line here. */
import { shown, ZslabError } from '../errors.js'
import { definition as evictOnlyDefinition } from './evict-only.js'
import { definition as fullDefinition } from './full-cache.js'
import { makePolicy, type Policy, type PolicyDefinition, type PolicyOptions } from './policy.js'
import { definition as streamingDefinition } from './streaming.js'
import { definition as zsmergeDefinition } from './zsmerge.js'

export { evictOnly } from './evict-only.js'
export { fullCache } from './full-cache.js'
export { policyOf, resolve, type Policy, type PolicyDefinition, type PolicyOptions } from './policy.js'
export { OPTIONS, type OptionName, type OptionValues } from './schema.js'
export { streaming } from './streaming.js'
export { zsmerge, type ZsmergeOptions } from './zsmerge.js'

export const POLICIES: readonly PolicyDefinition[] = [
  fullDefinition,
  zsmergeDefinition,
  streamingDefinition,
  evictOnlyDefinition,
]

/** The policy called `name` with `options`. Errors: 'invalid' naming what there is. */
export function policyNamed(name: string, options: PolicyOptions = {}): Policy {
  const found = POLICIES.find((policy) => policy.name === name)
  if (!found)
    throw new ZslabError(
      'invalid',
      `no policy is called ${shown(name)}; there are: ${POLICIES.map((policy) => policy.name).join(', ')}`,
    )
  return makePolicy(found, options)
}
