/** Teacher-forced log-probabilities of a text under a reading's policy. */
import { integer } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { CallOptions } from '../native/call.js'
import { resolve } from '../policies/index.js'
import { logProb } from '../sampling.js'
import { checkRoomFor } from '../trace/room.js'
import type { Feeding, Reading } from '../reading.js'
import type { Receipt } from '../trace/receipt.js'
import { scoreText } from '../show/file-texts.js'
import { showsItself } from '../show/show.js'

export interface ScoreOptions extends CallOptions {
  /** Tokens fed at once after the prompt part: 1 (default) compresses after every token, as generating does. */
  chunk?: number
  /**
   * On an empty session: how many tokens are read as the prompt. Default min(n, budget), so that the policy acts from then on; a policy
   * that acts on prompts alone (acts 'prompt') needs it said, and its shares refer to it.
   */
  prompt?: number
}

export interface Score {
  tokens: number[]
  /** [tokens] natural logarithms; NaN for a first token that nothing precedes. */
  logprobs: Float64Array
  /** exp(− mean of the logprobs that are numbers). */
  perplexity: number
  /** How many tokens the perplexity is over. */
  scored: number
  /** Tokens read as the prompt before the policy acted step by step. */
  prefilled: number
  receipt: Receipt
}

export async function score(
  reading: Reading,
  ids: Int32Array,
  options: Omit<ScoreOptions, 'progress'> & Feeding,
): Promise<Score> {
  const most = reading.policy.native.chunk
  const chunk = options.chunk === undefined ? 1 : integer('chunk', options.chunk, 1, most)
  reading.checkLength(ids.length)
  const fresh = reading.seqLen === 0
  const read = fresh ? promptTokens(reading, ids.length, options.prompt) : 0
  if (chunk === 1) checkRoomFor(reading, read, ids.length - read)
  const logprobs = new Float64Array(ids.length).fill(NaN)
  const total = ids.length
  const targetsOf = (from: number, to: number) =>
    Int32Array.from({ length: to - from }, (_, i) => (from + i + 1 < total ? ids[from + i + 1] : -1))
  const feed = async (from: number, to: number, shareOf: number) => {
    const progress =
      options.progress && (({ done }: { done: number }) => options.progress?.({ done: from + done, total }))
    const call = { signal: options.signal, progress, together: options.together }
    const found = await reading.feedOnce({ ids: ids.slice(from, to), shareOf }, call, to === total, targetsOf(from, to))
    for (let i = from; i < to && i + 1 < total; i++) logprobs[i + 1] = found![i - from]
    await options.progress?.({ done: to, total })
  }
  let at = 0
  if (fresh) {
    at = read
    await feed(0, at, reading.policy.acts === 'prompt' ? at : total)
  } else {
    if (reading.current.unfed !== undefined) {
      // What generate() chose last is read first: the first token is predicted by what follows it.
      await reading.feedOnce({ ids: Int32Array.of(reading.current.unfed), shareOf: 0 }, options, true)
    }
    logprobs[0] = logProb(reading.lastLogits(), ids[0])
  }
  const prefilled = at
  for (; at < total; at += chunk) await feed(at, Math.min(total, at + chunk), 0)
  const known = logprobs.filter((value) => !Number.isNaN(value))
  if (known.length === 0 && total > 1)
    throw new ZslabError('internal', 'no token could be scored: check the weights of the model file')
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  const made: Score = {
    tokens: Array.from(ids),
    logprobs,
    perplexity: known.length ? Math.exp(-mean) : NaN,
    scored: known.length,
    prefilled,
    receipt: reading.cache.receipt(),
  }
  return showsItself(made, scoreText)
}

/** Tokens that an empty session reads as its prompt. Errors: 'invalid' where a policy needs it said, or for a number that does not fit. */
function promptTokens({ policy, budgets }: Reading, total: number, given: number | undefined): number {
  if (given !== undefined) return integer('prompt', given, 1, total)
  const { acts, name } = policy
  // The prompt attends itself whole; where no budget says how long it is, it would be everything. Projected keys it attends as they are kept.
  if (acts === 'prompt' || (acts === 'always' && policy.native.budget === 0 && !policy.projects))
    throw new ZslabError(
      'invalid',
      `${name} acts on ${acts === 'prompt' ? 'prompts only' : 'what has been read'}, so without a prompt it would give the full cache's perplexity: say how many of the ${total} tokens are the prompt (prompt: ${Math.ceil(total / 2)}, --prompt-tokens)`,
    )
  const least = Math.min(...(budgets?.flat() ?? [policy.native.budget]))
  const { budget, read } = resolve(policy, total, least)
  return Math.min(total, budget || read || total)
}
