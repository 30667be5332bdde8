/** HTML: the SVG in a page of its own, which asks nobody for anything. */
import type { Plot } from '../plot.js'
import { colorOf, type Style } from '../style.js'
import { escaped } from './escaped.js'
import type { Metadata } from './metadata.js'
import { drawSvg } from './svg.js'

export function htmlOf(plot: Plot, style: Style, metadata: Metadata): string {
  const looks = `background:${colorOf('paper', style.theme)};margin:1em;text-align:center`
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escaped(metadata.title)}</title></head>\n` +
    `<body style="${looks}">\n${drawSvg(plot, style, metadata).svg}</body></html>\n`
  )
}
