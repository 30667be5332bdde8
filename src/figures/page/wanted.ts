/** Which part of a figure somebody wants to look at next: in and out, along an axis, all of it. Knows no page. */
import type { Counted, Part, Span } from '../part.js'
import type { Zoom } from '../zoom.js'

/** The nearest part of whole numbers inside of `whole` that is at least one wide. */
export function fitted([least, most]: Span, from: number, to: number): Span {
  const length = Math.min(most - least, Math.max(1, Math.round(to - from)))
  const start = Math.min(most - length, Math.max(least, Math.round(from)))
  return [start, start + length]
}

/** `by` < 1: closer; about the middle, or about the place `at` that is to stay where it is. */
export function zoomed(whole: Part, part: Part, by: number, at: Partial<Record<Counted, number>> = {}): Part {
  return each(whole, part, ([from, to], name) => {
    const middle = at[name] ?? (from + to) / 2
    // Rounding must not keep a small part from growing or shrinking.
    const length = by < 1 ? Math.floor((to - from) * by) : Math.ceil((to - from) * by)
    const share = (middle - from) / (to - from)
    const start = middle - share * length
    return [start, start + length]
  })
}

/** `by` parts of its own length along the axes named; one at least. */
export function moved(whole: Part, part: Part, by: number, names: readonly Counted[]): Part {
  return each(whole, part, ([from, to], name) => {
    if (!names.includes(name)) return [from, to]
    const far = Math.sign(by) * Math.max(1, Math.round(Math.abs(by) * (to - from)))
    return [from + far, to + far]
  })
}

function each(whole: Part, part: Part, change: (span: Span, name: Counted) => Span): Part {
  const names = Object.keys(whole) as Counted[]
  return Object.fromEntries(names.map((name) => [name, fitted(whole[name]!, ...change(part[name]!, name))]))
}

export const same = (a: Part, b: Part) => JSON.stringify(a) === JSON.stringify(b)

/** 'positions 1,200 to 1,299 of 32,768, steps 0 to 64 of 65' */
export function partWords(whole: Part, part: Part): string {
  const said = (Object.keys(whole) as Counted[]).map((name) => {
    const [from, to] = part[name]!
    const many = (value: number) => value.toLocaleString('en-US')
    if (to - from === 1) return `${name} ${many(from)}`
    const all = whole[name]![1] - whole[name]![0]
    return `${name}s ${many(from)} to ${many(to - 1)}${to - from < all ? '' : ', all'}`
  })
  return said.join('; ')
}

/** The part that plotly.js moved its axes to; undefined: it moved none of ours. */
export function draggedTo({ whole, part, axes }: Zoom, moves: Record<string, unknown>): Part | undefined {
  let next: Part | undefined
  for (const [axis, name] of Object.entries(axes)) {
    if (moves[`${axis}.autorange`] === true) return whole
    const range = moves[`${axis}.range`] as number[] | undefined
    const [a, b] = [moves[`${axis}.range[0]`] ?? range?.[0], moves[`${axis}.range[1]`] ?? range?.[1]].map(Number)
    if (!Number.isFinite(a) || !Number.isFinite(b)) continue
    const [from, to] = [Math.floor(Math.min(a, b)), Math.ceil(Math.max(a, b))]
    next = { ...(next ?? part), [name]: fitted(whole[name]!, from, to) }
  }
  return next
}
