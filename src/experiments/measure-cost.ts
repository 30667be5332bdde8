/** measureCost(): steps and prompts of a policy, of its parts and of the full cache, side by side. */
import { ZslabError } from '../errors.js'
import { callOptions, integer, invalid, oneOf } from '../expect.js'
import { usable, type LoadedModel } from '../loaded-model.js'
import { timeLeft, withBar } from '../long-work.js'
import type { Call, CallOptions } from '../native/call.js'
import { STORAGES, type Storage } from '../native/engine.js'
import { fullCache, policyOf, type Policy } from '../policies/index.js'
import { Reading } from '../reading.js'
import { lasting, madeBy, Recipe } from '../recipe/recipe.js'
import { generator, orderOf } from '../sampling.js'
import { meanInterval } from '../statistics/intervals.js'
import { NOTHING_KEPT } from '../trace/level.js'
import { engineCard } from '../trace/card.js'
import { breakEvenOf, Cost } from './cost.js'
import type { CostAt, CostCache, CostPart } from './cost-facts.js'
import { rungsOf, type Rung } from './cost-operations.js'

export interface CostOptions extends CallOptions {
  /** zsmerge(…), whose step is taken apart, or any other. */
  policy: Policy
  /** Tokens of prompts, ascending. Default: 512, 1,024, 2,048 and 4,096, as far as the context goes. */
  lengths?: readonly number[]
  /** Turns over which intervals are; default 8. In each every run takes `steps` steps, one after another, in an order drawn anew. */
  turns?: number
  /** Default 8. The fastest is the turn's: what else a machine does only makes steps slower. */
  steps?: number
  /** How often each prompt is read and timed, under the full cache and under the policy; default 2, 0: it is not. */
  prompts?: number
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
  /** Draws the tokens, which are read for their time alone. Default 1. */
  seed?: number
}

const OWN = ['policy', 'lengths', 'turns', 'steps', 'prompts', 'storage', 'seed']
const LEAST = 16
const LENGTHS = [512, 1024, 2048, 4096]
/** Of the run whose attention is next to nothing: what is left of a step is the model. */
const SHORT = 8

/**
 * What a step and a prompt take under `policy` and under the full cache, by the length of the prompt. A step of ZSMerge is taken apart by runs that do one
 * thing more than the one before; all runs of a length go on side by side, step by step, so that what slows the machine slows all of them, and every
 * figure is of differences within a turn. Times are of this machine, as busy as it is. Errors: 'invalid' naming the option, also for a policy that cannot
 * be given one of the lengths.
 */
export async function measureCost(model: LoadedModel, options: CostOptions): Promise<Cost> {
  callOptions('measureCost', options, OWN)
  const asked = askedOf(usable(model), options)
  const cost = await withBar('measuring cost,', options, (call) => measured(model, asked, call))
  return madeBy(cost, Recipe.of('measureCost', [model, lasting(options)]))
}

interface Asked {
  policy: Policy
  lengths: readonly number[]
  turns: number
  steps: number
  prompts: number
  storage: Storage
  seed: number
}

function askedOf({ description: { context } }: LoadedModel, options: CostOptions): Asked {
  const policy = policyOf(options.policy)
  if (policy.acts === 'never')
    throw invalid('policy', 'one that changes the cache: the full cache is what it is measured beside', policy)
  const turns = integer('turns', options.turns ?? 8, 1, 1000)
  const steps = integer('steps', options.steps ?? 8, 1, 1000)
  // One turn more warms up.
  const most = context - (turns + 1) * steps
  if (most < LEAST)
    throw invalid(
      'turns and steps',
      `fewer than the ${context} tokens of the context together`,
      `${turns} turns of ${steps}, and one that warms up`,
    )
  const lengths = options.lengths ?? LENGTHS.filter((length) => length <= most)
  if (!Array.isArray(lengths) || !lengths.length) throw invalid('lengths', 'an array of at least one', options.lengths)
  lengths.forEach((length: unknown, i) => {
    integer(`lengths[${i}]`, length, LEAST)
    if (i && (length as number) <= lengths[i - 1]) throw invalid('lengths', 'an ascending array', lengths)
    if ((length as number) > most)
      throw invalid(
        `lengths[${i}]`,
        `at most ${most} tokens, so that ${(turns + 1) * steps} steps fit into the context`,
        length,
      )
    rungsOf(policy, length as number)
  })
  return {
    policy,
    lengths,
    turns,
    steps,
    prompts: integer('prompts', options.prompts ?? 2, 0, 1000),
    storage: oneOf('storage', options.storage ?? 'float16', STORAGES),
    seed: integer('seed', options.seed ?? 1, 0, 2 ** 32 - 1),
  }
}

async function measured(model: LoadedModel, asked: Asked, { signal, progress }: Call): Promise<Cost> {
  const { lengths, turns, steps, prompts, policy, storage, seed } = asked
  await model.file.sha256({ signal })
  const runs = rungsOf(policy, lengths[0]).length + 2
  const each = lengths.map((length) => (1 + 2 * prompts) * length + runs * (turns + 1) * steps)
  const total = each.reduce((sum, one) => sum + one, 0)
  const started = performance.now()
  let done = 0
  const took = (tokens: number) => {
    done += tokens
    return progress?.({ done, total, doing: `measuring cost${timeLeft(started, done, total)},` })
  }
  const draw = generator(seed)
  const ids = (count: number) =>
    Int32Array.from({ length: count }, () => Math.floor(draw() * model.description.vocabulary))
  const found: { at: CostAt; saved: number[] }[] = []
  for (const length of lengths) found.push(await atLength(model, asked, ids(length), { draw, signal, took }))
  return new Cost(
    { name: policy.name, policy: String(policy), storage, steps, turns, prompts, seed, weights: model.bytes },
    found.map(({ at }) => at),
    breakEvenOf(
      lengths,
      found.map(({ saved }) => saved),
    ),
    [engineCard(model)],
  )
}

interface Work {
  draw: () => number
  signal: AbortSignal | undefined
  took: (tokens: number) => void | Promise<void> | undefined
}

async function atLength(model: LoadedModel, asked: Asked, prompt: Int32Array, work: Work) {
  const { policy } = asked
  const rungs = rungsOf(policy, prompt.length)
  const times = await promptTimes(model, asked, prompt, work)
  const { runs, bytes } = await stepTimes(model, asked, rungs, prompt, work)
  const [short, full, ...own] = runs
  const last = own[own.length - 1]
  const less = (a: readonly number[], b: readonly number[]) => a.map((ms, turn) => ms - b[turn])
  const part = (name: CostPart['part'], about: string, ms: readonly number[]): CostPart => ({
    part: name,
    about,
    step: meanInterval(ms),
  })
  const base = part('model', 'the model, with next to nothing to attend to', short)
  const cache = (of: Policy, at: number, parts: readonly CostPart[], prompts: readonly number[]): CostCache => ({
    policy: String(of),
    parts: [base, ...parts],
    step: meanInterval(runs[at]),
    prompt: prompts.length ? meanInterval(prompts) : null,
    bytes: bytes[at],
  })
  const saved = less(full, last)
  const whole = cache(fullCache(), 1, [part('attention', 'attention over all tokens', less(full, short))], times.full)
  const compressed = cache(
    policy,
    runs.length - 1,
    rungs.map(({ operation, about }, i) => part(operation, about, less(own[i], i ? own[i - 1] : short))),
    times.policy,
  )
  const at: CostAt = {
    length: prompt.length,
    full: whole,
    policy: compressed,
    upkeep: own.length > 1 ? meanInterval(less(last, own[0])) : null,
    gain: meanInterval(full.map((ms, turn) => ms / last[turn])),
    gainByBytes: (model.bytes + whole.bytes) / (model.bytes + compressed.bytes),
    promptMore: times.full.length ? meanInterval(less(times.policy, times.full)) : null,
    tokens: tokensOf(whole, compressed),
  }
  return { at, saved }
}

/** After which a slower prompt is made up for. */
function tokensOf(full: CostCache, policy: CostCache): number | null {
  if (!full.prompt || !policy.prompt) return null
  const more = policy.prompt.mean - full.prompt.mean
  const less = full.step.mean - policy.step.mean
  return more <= 0 ? (less >= 0 ? 0 : null) : less > 0 ? Math.ceil(more / less) : null
}

async function promptTimes(
  model: LoadedModel,
  { prompts, policy, storage }: Asked,
  ids: Int32Array,
  { draw, signal, took }: Work,
) {
  const times = { full: [] as number[], policy: [] as number[] }
  for (let turn = 0; turn < prompts; turn++)
    for (const which of orderOf(2, draw)) {
      const reading = Reading.create(model, { policy: which ? policy : fullCache(), storage })
      try {
        const began = performance.now()
        await reading.feed(ids, { signal })
        times[which ? 'policy' : 'full'].push(performance.now() - began)
      } finally {
        reading.dispose()
      }
      await took(ids.length)
    }
  return times
}

/** Of each run and turn its fastest step, milliseconds: a short one, the full cache, then the rungs. Bytes after the last. */
async function stepTimes(
  model: LoadedModel,
  { turns, steps, storage }: Asked,
  rungs: readonly Rung[],
  prompt: Int32Array,
  { draw, signal, took }: Work,
) {
  const made: Reading[] = []
  const create = async (ids: Int32Array, forkable: 'all' | false) => {
    const reading = Reading.create(model, { policy: fullCache(), storage, forkable })
    made.push(reading)
    await reading.feed(ids, { signal })
    return reading
  }
  try {
    const whole = await create(prompt, 'all')
    const asked = rungs.map(({ policy }) => ({ policy, budgets: undefined }))
    const forks = await whole.underPolicies(asked, NOTHING_KEPT, { signal })
    made.push(...forks)
    const full = await whole.copied()
    made.push(full)
    const runs = [await create(prompt.slice(0, SHORT), false), full, ...forks]
    await took(prompt.length)
    const times = runs.map((): number[] => [])
    for (let turn = -1; turn < turns; turn++) {
      const own = runs.map((): number[] => [])
      for (let step = 0; step < steps; step++) {
        const id = Int32Array.of(Math.floor(draw() * model.description.vocabulary))
        for (const i of orderOf(runs.length, draw)) {
          const began = performance.now()
          await runs[i].feed(id, { signal })
          own[i].push(performance.now() - began)
        }
        await took(runs.length)
      }
      // The first turn warms up.
      if (turn >= 0) own.forEach((of, i) => times[i].push(Math.min(...of)))
    }
    checkActed(rungs, forks)
    return { runs: times, bytes: runs.map((reading) => reading.cache.bytes().total) }
  } finally {
    for (const reading of made) reading.dispose()
  }
}

/** A run that changed nothing would be the full cache's time under another name. */
function checkActed(rungs: readonly Rung[], forks: readonly Reading[]): void {
  rungs.forEach(({ policy }, i) => {
    const { compressed } = forks[i].receipt()
    if (!compressed && (policy.acts === 'always' || policy.acts === 'prompt'))
      throw new ZslabError(
        'invalid',
        `${String(policy)} changed nothing in ${forks[i].seqLen} tokens, so it has no cost to tell: give a smaller budget or longer prompts`,
      )
  })
}
