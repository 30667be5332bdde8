/** What became of some positions in every kv head by a step, from the events alone. */
import type { EventColumns } from '../native/binding.js'
import { ACTION, REASONS, type Reason } from '../trace/actions.js'
import { candidateAt } from '../trace/candidates.js'
import type { RunData } from '../trace/data.js'
import { HeadLedger, rowsByHead } from '../trace/rebuild.js'
import type { Span } from './span.js'

/**
 * kept: a slot of its own. blurred: in a slot that stands for others, too. Dropped otherwise: never, at the first choice at which it was a
 * candidate; later, after it had outlived one.
 */
export const FATES = ['kept', 'blurred', 'never', 'later'] as const
export type SpanFate = (typeof FATES)[number]

/** Columns [layers, kvHeads, positions]. */
export interface SpanFates {
  /** Into FATES. */
  fate: Uint8Array
  /** Where the position is; −1: nowhere. */
  slot: Int32Array
  /** Tokens that this slot stands for; 0: none. */
  weight: Int32Array
  /** The event of the tape that took the slot that was its own; −1: it has it. */
  row: Int32Array
  /** Of those that lost it: 1 = at the first choice at which they were candidates. */
  first: Uint8Array
}

/** Choices of the policy, rather than of a person. */
const CHOICES: readonly Reason[] = ['age', 'score', 'choice']

/**
 * `span` at the end of `step`. A choice is a step at which the head merged or dropped a token, and candidates are all that are none of the
 * newest `recent` (of a policy of one's own, whose rules nobody else knows, all).
 */
export function spanFates(events: EventColumns, data: RunData, span: Span, step: number): SpanFates {
  const { layers, kvHeads, promptTokens, resolved } = data
  const count = span.to - span.from
  const all = layers * kvHeads * count
  const made: SpanFates = {
    fate: new Uint8Array(all),
    slot: new Int32Array(all).fill(-1),
    weight: new Int32Array(all),
    row: new Int32Array(all).fill(-1),
    first: new Uint8Array(all),
  }
  rowsByHead(events, layers, kvHeads).forEach((rows, head) => {
    const { recent } = resolved.heads?.[Math.floor(head / kvHeads)][head % kvHeads] ?? resolved
    const { ledger, lost, choices } = followed(events, rows, span, step)
    const at = head * count
    for (const { slot, origins } of ledger.slots())
      for (const position of origins)
        if (position >= span.from && position < span.to) {
          made.slot[at + position - span.from] = slot
          made.weight[at + position - span.from] = origins.length
        }
    for (let i = 0; i < count; i++) {
      const weight = made.weight[at + i]
      if (weight === 1) continue
      made.row[at + i] = lost[i]
      const since = candidateAt(promptTokens, span.from + i, recent)
      const first = !choices.some((choice) => choice >= since && choice < events.step[lost[i]])
      made.first[at + i] = Number(first)
      made.fate[at + i] = FATES.indexOf(weight ? 'blurred' : first ? 'never' : 'later')
    }
  })
  return made
}

/** A head up to `step`: its slots, the row that took each position's own slot, and the steps at which somebody was chosen to leave. */
function followed(events: EventColumns, rows: Int32Array, { from, to }: Span, step: number) {
  const ledger = new HeadLedger()
  const lost = new Int32Array(to - from).fill(-1)
  const choices: number[] = []
  const loses = (origins: readonly number[], row: number) => {
    const [position] = origins
    if (origins.length === 1 && position >= from && position < to) lost[position - from] = row
  }
  for (const row of rows) {
    if (events.step[row] > step) break
    const action = events.action[row]
    if (action === ACTION.merge || action === ACTION.drop) {
      const chosen = CHOICES.includes(REASONS[events.reason[row]])
      if (chosen && choices[choices.length - 1] !== events.step[row]) choices.push(events.step[row])
      const position = events.position[row]
      loses(ledger.originsOf(position) ?? [position], row)
      if (action === ACTION.merge) loses(ledger.originsIn(events.target[row]) ?? [], row)
    }
    ledger.apply(events, row)
  }
  return { ledger, lost, choices }
}
