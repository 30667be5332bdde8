/** From data to places on an axis, and the round numbers that an axis is labelled with. */
import type { Axis, Tick } from './plot.js'

/** 0 at the first value of the range, 1 at the last; a range of one value maps to 0. */
export function place(axis: Axis, value: number): number {
  const [from, to] = axis.scale === 'log' ? axis.range.map(Math.log10) : axis.range
  const at = axis.scale === 'log' ? Math.log10(value) : value
  return to === from ? 0 : (at - from) / (to - from)
}

/** Of an axis that has room for `values`, at least one, and to either side for so much of what they span. */
export function rangeOf(values: readonly number[], room: number): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const edge = (high - low || Math.abs(high) || 1) * room
  return [low - edge, high + edge]
}

const grouped = (digits: string) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ',')

/** 12345.6 → '12,345.6'; at most `decimals` decimals, no trailing zeros. */
export function plainNumber(value: number, decimals = 0): string {
  const [whole, part = ''] = Math.abs(value).toFixed(decimals).split('.')
  const rest = part.replace(/0+$/, '')
  const text = grouped(whole) + (rest ? `.${rest}` : '')
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text
}

/** Three significant digits for what is below 100, whole numbers above; 0.0000321 → '3.21e−5'. */
export function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size < 0.001) return value.toExponential(1).replaceAll('-', '−').replace('e+', 'e')
  if (size >= 99.95) return plainNumber(value)
  return plainNumber(value, size < 1 ? Math.min(5, 2 - Math.floor(Math.log10(size))) : size < 9.995 ? 2 : 1)
}

/** A short number; '–': none. */
export const numberOr = (value: number): string => (Number.isNaN(value) ? '–' : shortNumber(value))

/** '7%', '0.4%', '<0.1%': a share of 1 as a percentage. */
export function percent(share: number): string {
  const value = 100 * share
  if (value > 0 && value < 0.1) return '<0.1%'
  if (value > 99.9 && value < 100) return '>99.9%'
  return value < 9.95 ? `${plainNumber(value, 1)}%` : `${plainNumber(value)}%`
}

/** '1 token', '3,012 tokens'. */
export const counted = (count: number, one: string, many = `${one}s`) =>
  `${plainNumber(count)} ${count === 1 ? one : many}`

/** Ticks of an axis with room for about `most`, in the order of the range. */
export function ticksOf(axis: Axis, most: number): Tick[] {
  if (axis.ticks === 'none') return []
  if (Array.isArray(axis.ticks)) return axis.ticks
  const [low, high] = [Math.min(...axis.range), Math.max(...axis.range)]
  if (axis.scale === 'log') return logTicks(low, high, most)
  const least = roundStep((high - low) / Math.max(1, most))
  // One tick does not say how far apart things are; where there is room for three, the next finer step has two.
  const single = Math.floor(high / least + 1e-9) <= Math.ceil(low / least - 1e-9)
  const fine = most > 2 && single ? roundStep(least / 2.5) : least
  const step = axis.whole ? Math.max(1, fine) : fine
  if (!(step > 0)) return [{ at: low, text: plainNumber(low, 2) }]
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
  const ticks: Tick[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    const at = Number((i * step).toPrecision(12))
    ticks.push({ at, text: plainNumber(at, decimals) })
  }
  return ticks
}

function logTicks(low: number, high: number, most: number): Tick[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)]
  const every = Math.max(1, Math.ceil((last - first + 1) / Math.max(1, most)))
  const ticks: Tick[] = []
  for (let power = first; power <= last; power += every) {
    const at = Number(`1e${power}`)
    ticks.push({ at, text: power < -3 ? `1e−${-power}` : plainNumber(at, Math.max(0, -power)) })
  }
  return ticks
}

/** The least of 1, 2, 5 · 10^k that is not below `least`. */
export function roundStep(least: number): number {
  if (!(least > 0) || !Number.isFinite(least)) return 0
  const power = 10 ** Math.floor(Math.log10(least))
  for (const factor of [1, 2, 5]) if (factor * power >= least * (1 - 1e-9)) return factor * power
  return 10 * power
}
