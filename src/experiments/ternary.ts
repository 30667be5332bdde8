/** A ternary grid: the budget shared out between recent, context and residual slots, in equal steps. */
import { invalid } from '../expect.js'
import type { Level, Levels } from './designs.js'
import type { Varied } from './dimensions.js'

export interface Ternary {
  /** Of the budget: parts are whole multiples of 1 / steps. */
  steps: number
}

/** Shares of the budget that are tried; the context has the rest. Recent and context have a step at least, without which no policy goes, residual may have none. */
const PARTS = ['recent', 'residual'] as const

/** With both parts among what varies, as ranges: what they do is told by a plane. Errors: 'invalid' where they are there already. */
export function withParts(varied: Varied, base: Readonly<Record<string, unknown>>, { steps }: Ternary): Varied {
  const given = PARTS.find((part) => part in varied || part in base)
  if (given !== undefined)
    throw invalid(
      given,
      'no level of its own in a ternary design, which has all of them',
      varied[given]?.levels ?? base[given],
      'leave it out',
    )
  const part = (least: number) => {
    const levels = Array.from({ length: steps - 1 }, (_, i) => shareOf(i + least, steps))
    return { levels, range: { from: levels[0], to: levels[levels.length - 1] } }
  }
  return { ...varied, recent: part(1), residual: part(0) }
}

/** Words of a table; the policy is given the share itself. */
const shareOf = (parts: number, steps: number) => Number((parts / steps).toFixed(4))
const partsOf = (level: Level, steps: number) => Math.round(Number(level) * steps)

/** Whether something is left for the context. */
export const fits = ({ recent, residual }: Levels, { steps }: Ternary): boolean =>
  partsOf(recent, steps) + partsOf(residual, steps) < steps

/** As the policy's options, whose residual is a share of what recent leaves. */
export function partOptions({ recent, residual }: Levels, { steps }: Ternary): { recent: number; residual: number } {
  const first = partsOf(recent, steps)
  return { recent: first / steps, residual: partsOf(residual, steps) / (steps - first) }
}
