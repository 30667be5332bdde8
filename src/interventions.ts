/** What is asked of a session's cache beside its tokens: options that change. Kept with the call that it came after, so that a replay asks the same. */
import type { HeldCache } from './native-cache.js'
import type { Changes, Policy } from './policies/index.js'

export interface Intervention {
  /** Of the last token before it: 0 = the prompt. */
  step: number
  action: 'options'
  changes: Changes
}

/** How it is done, to this cache or to that of a replay. */
export interface Done {
  said: Intervention
  again(cache: HeldCache): Promise<unknown>
  /** The policy from then on. */
  policy?: Policy
}

export function changeOf(step: number, policy: Policy, changes: Changes): Done {
  return { said: { step, action: 'options', changes }, again: (cache) => cache.change(policy), policy }
}
