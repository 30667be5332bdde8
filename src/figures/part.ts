/** Parts of long figures: which of their axes count what, and the part that somebody looks at. */
import { ZslabError } from '../errors.js'
import { invalid, options as checked } from '../expect.js'

/** What an axis counts. age: tokens that came after; slot: of the cache; step: 0 is the prompt. */
export const COUNTED = ['position', 'step', 'slot', 'age'] as const
export type Counted = (typeof COUNTED)[number]

/** From, and the one after the last; whole numbers. */
export type Span = readonly [from: number, to: number]
export type Part = Partial<Record<Counted, Span>>

/**
 * `given` with what it leaves out whole. Errors: 'invalid' for something that the figure has no axis for, and for anything but whole numbers
 * from < to inside of it.
 */
export function partOf(whole: Part, given: unknown): Part {
  const names = COUNTED.filter((name) => whole[name])
  if (!names.length)
    throw new ZslabError('invalid', 'this figure has no parts: whatever it shows is drawn one by one already')
  const part = checked('figure.part', given, names) as Record<string, unknown>
  return Object.fromEntries(
    names.map((name) => [name, part[name] === undefined ? whole[name] : spanOf(part[name], name, whole[name]!)]),
  )
}

function spanOf(given: unknown, name: Counted, [least, most]: Span): Span {
  const fits = Array.isArray(given) && given.length === 2 && given.every(Number.isSafeInteger)
  const [from, to] = fits ? (given as [number, number]) : [NaN, NaN]
  if (least <= from && from < to && to <= most) return [from, to]
  throw invalid(
    name,
    `[from, to] in whole numbers with ${least} ≤ from < to ≤ ${most}`,
    given,
    'to is the one after the last',
  )
}

export const within = ([from, to]: Span, value: number) => value >= from && value < to
