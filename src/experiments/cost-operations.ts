/** What a policy does at each step, taken apart: policies that do one thing more than the one before, so that what it costs is the difference of two runs. */
import { policyNamed, type Policy } from '../policies/index.js'

/** In the order in which they are added. */
export const OPERATIONS = ['attention', 'scores', 'search', 'merge', 'policy'] as const
export type Operation = (typeof OPERATIONS)[number]

/** One run, and what it does beyond the one before. */
export interface Rung {
  operation: Operation
  about: string
  policy: Policy
}

/** Options that eviction has, too. */
const SHARED = ['budget', 'recent', 'sink', 'underfull', 'chunk', 'granularity']
const OF_SCORES = ['decay', 'window']

/**
 * Of ZSMerge: by position alone; choosing by scores, too; looking for the slot to merge into, too, with content left as it was; and as it was given. The
 * last is always `policy`. Of another policy, and where one of these cannot be, it is one thing.
 */
export function rungsOf(policy: Policy): Rung[] {
  const { name, mode, options } = policy
  // In reference mode there are merged slots whatever is asked for.
  if (name !== 'zsmerge' || mode === 'reference' || options.residual === 0)
    return [{ operation: 'policy', about: `all that ${name} does`, policy }]
  const given = (names: readonly string[]) => Object.fromEntries(names.map((one) => [one, options[one]]))
  const scored = options.history === 'on'
  const rungs: Rung[] = [
    {
      operation: 'attention',
      about: 'attention over the slots that stay; the oldest leaves',
      policy: policyNamed('zsmerge', { ...given(SHARED), residual: 0, history: 'off' }),
    },
  ]
  if (scored)
    rungs.push({
      operation: 'scores',
      about: 'scores kept, and the lowest chosen by them',
      policy: policyNamed('zsmerge', { ...given([...SHARED, ...OF_SCORES]), residual: 0 }),
    })
  const whole = { operation: 'merge', about: 'the merged slot written', policy } as const
  const { decay, window, ...rest } = options
  if (options.aggregate === 'mean' && !(options.keys === 'fixed' && options.values === 'fixed')) {
    const kept = { mode, ...rest, ...(scored && { decay, window }), keys: 'fixed', values: 'fixed' }
    rungs.push({
      operation: 'search',
      about: 'the most similar slot found, and counted',
      policy: policyNamed('zsmerge', kept),
    })
    return [...rungs, whole]
  }
  return [...rungs, { ...whole, about: 'the most similar slot found, and written' }]
}
