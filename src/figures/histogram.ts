/** Values counted in bars of one width. */
export interface Bar {
  from: number
  to: number
  count: number
}

/** Of finite values, in at most `most` bars of one width; all alike: one bar. */
export function barsOf(values: number[], most: number): Bar[] {
  const known = values.filter(Number.isFinite)
  if (!known.length) return []
  const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity])
  if (low === high) return [{ from: low - 0.5, to: low + 0.5, count: known.length }]
  const bars = Array.from({ length: most }, (_, i): Bar => ({
    from: low + ((high - low) * i) / most,
    to: low + ((high - low) * (i + 1)) / most,
    count: 0,
  }))
  for (const value of known) bars[Math.min(most - 1, Math.floor(((value - low) / (high - low)) * most))].count++
  return bars
}
