/** The shadow of a run: the same tokens under the full cache, compared row by row. */
import { basename } from 'node:path'
import { ZslabError } from '../errors.js'
import type { Call, CallOptions } from '../native/call.js'
import type { Budgets } from '../budgets.js'
import { fullCache, type Policy } from '../policies/index.js'
import { withBar } from '../long-work.js'
import { argmax, klDivergence, logProb, logSumExp } from '../sampling.js'
import { showsItself } from '../show/show.js'
import { shadowText } from '../show/texts.js'
import { cut, Reading } from '../reading.js'
import type { RunToken } from '../trace/data.js'
import { keptOf, NOTHING_KEPT, type Kept } from '../trace/level.js'
import type { RunRecord } from '../trace/run.js'
import { localShadow, type LocalOf, type LocalShadow } from './local.js'
import { callStarts } from './reads.js'

export interface Shadow {
  model: string
  policyName: string
  /** Tells this run from others in one figure: 'zsmerge, 102 slots'. */
  label: string
  promptTokens: number
  /** The run's generated tokens, one row each below. */
  tokens: RunToken[]
  /** KL(full ‖ policy) of the distributions that each token was chosen from, in nats. */
  kl: Float64Array
  meanKl: number
  /** True where the likeliest token differs, and that token's id under the policy and under the full cache. */
  flips: boolean[]
  top1: number[]
  fullTop1: number[]
  flipCount: number
  /** Share of rows that flipped, of all rows. */
  flipRate: number
  /** log-probability of each token under the full cache and under the policy (natural logarithm). */
  fullLogprobs: Float64Array
  policyLogprobs: Float64Array
  /** What each head missed, by its own queries, keys and values; undefined where it was not asked for, or not possible (`localNote`). */
  local: LocalShadow | undefined
  /** Why there is no local part. */
  localNote: string | undefined
}

/**
 * `from`: a forkable reading under the full cache of this run's prompt and nothing else, as the run's own was forked from: the prompt
 * is then not read again, with the same result.
 */
export function shadow(run: RunRecord, options: CallOptions, from?: Reading, local = true): Promise<Shadow> {
  return withBar('comparing', options, (call) => compared(run, from, local, call))
}

async function compared(run: RunRecord, from: Reading | undefined, local: boolean, options: Call): Promise<Shadow> {
  if (run.tokens.length === 0)
    throw new ZslabError('invalid', 'this run wrote no token, so there is nothing to compare: generate some first')
  const { tokens, log, logStart, policy, model } = run
  const { context } = model.description
  const all = log.slice(0, run.logStart + tokens.length).reduce((sum, fed) => sum + fed.ids.length, 0)
  if (all > context)
    throw new ZslabError(
      'invalid',
      `this run read and wrote ${all} tokens under ${policy.name}, but the full cache that it is compared with ends at the ${context} of the model's context: compare a shorter run`,
    )
  if (from !== undefined) checkFrom(from, run)
  const call = { signal: options.signal }
  const result: Shadow = {
    model: basename(model.name),
    policyName: policy.name,
    label: run.resolved?.budget ? `${policy.name}, ${run.resolved.budget} slots` : policy.name,
    promptTokens: log[0].ids.length,
    tokens: run.generatedTokens(),
    kl: new Float64Array(tokens.length),
    meanKl: 0,
    flips: [],
    top1: [],
    fullTop1: [],
    flipCount: 0,
    flipRate: 0,
    fullLogprobs: new Float64Array(tokens.length),
    policyLogprobs: new Float64Array(tokens.length),
    local: undefined,
    localNote: undefined,
  }
  const { layers, kvHeads } = model.description
  const kept = local && tokens.length > 1 ? keptOf({ level: 'vectors', queries: 0 }, layers, kvHeads) : NOTHING_KEPT
  const [full, own, localNote] = await bothRecorded(run, from, kept, call)
  result.localNote = localNote
  try {
    const last = logStart + tokens.length
    for (let entry = 0; entry < last; entry++) {
      for (const part of entry ? cut(log[entry], policy.native.chunk) : []) {
        await full.feedOnce(part, call, true)
        await own.feedOnce(part, call, true)
      }
      options.progress?.({ done: entry + 1, total: last })
      if (entry >= logStart) compare(result, entry - logStart, full.lastLogits(), own.lastLogits())
      await own.asAfter(log[entry])
    }
    if (own.trace.vectors) result.local = await localShadow(localOf(run, own), call)
  } finally {
    full.dispose()
    own.dispose()
  }
  result.meanKl = result.kl.reduce((sum, kl) => sum + kl, 0) / tokens.length
  result.flipCount = result.flips.filter(Boolean).length
  result.flipRate = result.flipCount / tokens.length
  return showsItself(result, shadowText)
}

/** Rows: the run's tokens that were fed, each a call of its own. */
function localOf(run: RunRecord, own: Reading): LocalOf {
  const starts = callStarts(own.log.map(({ ids }) => ids.length))
  const first = run.log.slice(0, run.logStart + 1).reduce((sum, fed) => sum + fed.ids.length, 0)
  return {
    shape: own.cache.options.shape,
    recorded: async (layer, kvHead) => Promise.resolve({ cache: own.cache, layer, kvHead }),
    isRecorded: () => true,
    policy: own.policy,
    events: own.cache.events(),
    promptTokens: run.log[0].ids.length,
    starts,
    positions: Int32Array.from({ length: run.tokens.length - 1 }, (_, i) => first + i),
  }
}

async function underPolicy(
  from: Reading,
  policy: Policy,
  budgets: Budgets | undefined,
  trace: Kept,
  call: Call,
): Promise<Reading> {
  const [reading] = await from.underPolicies([{ policy, budgets }], trace, call)
  return reading
}

/** bothRead(), without vectors and with the reason where they cannot be kept. */
async function bothRecorded(
  run: RunRecord,
  from: Reading | undefined,
  kept: Kept,
  call: Call,
): Promise<[Reading, Reading, string | undefined]> {
  try {
    return [...(await bothRead(run, from, kept, call)), undefined]
  } catch (error) {
    if (kept === NOTHING_KEPT || !(error instanceof ZslabError) || error.code !== 'unsupported') throw error
    return [...(await bothRead(run, from, NOTHING_KEPT, call)), error.message]
  }
}

/** Readings under the full cache and under the run's policy that have read its first prompt, once where that is possible. */
async function bothRead(
  run: RunRecord,
  from: Reading | undefined,
  kept: Kept,
  call: Call,
): Promise<[Reading, Reading]> {
  const { model, policy, budgets, storage } = run
  const [prompt] = run.log
  // chunk decides how further turns are cut, so the full cache must read them alike.
  const whole = fullCache({ chunk: policy.native.chunk })
  const started: Reading[] = []
  try {
    if (from) {
      started.push(
        await from.exclusively(() =>
          from.policy.native.chunk === policy.native.chunk
            ? from.copied()
            : underPolicy(from, whole, undefined, from.trace, call),
        ),
      )
    } else {
      started.push(Reading.create(model, { policy: whole, storage, forkable: true }))
      await started[0].feedOnce(prompt, call, true)
    }
    if (prompt.shareOf === prompt.ids.length) {
      started.push(await underPolicy(from ?? started[0], policy, budgets, kept, call))
    } else {
      started.push(
        Reading.create(model, {
          policy,
          budgets,
          storage,
          trace: kept === NOTHING_KEPT ? 'off' : { level: 'vectors', queries: 0 },
        }),
      )
      await started[1].feedOnce(prompt, call, true)
    }
    return started as [Reading, Reading]
  } catch (error) {
    for (const reading of started) reading.dispose()
    throw error
  }
}

function checkFrom(from: Reading, run: RunRecord): void {
  const advice = 'give the session that was forked, or leave it out'
  const { ids } = run.log[0]
  const sameText =
    from.log.length === 1 &&
    from.interventions.length === 0 &&
    from.seqLen === ids.length &&
    ids.every((id, i) => from.log[0].ids[i] === id)
  const fits = from.model === run.model && from.storage === run.storage && from.policy.acts === 'never'
  if (!sameText || !fits || from.log[0].shareOf !== run.log[0].shareOf)
    throw new ZslabError(
      'invalid',
      `from should be a session under the full cache that has read just this run's prompt of ${ids.length} tokens, but it is one under ${from.policy.name} that has read ${from.seqLen}: ${advice}`,
    )
}

function compare(result: Shadow, at: number, full: Float32Array, own: Float32Array): void {
  const [ofFull, ofOwn] = [logSumExp(full), logSumExp(own)]
  result.kl[at] = klDivergence(full, own, ofFull, ofOwn)
  result.fullLogprobs[at] = logProb(full, result.tokens[at].id, ofFull)
  result.policyLogprobs[at] = logProb(own, result.tokens[at].id, ofOwn)
  const [best, chosen] = [argmax(full), argmax(own)]
  result.fullTop1.push(best)
  result.top1.push(chosen)
  result.flips.push(best !== chosen)
}
