/** What each query of a kv head read under the policy, from the tape and the calls in which tokens came. */
import type { Happened, SlotAt } from '../trace/rebuild.js'
import { HeadLedger } from '../trace/rebuild.js'

/** What the query at `position` read: its head's slots before anything left at its step, the tokens of its call up to itself included. */
export interface HeadRead {
  position: number
  /** Of the trace. */
  step: number
  slots: readonly SlotAt[]
}

/** Positions at which the calls after the first prompt began, ascending, and at last where the newest ended. */
export function callStarts(log: readonly { ids: { length: number } }[]): number[] {
  let at = 0
  return log.map(({ ids }) => (at += ids.length))
}

/**
 * Reads of the queries at positions [from, to), each at or after `promptTokens`; `rows`: those of the head in `events`, `starts` as of
 * callStarts().
 */
export function* headReads(
  events: Happened,
  rows: ArrayLike<number>,
  promptTokens: number,
  starts: readonly number[],
  from = promptTokens,
  to = Infinity,
): Generator<HeadRead> {
  const ledger = new HeadLedger()
  let row = 0
  for (const [call, first] of starts.slice(0, -1).entries()) {
    const end = Math.min(to, starts[call + 1])
    if (end <= from) continue
    // A call's tokens attend before any of them is settled.
    for (; row < rows.length && events.step[rows[row]] <= first - promptTokens; row++) ledger.apply(events, rows[row])
    const before = ledger.slots()
    const newest: SlotAt[] = []
    for (let position = first; position < end; position++) {
      newest.push({ slot: before.length + position - first, position, weight: 1, origins: [position] })
      if (position >= from) yield { position, step: position - promptTokens + 1, slots: [...before, ...newest] }
    }
  }
}
