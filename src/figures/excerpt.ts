/** Which tokens of a long text are spelt out: its beginning, its end, and the part between where the cache kept most. */

export interface Part {
  from: number
  /** Exclusive. */
  to: number
  shown: boolean
}

/** Lines that tokens of these widths take, and where each line starts. `columns`: characters per line. */
export function lineStarts(widths: ArrayLike<number>, from: number, to: number, columns: number): number[] {
  const starts: number[] = []
  let used = Infinity
  for (let i = from; i < to; i++) {
    const width = Math.min(widths[i], columns)
    if (used + width > columns) {
      starts.push(i)
      used = 0
    }
    used += width
  }
  return starts
}

/**
 * Parts in order that cover [from, to); those shown take at most `lines` lines, one more is left for each gap.
 * weights: how much a token deserves to be seen. All of it is shown where it fits.
 */
export function excerpt(
  widths: ArrayLike<number>,
  weights: ArrayLike<number>,
  range: { from: number; to: number },
  columns: number,
  lines: number,
): Part[] {
  const { from, to } = range
  if (lineStarts(widths, from, to, columns).length <= lines) return [{ from, to, shown: true }]
  const usable = Math.max(3, lines - 2)
  const count = { first: Math.max(1, Math.floor(usable * 0.25)), last: Math.max(1, Math.floor(usable * 0.3)) }
  const firstEnd = after(widths, from, to, columns, count.first)
  const lastStart = before(widths, firstEnd, to, columns, count.last)
  // What lies just before the end is often kept for its youth alone, so the middle is sought further up.
  const until = firstEnd + Math.floor((lastStart - firstEnd) * 0.75)
  const middle = densest(widths, weights, firstEnd, until, columns, usable - count.first - count.last)
  const cuts = [from, firstEnd, middle.from, middle.to, lastStart, to]
  const parts = cuts.slice(1).map((end, i): Part => ({ from: cuts[i], to: end, shown: i % 2 === 0 }))
  return joined(parts.filter((part) => part.to > part.from))
}

function joined(parts: Part[]): Part[] {
  const out: Part[] = []
  for (const part of parts) {
    const last = out[out.length - 1]
    if (last && last.shown === part.shown) last.to = part.to
    else out.push({ ...part })
  }
  return out
}

/** The end of what fits into `lines` lines from `from` on. */
function after(widths: ArrayLike<number>, from: number, to: number, columns: number, lines: number): number {
  return lineStarts(widths, from, to, columns)[lines] ?? to
}

/** The start of the last `lines` lines up to `to`; wrapping depends on the start, so it is tried. */
function before(widths: ArrayLike<number>, from: number, to: number, columns: number, lines: number): number {
  let [low, high] = [from, to - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (lineStarts(widths, middle, to, columns).length <= lines) high = middle
    else low = middle + 1
  }
  // More words never take fewer lines, but a little luck in wrapping can: settle on one that surely fits.
  while (low < to - 1 && lineStarts(widths, low, to, columns).length > lines) low++
  return low
}

/** The stretch of `lines` lines within [from, to) whose tokens weigh most. */
function densest(
  widths: ArrayLike<number>,
  weights: ArrayLike<number>,
  from: number,
  to: number,
  columns: number,
  lines: number,
): { from: number; to: number } {
  if (lines < 1 || to <= from) return { from: to, to }
  let best = { from, to: from, weight: -1 }
  let [end, weight, used] = [from, 0, 0]
  // A stretch of as many characters; lines waste some, so the end is found again below.
  for (let start = from; start < to; start++) {
    while (end < to && used + widths[end] <= columns * lines) {
      used += widths[end]
      weight += weights[end++]
    }
    if (weight > best.weight + 1e-9) best = { from: start, to: end, weight }
    used -= end > start ? widths[start] : 0
    weight -= end > start ? weights[start] : 0
    end = Math.max(end, start + 1)
  }
  return { from: best.from, to: Math.min(to, after(widths, best.from, to, columns, lines)) }
}
