/** Tokens that had left and were brought back: gone in between. */
import { cameAt } from '../trace/candidates.js'
import { ACTION, type EventColumns } from './data.js'
import type { Span } from './part.js'

export interface Gap {
  position: number
  /** The step at which it was dropped, and the one at which it was back. */
  left: number
  back: number
}

/** Steps at which a token that came at `from` and left at `to` had a slot of its own, without its own gaps. */
export function aloneIn(gaps: readonly Gap[], from: number, to: number): Span[] {
  const spans: Span[] = []
  let since = from
  for (const { left, back } of gaps) {
    if (left > since) spans.push([since, Math.min(left, to)])
    since = Math.max(since, back)
  }
  if (since < to) spans.push([since, to])
  return spans
}

/** By position. */
export function gapsBy(gaps: readonly Gap[]): Map<number, Gap[]> {
  const by = new Map<number, Gap[]>()
  for (const gap of gaps) by.set(gap.position, [...(by.get(gap.position) ?? []), gap])
  return by
}

/** Of one kv head's `rows`, in order; who has no drop among them left as it came. */
export function gapsOf(events: EventColumns, rows: ArrayLike<number>, promptTokens: number): Gap[] {
  const { step, action, position } = events
  const dropped = new Map<number, number>()
  const gaps: Gap[] = []
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]
    if (action[row] === ACTION.drop) dropped.set(position[row], step[row])
    if (action[row] !== ACTION.unevict) continue
    const left = dropped.get(position[row]) ?? cameAt(promptTokens, position[row])
    gaps.push({ position: position[row], left, back: step[row] })
  }
  return gaps
}
