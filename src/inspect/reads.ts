/** What each query of a kv head read under the policy, from the tape and the calls in which tokens came. */
import { HeadLedger, type Happened, type SlotAt } from '../trace/rebuild.js'

/** What the query at `position` read: its head's slots before anything left at its step, the tokens of its call up to itself included. */
export interface HeadRead {
  position: number
  /** Of the trace. */
  step: number
  slots: readonly SlotAt[]
}

/** Of the tokens of each call: positions at which those after the first prompt began, ascending, and at last where the newest ended. */
export function callStarts(calls: readonly number[]): number[] {
  let at = 0
  return calls.map((tokens) => (at += tokens))
}

/** The head as it is when queries at positions [from, to) attend: `first` is where their call began, whose tokens up to each see one another. */
export interface Attending {
  ledger: HeadLedger
  first: number
  from: number
  to: number
}

/**
 * Calls one after another, of queries at positions [from, to), each at or after `promptTokens`; `rows`: those of the head in `events`,
 * `starts` as of callStarts(). The ledger is the same one every time.
 */
export function* attending(
  events: Happened,
  rows: ArrayLike<number>,
  promptTokens: number,
  starts: readonly number[],
  from = promptTokens,
  to = Infinity,
): Generator<Attending> {
  const ledger = new HeadLedger()
  let row = 0
  for (let call = 0; call + 1 < starts.length; call++) {
    const [first, end] = [starts[call], Math.min(to, starts[call + 1])]
    if (end <= from || first >= to) continue
    // A call's tokens attend before any of them is settled.
    for (; row < rows.length && events.step[rows[row]] <= first - promptTokens; row++) ledger.apply(events, rows[row])
    yield { ledger, first, from: Math.max(first, from), to: end }
  }
}

/** What the queries read, one after another; arguments as of attending(). */
export function* headReads(...given: Parameters<typeof attending>): Generator<HeadRead> {
  const [, , promptTokens] = given
  for (const { ledger, first, from, to } of attending(...given)) {
    const slots = ledger.slots()
    for (let position = first; position < to; position++) {
      slots.push({ slot: slots.length, position, weight: 1, origins: [position] })
      if (position >= from) yield { position, step: position - promptTokens + 1, slots: [...slots] }
    }
  }
}
