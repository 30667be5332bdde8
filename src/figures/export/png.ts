/** PNG: the SVG in dots, with how many of them make an inch. */
import { crc32 } from 'node:zlib'
import { KEYWORD } from '../../recipe/in-file.js'
import type { Plot } from '../plot.js'
import type { Style } from '../style.js'
import type { Metadata } from './metadata.js'
import { raster } from './raster.js'
import { drawSvg } from './svg.js'

const DOTS_PER_INCH = 300

/** Bytes of the signature and of the first chunk, which is always as long. */
const HEAD = 8 + 25

export function pngOf(plot: Plot, style: Style, metadata: Metadata): Buffer {
  const { svg, width } = drawSvg(plot, style, metadata)
  const png = raster(svg, Math.ceil((width / 96) * DOTS_PER_INCH))
  const { title, description, card } = metadata
  const chunks = [resolution(), text('Title', title), text('Description', description)]
  if (card) chunks.push(text(KEYWORD, JSON.stringify(card)))
  return Buffer.concat([png.subarray(0, HEAD), ...chunks, png.subarray(HEAD)])
}

/** Any SVG, at the size that it says it has, in our fonts. Throws what the library says of one that is none. */
export function pngOfSvg(svg: string): Buffer {
  // The library knows no font of that kind by itself: it would take the proportional one.
  const named = svg.replaceAll(/(font-family\s*[=:][^;<>]*?)\bmonospace\b/g, '$1Noto Sans Mono')
  const png = raster(named, { scale: DOTS_PER_INCH / 96 })
  return Buffer.concat([png.subarray(0, HEAD), resolution(), png.subarray(HEAD)])
}

/** Dots to the metre, which is the unit of 1. */
function resolution(): Buffer {
  const data = Buffer.alloc(9, 1)
  for (const at of [0, 4]) data.writeUInt32BE(Math.ceil(DOTS_PER_INCH / 0.0254), at)
  return chunk('pHYs', data)
}

/** Uncompressed, in UTF-8, of no language. */
const text = (keyword: string, words: string) => chunk('iTXt', Buffer.from(`${keyword}\0\0\0\0\0${words}`))

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, sum])
}
