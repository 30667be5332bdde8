/** SVG as text: shapes and words in pixels, with a record of every word's box so that nothing needs to overlap. */
import { ZslabError } from '../errors.js'
import type { Shape } from './plot.js'
import { MONO, SANS, textWidth, type TextStyle } from './text.js'

export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

export interface PlacedText extends Box {
  text: string
}

// What XML 1.0 forbids, lone surrogates included: a token may be a piece of a character.
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

export const escaped = (text: string) =>
  text
    .replace(FORBIDDEN, '\ufffd')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')

/** At most two decimals. */
export function px(value: number): string {
  if (!Number.isFinite(value)) throw new ZslabError('internal', `a figure came to the coordinate ${value}`)
  const text = value.toFixed(2)
  return text.includes('.') ? text.replace(/\.?0+$/, '').replace(/^-0$/, '0') : text
}

export const overlaps = (a: Box, b: Box, gap = 0) =>
  a.left < b.right + gap && b.left < a.right + gap && a.top < b.bottom + gap && b.top < a.bottom + gap

export interface TextOptions extends TextStyle {
  color: string
  anchor?: 'start' | 'middle' | 'end'
  /** Turned to be read from below; (x, y) is then the middle of the baseline. */
  upright?: boolean
  strike?: boolean
  /** Pixels that the text is set to, whatever the font. */
  length?: number
}

/** Above and below the baseline, em. */
const ASCENT = 0.78
const DESCENT = 0.22

export class Canvas {
  readonly texts: PlacedText[] = []
  private readonly parts: string[] = []

  /** Boxes of one colour as one path. */
  boxes(boxes: Box[], fill: string, options: { outline?: number; opacity?: number } = {}): void {
    if (!boxes.length) return
    const path = boxes.map((b) => `M${px(b.left)} ${px(b.top)}H${px(b.right)}V${px(b.bottom)}H${px(b.left)}z`).join('')
    const paint = options.outline
      ? `fill="none" stroke="${fill}" stroke-width="${px(options.outline)}"`
      : `fill="${fill}"`
    this.parts.push(`<path ${paint}${options.opacity ? ` opacity="${px(options.opacity)}"` : ''} d="${path}"/>`)
  }

  line(points: [number, number][], stroke: string, width: number, dash = false): void {
    if (points.length < 2) return
    const path = points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x)} ${px(y)}`).join('')
    const dashes = dash ? ` stroke-dasharray="${px(width * 3)} ${px(width * 2)}"` : ''
    this.parts.push(`<path fill="none" stroke="${stroke}" stroke-width="${px(width)}"${dashes} d="${path}"/>`)
  }

  points(points: [number, number][], shape: Shape, color: string, diameter: number): void {
    if (!points.length) return
    const r = diameter / 2
    const path = points.map(([x, y]) => OUTLINES[shape](x, y, r)).join('')
    const open = shape === 'tick' || shape === 'cross'
    const paint = open
      ? `fill="none" stroke="${color}" stroke-width="${px(Math.max(1.2, diameter / 5))}"`
      : `fill="${color}"`
    this.parts.push(`<path ${paint} d="${path}"/>`)
  }

  static boxOf(text: string, x: number, y: number, options: TextOptions): Box {
    const width = options.length ?? textWidth(text, options)
    const { size } = options
    if (options.upright)
      return { left: x - size * ASCENT, right: x + size * DESCENT, top: y - width / 2, bottom: y + width / 2 }
    const left = options.anchor === 'middle' ? x - width / 2 : options.anchor === 'end' ? x - width : x
    return { left, right: left + width, top: y - size * ASCENT, bottom: y + size * DESCENT }
  }

  /** One line of text; (x, y) is on its baseline. */
  text(text: string, x: number, y: number, options: TextOptions): void {
    if (!text) return
    this.texts.push({ text, ...Canvas.boxOf(text, x, y, options) })
    const { size, color, anchor = 'start' } = options
    const at = options.upright
      ? `transform="translate(${px(x)} ${px(y)}) rotate(-90)" text-anchor="middle"`
      : `x="${px(x)}" y="${px(y)}"${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`
    const looks =
      (options.bold ? ' font-weight="bold"' : '') +
      (options.mono ? ` font-family="${MONO}" xml:space="preserve"` : '') +
      (options.strike ? ' text-decoration="line-through"' : '') +
      (options.length ? ` textLength="${px(options.length)}" lengthAdjust="spacingAndGlyphs"` : '')
    this.parts.push(`<text ${at} font-size="${px(size)}" fill="${color}"${looks}>${escaped(text)}</text>`)
  }

  svg(width: number, height: number, paper: string, title: string, description: string): string {
    const unit = (length: number) => `${px(length / 96)}in`
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${unit(width)}" height="${unit(height)}" viewBox="0 0 ${px(width)} ${px(height)}" font-family="${SANS}">`,
      `<title>${escaped(title)}</title>`,
      `<desc>${escaped(description)}</desc>`,
      `<path fill="${paper}" d="M0 0H${px(width)}V${px(height)}H0z"/>`,
      ...this.parts,
      '</svg>',
      '',
    ].join('\n')
  }
}

const OUTLINES: Record<Shape, (x: number, y: number, r: number) => string> = {
  dot: (x, y, r) =>
    `M${px(x - r)} ${px(y)}a${px(r)} ${px(r)} 0 1 0 ${px(2 * r)} 0a${px(r)} ${px(r)} 0 1 0 ${px(-2 * r)} 0z`,
  diamond: (x, y, r) =>
    `M${px(x - 1.2 * r)} ${px(y)}L${px(x)} ${px(y - 1.2 * r)}L${px(x + 1.2 * r)} ${px(y)}L${px(x)} ${px(y + 1.2 * r)}z`,
  triangle: (x, y, r) =>
    `M${px(x - 1.2 * r)} ${px(y + r)}L${px(x)} ${px(y - 1.2 * r)}L${px(x + 1.2 * r)} ${px(y + r)}z`,
  tick: (x, y, r) => `M${px(x)} ${px(y - r)}V${px(y + r)}`,
  cross: (x, y, r) =>
    `M${px(x - r)} ${px(y - r)}L${px(x + r)} ${px(y + r)}M${px(x - r)} ${px(y + r)}L${px(x + r)} ${px(y - r)}`,
}
