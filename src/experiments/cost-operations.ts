/** What a policy does at each step, taken apart: policies that do one thing more than the one before, so that what it costs is the difference of two runs. */
import { policyNamed, resolve, type Policy } from '../policies/index.js'

/** In the order in which they are added. */
export const OPERATIONS = ['attention', 'scores', 'choice', 'search', 'merge', 'policy'] as const
export type Operation = (typeof OPERATIONS)[number]

/** One run, and what it does beyond the one before. */
export interface Rung {
  operation: Operation
  about: string
  policy: Policy
}

/** Options that eviction has, too. */
const SHARED = ['budget', 'sink', 'underfull', 'chunk', 'granularity']
const OF_SCORES = ['decay', 'window']

/**
 * Of ZSMerge after a prompt of `tokens`: all but one slot for the newest, so that there is nothing to choose; scores kept, too; the one that leaves
 * chosen among as many slots as are asked for; the slot found that it would be merged into, with content left as it was; and as it was given. The last is
 * always `policy`. Of another policy, and where one of these cannot be, it is one thing. Errors: 'invalid' where the policy cannot be given the prompt.
 */
export function rungsOf(policy: Policy, tokens: number): Rung[] {
  const { name, mode, options } = policy
  const sizes = resolve(policy, tokens)
  // In reference mode there are merged slots whatever is asked for.
  if (name !== 'zsmerge' || mode === 'reference' || options.residual === 0)
    return [{ operation: 'policy', about: `all that ${name} does`, policy }]
  const scored = options.history === 'on'
  const given = (names: readonly string[]) => Object.fromEntries(names.map((one) => [one, options[one]]))
  const dropping = (recent: unknown, history: unknown) =>
    policyNamed('zsmerge', {
      ...given(history === 'on' ? [...SHARED, ...OF_SCORES] : SHARED),
      recent,
      history,
      residual: 0,
    })
  const newest = sizes.budget - sizes.sink - 1
  const rungs: Rung[] = [
    {
      operation: 'attention',
      about: 'attention over the slots that stay; the oldest leaves',
      policy: dropping(newest, 'off'),
    },
  ]
  if (scored) rungs.push({ operation: 'scores', about: 'scores of all slots kept', policy: dropping(newest, 'on') })
  rungs.push({
    operation: 'choice',
    about: scored ? 'the lowest score found' : 'the oldest slot found',
    policy: dropping(options.recent, options.history),
  })
  const whole = { operation: 'merge', about: 'the merged slot written', policy } as const
  if (options.aggregate === 'mean' && !(options.keys === 'fixed' && options.values === 'fixed')) {
    const { decay, window, ...rest } = options
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
