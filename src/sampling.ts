/**
 * From logits to a token. Greedy takes the largest logit, the lowest id among equals. Otherwise temperature → topK → topP → minP:
 * divide by temperature, softmax, keep the topK largest, of those the fewest whose probabilities (of what topK kept) reach topP, of
 * those the ones with at least minP times the largest, and draw from what is left. Draws come from xoshiro128** seeded by SplitMix32, so a seed fixes the text.
 */
import { randomInt } from 'node:crypto'
import { integer, number } from './expect.js'
import { ZslabError } from './errors.js'

export interface SamplingOptions {
  /** 0 = greedy. Default: 0, or 1 where topK, topP or minP is given. */
  temperature?: number
  /** At most so many candidates; applied first, then topP, then minP. */
  topK?: number
  /** Probability that the candidates reach together, in (0, 1]. */
  topP?: number
  /** Least probability of a candidate as a share of the largest, in [0, 1]. */
  minP?: number
  /** 0 to 2³² − 1; drawn at random and reported where not given. */
  seed?: number
}

export interface Sampling {
  temperature: number
  topK: number | undefined
  topP: number
  minP: number
  seed: number
}

export function samplingOf(options: SamplingOptions): Sampling {
  const narrowed = (['topK', 'topP', 'minP'] as const).filter((name) => options[name] !== undefined)
  const temperature =
    options.temperature === undefined ? (narrowed.length ? 1 : 0) : number('temperature', options.temperature, 0, 100)
  if (temperature === 0 && narrowed.length)
    throw new ZslabError(
      'invalid',
      `${narrowed.join(', ')} has no effect at temperature 0 (greedy): raise temperature or leave it out`,
    )
  if (options.topP === 0)
    throw new ZslabError('invalid', 'expected a number above 0 and up to 1 for topP but received 0')
  return {
    temperature,
    topK: options.topK === undefined ? undefined : integer('topK', options.topK, 1),
    topP: options.topP === undefined ? 1 : number('topP', options.topP, 0, 1, 'above 0 and up to 1'),
    minP: options.minP === undefined ? 0 : number('minP', options.minP, 0, 1),
    seed: options.seed === undefined ? randomInt(2 ** 32) : integer('seed', options.seed, 0, 2 ** 32 - 1),
  }
}

/** Numbers in [0, 1) with 32 random bits. */
export function generator(seed: number): () => number {
  let x = seed >>> 0
  const split = () => {
    x = (x + 0x9e3779b9) >>> 0
    let z = x
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return (z ^ (z >>> 15)) >>> 0
  }
  const s = [split(), split(), split(), split()]
  const rotated = (value: number, by: number) => ((value << by) | (value >>> (32 - by))) >>> 0
  return () => {
    const result = Math.imul(rotated(Math.imul(s[1], 5) >>> 0, 7), 9) >>> 0
    const t = (s[1] << 9) >>> 0
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotated(s[3] >>> 0, 11)
    return result / 2 ** 32
  }
}

/** 0 … count − 1 in an order that `seed` draws, all alike likely (Fisher and Yates). */
export const randomOrder = (count: number, seed: number): Int32Array => orderOf(count, generator(seed))

/** The same of draws that go on. */
export function orderOf(count: number, draw: () => number): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1))
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return order
}

/** The largest logit's id, the lowest among equals; −∞ and NaN are never it. Errors: 'internal' where it is no finite number. */
export function argmax(logits: Float32Array): number {
  let best = -1
  for (let id = 0; id < logits.length; id++) if (logits[id] > (best < 0 ? -Infinity : logits[best])) best = id
  return finite(logits, best)
}

/** `best`, the largest logit's id, −1 where there is none. Errors: those of argmax. */
export function finite(logits: Float32Array, best: number): number {
  if (best < 0)
    throw new ZslabError('internal', 'the model returned no finite logit: check the weights of the model file')
  if (logits[best] === Infinity)
    throw new ZslabError('internal', `the logit of token ${best} is infinite: check the weights of the model file`)
  return best
}

/** Makes the function that picks tokens; every call of it uses one draw. */
export function sampler(sampling: Sampling): (logits: Float32Array) => number {
  if (sampling.temperature === 0) return argmax
  const draw = generator(sampling.seed)
  return (logits) => {
    const { ids, probs } = candidates(logits, sampling)
    let left = draw() * probs.reduce((sum, p) => sum + p, 0)
    for (let i = 0; i < ids.length; i++) {
      left -= probs[i]
      if (left < 0) return ids[i]
    }
    return ids[ids.length - 1]
  }
}

/** The ids that may be drawn, likeliest first, with probabilities of the whole softmax. */
export function candidates(logits: Float32Array, sampling: Sampling): { ids: number[]; probs: number[] } {
  const { temperature, topK, topP, minP } = sampling
  const largest = logits[argmax(logits)]
  const all = new Float64Array(logits.length)
  let sum = 0
  for (let id = 0; id < logits.length; id++) {
    // NaN is no candidate.
    all[id] = Math.exp((logits[id] - largest) / temperature) || 0
    sum += all[id]
  }
  // What is below 1e-12 of the largest cannot be drawn within 32 bits unless everything is equally small.
  const order: number[] = []
  for (let id = 0; id < all.length; id++) if (all[id] >= 1e-12) order.push(id)
  order.sort((a, b) => all[b] - all[a] || a - b)
  const kept = order.slice(0, topK ?? order.length)
  let within = topK === undefined ? sum : kept.reduce((total, id) => total + all[id], 0)
  within *= topP
  let end = 0
  for (let reached = 0; end < kept.length && (end === 0 || reached < within || topP === 1); end++)
    reached += all[kept[end]]
  const ids = kept.slice(0, end).filter((id) => all[id] >= minP)
  return { ids, probs: ids.map((id) => all[id] / sum) }
}

/** log softmax(logits)[id], natural logarithm, summed in double. */
export function logProb(logits: Float32Array, id: number, ofAll = logSumExp(logits)): number {
  return logits[id] - ofAll
}

export function logSumExp(logits: Float32Array): number {
  const largest = logits[argmax(logits)]
  let sum = 0
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - largest)
  return largest + Math.log(sum)
}

/** KL(p ‖ q) in nats of the distributions of two rows of logits; never below 0, exactly 0 for equal rows. a, b: their logSumExp, where known. */
export function klDivergence(p: Float32Array, q: Float32Array, a = logSumExp(p), b = logSumExp(q)): number {
  let sum = 0
  for (let id = 0; id < p.length; id++) {
    const logP = p[id] - a
    const difference = logP - (q[id] - b)
    // What p never gives adds nothing, also where q does not give it.
    if (logP !== -Infinity && difference !== 0) sum += Math.exp(logP) * difference
  }
  return Math.max(0, sum)
}
