/** Policies as data, for processes that do not share memory. */
import { isDeepStrictEqual } from 'node:util'
import { ZslabError } from './errors.js'
import { POLICIES, policyNamed } from './policies/index.js'
import { definitionOf, type Policy } from './policies/policy.js'

/** JSON: what policyOfSpec() makes the same policy of. */
export interface PolicySpec {
  name: string
  /** Those that are not the preset's. */
  options: Readonly<Record<string, unknown>>
  of?: PolicySpec
}

/** Errors: 'unsupported' for a user's own policy: functions are not data. */
export function specOf(policy: Policy): PolicySpec {
  const { name, mode, options, of } = policy
  const definition = definitionOf(policy)
  if (!POLICIES.includes(definition))
    throw new ZslabError(
      'unsupported',
      `${name} is a policy of your own, whose functions another process does not have: take processes: 1, or policies that come along`,
    )
  const { preset = 'mode', presets } = definition
  const defaults = presets[mode ?? '']
  // Some options may not be named beside others, even as they are.
  const own = Object.entries(options).filter(([option, value]) => !isDeepStrictEqual(value, defaults[option]))
  return {
    name,
    options: { ...(mode !== undefined && { [preset]: mode }), ...Object.fromEntries(own) },
    ...(of && { of: specOf(of) }),
  }
}

export const policyOfSpec = ({ name, options, of }: PolicySpec): Policy =>
  policyNamed(name, { ...options, ...(of && { of: policyOfSpec(of) }) })
