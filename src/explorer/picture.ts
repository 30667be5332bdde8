/** Figures one above the other as one SVG, for pages that cannot draw the explorer. */
import type { Figure } from '../figures/figure.js'
import { drawSvg } from '../figures/export/svg.js'

export function stacked(figures: readonly Figure[]): string {
  if (figures.length === 1) return figures[0].svg
  const drawn = figures.map((figure) => drawSvg(figure.plot, figure.style))
  const width = Math.max(...drawn.map((one) => one.width))
  let height = 0
  const parts = drawn.map((one) => {
    const part = one.svg.replace(/^<svg /, `<svg y="${height}" `)
    height += Math.ceil(one.height)
    return part
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${parts.join('')}</svg>`
}
