/**
 * What is asked of a session's cache beside its tokens: options that change, tokens that leave, stay or come back. Kept with the call that it
 * came after, so that a replay asks the same.
 */
import { ZslabError } from './errors.js'
import { integer, options } from './expect.js'
import type { HeldCache } from './native-cache.js'
import type { Changes, Policy } from './policies/index.js'
import { headMarks, type SomeHeads } from './trace/level.js'

/** `step`: of the last token before it, 0 = the prompt. `heads`: in how many kv heads of all layers it was done. */
export type Intervention =
  | { step: number; action: 'options'; changes: Changes }
  | { step: number; action: 'evict' | 'pin' | 'unevict'; position: number; heads: number }

/** What is asked, and how it is done: to this cache or to that of a replay. */
export interface Asked {
  /** Does it, and says so. */
  of(cache: HeldCache): Promise<Intervention>
  /** The session's method that asks it, and what that is given. */
  again: { call: string; given: readonly unknown[] }
  /** The policy from then on. */
  policy?: Policy
}

/** As it was done. */
export interface Done extends Asked {
  said: Intervention
}

/** A token by its place in the text, in some kv heads of some layers; default: everywhere. */
export interface TokenOf extends SomeHeads {
  position: number
}

export function changeOf(step: number, policy: Policy, changes: Changes): Asked {
  return {
    policy,
    again: { call: 'change', given: [Object.fromEntries(Object.entries(changes).map(([name, { to }]) => [name, to]))] },
    async of(cache) {
      await cache.change(policy)
      return { step, action: 'options', changes }
    },
  }
}

/** Of the token and heads, checked. */
export interface TokenAt {
  position: number
  /** [layers, kvHeads] */
  heads: Uint8Array
  /** As it is asked. */
  of: TokenOf
}

/** [layers, kvHeads, headDim], as caches keep them. */
export interface TokenVectors {
  keys: Float32Array
  values: Float32Array
}

/** Errors: 'invalid' where nothing was read, which is too early for a step. */
export function checkStarted(seqLen: number): void {
  if (!seqLen) throw new ZslabError('invalid', 'the session is empty: prefill a prompt before the first step')
}

/** Errors: 'invalid' where something was read, which is too late for a prompt. */
export function checkEmpty(seqLen: number): void {
  if (seqLen)
    throw new ZslabError(
      'invalid',
      `this session has read ${seqLen} tokens already: use append() for a further turn, or a new session`,
    )
}

/** Errors: 'invalid' where nothing was read, which is too early to do `what`. */
export function checkRead(seqLen: number, what: string): void {
  if (!seqLen)
    throw new ZslabError('invalid', `nothing was read yet, so it is too early to ${what}: prefill a prompt first`)
}

/** Errors: 'invalid'. */
export function tokenAt(name: string, of: TokenOf, cache: HeldCache): TokenAt {
  options(name, of, ['position', 'layers', 'kvHeads'])
  const { seqLen } = cache
  checkRead(seqLen, `${name} a token`)
  const position = integer('position', of?.position, 0, seqLen - 1)
  const { layers, kvHeads } = cache.options.shape
  const { layers: some, kvHeads: each } = of
  return { position, heads: headMarks(of, layers, kvHeads), of: { position, layers: some, kvHeads: each } }
}

export function tokenAsked(step: number, action: 'evict' | 'pin', { position, heads, of }: TokenAt): Asked {
  return {
    again: { call: action, given: [of] },
    of: async (cache) => ({ step, action, position, heads: await cache[action](position, heads) }),
  }
}

/** keys, values: of the token where it was dropped. */
export function broughtBack(step: number, { position, heads, of }: TokenAt, { keys, values }: TokenVectors): Asked {
  return {
    again: { call: 'unevict', given: [of] },
    of: async (cache) => ({
      step,
      action: 'unevict',
      position,
      heads: await cache.unevict(position, heads, keys, values),
    }),
  }
}
