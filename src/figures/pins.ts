/** Tokens that were asked to stay: since when, and the mark that says so. */
import { ACTION, type RunData } from './data.js'
import { rowsOf } from './fates.js'
import type { LegendEntry, Points } from './plot.js'
import type { Style } from './style.js'

/** By position: the step from which on the token is pinned in a kv head. */
export function pinsOf({ events }: RunData, layer: number, kvHead: number): Map<number, number> {
  const pins = new Map<number, number>()
  if (!events) return pins
  for (const row of rowsOf(events, layer, kvHead))
    if (events.action[row] === ACTION.pin && !pins.has(events.position[row]))
      pins.set(events.position[row], events.step[row])
  return pins
}

export const PINNED: LegendEntry = { label: 'pinned', swatch: 'diamond', color: 'flip' }

export const pinPoints = (style: Style): Points & { hover: string[] } => ({
  kind: 'points',
  name: PINNED.label,
  color: PINNED.color,
  shape: 'diamond',
  x: [],
  y: [],
  hover: [],
  diameter: style.size === 'talk' ? 10 : style.size === 'wide' ? 6 : 4.5,
})
