/** SVG: no browser, no font read, the same bytes for the same plot. */
import { draw } from '../draw.js'
import { lacking } from '../fonts/faces.js'
import { MONO, SANS } from '../fonts/names.js'
import { pictureLayout } from '../grid.js'
import type { Plot, Shape } from '../plot.js'
import type { Style } from '../style.js'
import {
  boxOf,
  dashes,
  outlineOf,
  px,
  strokeOf,
  type Box,
  type BoxOptions,
  type Surface,
  type TextOptions,
} from '../surface.js'
import { textWidth } from '../text.js'
import { escaped } from './escaped.js'
import { cardElement, metadataOf, type Metadata } from './metadata.js'
import { raster } from './raster.js'

export interface Drawn {
  svg: string
  width: number
  height: number
  /** Every word and where it stands, for checks. */
  texts: readonly PlacedText[]
}

export interface PlacedText extends Box {
  text: string
}

/** `metadata`: what the file says of itself; default: the plot's own title and description. */
export function drawSvg(plot: Plot, style: Style, metadata: Metadata = metadataOf(plot)): Drawn {
  const layout = pictureLayout(plot, style)
  const surface = new SvgSurface()
  draw(surface, plot, style, layout)
  const { width, height } = layout
  return {
    svg: surface.svg({ left: 0, top: 0, right: width, bottom: height }, metadata),
    width,
    height,
    texts: surface.texts,
  }
}

/** Of an image inside of a picture. */
const DOTS_PER_INCH = 600

class SvgSurface implements Surface {
  readonly texts: PlacedText[] = []
  private readonly parts: string[] = []

  /** Boxes of one colour as one path. */
  boxes(boxes: Box[], color: string, { outline, opacity }: BoxOptions = {}): void {
    if (!boxes.length) return
    const path = boxes.map((b) => `M${px(b.left)} ${px(b.top)}H${px(b.right)}V${px(b.bottom)}H${px(b.left)}z`).join('')
    const paint = outline ? `fill="none" stroke="${color}" stroke-width="${px(outline)}"` : `fill="${color}"`
    this.parts.push(`<path ${paint}${opacity ? ` opacity="${px(opacity)}"` : ''} d="${path}"/>`)
  }

  line(points: [number, number][], color: string, width: number, dash = false): void {
    if (points.length < 2) return
    const path = points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x)} ${px(y)}`).join('')
    const pattern = dash ? ` stroke-dasharray="${dashes(width).map(px).join(' ')}"` : ''
    this.parts.push(`<path fill="none" stroke="${color}" stroke-width="${px(width)}"${pattern} d="${path}"/>`)
  }

  points(points: [number, number][], shape: Shape, color: string, diameter: number): void {
    if (!points.length) return
    const path = points.map(([x, y]) => outlineOf(shape, x, y, diameter / 2)).join('')
    const stroke = strokeOf(shape, diameter)
    const paint = stroke ? `fill="none" stroke="${color}" stroke-width="${px(stroke)}"` : `fill="${color}"`
    this.parts.push(`<path ${paint} d="${path}"/>`)
  }

  text(text: string, x: number, y: number, options: TextOptions): void {
    if (!text) return
    this.texts.push({ text, ...boxOf(text, x, y, options) })
    const { size, color, anchor = 'start' } = options
    const at = options.upright
      ? `transform="translate(${px(x)} ${px(y)}) rotate(-90)" text-anchor="middle"`
      : `x="${px(x)}" y="${px(y)}"${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}`
    // As wide as it was measured, whatever font stands in for ours; how wide what ours lacks will be, nobody knows.
    const length = options.length ?? (lacking(text).length ? undefined : textWidth(text, options))
    const looks =
      (options.bold ? ' font-weight="bold"' : '') +
      (options.mono ? ` font-family="${MONO}" xml:space="preserve"` : '') +
      (options.strike ? ' text-decoration="line-through"' : '') +
      (length ? ` textLength="${px(length)}" lengthAdjust="spacingAndGlyphs"` : '')
    this.parts.push(`<text ${at} font-size="${px(size)}" fill="${color}"${looks}>${escaped(text)}</text>`)
  }

  image(box: Box, draw: (surface: Surface) => void): void {
    const { png, at } = imageOf(box, draw)
    const size = `width="${px(at.right - at.left)}" height="${px(at.bottom - at.top)}"`
    const data = png.toString('base64')
    this.parts.push(`<image x="${px(at.left)}" y="${px(at.top)}" ${size} href="data:image/png;base64,${data}"/>`)
  }

  /** What is inside of `box`, at its size. */
  svg(box: Box, metadata?: Metadata): string {
    const [width, height] = [box.right - box.left, box.bottom - box.top]
    const unit = (length: number) => `${Number((length / 96).toFixed(4))}in`
    const view = [box.left, box.top, width, height].map(px).join(' ')
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="${unit(width)}" height="${unit(height)}" viewBox="${view}" font-family="${SANS}">`,
      ...(metadata
        ? [
            `<title>${escaped(metadata.title)}</title>`,
            `<desc>${escaped(metadata.description)}</desc>`,
            ...(metadata.card ? [`<metadata>${cardElement(metadata)}</metadata>`] : []),
          ]
        : []),
      ...this.parts,
      '</svg>',
      '',
    ].join('\n')
  }
}

/** What `draw` draws within `box` as a PNG of dots on nothing, and where it goes: the box up to the next whole dots. */
export function imageOf(box: Box, draw: (surface: Surface) => void): { png: Buffer; at: Box } {
  const dot = 96 / DOTS_PER_INCH
  const [left, top] = [box.left, box.top].map((edge) => Math.floor(edge / dot))
  const [right, bottom] = [box.right, box.bottom].map((edge) => Math.ceil(edge / dot))
  const at = { left: left * dot, top: top * dot, right: right * dot, bottom: bottom * dot }
  const surface = new SvgSurface()
  draw(surface)
  return { png: raster(surface.svg(at), right - left), at }
}
