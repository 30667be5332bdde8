/** Whether scores of what is to be read fit into what a session keeps: known before any of it is. */
import { ZslabError } from '../errors.js'
import { native } from '../native/binding.js'
import { resolve } from '../policies/index.js'
import type { Reading } from '../reading.js'
import { counted, ordinal, sizeText } from '../show/texts.js'
import { MOST_SCORES, SCORE_BYTES } from './level.js'
import { headsOf } from './recorded.js'

export interface Asked {
  /** Whose scores are kept. */
  heads: number
  /** Slots that the row of what is read first has, of each head; 0: none is. */
  first: number
  /** Steps after it, and how many of them make a row. */
  steps: number
  every: number
  /** Slots that the first of the steps reads; each has one more than the one before, up to `most`. */
  slots: number
  most: number
  /** Bytes that are kept already. */
  held: number
}

/** Errors: 'invalid' with the size, how it comes about and what would fit. */
export function checkRoom({ heads, first, steps, every, slots, most, held }: Asked): void {
  const rows = Math.floor(steps / every)
  const growing = Math.min(steps, Math.max(0, most - slots))
  const rest = steps - growing
  const all = growing * slots + (growing * (growing - 1)) / 2 + (rest ? rest * most : 0)
  const mean = steps ? all / steps : 0
  const bytes = heads * (first + rows * mean) * SCORE_BYTES
  if (held + bytes <= MOST_SCORES) return
  const read = first ? `${counted(first)} slots when the prompt has been read, then ` : ''
  const thinned = every > 1 ? `every ${ordinal(every)} of ${counted(steps)} steps, ` : ''
  const fit = Math.ceil((every * bytes) / Math.max(1, MOST_SCORES - held))
  throw new ZslabError(
    'invalid',
    `scores and probabilities would take ${sizeText(bytes)} (${thinned}${read}${counted(rows)} steps × ${counted(heads)} heads × ${counted(Math.round(mean))} slots × ${SCORE_BYTES} B)${held ? ` beside ${sizeText(held)} that the session has` : ''}, and a session keeps ${sizeText(MOST_SCORES)} at most: name fewer heads (trace: { level: 'scores', layers, kvHeads }), keep every ${ordinal(fit)} step (every: ${fit}), or generate fewer tokens under a smaller budget`,
  )
}

/** Of `reads` tokens that `reading` is to read at once and `steps` that follow one by one. */
export function checkRoomFor(reading: Reading, reads: number, steps: number): void {
  const { cache, policy } = reading.current
  const { scores, every } = reading.trace
  const { kvHeads, context } = reading.model.description
  const heads = headsOf(scores, kvHeads)
  if (!heads.length) return
  const seen = reading.seqLen
  const prompt = seen ? reading.log[0].ids.length : reads
  const after = seen + reads
  const [{ layer, kvHead }] = heads
  const held = seen ? native().cacheScored(cache.native, layer, kvHead).bytes : 0
  const budget = reading.budgets ? meanOf(reading.budgets.flat(), prompt) : resolve(policy, prompt).budget
  const act = budget > 0 ? policy.acts : 'never'
  const since = after - prompt
  const most = act === 'always' ? budget + 1 : Infinity
  const slots = act === 'prompt' && prompt > budget ? budget + since + 1 : after + 1
  const fed = policy.endless ? steps : Math.min(steps, Math.max(0, context - after))
  const first = seen ? 0 : reads
  checkRoom({ heads: heads.length, first, steps: fed, every, slots: Math.min(slots, most), most, held })
}

/** Of budgets as slots or shares of a prompt. */
const meanOf = (budgets: readonly number[], prompt: number) =>
  budgets.reduce((sum, budget) => sum + (budget < 1 ? Math.trunc(budget * prompt) : budget), 0) / budgets.length
