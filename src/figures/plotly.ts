/** The same plot as plotly.js 3 JSON: what svg.ts draws, with hover texts and zoom. */
import { layoutOf, LEADING, rampWidth, swatchOf } from './layout.js'
import type { Axis, Boxes, Labels, LegendEntry, Mark, Panel, Plot, Shape } from './plot.js'
import { ticksOf } from './scale.js'
import { colorOf, type Color, type Style } from './style.js'
import { MONO, SANS, textWidth, wrapped } from './text.js'

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }
export interface PlotlyFigure {
  data: { [name: string]: Json }[]
  layout: { [name: string]: Json }
  config: { [name: string]: Json }
}

/** Plotly reads a little HTML in its texts, and tokens are full of it. */
export const plain = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
const rounded = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(7)) : null)
const SYMBOLS: Record<Shape, string> = {
  dot: 'circle',
  diamond: 'diamond',
  triangle: 'triangle-up',
  tick: 'line-ns-open',
  cross: 'x-thin-open',
}

interface Drawing {
  style: Style
  paint: (color: Color) => string
  /** Pixels that the whole figure is laid out for; it stretches from there. */
  width: number
}

export function plotlyOf(plot: Plot, style: Style): PlotlyFigure {
  const width = Math.max(style.width, style.size === 'wide' ? 860 : 440)
  const drawing: Drawing = { style, width, paint: (color) => colorOf(color, style.theme) }
  const data: PlotlyFigure['data'] = []
  const axes: { [name: string]: Json } = {}
  const annotations: Json[] = []
  const places = domains(plot, style)
  plot.panels.forEach((panel, i) => {
    const suffix = i ? String(i + 1) : ''
    axes[`xaxis${suffix}`] = { ...axis(panel.x, drawing), domain: places[i].x, anchor: `y${suffix}` }
    axes[`yaxis${suffix}`] = { ...axis(panel.y, drawing), domain: places[i].y, anchor: `x${suffix}` }
    for (const mark of panel.marks)
      for (const trace of traces(mark, drawing)) data.push({ ...trace, xaxis: `x${suffix}`, yaxis: `y${suffix}` })
    annotations.push(...panelWords(panel, places[i], drawing))
  })
  for (const entry of plot.legend) data.push(legendTrace(entry, drawing))
  if (plot.ramp) data.push(rampTrace(plot.ramp, drawing))
  const words = wordsOf(plot, drawing)
  annotations.push(...words.annotations)
  const natural = layoutOf(plot, style)
  const body = style.height
    ? Math.max(...natural.panels.map((p) => p.area.bottom)) - natural.panels[0].area.top
    : (plot.body ?? style.body)
  const layout: PlotlyFigure['layout'] = {
    ...axes,
    annotations,
    title: {
      text: words.title,
      x: 0,
      xref: 'paper',
      xanchor: 'left',
      y: 1,
      yref: 'container',
      yanchor: 'top',
      pad: { t: style.text * 0.6 },
      font: { size: style.text },
    },
    font: { family: SANS, size: style.small, color: drawing.paint('ink') },
    paper_bgcolor: drawing.paint('paper'),
    plot_bgcolor: drawing.paint('paper'),
    margin: {
      l: Math.round(style.text * 5),
      r: Math.round(style.text * 1.5),
      t: words.top,
      b: words.bottom,
    },
    height: Math.round(body + words.top + words.bottom),
    barmode: 'overlay',
    bargap: 0,
    hovermode: 'closest',
    showlegend: plot.legend.length > 0,
    hoverlabel: { align: 'left', font: { size: style.small } },
  }
  if (plot.legend.length)
    layout.legend = {
      orientation: 'h',
      x: 0,
      xanchor: 'left',
      y: 1,
      yref: 'paper',
      yanchor: 'bottom',
      itemclick: false,
      itemdoubleclick: false,
      font: { size: style.text },
    }
  // A page decides how wide a figure in it is; a column and a slide are as wide as they are.
  if (style.size !== 'wide') layout.width = width
  return { data, layout, config: { responsive: true, displaylogo: false } }
}

function wordsOf(plot: Plot, { style, width, paint }: Drawing) {
  const inner = width * 0.86
  const title = wrapped(plot.title, inner, { size: style.title, bold: true })
  const summary = style.showSummary ? wrapped(plot.detail, inner, { size: style.text }) : []
  const notes = [plot.subject, ...plot.notes].flatMap((note) => wrapped(note, inner, { size: style.small }))
  const { gap, width: swatch } = swatchOf(style)
  const entry = (words: LegendEntry) => textWidth(words.label, { size: style.text }) + gap + 2.5 * swatch
  const legendWidth = plot.legend.reduce(
    (sum, words) => sum + entry(words),
    plot.ramp ? rampWidth(plot.ramp, style) : 0,
  )
  const legendRows = legendWidth ? Math.ceil(legendWidth / (inner * 0.8)) : 0
  const titled = plot.panels[0].title ? 1.6 : 0.4
  const top =
    (title.length * style.title + summary.length * style.text) * LEADING +
    (1.5 + legendRows * 1.9 + titled) * style.text
  const axisRoom = style.small * 2 + style.text * 2
  const bottom = Math.round(axisRoom + notes.length * style.small * 1.3 + 8)
  return {
    title:
      `<b style="font-size:${style.title}px">${title.map(plain).join('<br>')}</b>` +
      summary.map((line) => `<br>${plain(line)}`).join(''),
    top: Math.round(top),
    bottom,
    annotations: [
      {
        text: notes.map(plain).join('<br>'),
        x: 0,
        xref: 'paper',
        xanchor: 'left',
        y: 0,
        yref: 'paper',
        yanchor: 'top',
        yshift: -axisRoom,
        align: 'left',
        showarrow: false,
        font: { size: style.small, color: paint('muted') },
      },
    ] as Json[],
  }
}

interface Place {
  x: [number, number]
  y: [number, number]
}

/** Shares of the whole drawing area, with gaps for titles and numbers between. */
function domains(plot: Plot, style: Style): Place[] {
  const { panels } = plot
  const body = plot.body ?? style.body
  const titled = panels.some((panel) => panel.title)
  const between = plot.arrangement === 'rows' ? Math.min(0.12, ((titled ? 2.4 : 0.8) * style.text) / body) : 0.03
  const shares = panels.reduce((sum, panel) => sum + panel.share, 0)
  const free = 1 - between * (panels.length - 1)
  let at = 0
  return panels.map((panel) => {
    const span: [number, number] = [at, Math.min(1, at + (free * panel.share) / shares)]
    at = span[1] + between
    if (plot.arrangement === 'columns') return { x: span, y: [0, 1] }
    return { x: [0, 1], y: [Math.max(0, 1 - span[1]), 1 - span[0]] }
  })
}

function axis(given: Axis, { style, paint }: Drawing): { [name: string]: Json } {
  const log = given.scale === 'log'
  const range = given.range.map((value) => rounded(log ? Math.log10(value) : value))
  const type = log ? 'log' : 'linear'
  if (given.ticks === 'none' && !given.label) return { range, type, visible: false }
  const base: { [name: string]: Json } = {
    range,
    type,
    showgrid: given.grid ?? false,
    zeroline: false,
    showline: given.ticks !== 'none',
    tickfont: { color: paint('muted'), size: style.small },
  }
  if (given.grid) base.gridcolor = paint('faint')
  if (given.label) base.title = { text: plain(given.label), font: { size: style.text }, standoff: 6 }
  if (given.ticks === 'none') return { ...base, showticklabels: false }
  base.linecolor = paint('muted')
  if (!Array.isArray(given.ticks) && !log) return { ...base, ticks: 'outside', tickformat: ',' }
  const ticks = ticksOf(given, 8)
  if (!ticks.length) return { ...base, showticklabels: false }
  return {
    ...base,
    ticks: 'outside',
    tickvals: ticks.map((tick) => rounded(tick.at)),
    ticktext: ticks.map((tick) => plain(tick.text)),
  }
}

function panelWords(panel: Panel, place: Place, { style }: Drawing): Json[] {
  const words: Json[] = []
  const common = { xref: 'paper', yref: 'paper', showarrow: false, xanchor: 'left', align: 'left' }
  if (panel.title)
    words.push({
      ...common,
      text: `<b>${plain(panel.title)}</b>`,
      x: place.x[0],
      y: place.y[1],
      yanchor: 'bottom',
      font: { size: style.text },
    })
  return words
}

function traces(mark: Mark, drawing: Drawing): PlotlyFigure['data'] {
  const { paint, style } = drawing
  const hover = (texts?: string[]): { [name: string]: Json } =>
    texts
      ? { hovertext: texts.map((text) => plain(text).replace(/\n/g, '<br>')), hoverinfo: 'text' }
      : { hoverinfo: 'skip' }
  const common = { name: mark.kind === 'labels' ? 'labels' : mark.name, showlegend: false }
  if (mark.kind === 'boxes') return mark.x0.length ? [{ ...common, ...bars(mark, paint), ...hover(mark.hover) }] : []
  if (mark.kind === 'labels') return labelTrace(mark, drawing)
  const xy = { type: 'scatter', x: mark.x.map(rounded), y: mark.y.map(rounded) }
  if (!mark.x.length) return []
  if (mark.kind === 'line')
    return [
      {
        ...common,
        ...xy,
        ...hover(mark.hover),
        mode: 'lines',
        line: { color: paint(mark.color), width: mark.width ?? 1.5, dash: mark.dash ? 'dash' : 'solid' },
      },
    ]
  const size = mark.diameter ?? style.text * (mark.shape === 'tick' ? 0.6 : 0.5)
  const color = paint(mark.color)
  return [
    {
      ...common,
      ...xy,
      ...hover(mark.hover),
      mode: 'markers',
      marker: { symbol: SYMBOLS[mark.shape], size: rounded(size), color, line: { color, width: 1.2 } },
    },
  ]
}

function bars(mark: Boxes, paint: Drawing['paint']): { [name: string]: Json } {
  const middle = mark.y0.map((y0, i) => rounded((y0 + mark.y1[i]) / 2))
  const color: Json = mark.colors ? mark.colors.map(paint) : paint(mark.color)
  return {
    type: 'bar',
    orientation: 'h',
    base: mark.x0.map(rounded),
    x: mark.x1.map((x1, i) => rounded(x1 - mark.x0[i])),
    y: middle,
    width: mark.y0.map((y0, i) => rounded(Math.abs(mark.y1[i] - y0))),
    opacity: mark.opacity ?? 1,
    marker: mark.outline
      ? { color: 'rgba(0,0,0,0)', line: { color, width: 1.2 } }
      : { color, line: { color, width: (mark.leastWidth ?? 0) / 2 } },
  }
}

function labelTrace(mark: Labels, { style, paint }: Drawing): PlotlyFigure['data'] {
  const size = mark.mono ? style.mono : style.small
  if (!mark.text.length) return []
  const side = { start: 'middle right', middle: 'middle center', end: 'middle left' }[mark.anchor]
  const dressed = (word: string, i: number) => {
    const text = plain(word)
    const bold = mark.bold ? `<b>${text}</b>` : text
    return mark.strike?.[i] ? `<s>${bold}</s>` : bold
  }
  return [
    {
      type: 'scatter',
      mode: 'text',
      name: 'labels',
      showlegend: false,
      hoverinfo: 'skip',
      cliponaxis: false,
      x: mark.x.map(rounded),
      y: mark.y.map(rounded),
      text: mark.text.map(dressed),
      textposition: side,
      textfont: {
        size,
        family: mark.mono ? MONO : SANS,
        color: mark.colors ? mark.colors.map(paint) : paint(mark.color),
      },
    },
  ]
}

/** Points that are nowhere, so that the legend says what svg's does. */
function legendTrace(entry: LegendEntry, { paint, style }: Drawing): { [name: string]: Json } {
  const color = paint(entry.color)
  const line = entry.swatch === 'line' || entry.swatch === 'dash'
  const box = entry.swatch === 'box' || entry.swatch === 'frame'
  const symbol = box ? (entry.swatch === 'box' ? 'square' : 'square-open') : SYMBOLS[entry.swatch as Shape]
  return {
    type: 'scatter',
    name: plain(entry.label),
    x: [null],
    y: [null],
    hoverinfo: 'skip',
    showlegend: true,
    ...(line
      ? { mode: 'lines', line: { color, width: 2, dash: entry.swatch === 'dash' ? 'dash' : 'solid' } }
      : { mode: 'markers', marker: { symbol, size: style.text * 0.8, color, line: { color, width: 1.2 } } }),
  }
}

function rampTrace(ramp: NonNullable<Plot['ramp']>, { paint, style }: Drawing): { [name: string]: Json } {
  const colorscale = Array.from({ length: 11 }, (_, i) => [i / 10, paint(`${ramp.kind}:${i / 10}`)])
  return {
    type: 'scatter',
    mode: 'markers',
    x: [null],
    y: [null],
    hoverinfo: 'skip',
    showlegend: false,
    marker: {
      color: [0],
      cmin: 0,
      cmax: 1,
      colorscale,
      showscale: true,
      colorbar: {
        orientation: 'h',
        x: 0,
        xanchor: 'left',
        y: 1,
        yanchor: 'bottom',
        len: 0.4,
        thickness: style.text * 0.8,
        title: { text: plain(ramp.label), side: 'top' },
        tickvals: [0, 1],
        ticktext: [plain(ramp.from), plain(ramp.to)],
      },
    },
  }
}
