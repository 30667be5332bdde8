/** The shadow of a run: the same tokens under the full cache, compared row by row. */
import { basename } from 'node:path'
import { options as checked } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { CallOptions } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import { interruptible } from '../progress.js'
import { argmax, klDivergence, logProb } from '../sampling.js'
import { cut, Session } from '../session.js'
import type { RunToken } from '../trace/data.js'
import type { Run } from '../trace/run.js'

export interface Shadow {
  model: string
  policyName: string
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
}

export async function shadow(run: Run, options: CallOptions): Promise<Shadow> {
  checked('shadow', options, ['signal', 'progress'])
  if (run.tokens.length === 0)
    throw new ZslabError('invalid', 'this run wrote no token, so there is nothing to compare: generate some first')
  const { tokens, log, logStart, policy, storage, model } = run
  // chunk decides how further turns are cut, so the full cache must read them alike.
  const policies = [fullCache({ chunk: policy.native.chunk }), policy]
  const [full, own] = policies.map((one) => Session.create(model, { policy: one, storage }))
  const call = { signal: interruptible(options.signal) }
  const result: Shadow = {
    model: basename(model.name),
    policyName: policy.name,
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
  }
  try {
    const last = logStart + tokens.length
    for (let entry = 0; entry < last; entry++) {
      for (const part of cut(log[entry], policy.native.chunk)) {
        await full.feedOnce(part, call, true)
        await own.feedOnce(part, call, true)
      }
      options.progress?.({ done: entry + 1, total: last })
      if (entry >= logStart) compare(result, entry - logStart, full.lastLogits(), own.lastLogits())
    }
  } finally {
    full.dispose()
    own.dispose()
  }
  result.meanKl = result.kl.reduce((sum, kl) => sum + kl, 0) / tokens.length
  result.flipCount = result.flips.filter(Boolean).length
  result.flipRate = result.flipCount / tokens.length
  return result
}

function compare(result: Shadow, at: number, full: Float32Array, own: Float32Array): void {
  result.kl[at] = klDivergence(full, own)
  result.fullLogprobs[at] = logProb(full, result.tokens[at].id)
  result.policyLogprobs[at] = logProb(own, result.tokens[at].id)
  const [best, chosen] = [argmax(full), argmax(own)]
  result.fullTop1.push(best)
  result.top1.push(chosen)
  result.flips.push(best !== chosen)
}
