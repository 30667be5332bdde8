/** What every study of ZSMerge checks on its first prompt: without merged slots it is eviction by history, bit for bit. */
import { ZslabError } from '../errors.js'
import { policyNamed, type Policy } from '../policies/index.js'
import type { Trial } from './trial.js'

/** Options that both have. */
const SHARED = ['budget', 'recent', 'sink', 'decay', 'history', 'window', 'underfull', 'chunk']

/** [merging off, its base] as the first setting that merges has its other options; undefined: none does. */
export function mergingOff(policies: readonly Policy[]): [Policy, Policy] | undefined {
  const merges = policies.find(
    ({ name, mode, options }) => name === 'zsmerge' && mode === 'fixed' && options.granularity === 'head',
  )
  if (!merges) return undefined
  const given = Object.entries(merges.options).filter(([name]) => SHARED.includes(name))
  // Without history there is no decay to name.
  const shared = Object.fromEntries(given.filter(([name]) => name !== 'decay' || merges.options.history === 'on'))
  return [policyNamed('zsmerge', { ...shared, residual: 0 }), policyNamed('evict-only', shared)]
}

/** Errors: 'internal' where the two differ. */
export function checkMergingOff(off: Trial | undefined, base: Trial | undefined): void {
  if (!off || !base || JSON.stringify(off.values) === JSON.stringify(base.values)) return
  throw new ZslabError(
    'internal',
    `${off.policy} and ${base.policy} should be the same to the last bit, and were not on ${off.prompt.name}: ${JSON.stringify(off.values)}, ${JSON.stringify(base.values)}`,
  )
}
