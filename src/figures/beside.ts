/** Marks that would hide each other on a logarithmic axis, moved aside: those of nearly the same place stand side by side, in their order. */

export interface Standing {
  /** On the axis, above 0. */
  at: number
  /** From its foot to its head, in pixels across the axis. */
  low: number
  high: number
}

export interface Aside {
  /** Where each stands. */
  at: number[]
  /** The largest factor between the own places of such as stand side by side; null: none do. */
  within: number | null
}

/** So many marks wide is what one place is. */
const NEAR = 2
/** Of the room between the middles of two groups, so much may be used. */
const USED = 0.8

/** Those of one place in the order of `marks`. `pixels`: of a factor of e on the axis; `width`: of a mark, pixels; `room`: of all, pixels. */
export function besideEachOther(
  marks: readonly Standing[],
  { pixels, width, room }: { pixels: number; width: number; room: number },
): Aside {
  const at = marks.map((mark) => mark.at)
  const groups = groupsOf(marks, (NEAR * width) / pixels)
  const middles = groups.map((group) => middleOf(group.map((i) => Math.log(marks[i].at))))
  let within: number | null = null
  groups.forEach((group, g) => {
    if (!group.some((a, i) => group.slice(i + 1).some((b) => hide(marks[a], marks[b], width)))) return
    const gaps = [middles[g - 1], middles[g + 1]].flatMap((other) =>
      other === undefined ? [] : [Math.abs(other - middles[g]) * pixels],
    )
    const step = Math.min(1.3 * width, (USED * Math.min(room, ...gaps)) / group.length)
    const places = group.map((i) => marks[i].at)
    within = Math.max(within ?? 1, Math.max(...places) / Math.min(...places))
    group.forEach((i, place) => {
      at[i] = Math.exp(middles[g] + ((place - (group.length - 1) / 2) * step) / pixels)
    })
  })
  return { at, within }
}

/** Those within so much of the first of them; from the left. */
function groupsOf(marks: readonly Standing[], reach: number): number[][] {
  const groups: number[][] = []
  let first = -Infinity
  for (const i of marks.map((_, at) => at).sort((a, b) => marks[a].at - marks[b].at)) {
    const here = Math.log(marks[i].at)
    if (here - first < reach) groups[groups.length - 1].push(i)
    else {
      groups.push([i])
      first = here
    }
  }
  return groups
}

const middleOf = (values: readonly number[]) => (Math.min(...values) + Math.max(...values)) / 2
/** Half a mark stands out of either end. */
const hide = (a: Standing, b: Standing, width: number) => a.low < b.high + width && b.low < a.high + width
