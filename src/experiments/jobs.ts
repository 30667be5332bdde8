/** What a study has to do: its prompts with their trials, and what of them is missing. */
import type { Asked } from '../native-cache.js'
import type { Measuring } from './measures/measuring.js'
import type { TrialStore } from './store.js'
import type { TaskPrompt } from './prompt.js'
import { callOf, type Trial } from './trial.js'
import { isCancelled, type Cancelled } from './wishes.js'

/** A policy with its budgets on a prompt, before it is done. */
export type Due = Asked & { key: string }

/** A prompt with the trials that it is to have. */
export interface Planned {
  prompt: TaskPrompt
  /** What a trial says of it. */
  facts: Trial['prompt']
  /** Of its trial, by setting. */
  keys: readonly string[]
  /** Each once, whatever settings it serves. */
  trials: Due[]
}

/** A prompt with the trials that it lacks: it is read once for all of them. */
export type Job = Pick<Planned, 'prompt' | 'facts' | 'trials'>

/** Tokens that go through a model: read as prompts, and one by one. */
export interface Tokens {
  read: number
  steps: number
}

/** What of `whole` is neither in the store nor cancelled; undefined: nothing. */
export function jobOf(whole: Job, store: TrialStore, cancelled: readonly Cancelled[] = []): Job | undefined {
  const { prompt, facts } = whole
  const left = ({ key, policy, budgets }: Due) =>
    !store.get(key) && !isCancelled(cancelled, { policy: callOf(policy, budgets), prompt: facts.name })
  const trials = whole.trials.filter(left)
  return trials.length ? { prompt, facts, trials } : undefined
}

export const jobsOf = (planned: readonly Planned[], store: TrialStore, cancelled: readonly Cancelled[] = []): Job[] =>
  planned.flatMap((one) => jobOf(one, store, cancelled) ?? [])

/** The full cache's tokens are among them. */
export function tokensOf(measuring: Measuring, jobs: readonly Job[]): Tokens {
  const all = jobs.map(({ prompt, trials }) => {
    const { read, each } = measuring.work(prompt)
    return { read, steps: (trials.length + 1) * each }
  })
  const sum = (of: (tokens: Tokens) => number) => all.reduce((before, one) => before + of(one), 0)
  return { read: sum(({ read }) => read), steps: sum(({ steps }) => steps) }
}
