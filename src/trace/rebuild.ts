/** A kv head's slots at any step, from the events alone. */
import { ZslabError } from '../errors.js'
import { ACTION, REASONS } from './actions.js'

const ASKED = REASONS.indexOf('asked')

/** What is needed of the events, a row each, in order. */
export interface Happened {
  step: ArrayLike<number>
  action: ArrayLike<number>
  reason: ArrayLike<number>
  position: ArrayLike<number>
  slot: ArrayLike<number>
  target: ArrayLike<number>
  weight: ArrayLike<number>
}

export interface SlotAt {
  slot: number
  /** Of its first token. */
  position: number
  /** Tokens that it stands for. */
  weight: number
  /** Positions of these, in order of arrival. */
  origins: number[]
}

/** A kv head once all events of `step` have happened. */
export interface HeadAt {
  layer: number
  kvHead: number
  step: number
  /** In the order of the cache: residual, sink, context, recent. */
  slots: SlotAt[]
  /** Positions that left for good, in order of leaving. */
  dropped: number[]
  /**
   * [slots, headDim] of each slot, where the head's vectors were recorded: a token's own, or of its members' as the policy merges them, to
   * rounding (1e-6) what the cache held. Not there where they were not recorded or the policy alters what it keeps (think, minicache).
   */
  keys?: Float32Array
  values?: Float32Array
}

interface Held {
  weight: number
  origins: number[]
}

/**
 * One kv head, event by event. Tokens are known by their positions: a slot that somebody is moved to may still seem to hold whom an event
 * to come moves away.
 */
export class HeadLedger {
  readonly dropped: number[] = []
  private readonly bySlot: (Held | undefined)[] = []
  private readonly byPosition = new Map<number, Held>()

  apply(events: Happened, row: number): void {
    const position = events.position[row]
    const [slot, target, weight] = [events.slot[row], events.target[row], events.weight[row]]
    switch (events.action[row]) {
      case ACTION.admit:
        return this.put(slot, position, { weight, origins: [position] })
      case ACTION.leave:
      case ACTION.place:
        return this.put(target, position, this.taken(slot, position))
      case ACTION.settle: {
        const [moved] = this.bySlot.splice(slot, 1)
        this.bySlot.splice(target, 0, moved)
        return
      }
      case ACTION.merge: {
        const into = this.bySlot[target]
        if (!into) throw broken(`a token is merged into slot ${target}, where nothing is`)
        into.origins.push(...(this.byPosition.has(position) ? this.taken(slot, position).origins : [position]))
        into.weight += weight
        return void this.byPosition.delete(position)
      }
      case ACTION.drop:
        if (events.reason[row] === ASKED) {
          this.dropped.push(position)
          this.bySlot.splice(slot, 1) // those behind it move up
        } else if (this.byPosition.has(position)) this.dropped.push(...this.taken(slot, position).origins)
        else this.dropped.push(position)
        return void this.byPosition.delete(position)
      case ACTION.unevict:
        this.dropped.splice(this.dropped.indexOf(position), 1)
        if (this.bySlot[slot]) this.bySlot.splice(slot, 0, undefined) // nobody left it: those from there on move down
        return this.put(slot, position, { weight, origins: [position] })
      case ACTION.options:
      case ACTION.pin:
        return
      default:
        throw broken(`there is no action ${events.action[row]}`)
    }
  }

  /** Positions in the slot that whoever came first to it is known by; undefined: there is none of that position. */
  originsOf(position: number): readonly number[] | undefined {
    return this.byPosition.get(position)?.origins
  }

  /** Positions in a slot that somebody is merged into. */
  originsIn(slot: number): readonly number[] | undefined {
    return this.bySlot[slot]?.origins
  }

  slots(): SlotAt[] {
    return Array.from(this.bySlot, (held, slot) => {
      if (!held) throw broken(`nothing is in slot ${slot}`)
      return { slot, position: held.origins[0], weight: held.weight, origins: [...held.origins] }
    })
  }

  /** Every slot as it is, uncopied: whoever looks may not change what it is shown. */
  each(visit: (slot: number, origins: readonly number[]) => void): void {
    this.bySlot.forEach((held, slot) => held && visit(slot, held.origins))
  }

  /** A ledger that goes on by itself from here. */
  copy(): HeadLedger {
    const other = new HeadLedger()
    const copies = new Map<Held, Held>()
    const copyOf = (held: Held): Held => {
      let made = copies.get(held)
      if (!made) copies.set(held, (made = { weight: held.weight, origins: [...held.origins] }))
      return made
    }
    for (const held of this.bySlot) other.bySlot.push(held && copyOf(held))
    for (const [position, held] of this.byPosition) other.byPosition.set(position, copyOf(held))
    other.dropped.push(...this.dropped)
    return other
  }

  private put(slot: number, position: number, held: Held): void {
    this.bySlot[slot] = held
    this.byPosition.set(position, held)
  }

  private taken(slot: number, position: number): Held {
    const held = this.byPosition.get(position)
    if (!held) throw broken(`the token at position ${position} was never admitted`)
    if (this.bySlot[slot] === held) {
      this.bySlot[slot] = undefined
      while (this.bySlot.length && !this.bySlot[this.bySlot.length - 1]) this.bySlot.length--
    }
    return held
  }
}

const broken = (what: string) =>
  new ZslabError(
    'invalid',
    `these events do not tell one story: ${what}; they are damaged, or some of them are missing`,
  )

/** Rows of each kv head, in order: [layer * kvHeads + kvHead]. */
export function rowsByHead(
  events: { layer: ArrayLike<number>; kvHead: ArrayLike<number>; step: ArrayLike<number> },
  layers: number,
  kvHeads: number,
): Int32Array[] {
  const of = (row: number) => events.layer[row] * kvHeads + events.kvHead[row]
  const counts = new Int32Array(layers * kvHeads)
  for (let row = 0; row < events.step.length; row++) counts[of(row)]++
  const rows = Array.from(counts, (count) => new Int32Array(count))
  counts.fill(0)
  for (let row = 0; row < events.step.length; row++) {
    const head = of(row)
    rows[head][counts[head]++] = row
  }
  return rows
}
