/** Events as columns with words for actions: what run.trace hands out. */
import { ZslabError } from '../errors.js'
import { frame } from '../frames.js'
import type { EventColumns } from '../native/binding.js'
import { showsItself } from '../show/show.js'
import { traceText } from '../show/texts.js'

export const ACTIONS = ['admit', 'leave', 'merge', 'drop'] as const
export type Action = (typeof ACTIONS)[number]

/**
 * What happened to the cache, in order: step 0 is the prompt, then one step per token. admit: a token enters `slot`; leave: the
 * oldest recent token moves from `slot` to `target`; merge: `slot` goes into the residual slot `target`; drop: it is gone.
 */
export class Trace {
  constructor(
    /** undefined without trace: true. @internal */
    readonly kept: EventColumns | undefined,
    private readonly tokenText: (position: number) => string,
  ) {}

  /** The native columns; action is a number: 0 admit, 1 leave, 2 merge, 3 drop. Errors: 'invalid' without trace: true. */
  columns(): EventColumns {
    if (this.kept) return this.kept
    throw new ZslabError('invalid', 'this session kept no events: make it with model.session({ trace: true, … })')
  }

  /** A danfojs frame of table(): one row per event. Errors: 'invalid' without trace: true, 'unsupported' without danfojs. */
  events(): ReturnType<typeof frame> {
    return frame(this.table())
  }

  get length(): number {
    return this.columns().step.length
  }

  /** Columns of plain arrays with `token` (text) and the names of actions, for tables. */
  table(): Record<string, (number | string)[]> {
    const c = this.columns()
    const texts = new Map<number, string>()
    const text = (position: number) => {
      let found = texts.get(position)
      if (found === undefined) texts.set(position, (found = this.tokenText(position)))
      return found
    }
    return {
      step: Array.from(c.step),
      layer: Array.from(c.layer),
      kvHead: Array.from(c.kvHead),
      position: Array.from(c.position),
      token: Array.from(c.position, text),
      action: Array.from(c.action, (action) => ACTIONS[action]),
      slot: Array.from(c.slot),
      target: Array.from(c.target),
      score: Array.from(c.score),
      similarity: Array.from(c.similarity),
      weight: Array.from(c.weight),
      targetWeight: Array.from(c.targetWeight),
    }
  }
}

showsItself(Trace.prototype, (trace) => traceText(trace.kept?.action, ACTIONS))
