/** The trials of a study's design: of every prompt of every seed one for each setting, and those that each study compares with each other. */
import type { LoadedModel } from '../loaded-model.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import type { Planned } from './jobs.js'
import { mergingOff } from './merging-off.js'
import type { Setting } from './settings.js'
import { promptsOf, type Task } from './task.js'
import { aboutStudy, promptFacts, trialKey } from './trial.js'

export interface Designed {
  card: EngineCard
  prompts: readonly Planned[]
  /** Keys of the trials that are to be the same. */
  checks: readonly string[]
}

export async function designedTrials(
  model: LoadedModel,
  task: Task,
  settings: readonly Setting[],
  seeds: readonly number[],
): Promise<Designed> {
  const card = engineCard(model)
  const about = aboutStudy(task.measure, card)
  const drawn = await Promise.all(seeds.map(async (seed) => ({ seed, prompts: await promptsOf(task, model, seed) })))
  const prompts = drawn.flatMap(({ seed, prompts: own }) =>
    own.map((prompt): Planned => {
      const of = promptFacts(prompt, seed)
      const policies = settings.map(({ policy }) => policy(seed))
      const keys = policies.map((policy, i) => trialKey(about, of, policy, settings[i].budgets))
      const trials = new Map(keys.map((key, i) => [key, { key, policy: policies[i], budgets: settings[i].budgets }]))
      return { prompt, facts: of, keys, trials: [...trials.values()] }
    }),
  )
  const [first] = prompts
  const pair = mergingOff(settings.map(({ policy }) => policy(first.facts.seed))) ?? []
  const checks = pair.map((policy) => ({ key: trialKey(about, first.facts, policy), policy, budgets: undefined }))
  first.trials.push(...checks.filter(({ key }) => !first.keys.includes(key)))
  return { card, prompts, checks: checks.map(({ key }) => key) }
}
