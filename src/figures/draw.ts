/** Draws a plot on a surface: the one place that says where each line, shape and word of a picture goes. */
import {
  LEADING,
  LINE,
  NUMBERS,
  rampOf,
  swatchOf,
  TICK,
  type CellPlace,
  type Layout,
  type LegendPlace,
  type PanelPlace,
} from './layout.js'
import type { Labels, LegendEntry, Mark, Plot } from './plot.js'
import { MONO_ADVANCE } from './fonts/names.js'
import { place } from './scale.js'
import { colorOf, type Color, type Style } from './style.js'
import { Shifted } from './shifted.js'
import type { Box, Surface, TextOptions } from './surface.js'
import { columnsOf, linesOf, linesWidth, textWidth } from './text.js'

/** Of boxes, points and corners of lines. With more, fields are drawn as images: viewers would take long over so many, and files be large. */
const MOST_MARKS = 20_000

export function draw(surface: Surface, plot: Plot, style: Style, layout: Layout): void {
  const paper = { left: 0, top: 0, right: layout.width, bottom: layout.height }
  surface.boxes([paper], colorOf('paper', style.theme))
  drawWords(surface, plot, style, layout)
  drawPanels(surface, style, layout, marksIn(plot) > MOST_MARKS)
}

/** Everything but panels: titles, legends, scales, notes. */
export function drawWords(surface: Surface, plot: Plot, style: Style, layout: Layout): void {
  const paint = painting(style)
  words(surface, layout, style, paint)
  plot.legend.forEach((entry, i) => legendEntry(surface, entry, layout.legend[i], style, paint))
  if (plot.ramp && layout.ramp) ramp(surface, plot.ramp, layout.ramp, style, paint)
  for (const cell of layout.cells ?? []) {
    heading(surface, cell, style, paint)
    drawWords(within(surface, cell), cell.plot, cell.style, cell.layout)
  }
}

function drawPanels(surface: Surface, style: Style, layout: Layout, crowded: boolean): void {
  for (const panel of layout.panels) drawPanel(surface, panel, style, painting(style), crowded)
  for (const cell of layout.cells ?? []) drawPanels(within(surface, cell), cell.style, cell.layout, crowded)
}

const marksIn = ({ panels, cells }: Plot): number =>
  panels
    .flatMap(({ marks }) => marks)
    .reduce((sum, mark) => sum + (mark.kind === 'boxes' ? mark.x0 : mark.x).length, 0) +
  (cells?.each.reduce((sum, cell) => sum + marksIn(cell.plot), 0) ?? 0)

const within = (surface: Surface, { left, top }: CellPlace) => new Shifted(surface, left, top)
const painting =
  ({ theme }: Style): Paint =>
  (color) =>
    colorOf(color, theme)

function heading(surface: Surface, { heading: { lines, y }, left }: CellPlace, { text: size }: Style, paint: Paint) {
  const looks = { size, bold: true, color: paint('ink') }
  lines.forEach((line, i) => surface.text(line, left, y + i * size * LEADING, looks))
}

export function panelTitle(surface: Surface, { title, area }: PanelPlace, { text: size }: Style, paint: Paint): void {
  title.forEach((line, i) => {
    const y = area.top - size * (0.5 + LEADING * (title.length - 1 - i))
    surface.text(line, area.left, y, { size, bold: true, color: paint('ink') })
  })
}

export type Paint = (color: Color) => string

function words(surface: Surface, layout: Layout, style: Style, paint: Paint): void {
  const lines = (block: { lines: string[]; y: number }, options: TextOptions) =>
    block.lines.forEach((line, i) => surface.text(line, style.margin, block.y + i * options.size * LEADING, options))
  lines(layout.title, { size: style.title, bold: true, color: paint('ink') })
  lines(layout.summary, { size: style.text, color: paint('ink') })
  lines(layout.notes, { size: style.small, color: paint('muted') })
}

function legendEntry(surface: Surface, entry: LegendEntry, at: LegendPlace, style: Style, paint: Paint): void {
  const size = style.text
  const { width, gap } = swatchOf(style)
  const [color, ink] = [paint(entry.color), paint('ink')]
  if (entry.swatch === 'none') return surface.text(entry.label, at.x, at.y, { size, color: ink })
  const [middle, center] = [at.y - size * 0.32, at.x + width / 2]
  const box = { left: at.x, right: at.x + width, top: middle - size * 0.42, bottom: middle + size * 0.42 }
  if (entry.swatch === 'box') surface.boxes([box], color)
  else if (entry.swatch === 'frame') surface.boxes([box], color, { outline: 1.2 })
  else if (entry.swatch === 'line' || entry.swatch === 'dash')
    surface.line(
      [
        [at.x, middle],
        [box.right, middle],
      ],
      color,
      Math.max(1.5, size / 8),
      entry.swatch === 'dash',
    )
  else surface.points([[center, middle]], entry.swatch, color, size * 0.7)
  surface.text(entry.label, box.right + gap, at.y, { size, color: ink })
}

function ramp(surface: Surface, scale: NonNullable<Plot['ramp']>, at: LegendPlace, style: Style, paint: Paint): void {
  const size = style.text
  const { gap } = swatchOf(style)
  let x = at.x
  const word = (text: string) => {
    surface.text(text, x, at.y, { size, color: paint('ink') })
    x += textWidth(text, { size }) + gap
  }
  word(`${scale.label} ${scale.from}`)
  const [steps, step] = [36, rampOf(style) / 36]
  for (let i = 0; i < steps; i++) {
    const box = {
      left: x + i * step,
      right: x + (i + 1) * step + 0.3,
      top: at.y - size * 0.75,
      bottom: at.y + size * 0.1,
    }
    surface.boxes([box], paint(`${scale.kind}:${i / (steps - 1)}`))
  }
  x += rampOf(style) + gap
  word(scale.to)
}

function drawPanel(surface: Surface, placed: PanelPlace, style: Style, paint: Paint, crowded: boolean): void {
  const { panel, area } = placed
  const { small, text } = style
  const x = (value: number) => area.left + place(panel.x, value) * (area.right - area.left)
  const y = (value: number) => area.bottom - place(panel.y, value) * (area.bottom - area.top)
  const muted = paint('muted')
  if (panel.y.grid)
    for (const tick of placed.yTicks)
      surface.line(
        [
          [area.left, y(tick.at)],
          [area.right, y(tick.at)],
        ],
        paint('faint'),
        0.75,
      )
  if (panel.x.grid)
    for (const tick of placed.xTicks)
      surface.line(
        [
          [x(tick.at), area.top],
          [x(tick.at), area.bottom],
        ],
        paint('faint'),
        0.75,
      )
  panelTitle(surface, placed, style, paint)
  if (panel.x.ticks !== 'none') {
    surface.line(
      [
        [area.left, area.bottom],
        [area.right, area.bottom],
      ],
      muted,
      0.75,
    )
    for (const tick of placed.xTicks) {
      surface.line(
        [
          [x(tick.at), area.bottom],
          [x(tick.at), area.bottom + TICK],
        ],
        muted,
        0.75,
      )
      const options = { size: small, color: muted, anchor: 'middle' } as const
      surface.text(tick.text, x(tick.at), area.bottom + TICK + small * (NUMBERS - 0.26), options)
    }
  }
  if (panel.x.label) {
    const below = panel.x.ticks === 'none' ? 0 : TICK + small * NUMBERS
    const options = { size: text, color: paint('ink'), anchor: 'middle' } as const
    surface.text(panel.x.label, (area.left + area.right) / 2, area.bottom + below + text * 0.95, options)
  }
  let labelX = area.left - TICK - 3
  for (const tick of placed.yTicks) {
    const options = { size: small, color: muted, anchor: 'end' } as const
    surface.line(
      [
        [area.left - TICK, y(tick.at)],
        [area.left, y(tick.at)],
      ],
      muted,
      0.75,
    )
    const lines = linesOf(tick.text)
    lines.forEach((line, i) => {
      const down = 0.32 + (i - (lines.length - 1) / 2) * LINE
      surface.text(line, area.left - TICK - 3, y(tick.at) + small * down, options)
    })
    labelX = Math.min(labelX, area.left - TICK - 3 - linesWidth(tick.text, { size: small }))
  }
  if (panel.y.label) {
    const options = { size: text, color: paint('ink'), upright: true }
    surface.text(panel.y.label, labelX - text * 0.32, (area.top + area.bottom) / 2, options)
  }
  const put = (on: Surface, marks: Mark[]) => marks.forEach((mark) => drawMark(on, mark, { x, y, area, style, paint }))
  if (!crowded) return put(surface, panel.marks)
  const words = panel.marks.filter(({ kind }) => kind === 'labels')
  const field = panel.marks.filter(({ kind }) => kind !== 'labels')
  // Half a dot may stand out.
  surface.image(grown(area, text), (dots) => put(dots, field))
  put(surface, words)
}

const grown = ({ left, top, right, bottom }: Box, by: number): Box => ({
  left: left - by,
  top: top - by,
  right: right + by,
  bottom: bottom + by,
})

interface Where {
  x: (value: number) => number
  y: (value: number) => number
  area: Box
  style: Style
  paint: Paint
}

function drawMark(surface: Surface, mark: Mark, where: Where): void {
  const { x, y, style, paint } = where
  const points = (m: { x: number[]; y: number[] }) => m.x.map((value, i): [number, number] => [x(value), y(m.y[i])])
  if (mark.kind === 'points') {
    const diameter = mark.diameter ?? style.text * (mark.shape === 'tick' ? 0.6 : 0.4)
    surface.points(points(mark), mark.shape, paint(mark.color), diameter)
  } else if (mark.kind === 'line') surface.line(points(mark), paint(mark.color), mark.width ?? 1.5, mark.dash)
  else if (mark.kind === 'labels') drawLabels(surface, mark, where)
  else {
    const byColor = new Map<string, Box[]>()
    mark.x0.forEach((_, i) => {
      const [a, b, c, d] = [x(mark.x0[i]), x(mark.x1[i]), y(mark.y0[i]), y(mark.y1[i])]
      const box = { left: Math.min(a, b), right: Math.max(a, b), top: Math.min(c, d), bottom: Math.max(c, d) }
      if (mark.seamless) {
        box.right = Math.min(where.area.right, box.right + 0.35)
        box.bottom = Math.min(where.area.bottom, box.bottom + 0.35)
      }
      const missing = (mark.leastWidth ?? 0) - (box.right - box.left)
      if (missing > 0) {
        box.left = Math.max(where.area.left, box.left - missing / 2)
        box.right = Math.min(where.area.right, box.right + missing / 2)
      }
      const color = paint(mark.colors?.[i] ?? mark.color)
      const boxes = byColor.get(color)
      if (boxes) boxes.push(box)
      else byColor.set(color, [box])
    })
    for (const [color, boxes] of byColor)
      surface.boxes(boxes, color, { outline: mark.outline ? 1.2 : undefined, opacity: mark.opacity })
  }
}

function drawLabels(surface: Surface, mark: Labels, { x, y, style, paint }: Where): void {
  const size = mark.mono ? style.mono : style.small
  mark.text.forEach((text, i) => {
    const options: TextOptions = {
      size,
      bold: mark.bold,
      mono: mark.mono,
      anchor: mark.anchor,
      color: paint(mark.colors?.[i] ?? mark.color),
      strike: mark.strike?.[i],
      length: mark.mono ? columnsOf(text) * size * MONO_ADVANCE : undefined,
    }
    const [left, base] = [x(mark.x[i]), y(mark.y[i]) + size * 0.32]
    surface.text(text, left, base, options)
  })
}
