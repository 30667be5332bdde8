/** What is selected, shared by everything that the explorer shows: one step, one head, one token, one slot of one run. */
import type { Mode } from './look.js'

export interface Selection {
  step: number
  layer: number
  kvHead: number
  /** −1: none. */
  position: number
  /** Whose members are listed. */
  slot: { run: number; slot: number } | undefined
  mode: Mode
  /** What the small pictures of heads are coloured by; '': what each kept. */
  measure: string
  /** The text that is spelt out: around this position; undefined: around the newest token. */
  around: number | undefined
}

export class Selected {
  private readonly listeners = new Set<(before: Selection) => void>()

  constructor(private held: Selection) {}

  get now(): Readonly<Selection> {
    return this.held
  }

  change(part: Partial<Selection>): void {
    const before = this.held
    const next = { ...before, ...part }
    if ((Object.keys(part) as (keyof Selection)[]).every((name) => before[name] === next[name])) return
    // A slot is of one head.
    if (next.layer !== before.layer || next.kvHead !== before.kvHead) next.slot = part.slot
    this.held = next
    for (const listener of this.listeners) listener(before)
  }

  onChange(listener: (before: Selection) => void): void {
    this.listeners.add(listener)
  }
}
