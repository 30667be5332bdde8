/** What plotly draws beside its axes: words, legends and scales where svg has them, as annotations and shapes. */
import { SANS } from './fonts/names.js'
import type { Shape } from './plot.js'
import { plain, type Json } from './plotly-traces.js'
import { dashes, type Box, type BoxOptions, type Surface, type TextOptions } from './surface.js'

export class PlotlySurface implements Surface {
  readonly shapes: Json[] = []
  readonly annotations: Json[] = []

  /** Of the picture, pixels, and so many times as wide as it is in plotly: words and points stay what they are. */
  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly stretch: number,
  ) {}

  x(at: number): number {
    return share(at / this.width)
  }

  y(at: number): number {
    return share(1 - at / this.height)
  }

  boxes(boxes: Box[], color: string, { outline, opacity = 1 }: BoxOptions = {}): void {
    for (const { left, top, right, bottom } of boxes)
      this.shape(left, top, {
        type: 'rect',
        x0: 0,
        x1: near((right - left) * this.stretch),
        y0: 0,
        y1: near(top - bottom),
        opacity,
        ...(outline ? { line: { color, width: outline } } : { fillcolor: color, line: { width: 0 } }),
      })
  }

  line(points: [number, number][], color: string, width: number, dash = false): void {
    const [[left, top]] = points
    this.shape(left, top, {
      type: 'path',
      path: points.map(([x, y], i) => `${i ? 'L' : 'M'}${near((x - left) * this.stretch)},${near(top - y)}`).join(''),
      line: {
        color,
        width,
        dash: dash
          ? dashes(width)
              .map((part) => `${near(part)}px`)
              .join(',')
          : 'solid',
      },
    })
  }

  points(points: [number, number][], shape: Shape, color: string, diameter: number): void {
    const r = near(diameter / 2)
    const filled = { fillcolor: color, line: { width: 0 } }
    for (const [x, y] of points)
      if (shape === 'dot') this.shape(x, y, { type: 'circle', x0: -r, x1: r, y0: -r, y1: r, ...filled })
      else {
        const path = PATHS[shape].replace(/-?[\d.]+/g, (number) => String(near(Number(number) * r)))
        const open = shape === 'tick' || shape === 'cross'
        this.shape(x, y, { type: 'path', path, ...(open ? { line: { color, width: 1.2 } } : filled) })
      }
  }

  text(text: string, x: number, y: number, { size, bold, color, anchor = 'start' }: TextOptions): void {
    const words = plain(text)
    this.annotations.push({
      text: bold ? `<b>${words}</b>` : words,
      x: this.x(x),
      y: this.y(y),
      xref: 'paper',
      yref: 'paper',
      xanchor: ({ start: 'left', middle: 'center', end: 'right' } as const)[anchor],
      // Of the line's box, whose foot is below the baseline.
      yanchor: 'bottom',
      yshift: -Math.round(size * 0.3),
      showarrow: false,
      borderpad: 0,
      font: { size, color, family: SANS },
    })
  }

  /** Nothing beside axes is so fine. */
  image(_: Box, draw: (surface: Surface) => void): void {
    draw(this)
  }

  private shape(left: number, top: number, shape: { [name: string]: Json }): void {
    const place = { xref: 'paper', yref: 'paper', xanchor: this.x(left), yanchor: this.y(top) }
    this.shapes.push({ ...place, xsizemode: 'pixel', ysizemode: 'pixel', ...shape })
  }
}

/** Of radius 1, y upwards. */
const PATHS: Record<Exclude<Shape, 'dot'>, string> = {
  diamond: 'M-1.2,0L0,1.2L1.2,0L0,-1.2Z',
  triangle: 'M-1.2,-1L0,1.2L1.2,-1Z',
  down: 'M-1.2,1L0,-1.2L1.2,1Z',
  square: 'M-0.9,-0.9L0.9,-0.9L0.9,0.9L-0.9,0.9Z',
  tick: 'M0,-1L0,1',
  cross: 'M-1,-1L1,1M-1,1L1,-1',
}

const near = (length: number) => Number(length.toFixed(2))
const share = (value: number) => Math.min(1, Math.max(0, Number(value.toFixed(5))))
