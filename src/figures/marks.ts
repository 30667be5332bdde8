/** Boxes and words that are put together one by one. */
import type { Span } from './part.js'
import type { Boxes, Labels, Mark, Shape } from './plot.js'
import type { Fill, Style } from './style.js'
import type { Interval } from './words.js'

type Color = Boxes['color']

export const noBoxes = (name: string, color: Color, more: Partial<Boxes> = {}): Boxes => ({
  kind: 'boxes',
  name,
  color,
  x0: [],
  x1: [],
  y0: [],
  y1: [],
  ...more,
})

/** Words, each with a colour of its own; in a monospaced font, as a text's are, unless `more` says otherwise. */
export const noWords = (more: Partial<Labels> = {}): Labels & Required<Pick<Labels, 'colors'>> => ({
  kind: 'labels',
  x: [],
  y: [],
  text: [],
  color: 'ink',
  anchor: 'start',
  mono: true,
  ...more,
  colors: [],
})

/** Its ends; its mean where it has none, and always. */
export const extentOf = ({ mean, low, high }: Interval): number[] => [mean, low ?? mean, high ?? mean]

interface Bar {
  name: string
  color: Fill
  width: number
  /** On hovering. */
  said?: string
}

/** An interval from end to end, if it has any, upright at a place, or along it. */
export function addBar(
  marks: Mark[],
  { low, high }: Interval,
  at: number,
  { name, color, width, said }: Bar,
  upright = true,
): void {
  if (low === null || high === null) return
  const [across, along] = [
    [at, at],
    [low, high],
  ]
  const [x, y] = upright ? [across, along] : [along, across]
  marks.push({ kind: 'line', name, color, width, x, y, ...(said !== undefined && { hover: [said, said] }) })
}

interface IntervalRow {
  name: string
  color: Fill
  shape: Shape
  interval: Interval
  row: number
  /** On hovering. */
  said: string
}

/** A point with the bar of its interval, if it has one, in a row of a panel. */
export function addInterval(
  marks: Mark[],
  { name, color, shape, interval, row, said }: IntervalRow,
  style: Style,
): void {
  addBar(marks, interval, row, { name, color, width: style.text / 7, said }, false)
  const { mean } = interval
  marks.push({ kind: 'points', name, color, shape, x: [mean], y: [row], hover: [said], diameter: style.text * 0.7 })
}

/** `hover` and a colour of its own: where one box of them has it, all do. */
export function addBox(
  boxes: Boxes,
  [x0, x1, y0, y1]: [x0: number, x1: number, y0: number, y1: number],
  hover?: string,
  color?: Color,
): void {
  boxes.x0.push(x0)
  boxes.x1.push(x1)
  boxes.y0.push(y0)
  boxes.y1.push(y1)
  if (hover !== undefined) (boxes.hover ??= []).push(hover)
  if (color !== undefined) (boxes.colors ??= []).push(color)
}

/** A box of what is inside of the span upwards, if anything is. */
export function clippedBox(
  boxes: Boxes,
  [x0, x1, y0, y1]: [x0: number, x1: number, y0: number, y1: number],
  [first, end]: Span,
  hover?: string,
  color?: Color,
): void {
  const [from, to] = [Math.max(first, y0), Math.min(end, y1)]
  if (from < to) addBox(boxes, [x0, x1, from, to], hover, color)
}
