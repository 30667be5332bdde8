/** One kv head's cache at any step, quickly on and back: the ledger of its events with copies of itself left along the way. */
import type { Gap } from '../figures/gaps.js'
import { ACTION } from '../trace/actions.js'
import { HeadLedger } from '../trace/rebuild.js'
import type { HeadEvents } from './events.js'

/** What a token is at a step. */
export const TOKEN = { notYet: 0, alone: 1, merged: 2, dropped: 3 } as const

/** A kv head at a step; arrays by position, overwritten by the next step that is asked for. */
export interface HeadNow {
  step: number
  /** Of TOKEN. */
  state: Uint8Array
  /** The slot that stands for the token; −1: none. */
  slot: Int32Array
  slots: number
  /** By slot: the position of its first token, and how many it stands for. */
  first: Int32Array
  members: Int32Array
  /** Slots that stand for several tokens. */
  merged: number
  dropped: number
  /** The newest position that has come; −1: none. */
  newest: number
}

const COPIES = 64
/** Events between two copies, at least: fewer are gone through faster than a cache is copied. */
const APART = 512

export class HeadStory {
  /** By position: the row of the merge or drop that ended its own slot; −1: none did. Of the first member of a merged slot: of its second. */
  readonly left: Int32Array
  /** By position: the last row with a score of it; −1: none. */
  readonly scored: Int32Array
  /** By position: the step at which it was pinned; −1: never. */
  readonly pinned: Int32Array
  /** When tokens were gone that came back after all. */
  readonly gaps: Gap[] = []
  /** By position, of TOKEN, at the end. */
  readonly end: Uint8Array

  private readonly ends: Int32Array
  private readonly copies: { row: number; ledger: HeadLedger }[] = []
  private readonly apart: number
  private ledger = new HeadLedger()
  private row = 0
  private readonly now: HeadNow
  private readonly newest: Int32Array

  /** `tokens`: of the whole run, of which this head sees one after another; steps 0 … lastStep. */
  constructor(
    readonly events: HeadEvents,
    readonly tokens: number,
    readonly lastStep: number,
  ) {
    const rows = events.step.length
    this.apart = Math.max(APART, Math.ceil(rows / COPIES))
    this.ends = new Int32Array(lastStep + 1)
    this.newest = new Int32Array(lastStep + 1)
    this.left = new Int32Array(tokens).fill(-1)
    this.scored = new Int32Array(tokens).fill(-1)
    this.pinned = new Int32Array(tokens).fill(-1)
    this.now = {
      step: -1,
      state: new Uint8Array(tokens),
      slot: new Int32Array(tokens),
      slots: 0,
      first: new Int32Array(tokens + 1),
      members: new Int32Array(tokens + 1),
      merged: 0,
      dropped: 0,
      newest: -1,
    }
    let [row, newest] = [0, -1]
    for (let step = 0; step <= lastStep; step++) {
      for (; row < rows && events.step[row] <= step; row++) {
        const position = events.position[row]
        const action = events.action[row]
        if (action === ACTION.options) continue
        // Whoever leaves has come, also a token of the prompt that never had a slot.
        newest = Math.max(newest, position)
        if (action === ACTION.merge || action === ACTION.drop) this.left[position] = row
        if (action === ACTION.pin && this.pinned[position] < 0) this.pinned[position] = events.step[row]
        if (action === ACTION.unevict) {
          const from = this.left[position]
          this.gaps.push({ position, left: events.step[from < 0 ? row : from], back: events.step[row] })
          this.left[position] = -1
        }
        if (!Number.isNaN(events.score[row])) this.scored[position] = row
      }
      this.ends[step] = row
      this.newest[step] = newest
    }
    const { state } = this.at(lastStep)
    this.end = state.slice()
    this.ledger.each((_, origins) => {
      if (origins.length > 1) this.left[origins[0]] = this.left[origins[1]]
    })
  }

  /** Whether it is pinned in the cache at `step`. */
  isPinned(position: number, step: number): boolean {
    return this.pinned[position] >= 0 && this.pinned[position] <= step
  }

  /** Rows of the events of `step`: from, and the one after the last. */
  rows(step: number): [from: number, to: number] {
    return [step ? this.ends[step - 1] : 0, this.ends[step]]
  }

  /** The step at which the token lost its own slot; Infinity: it never did. */
  leftAt(position: number): number {
    const row = this.left[position]
    return row < 0 ? Infinity : this.events.step[row]
  }

  /** The cache once all events of `step` have happened. */
  at(step: number): HeadNow {
    const { now } = this
    if (now.step === step) return now
    this.seek(this.ends[step])
    Object.assign(now, { step, slots: 0, merged: 0, newest: this.newest[step] })
    now.state.fill(TOKEN.dropped, 0, now.newest + 1)
    now.state.fill(TOKEN.notYet, now.newest + 1)
    now.slot.fill(-1)
    let held = 0
    this.ledger.each((slot, origins) => {
      const state = origins.length > 1 ? TOKEN.merged : TOKEN.alone
      now.slots = Math.max(now.slots, slot + 1)
      now.first[slot] = origins[0]
      now.members[slot] = origins.length
      if (origins.length > 1) now.merged++
      for (const position of origins) {
        now.state[position] = state
        now.slot[position] = slot
      }
      held += origins.length
    })
    now.dropped = now.newest + 1 - held
    return now
  }

  /** Positions of a slot at `step`, in order of arrival; empty where nothing is. */
  members(step: number, slot: number): number[] {
    this.at(step)
    let found: readonly number[] = []
    this.ledger.each((at, origins) => {
      if (at === slot) found = origins
    })
    return [...found]
  }

  private seek(row: number): void {
    let last = this.copies.length - 1
    while (last >= 0 && this.copies[last].row > row) last--
    const from = last < 0 ? 0 : this.copies[last].row
    if (row < this.row || from > this.row) {
      this.ledger = last < 0 ? new HeadLedger() : this.copies[last].ledger.copy()
      this.row = from
    }
    while (this.row < row) {
      const next = this.copies.at(-1)?.row ?? 0
      const stop = Math.min(row, this.stopAfter(next + this.apart))
      for (; this.row < stop; this.row++) this.ledger.apply(this.events, this.row)
      if (this.row >= next + this.apart) this.copies.push({ row: this.row, ledger: this.ledger.copy() })
    }
  }

  /** The end of the step that `row` belongs to: within a step a slot may stand for two tokens. */
  private stopAfter(row: number): number {
    const { step } = this.events
    return row >= step.length ? step.length : this.ends[Math.max(0, Math.min(this.lastStep, step[row - 1]))]
  }
}
