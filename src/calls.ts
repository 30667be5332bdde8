/** One call on the cache as a session remembers it, and what a traced one keeps of it, so that a run's shadow decodes nothing again. */
import type { Done } from './interventions.js'
import type { ModelDescription } from './model/index.js'

/** Kept so that it can be replayed under another policy. */
export interface Fed {
  ids: Int32Array
  /** 0: a chunk; else this was the prompt and shares refer to so many tokens. */
  shareOf: number
  /** What was asked of the cache after it and before the next. */
  then?: readonly Done[]
  /** Where the session was traced, and had room. */
  given?: Given
}

/** A call of the log in pieces that a policy's chunk allows; a prompt stays whole. */
export function cut(fed: Fed, chunk: number): Fed[] {
  if (fed.shareOf || fed.ids.length <= chunk) return [fed]
  const parts: Fed[] = []
  for (let at = 0; at < fed.ids.length; at += chunk) parts.push({ ids: fed.ids.slice(at, at + chunk), shareOf: 0 })
  return parts
}

/** Bytes that a session keeps at most; a call beyond that, and it lets go of everything, for good. Runs that ended before have theirs. */
export const MOST_GIVEN = 256e6

export interface Given {
  /** [layers, tokens, 2 heads + 2 kvHeads, headDim]: queries, keys, values, outputs of each token; undefined of a prompt. */
  attention?: Float32Array
  /** The row after the call [vocabulary]. */
  logits?: Float32Array
}

/** Of a token. */
const floatsOf = ({ layers, heads, kvHeads, headDim }: ModelDescription) => layers * 2 * (heads + kvHeads) * headDim

/** What a session may still keep of its calls. */
export class GivenRoom {
  /** most Infinity: attention of everything, and no logits. */
  constructor(
    private most: number = MOST_GIVEN,
    private bytes = 0,
  ) {}

  copy(): GivenRoom {
    return new GivenRoom(this.most, this.bytes)
  }

  /** Bytes kept once `tokens` further tokens have come one by one: at most, and exactly where that is none. */
  after(of: ModelDescription, tokens: number): number {
    return Math.min(this.most, this.bytes + tokens * 4 * (floatsOf(of) + of.vocabulary))
  }

  /** Of a call of `tokens`; undefined where it is too much. */
  attention(of: ModelDescription, tokens: number): Float32Array<ArrayBuffer> | undefined {
    const floats = tokens * floatsOf(of)
    return this.bytes + 4 * (floats + of.vocabulary) > this.most ? undefined : new Float32Array(floats)
  }

  /** Adds the call to `log`, with what is kept of it. */
  add(log: Fed[], fed: Fed, attention: Float32Array | undefined, logits: Float32Array | undefined): void {
    if (log.length && !attention) {
      log.forEach(({ given, ...rest }, i) => given && (log[i] = rest))
      this.most = this.bytes = 0
    }
    const given = this.most > 0 ? { attention, logits: this.most === Infinity ? undefined : logits } : undefined
    this.bytes += (given?.attention?.byteLength ?? 0) + (given?.logits?.byteLength ?? 0)
    log.push(given ? { ...fed, given } : fed)
  }
}

/** Why a shadow has to decode a run's calls [1, …] again; rows are those of the calls from `logStart` on. */
export function whyDecodeAgain(log: readonly Fed[], logStart: number, traced: boolean): string | undefined {
  if (!traced) return "its session was not traced: trace: 'events' keeps what a shadow takes"
  const whole = log.every(({ given }, i) => (i === 0 || given?.attention) && (i < logStart || given?.logits))
  return whole ? undefined : `what its session would have had to keep was more than ${MOST_GIVEN / 1e6} MB`
}
