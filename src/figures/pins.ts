/** Tokens that were asked to stay: since when, and the mark that says so. */
import { ACTION, type EventColumns } from './data.js'
import type { LegendEntry, Points } from './plot.js'
import type { Style } from './style.js'

/** By position: the step from which on the token is pinned, of one kv head's `rows`. */
export function pinsOf({ action, position, step }: EventColumns, rows: readonly number[]): Map<number, number> {
  const pins = new Map<number, number>()
  for (const row of rows) if (action[row] === ACTION.pin && !pins.has(position[row])) pins.set(position[row], step[row])
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
