/** Who does the trials of a prompt: this process, by itself. Pools have several hands, each a process of its own. */
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Asked } from '../native-cache.js'
import type { Call } from '../native/call.js'
import { resolve } from '../policies/index.js'
import type { Due, Job } from './jobs.js'
import type { Measuring } from './measures/measuring.js'
import { callOf, type Trial } from './trial.js'

export type Put = (trial: Trial) => Promise<void>

export interface Hand {
  /** put(trial) for each as it comes. Progress counts tokens, the full cache's included. */
  do(job: Job, put: Put, call: Call): Promise<void>
  close(): void
}

export const ownHand = (model: LoadedModel, measuring: Measuring): Hand => ({
  do: (job, put, call) => doJob(model, measuring, job, put, call),
  close: () => undefined,
})

export async function doJob(model: LoadedModel, measuring: Measuring, job: Job, put: Put, call: Call): Promise<void> {
  const { prompt, trials } = job
  const asked: Due[] = []
  for (const due of trials) {
    const why = whyNot(due, measuring.work(prompt).given) ?? measuring.whyNot?.(model, due)
    if (why === undefined) asked.push(due)
    else await put({ ...trialOf(job, due), values: null, unchanged: false, failed: why })
  }
  const done: Parameters<Measuring['run']>[3] = async (choice, values, reading, times) => {
    const due = asked[choice]
    const { ok, notes, compressed } = reading.receipt()
    const finite = Object.values(values).every(Number.isFinite)
    const failed = !ok || !finite ? (ok ? 'a measure is no number' : notes.join('; ')) : undefined
    await put({
      ...trialOf(job, due),
      values: failed === undefined ? { ...values, bytes: reading.cache.bytes().total } : null,
      ...(failed === undefined && times && { times }),
      unchanged: !compressed && (due.policy.acts === 'always' || due.policy.acts === 'prompt'),
      ...(failed !== undefined && { failed }),
    })
  }
  if (asked.length) await measuring.run(model, prompt, asked, done, call)
}

/** Why a policy cannot be given a prompt of so many tokens; undefined: it can. */
function whyNot({ policy, budgets }: Asked, tokens: number): string | undefined {
  try {
    for (const budget of new Set(budgets?.flat() ?? [policy.native.budget])) resolve(policy, tokens, budget)
    return undefined
  } catch (error) {
    if (error instanceof ZslabError && error.code === 'invalid') return error.message
    throw error
  }
}

const trialOf = ({ facts }: Job, { key, policy, budgets }: Due): Omit<Trial, 'values' | 'unchanged'> => ({
  key,
  policy: callOf(policy, budgets),
  prompt: facts,
})
