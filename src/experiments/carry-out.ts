/** The trials of a study that are missing, done: each prompt is read once for all its policies, and what is done is kept at once. */
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import { timeLeft } from '../long-work.js'
import type { Asked } from '../native-cache.js'
import type { Call, Progress } from '../native/call.js'
import { resolve } from '../policies/index.js'
import type { Reading } from '../reading.js'
import type { Measuring } from './measures/measuring.js'
import type { TaskPrompt } from './prompt.js'
import type { TrialStore } from './store.js'
import { callOf, type Trial } from './trial.js'

/** A prompt with the trials that it is to have. */
export interface Planned {
  prompt: TaskPrompt
  /** What a trial says of it. */
  facts: Trial['prompt']
  /** Of its trial, by setting. */
  keys: readonly string[]
  /** Each once, whatever settings it serves. */
  trials: (Asked & { key: string })[]
}

export interface Work {
  model: LoadedModel
  measuring: Measuring
  store: TrialStore
}

/** Tokens of the missing trials that go through the model: read as prompts, and one by one. */
export function workOf({ measuring, store }: Work, planned: readonly Planned[]): { read: number; steps: number } {
  let [read, steps] = [0, 0]
  for (const { prompt, trials } of planned) {
    const missing = trials.filter(({ key }) => !store.get(key)).length
    const work = measuring.work(prompt)
    if (missing) read += work.read
    // The full cache's, too.
    if (missing) steps += (missing + 1) * work.each
  }
  return { read, steps }
}

export async function carryOut(work: Work, planned: readonly Planned[], call: Call): Promise<void> {
  const { read, steps } = workOf(work, planned)
  const total = read + steps
  const started = performance.now()
  let before = 0
  const report = (done: number) => {
    return call.progress?.({ done, total, doing: `studying${timeLeft(started, done, total)},` })
  }
  for (const one of planned) {
    const own = workOf(work, [one])
    if (!own.read) continue
    const progress = ({ done }: Progress) => report(before + Math.min(done, own.read + own.steps))
    await onePrompt(work, one, { signal: call.signal, progress })
    before += own.read + own.steps
  }
  await report(total)
}

async function onePrompt({ model, measuring, store }: Work, planned: Planned, call: Call): Promise<void> {
  const { prompt } = planned
  const missing = planned.trials.filter(({ key }) => !store.get(key))
  const asked: (Asked & { key: string })[] = []
  for (const one of missing) {
    const why = whyNot(one, measuring.work(prompt).read)
    if (why === undefined) asked.push(one)
    else await store.add({ ...trialOf(planned, one), values: null, unchanged: false, failed: why })
  }
  const put = async (choice: number, values: Record<string, number>, reading: Reading) => {
    const { policy } = asked[choice]
    const { ok, notes, compressed } = reading.receipt()
    const finite = Object.values(values).every(Number.isFinite)
    const failed = !ok || !finite ? (ok ? 'a measure is no number' : notes.join('; ')) : undefined
    await store.add({
      ...trialOf(planned, asked[choice]),
      values: failed === undefined ? { ...values, bytes: reading.cache.bytes().total } : null,
      unchanged: !compressed && (policy.acts === 'always' || policy.acts === 'prompt'),
      ...(failed !== undefined && { failed }),
    })
  }
  if (asked.length) await measuring.run(model, prompt, asked, put, call)
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

const trialOf = (
  { facts }: Planned,
  { key, policy, budgets }: Planned['trials'][number],
): Omit<Trial, 'values' | 'unchanged'> => ({
  key,
  policy: callOf(policy, budgets),
  prompt: facts,
})
