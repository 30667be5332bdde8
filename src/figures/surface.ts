/** What pictures are drawn on: a few shapes and words in pixels (96 to the inch, y downwards), which each kind of file puts down in its own way. */
import { ZslabError } from '../errors.js'
import type { Shape } from './plot.js'
import { textWidth, type TextStyle } from './text.js'

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

export interface BoxOptions {
  /** Drawn as a frame of this width only. */
  outline?: number
  opacity?: number
}

export interface TextOptions extends TextStyle {
  color: string
  anchor?: 'start' | 'middle' | 'end'
  /** Turned to be read from below; (x, y) is then the middle of the baseline. */
  upright?: boolean
  strike?: boolean
  /** Pixels that the text is set to, whatever the font. */
  length?: number
}

/** Colours are '#rrggbb'. */
export interface Surface {
  boxes(boxes: Box[], color: string, options?: BoxOptions): void
  line(points: [number, number][], color: string, width: number, dash?: boolean): void
  points(points: [number, number][], shape: Shape, color: string, diameter: number): void
  /** One line of text; (x, y) is on its baseline. */
  text(text: string, x: number, y: number, options: TextOptions): void
  /** What `draw` draws, within `box`, as an image of dots. */
  image(box: Box, draw: (surface: Surface) => void): void
}

/** Above and below the baseline, em. */
const ASCENT = 0.78
const DESCENT = 0.22

export function boxOf(text: string, x: number, y: number, options: TextOptions): Box {
  const width = options.length ?? textWidth(text, options)
  const { size } = options
  if (options.upright)
    return { left: x - size * ASCENT, right: x + size * DESCENT, top: y - width / 2, bottom: y + width / 2 }
  const left = options.anchor === 'middle' ? x - width / 2 : options.anchor === 'end' ? x - width : x
  return { left, right: left + width, top: y - size * ASCENT, bottom: y + size * DESCENT }
}

/** Strokes and gaps of a dashed line. */
export const dashes = (width: number): [number, number] => [width * 3, width * 2]

/** Of shapes that are strokes only: how wide; undefined: the shape is filled. */
export const strokeOf = (shape: Shape, diameter: number) =>
  shape === 'tick' || shape === 'cross' ? Math.max(1.2, diameter / 5) : undefined

/** One point as path data of SVG, which PDF's writer reads, too. */
export const outlineOf = (shape: Shape, x: number, y: number, r: number) => OUTLINES[shape](x, y, r)

/** At most two decimals. */
export function px(value: number): string {
  if (!Number.isFinite(value)) throw new ZslabError('internal', `a figure came to the coordinate ${value}`)
  const text = value.toFixed(2)
  return text.includes('.') ? text.replace(/\.?0+$/, '').replace(/^-0$/, '0') : text
}

const OUTLINES: Record<Shape, (x: number, y: number, r: number) => string> = {
  dot: (x, y, r) =>
    `M${px(x - r)} ${px(y)}a${px(r)} ${px(r)} 0 1 0 ${px(2 * r)} 0a${px(r)} ${px(r)} 0 1 0 ${px(-2 * r)} 0z`,
  diamond: (x, y, r) =>
    `M${px(x - 1.2 * r)} ${px(y)}L${px(x)} ${px(y - 1.2 * r)}L${px(x + 1.2 * r)} ${px(y)}L${px(x)} ${px(y + 1.2 * r)}z`,
  triangle: (x, y, r) =>
    `M${px(x - 1.2 * r)} ${px(y + r)}L${px(x)} ${px(y - 1.2 * r)}L${px(x + 1.2 * r)} ${px(y + r)}z`,
  down: (x, y, r) => `M${px(x - 1.2 * r)} ${px(y - r)}L${px(x)} ${px(y + 1.2 * r)}L${px(x + 1.2 * r)} ${px(y - r)}z`,
  square: (x, y, r) => `M${px(x - 0.9 * r)} ${px(y - 0.9 * r)}h${px(1.8 * r)}v${px(1.8 * r)}h${px(-1.8 * r)}z`,
  tick: (x, y, r) => `M${px(x)} ${px(y - r)}V${px(y + r)}`,
  cross: (x, y, r) =>
    `M${px(x - r)} ${px(y - r)}L${px(x + r)} ${px(y + r)}M${px(x - r)} ${px(y + r)}L${px(x + r)} ${px(y - r)}`,
}
