/** How often what happened. */
import type { EventColumns } from '../native/binding.js'
import { ACTIONS, type Action } from './actions.js'

/** Events of an action. */
export interface Count {
  events: number
}

/** Of every action that happened at all. */
export function countsOf({ action }: Pick<EventColumns, 'action'>): Partial<Record<Action, Count>> {
  const counts: Partial<Record<Action, Count>> = {}
  for (const name of ACTIONS) {
    const events = action.reduce((sum, one) => sum + Number(ACTIONS[one] === name), 0)
    if (events) counts[name] = { events }
  }
  return counts
}
