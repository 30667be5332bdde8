/** Dots from SVG, in the fonts that we bring: what is installed on the machine changes nothing. */
import { createRequire } from 'node:module'
import type * as resvg from '@resvg/resvg-js'
import { fontFiles } from '../fonts/files.js'

const require = createRequire(import.meta.url)

/** A PNG `size` dots wide, or with `scale` dots for each unit of length. Its library is loaded when somebody needs it. */
export function raster(svg: string, size: number | { scale: number }): Buffer {
  const { Resvg } = require('@resvg/resvg-js') as typeof resvg
  const font = { loadSystemFonts: false, fontFiles: svg.includes('<text') ? Object.values(fontFiles()) : [] }
  const fitTo: resvg.ResvgRenderOptions['fitTo'] =
    typeof size === 'number' ? { mode: 'width', value: size } : { mode: 'zoom', value: size.scale }
  return new Resvg(svg, { font, fitTo }).render().asPng()
}
