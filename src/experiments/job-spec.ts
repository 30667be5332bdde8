/** Jobs and models as data, for processes that do not share memory. */
import type { Budgets } from '../budgets.js'
import type { LoadedModel } from '../loaded-model.js'
import { policyOfSpec, specOf, type PolicySpec } from '../policy-spec.js'
import type { Job } from './jobs.js'
import { promptFromJSON, promptToJSON, type PromptJSON } from './prompt.js'
import type { Trial } from './trial.js'

/** What a process loads. */
export interface ModelSpec {
  path: string
  weights: LoadedModel['weights']
  threads: number
  isa: string
  device: 'cpu' | 'cuda'
}

export interface JobSpec {
  prompt: PromptJSON
  facts: Trial['prompt']
  trials: readonly { key: string; policy: PolicySpec; budgets?: Budgets }[]
}

export function modelSpecOf({ file, weights, engine: { info } }: LoadedModel, threads: number): ModelSpec {
  return { path: file.path, weights, threads, isa: info.isa, device: info.device.kind === 'cpu' ? 'cpu' : 'cuda' }
}

/** Errors: 'unsupported' for policies that are no data. */
export const jobSpecOf = ({ prompt, facts, trials }: Job): JobSpec => ({
  prompt: promptToJSON(prompt),
  facts,
  trials: trials.map(({ key, policy, budgets }) => ({ key, policy: specOf(policy), budgets })),
})

/** Errors: 'invalid' naming what of it is wrong. */
export const jobOfSpec = ({ prompt, facts, trials }: JobSpec): Job => ({
  prompt: promptFromJSON(prompt),
  facts,
  trials: trials.map(({ key, policy, budgets }) => ({ key, policy: policyOfSpec(policy), budgets })),
})
