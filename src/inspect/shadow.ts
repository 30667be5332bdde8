/** The shadow of a run: the same tokens under the full cache, compared row by row. */
import { basename } from 'node:path'
import { ZslabError } from '../errors.js'
import { native } from '../native/binding.js'
import type { Call, CallOptions } from '../native/call.js'
import type { Engine } from '../native/engine.js'
import { fullCache } from '../policies/index.js'
import type { SessionOptions } from '../session-options.js'
import { withBar } from '../long-work.js'
import { finite, logProb } from '../sampling.js'
import { cameOf } from '../recipe/recipe.js'
import { showsItself } from '../show/show.js'
import { shadowText } from '../show/shadow-text.js'
import { cut, whyDecodeAgain } from '../calls.js'
import { Reading } from '../reading.js'
import { allOf, sideBySide, type Together } from '../together.js'
import type { RunToken } from '../trace/data.js'
import { keptOf, NOTHING_KEPT } from '../trace/level.js'
import type { RunRecord } from '../trace/run.js'
import { localShadow, type LocalShadow } from './local.js'

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
  /** Why the run's tokens were decoded again under its policy; undefined: its session had kept what that takes. */
  decodedAgain: string | undefined
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
  const last = logStart + tokens.length
  const again = whyDecodeAgain(log.slice(0, last), logStart, run.trace.kept !== undefined)
  const localNote = local ? whyNoLocal(run) : undefined
  const measured = local && localNote === undefined && tokens.length > 1
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
    localNote,
    decodedAgain: again,
  }
  const heads = measured ? model.description.layers * model.description.kvHeads : 0
  const report = (done: number) => options.progress?.({ done, total: last + heads })
  const [full, own] = await bothRead(run, from, again === undefined ? undefined : measured, call)
  const both = own ? [full, own] : [full]
  try {
    for (let entry = 0; entry < last; entry++) {
      for (const part of entry ? cut(log[entry], policy.native.chunk) : []) {
        const feed = (i: number, together: Together) => both[i].feedOnce(part, { ...call, together }, true)
        allOf(await sideBySide(model.native, both.length, feed))
      }
      await report(entry + 1)
      const logits = own ? own.lastLogits() : log[entry].given?.logits
      if (entry >= logStart) compare(result, entry - logStart, model.engine, full.lastLogits(), logits!)
      await own?.asAfter(log[entry])
    }
    if (measured) {
      const [ownLog, events] = own ? [own.log, own.cache.events()] : [log.slice(0, last), run.trace.tape()]
      const of = {
        shape: full.cache.options.shape,
        policy: own?.current.policy ?? policy,
        events,
        calls: ownLog.map(({ ids }) => ids.length),
        positions: fedBy(run),
      }
      const given = ownLog.slice(1).map((fed) => fed.given!.attention!)
      const progress = ({ done }: { done: number }) => report(last + done)
      result.local = await localShadow(of, full.cache, given, { ...call, progress })
    }
  } finally {
    full.dispose()
    own?.dispose()
  }
  result.meanKl = result.kl.reduce((sum, kl) => sum + kl, 0) / tokens.length
  result.flipCount = result.flips.filter(Boolean).length
  result.flipRate = result.flipCount / tokens.length
  return showsItself(cameOf(result, run, 'shadow', local ? [] : [{ local }]), shadowText)
}

/** Positions of the run's tokens that were read, each by a call of its own. */
function fedBy(run: RunRecord): Int32Array {
  const first = run.log.slice(0, run.logStart + 1).reduce((sum, fed) => sum + fed.ids.length, 0)
  return Int32Array.from({ length: run.tokens.length - 1 }, (_, i) => first + i)
}

/** Why what heads are given under a policy is nothing to measure on; as the engine says it. */
export function whyNoLocal({
  model,
  policy,
  budgets,
  storage,
}: Pick<RunRecord, 'model' | 'policy' | 'budgets' | 'storage'>): string | undefined {
  try {
    Reading.create(model, { policy, budgets, storage, trace: { level: 'vectors', queries: 0 } }).dispose()
    return undefined
  } catch (error) {
    if (!(error instanceof ZslabError) || error.code !== 'unsupported') throw error
    return error.message
  }
}

/**
 * Readings under the full cache and, unless `again` is undefined, under the run's policy that have read its first prompt, once where that is
 * possible; `again`: the latter keeps what it is given.
 */
async function bothRead(
  run: RunRecord,
  from: Reading | undefined,
  again: boolean | undefined,
  call: Call,
): Promise<[Reading, Reading | undefined]> {
  const { model, policy, budgets, storage } = run
  const [prompt] = run.log
  const { chunk } = policy.native
  const fresh = async (options: SessionOptions): Promise<Reading> => {
    const made = Reading.create(model, { ...options, storage })
    started.push(made)
    await made.feedOnce(prompt, call, true)
    return made
  }
  const started: Reading[] = []
  try {
    // chunk decides how further turns are cut, so the full cache must read them alike.
    const whole = { policy: fullCache({ chunk }), budgets: undefined }
    const forks = again !== undefined && prompt.shareOf === prompt.ids.length
    if (!from) await fresh({ policy: whole.policy, forkable: forks })
    else if (from.policy.native.chunk === chunk) started.push(await from.exclusively(() => from.copied()))
    else started.push(...(await from.exclusively(() => from.underPolicies([whole], NOTHING_KEPT, call))))
    const [full] = started
    if (again === undefined) return [full, undefined]
    const { layers, kvHeads } = model.description
    const trace = again ? keptOf('events', layers, kvHeads) : NOTHING_KEPT
    if (forks) started.push(...(await (from ?? full).underPolicies([{ policy, budgets }], trace, call)))
    else await fresh({ policy, budgets, trace: trace.level })
    if (again) started[1].keepAttention()
    return [full, started[1]]
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

function compare(result: Shadow, at: number, engine: Engine, full: Float32Array, own: Float32Array): void {
  const { kl, logSumP, logSumQ, bestP, bestQ } = native().compareLogits(engine.native, full, own)
  const [best, chosen] = [finite(full, bestP), finite(own, bestQ)]
  result.kl[at] = kl
  result.fullLogprobs[at] = logProb(full, result.tokens[at].id, logSumP)
  result.policyLogprobs[at] = logProb(own, result.tokens[at].id, logSumQ)
  result.fullTop1.push(best)
  result.top1.push(chosen)
  result.flips.push(best !== chosen)
}
