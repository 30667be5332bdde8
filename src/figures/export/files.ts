/** The files that a figure can be saved as: for each ending, how its bytes are made. */
import { csvOf, type Columns } from '../../frames.js'
import type { Plot } from '../plot.js'
import { plotlyPicture } from '../plotly-grid.js'
import type { Style } from '../style.js'
import { htmlOf } from './html.js'
import type { Metadata } from './metadata.js'
import { pdfOf } from './pdf.js'
import { pngOf } from './png.js'
import { drawSvg } from './svg.js'

/** What of a figure files are made from. */
export interface Drawable {
  style: Style
  plot: Plot
  /** The plot in characters that our fonts have, for files that bring them. */
  spelt: Plot
  columns: Columns
}

type Written = string | Uint8Array

export const FILES = {
  '.svg': ({ plot, style }, metadata) => drawSvg(plot, style, metadata).svg,
  '.pdf': ({ spelt, style }, metadata) => pdfOf(spelt, style, metadata),
  '.png': ({ spelt, style }, metadata) => pngOf(spelt, style, metadata),
  '.html': ({ plot, style }, metadata) => htmlOf(plot, style, metadata),
  '.json': ({ plot, style }, { card }) => JSON.stringify({ ...plotlyPicture(plot, style), card }),
  '.csv': ({ columns }) => csvOf(columns),
} satisfies Record<string, (figure: Drawable, metadata: Metadata) => Written | Promise<Written>>

export type FileType = keyof typeof FILES
export const FILE_TYPES = Object.keys(FILES) as FileType[]
