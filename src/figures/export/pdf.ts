/** PDF: the same drawing calls as the SVG, in vectors, with the letters that are used of each font. The same bytes for the same plot. */
import type PDFKit from 'pdfkit'
import { draw } from '../draw.js'
import { faced, faceOf } from '../fonts/faces.js'
import { fontFiles } from '../fonts/files.js'
import { pictureLayout } from '../grid.js'
import type { Plot, Shape } from '../plot.js'
import type { Style } from '../style.js'
import {
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
import { cardElement, type Metadata } from './metadata.js'
import { imageOf } from './svg.js'

/** PDF's unit, a point, is 1/72 of an inch. */
const POINTS = 72 / 96

export async function pdfOf(plot: Plot, style: Style, metadata: Metadata): Promise<Buffer> {
  const { default: PDFDocument } = await import('pdfkit')
  const layout = pictureLayout(plot, style)
  const document = new PDFDocument({
    size: [layout.width * POINTS, layout.height * POINTS],
    margin: 0,
    pdfVersion: '1.7',
    lang: 'en',
    displayTitle: true,
    // None but ours.
    font: '',
    // The file's number is made of it.
    info: { Title: metadata.title, Subject: metadata.description, Creator: 'zslab', CreationDate: new Date(0) },
  })
  if (metadata.card) Object.assign(document.info, { ZslabCard: JSON.stringify(metadata.card) })
  // The same figure is the same file, whenever it is made.
  delete document.info.CreationDate
  // Its own would not escape words, and wants the date.
  Object.assign(document, { _addInfo: () => document.appendXML(xmpOf(metadata)) })
  const bytes = collected(document)
  document.scale(POINTS)
  draw(new PdfSurface(document), plot, style, layout)
  document.end()
  return bytes
}

type Document = InstanceType<typeof PDFKit>

async function collected(document: Document): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of document) parts.push(part as Uint8Array)
  return Buffer.concat(parts)
}

const xmpOf = (metadata: Metadata) => `
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<xmp:CreatorTool>zslab</xmp:CreatorTool>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">${escaped(metadata.title)}</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">${escaped(metadata.description)}</rdf:li></rdf:Alt></dc:description>
${cardElement(metadata)}
</rdf:Description>`

const near = (length: number) => Number(px(length))

class PdfSurface implements Surface {
  constructor(private readonly to: Document) {
    for (const [face, file] of Object.entries(fontFiles())) to.registerFont(face, file)
    // SVG's.
    to.miterLimit(4)
  }

  boxes(boxes: Box[], color: string, { outline, opacity }: BoxOptions = {}): void {
    if (!boxes.length) return
    const { to } = this
    if (opacity) to.save().opacity(opacity)
    for (const { left, top, right, bottom } of boxes)
      to.rect(near(left), near(top), near(right - left), near(bottom - top))
    if (outline) to.lineWidth(outline).stroke(color)
    else to.fill(color)
    if (opacity) to.restore()
  }

  line(points: [number, number][], color: string, width: number, dash = false): void {
    if (points.length < 2) return
    const { to } = this
    const [stroke, space] = dashes(width)
    if (dash) to.save().dash(stroke, { space })
    points.forEach(([x, y], i) => (i ? to.lineTo(near(x), near(y)) : to.moveTo(near(x), near(y))))
    to.lineWidth(width).stroke(color)
    if (dash) to.restore()
  }

  points(points: [number, number][], shape: Shape, color: string, diameter: number): void {
    if (!points.length) return
    this.to.path(points.map(([x, y]) => outlineOf(shape, x, y, diameter / 2)).join(''))
    const stroke = strokeOf(shape, diameter)
    if (stroke) this.to.lineWidth(stroke).stroke(color)
    else this.to.fill(color)
  }

  text(text: string, x: number, y: number, options: TextOptions): void {
    const { to } = this
    const { size, mono, upright, strike, anchor = 'start' } = options
    const pieces = faced(text, faceOf(options)).map((piece) => {
      const natural = to.font(piece.face).fontSize(size).widthOfString(piece.text)
      // A letter of another font takes the columns of the one that lacks it.
      return { ...piece, natural, width: mono ? textWidth(piece.text, options) : natural }
    })
    const width = pieces.reduce((sum, piece) => sum + piece.width, 0)
    const left = upright || anchor === 'middle' ? x - width / 2 : anchor === 'end' ? x - width : x
    to.save().fillColor(options.color)
    if (upright) to.rotate(-90, { origin: [x, y] })
    let at = left
    for (const piece of pieces) {
      const scaling = piece.natural ? (100 * piece.width) / piece.natural : 100
      const set = { lineBreak: false, baseline: 'alphabetic' as const, horizontalScaling: scaling }
      to.font(piece.face).fontSize(size).text(piece.text, at, y, set)
      at += piece.width
    }
    if (strike) to.rect(near(left), near(y - size * 0.3), near(width), near(size / 14)).fill()
    to.restore()
  }

  image(box: Box, draw: (surface: Surface) => void): void {
    const { png, at } = imageOf(box, draw)
    this.to.image(png, at.left, at.top, { width: at.right - at.left, height: at.bottom - at.top })
  }
}
