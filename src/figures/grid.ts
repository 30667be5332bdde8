/** Where everything of several plots in one picture goes: rows of them, each under its heading, what they share above and below. */
import { layoutOf, LEADING, legendPlaces, type CellPlace, type Layout } from './layout.js'
import { pictured } from './pictured.js'
import type { Cell, Plot } from './plot.js'
import type { Style } from './style.js'
import { wrapped } from './text.js'

/** Between plots that stand side by side, and of those below each other. */
const gapOf = (style: Style) => style.text * 1.8
const rowGapOf = (style: Style) => style.text * 1.1

/** Pixels of each of so many plots side by side. */
export const cellWidth = (style: Style, columns: number) =>
  (style.width - 2 * style.margin - gapOf(style) * (columns - 1)) / columns

/** Of any plot, with panels or with cells. */
export function pictureLayout(given: Plot, style: Style): Layout {
  const plot = pictured(given, style)
  return plot.cells ? gridOf(plot, plot.cells, style) : layoutOf(plot, style)
}

function gridOf(plot: Plot, { each, columns }: NonNullable<Plot['cells']>, style: Style): Layout {
  const { margin, text, small, width } = style
  const legend = legendPlaces(plot, style, margin * 0.6)
  const any = legend.entries.length > 0 || legend.ramp !== undefined
  const notes = [plot.subject, ...plot.notes].flatMap((note) => wrapped(note, width - 2 * margin, { size: small }))
  const footer = margin * 1.3 + notes.length * small * LEADING
  const rows = Array.from({ length: Math.ceil(each.length / columns) }, (_, row) =>
    each.slice(row * columns, (row + 1) * columns).map((cell) => ({
      cell,
      lines: wrapped(cell.title, cell.style.width, { size: text, bold: true }),
    })),
  )
  const headings = rows.map((row) => Math.max(...row.map(({ lines }) => lines.length)) * text * LEADING)
  let y = any ? legend.bottom + text * 0.7 : margin
  const fixed = headings.reduce((sum, heading) => sum + heading, 0) + rowGapOf(style) * (rows.length - 1)
  /** Of a slide, whose height is given. */
  const share = style.height && (style.height - y - footer - fixed) / rows.length
  const places: CellPlace[] = []
  rows.forEach((row, r) => {
    const natural = row.map(({ cell }) => layoutOf(cell.plot, cell.style))
    const height = share ?? Math.max(...natural.map((layout) => layout.height))
    row.forEach(({ cell, lines }, column) => {
      const left = margin + column * (cellWidth(style, columns) + gapOf(style))
      const layout = stretches(cell) ? layoutOf(cell.plot, { ...cell.style, height }) : natural[column]
      places.push({ ...cell, layout, left, top: y + headings[r], heading: { lines, y: y + text * 0.8 } })
    })
    y += headings[r] + height + rowGapOf(style)
  })
  const bottom = y - rowGapOf(style)
  const none = { lines: [], y: 0 }
  return {
    width,
    height: style.height ?? Math.ceil(bottom + footer),
    title: none,
    summary: none,
    legend: legend.entries,
    ramp: legend.ramp,
    panels: [],
    cells: places,
    notes: { lines: notes, y: bottom + margin * 0.7 + small * 0.8 },
  }
}

/** Lines of text keep their distances. */
const stretches = ({ plot, style }: Cell) => !plot.monospaced || style.height !== undefined
