/** What a session is made and forked with. */
import type { Budgets } from './budgets.js'
import type { CallOptions } from './native/call.js'
import type { Storage } from './native/engine.js'
import type { Policy } from './policies/index.js'
import type { TraceOption } from './trace/level.js'

export interface SessionOptions {
  /** Default: fullCache(). */
  policy?: Policy
  /** How keys and values are kept; default float16. Merged slots and all sums are float32. */
  storage?: Storage
  /** [layers][kvHeads]: slots, or shares of the prompt, instead of the policy's budget. */
  budgets?: Budgets
  /**
   * What is kept of what the cache does (default 'off'). 'events' or true: every change, for run.trace. 'scores': also what each slot is worth at
   * each step, for run.scores(): the policy's score and the probability that the query gave it, 8 bytes a slot, step and kv head; what would be
   * more than 2 GB is refused with its size before anything is read. 'vectors': events and what heads are given, for run.vectors(): of every token its key and value and of later ones (and the prompt's last `queries`, default 512) the queries and
   * outputs, 8 × headDim bytes a token and kv head, and of the latter as many again for each of its query heads. { level, layers,
   * kvHeads } names whose, `every` keeps scores of each n-th step alone, { level: 'vectors', scores: true } keeps both.
   * Of events { level, memory: 2 ** 28, folder } keeps so many bytes in memory (50 an event) and older ones in temporary files;
   * session.tapeBytes(tokens) says before how much it will be. With events a session also keeps, so that run.shadow() need not decode its
   * tokens again, what attention was given and gave in each call after the prompt, layers × 2 (heads + kvHeads) × headDim × 4 bytes a
   * token, and the row of logits after it, in all up to 256 MB: a call beyond that, and it lets go of all of it, for good.
   */
  trace?: TraceOption
  /** Keep where every position went (default true): 4 bytes a token and kv head. false: a slot knows its first position and weight. */
  origins?: boolean
  /**
   * Keep the prompt's queries, so that forks under other policies need no second prefill (default false). true: the last 798 rows, as far
   * as decay 0.98 looks back. 'all': every row, for decays near 1 and window 'all'; a token then takes layers × heads × (headDim + 2) × 4
   * bytes more until the session goes on. Forks leave what they add up of the prompt to those that
   * come after them (four kinds of scores at most, each layers × heads × 4 bytes a token or less), which session.bytes() leaves out.
   */
  forkable?: Forkable
}

export type Forkable = boolean | 'all'

export interface ForkOptions extends CallOptions {
  /** What is kept of what the cache does; default as the session. */
  trace?: TraceOption
}
