/** One policy on one prompt: what it depends on, so that what was done once is not done again, and what came out. */
import { createHash } from 'node:crypto'
import type { Budgets } from '../budgets.js'
import type { Policy } from '../policies/index.js'
import type { EngineCard } from '../trace/card.js'
import type { Measure } from './measures/index.js'
import { promptToJSON, type TaskPrompt } from './prompt.js'

export interface Trial {
  /** Of everything that it depends on. */
  key: string
  /** The call that makes the policy, and budgets by head by their hash. */
  policy: string
  prompt: { name: string; cluster: string; seed: number; tokens: number; sha256: string }
  /** By metric; null of a trial that failed. */
  values: Readonly<Record<string, number>> | null
  /** Milliseconds and what is made of them, by metric; where they are measured. No two runs have the same: they are no part of what trials are compared by. */
  times?: Readonly<Record<string, number>>
  /** The policy was to change the cache and did not: no token left, none was merged. */
  unchanged: boolean
  /** Why it failed. */
  failed?: string
}

/** Of a trial that did not fail. */
export const valueOf = ({ values, times }: Trial, metric: string): number => times?.[metric] ?? values![metric]

/** What the results of a study's trials depend on beside prompt and policy. */
export type About = Readonly<Record<string, unknown>>

/** The same numbers come out on any instruction set, so it is part of it only where products are a library's. */
export const aboutStudy = (measure: Measure, { model, weights, cpu, library, versions }: EngineCard): About => ({
  measure,
  model: model.sha256,
  weights,
  ...(weights === 'bfloat16' && { isa: cpu.isa, library }),
  version: versions.zslab,
})

/** What a trial says of its prompt; the hash is of all that it is but its name and cluster. */
export function promptFacts(prompt: TaskPrompt, seed: number): Trial['prompt'] {
  const { name, cluster, ...rest } = promptToJSON(prompt)
  const hash = createHash('sha256').update(JSON.stringify(rest))
  return { name, cluster, seed, tokens: rest.ids.length, sha256: hash.digest('hex') }
}

export const trialKey = (about: About, { sha256 }: Trial['prompt'], policy: Policy, budgets?: Budgets): string =>
  hashOf([about, sha256, callOf(policy, budgets)])

export const callOf = (policy: Policy, budgets?: Budgets): string =>
  budgets ? `${String(policy)} with budgets ${hashOf(budgets)}` : String(policy)

const hashOf = (of: unknown) => createHash('sha256').update(JSON.stringify(of)).digest('hex').slice(0, 32)

/** Errors: what is wrong with `found`, in words. */
export function checkedTrial(found: unknown): Trial {
  const { key, policy, prompt, values, times, unchanged, failed } = (found ?? {}) as Partial<Trial>
  const numbers = (of: unknown) => typeof of === 'object' && of !== null && Object.values(of).every(Number.isFinite)
  const { name, cluster, seed, tokens, sha256 } = prompt ?? {}
  const words = [key, policy, name, cluster, sha256].every((one) => typeof one === 'string' && one)
  if (!words || !Number.isInteger(seed) || !Number.isInteger(tokens) || typeof unchanged !== 'boolean')
    throw new Error('it is no trial')
  if (times !== undefined && !numbers(times)) throw new Error('its times are not numbers')
  if (failed === undefined ? !numbers(values) : typeof failed !== 'string' || values !== null)
    throw new Error('its values are not numbers')
  return found as Trial
}
