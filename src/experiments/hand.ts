/** Who does the trials of a prompt: this process, by itself. Pools have several hands, each a process of its own. */
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Asked } from '../native-cache.js'
import type { Call } from '../native/call.js'
import { resolve } from '../policies/index.js'
import type { Reading } from '../reading.js'
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
  const failed = (due: Due, why: string) => put({ ...trialOf(job, due), values: null, unchanged: false, failed: why })
  const asked: Due[] = []
  for (const due of trials) {
    const why = whyNot(due, measuring.work(prompt).given) ?? measuring.whyNot?.(model, due)
    if (why === undefined) asked.push(due)
    else await failed(due, why)
  }
  const kept = async (due: Due, values: Record<string, number>, reading: Reading, times?: Record<string, number>) => {
    const { ok, notes, compressed } = reading.receipt()
    const finite = Object.values(values).every(Number.isFinite)
    if (!ok || !finite) return failed(due, ok ? 'a measure is no number' : notes.join('; '))
    await put({
      ...trialOf(job, due),
      values: { ...values, bytes: reading.cache.bytes().total },
      ...(times && { times }),
      unchanged: !compressed && (due.policy.acts === 'always' || due.policy.acts === 'prompt'),
    })
  }
  let readable = false
  const measured = async (some: readonly Due[]): Promise<void> => {
    const left = new Set(some)
    const done: Parameters<Measuring['run']>[3] = async (choice, ...found) => {
      await kept(some[choice], ...found)
      left.delete(some[choice])
    }
    try {
      await measuring.run(model, prompt, some, done, call)
    } catch (error) {
      const why = refusalOf(error)
      if (why === undefined || !left.size) throw error
      // What the full cache alone cannot be given either is no policy's fault.
      if (!readable) await measuring.run(model, prompt, [], done, call)
      readable = true
      const [...rest] = left
      if (rest.length === 1) return failed(rest[0], why)
      // One of several refuses it: halves find which.
      const half = rest.length >> 1
      for (const part of [rest.slice(0, half), rest.slice(half)]) await measured(part)
    }
  }
  if (asked.length) await measured(asked)
}

/** Why a policy cannot be given a prompt of so many tokens; undefined: as far as can be told before it is read, it can. */
function whyNot({ policy, budgets }: Asked, tokens: number): string | undefined {
  try {
    for (const budget of new Set(budgets?.flat() ?? [policy.native.budget])) resolve(policy, tokens, budget)
    return undefined
  } catch (error) {
    const why = refusalOf(error)
    if (why === undefined) throw error
    return why
  }
}

/** What a policy says that cannot be what it was asked for; undefined: something else went wrong. */
const refusalOf = (error: unknown): string | undefined =>
  error instanceof ZslabError && (error.code === 'invalid' || error.code === 'unsupported') ? error.message : undefined

const trialOf = ({ facts }: Job, { key, policy, budgets }: Due): Omit<Trial, 'values' | 'unchanged'> => ({
  key,
  policy: callOf(policy, budgets),
  prompt: facts,
})
