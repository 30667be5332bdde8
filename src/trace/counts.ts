/** How often what happened, and why. */
import type { EventColumns } from '../native/binding.js'
import { ACTIONS, REASONS, type Action, type Reason } from './actions.js'

/** Events of one action: all of them, and those of each reason that there was. */
export interface Count {
  events: number
  reasons: Partial<Record<Reason, number>>
}

/** Of every action that happened at all. */
export function countsOf({ action, reason }: Pick<EventColumns, 'action' | 'reason'>): Partial<Record<Action, Count>> {
  const table = ACTIONS.map(() => REASONS.map(() => 0))
  for (let row = 0; row < action.length; row++) table[action[row]][reason[row]]++
  const counted = ACTIONS.map((name, at): [Action, Count] => {
    const reasons = REASONS.map((why, i): [Reason, number] => [why, table[at][i]]).filter(([, events]) => events)
    return [name, { events: table[at].reduce((a, b) => a + b, 0), reasons: Object.fromEntries(reasons) }]
  })
  return Object.fromEntries(counted.filter(([, { events }]) => events))
}
