/** Where everything of a plot goes, in pixels: words above and below, then panels with room for their axes. */
import type { Axis, Cell, Panel, Plot, Tick } from './plot.js'
import { place, ticksOf } from './scale.js'
import type { Style } from './style.js'
import { linesOf, linesWidth, textWidth, wrapped } from './text.js'
import type { Box } from './surface.js'

export const LEADING = 1.32
/** Of a tick mark, and from it to its number. */
export const TICK = 3
/** Height of the numbers below an axis, with a little air above: a number beside the other axis may hang down there. */
export const NUMBERS = 1.42

/** From line to line of a name beside an axis. */
export const LINE = 1.2

export interface LegendPlace {
  x: number
  y: number
}

export interface PanelPlace {
  panel: Panel
  /** The drawing area inside the axes. */
  area: Box
  xTicks: Tick[]
  yTicks: Tick[]
  /** In lines, the last one just above the area. */
  title: string[]
}

/** A plot within a picture: its own layout, and where in the picture that lies. */
export interface CellPlace extends Cell {
  layout: Layout
  left: number
  top: number
  heading: { lines: string[]; y: number }
}

export interface Layout {
  width: number
  height: number
  /** Baselines. */
  title: { lines: string[]; y: number }
  summary: { lines: string[]; y: number }
  legend: LegendPlace[]
  ramp?: LegendPlace
  panels: PanelPlace[]
  cells?: CellPlace[]
  notes: { lines: string[]; y: number }
}

/** Everything but the panels. */
type Words = Omit<Plot, 'panels'>

/** Words above and below the panels, and the pixels that these have between. */
function frameOf(plot: Words, style: Style) {
  const { margin, text, small } = style
  const inner = style.width - 2 * margin
  const title = { lines: wrapped(plot.title, inner, { size: style.title, bold: true }), y: margin + style.title * 0.8 }
  const afterTitle = margin + title.lines.length * style.title * LEADING
  const summary = {
    lines: style.showSummary ? wrapped(plot.detail, inner, { size: text }) : [],
    y: afterTitle + text * 0.8,
  }
  const legend = legendPlaces(plot, style, afterTitle + summary.lines.length * text * LEADING + text * 0.35)
  const top = legend.bottom + text * 0.4
  const notes = [plot.subject, ...plot.notes].flatMap((note) => wrapped(note, inner, { size: small }))
  const footer = margin * 1.3 + notes.length * small * LEADING
  const body = style.height ? style.height - top - footer : (plot.body ?? style.body)
  return { title, summary, legend, top, notes, footer, body }
}

/** Pixels from the first panel's top to the last one's bottom, axes included. */
export const bodyOf = (plot: Words, style: Style) => frameOf(plot, style).body

export function layoutOf(plot: Plot, style: Style): Layout {
  const { title, summary, legend, top, notes, footer, body } = frameOf(plot, style)
  const { margin } = style
  const bottom = top + body
  const box = { left: margin, right: style.width - margin, top, bottom }
  return {
    width: style.width,
    height: style.height ?? Math.ceil(bottom + footer),
    title,
    summary,
    legend: legend.entries,
    ramp: legend.ramp,
    panels: plot.arrangement === 'rows' ? rows(plot.panels, box, style) : columns(plot.panels, box, style),
    notes: { lines: notes, y: bottom + margin * 0.7 + style.small * 0.8 },
  }
}

export const swatchOf = (style: Style) => ({ width: style.text * 1.05, gap: style.text * 0.45 })
export const rampOf = (style: Style) => style.text * (style.size === 'column' ? 6 : 9)

export function legendPlaces(plot: Words, style: Style, top: number) {
  const size = style.text
  const { width, gap } = swatchOf(style)
  const rowHeight = size * 1.5
  let [x, y] = [style.margin, top + size]
  const next = (needed: number) => {
    if (x > style.margin && x + needed > style.width - style.margin) {
      x = style.margin
      y += rowHeight
    }
    const at = { x, y }
    x += needed + size * 1.3
    return at
  }
  const entries = plot.legend.map(({ swatch, label }) =>
    next((swatch === 'none' ? 0 : width + gap) + textWidth(label, { size })),
  )
  const ramp = plot.ramp && next(rampWidth(plot.ramp, style))
  const any = entries.length > 0 || ramp !== undefined
  return { entries, ramp, bottom: any ? y + size * 0.4 : top }
}

export function rampWidth(ramp: NonNullable<Plot['ramp']>, style: Style): number {
  const size = style.text
  const words = [`${ramp.label} ${ramp.from}`, ramp.to].reduce((sum, word) => sum + textWidth(word, { size }), 0)
  return words + rampOf(style) + 2 * swatchOf(style).gap
}

const titleLines = (panel: Panel, width: number, style: Style) =>
  wrapped(panel.title ?? '', width, { size: style.text, bold: true })

function titleRoom(panel: Panel, width: number, style: Style): number {
  const lines = titleLines(panel, width, style).length
  return lines ? style.text * (0.25 + lines * LEADING) : style.text * 0.3
}

function bottomRoom(panel: Panel, style: Style): number {
  // An empty list is an axis without numbers, as on all but the last of panels above each other.
  const bare = panel.x.ticks === 'none' || (Array.isArray(panel.x.ticks) && !panel.x.ticks.length)
  const numbers = bare ? 0 : TICK + style.small * NUMBERS
  return numbers + (panel.x.label ? style.text * LEADING : 0)
}

/** Most numbers that stand on an axis without crowding. */
const roomForX = (width: number, style: Style) => Math.max(2, Math.floor(width / (style.small * 5.5)))
const roomForY = (height: number, style: Style) => Math.max(3, Math.floor(height / (style.small * 2.1)))

function leftRoom(panel: Panel, height: number, style: Style): number {
  const widths = ticksOf(panel.y, roomForY(height, style)).map((tick) => linesWidth(tick.text, { size: style.small }))
  const numbers = widths.length ? Math.max(...widths) + TICK + 3 : 0
  return numbers + (panel.y.label ? style.text * LEADING + 1 : 0)
}

/** What the axes beside rows take, at most: the higher a panel, the longer its numbers. */
export const rowsLeft = (panels: Panel[], style: Style) =>
  Math.max(...panels.map((panel) => leftRoom(panel, 2 * style.width, style)))

/** What rows of panels take beside their areas: titles, numbers, labels, gaps. */
export function rowsRoom(panels: Panel[], style: Style): number {
  const words = panels.reduce(
    (sum, panel) => sum + titleRoom(panel, titleWidth(style), style) + bottomRoom(panel, style),
    0,
  )
  return words + rowGap(style) * (panels.length - 1)
}
/** For panels' titles: axes take some of the width; how much depends on what they say, so it is taken to be much. */
const titleWidth = (style: Style) => style.width - 2 * style.margin - style.text * 6
const rowGap = (style: Style) => style.text * 0.5
/** Half of the last number on an x axis may stand out. */
export const endRoom = (style: Style) => style.small * 1.2

function rows(panels: Panel[], body: Box, style: Style): PanelPlace[] {
  const inner = titleWidth(style)
  const gap = rowGap(style)
  const free = body.bottom - body.top - rowsRoom(panels, style)
  const shares = panels.reduce((sum, panel) => sum + panel.share, 0)
  const heights = panels.map((panel) => (free * panel.share) / shares)
  const left = body.left + Math.max(...panels.map((panel, i) => leftRoom(panel, heights[i], style)))
  const right = body.right - endRoom(style)
  let y = body.top
  return panels.map((panel, i) => {
    const top = y + titleRoom(panel, inner, style)
    const bottom = top + heights[i]
    y = bottom + bottomRoom(panel, style) + gap
    return placed(panel, { left, right, top, bottom }, style, endRoom(style), inner)
  })
}

function columns(panels: Panel[], body: Box, style: Style): PanelPlace[] {
  const shares = panels.reduce((sum, panel) => sum + panel.share, 0)
  const bottom = body.bottom - Math.max(...panels.map((panel) => bottomRoom(panel, style)))
  // As if there were no titles above: how wide these may be depends on it.
  const lefts = panels.map((panel) => leftRoom(panel, bottom - body.top, style))
  const gap = style.text * 1.2
  const end = endRoom(style)
  const used = lefts.reduce((sum, left) => sum + left, 0) + gap * (panels.length - 1) + end
  const free = body.right - body.left - used
  const widths = panels.map((panel) => (free * panel.share) / shares)
  const top = body.top + Math.max(...panels.map((panel, i) => titleRoom(panel, widths[i], style)))
  let x = body.left
  return panels.map((panel, i) => {
    const left = x + lefts[i]
    const right = left + widths[i]
    x = right + gap
    return placed(panel, { left, right, top, bottom }, style, gap / 2 - 1, widths[i])
  })
}

function placed(panel: Panel, area: Box, style: Style, overhang: number, titleWidth: number): PanelPlace {
  const width = area.right - area.left
  return {
    panel,
    area,
    title: titleLines(panel, titleWidth, style),
    xTicks: thinned(panel.x, width, style, overhang),
    yTicks: spaced(panel.y, area.bottom - area.top, style),
  }
}

/** Ticks of a y axis whose numbers do not touch, in a low panel too. */
function spaced(axis: Axis, height: number, style: Style): Tick[] {
  for (let most = roomForY(height, style); ; most--) {
    const ticks = ticksOf(axis, most)
    const kept = apart(ticks, axis, height, style)
    if (kept.length === ticks.length) return ticks
    if (most <= 1 || Array.isArray(axis.ticks)) return kept
  }
}

/** Those that do not touch the one before. */
function apart(ticks: Tick[], axis: Axis, height: number, style: Style): Tick[] {
  let end = -Infinity
  return ticks
    .map((tick) => ({
      tick,
      at: place(axis, tick.at) * height,
      half: (linesOf(tick.text).length * style.small * LINE) / 2,
    }))
    .sort((a, b) => a.at - b.at)
    .filter(({ at, half }) => {
      const fits = at - half >= end
      if (fits) end = at + half
      return fits
    })
    .map(({ tick }) => tick)
}

/** Ticks of an x axis whose numbers neither touch nor stand out too far. */
function thinned(axis: Axis, width: number, style: Style, overhang: number): Tick[] {
  const gap = style.small * 0.6
  for (let most = roomForX(width, style); ; most--) {
    const ticks = ticksOf(axis, most)
    let end = -Infinity
    const kept = ticks
      .map((tick) => ({
        tick,
        at: place(axis, tick.at) * width,
        half: textWidth(tick.text, { size: style.small }) / 2,
      }))
      .sort((a, b) => a.at - b.at)
      .filter(({ at, half }) => at - half >= -overhang && at + half <= width + overhang)
      .map((entry) => {
        const fits = entry.at - entry.half >= end + gap
        if (fits) end = entry.at + entry.half
        return fits ? entry.tick : undefined
      })
    // Explicit ticks cannot be found anew with fewer, so those that touch are left out.
    if (most <= 2 || Array.isArray(axis.ticks) || kept.every(Boolean))
      return kept.filter((tick): tick is Tick => tick !== undefined)
  }
}
