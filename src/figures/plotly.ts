/** The same plot as plotly.js 3 JSON: what svg.ts draws, with hover texts and zoom. */
import { layoutOf, LEADING, swatchOf, type Layout } from './layout.js'
import type { Axis, LegendEntry, Panel, Plot, Slider, Tick } from './plot.js'
import { legendTrace, plain, rampTrace, rounded, traces, type Drawing, type Json, type Trace } from './plotly-traces.js'
import { colorOf, type Style } from './style.js'
import { SANS } from './fonts/names.js'
import { linesOf, textWidth, wrapped } from './text.js'

export interface PlotlyFigure {
  data: Trace[]
  layout: { [name: string]: Json }
  config: { [name: string]: Json }
}

export function plotlyOf(plot: Plot, style: Style): PlotlyFigure {
  const drawing: Drawing = { style, paint: (color) => colorOf(color, style.theme) }
  const natural = layoutOf(plot, style)
  const sides = sidesOf(plot, style)
  const width = plot.monospaced
    ? style.width - 2 * style.margin + sides.l + sides.r
    : Math.max(style.width, style.size === 'wide' ? 860 : 440)
  const words = wordsOf(plot, natural, width - sides.l - sides.r, drawing)
  const places = placesOf(plot, natural)
  const data: Trace[] = []
  /** Traces that a slider moves. */
  const moved: number[] = []
  const axes: { [name: string]: Json } = {}
  const annotations = words.annotations
  plot.panels.forEach((panel, i) => {
    const suffix = i ? String(i + 1) : ''
    axes[`xaxis${suffix}`] = {
      ...axis(panel.x, natural.panels[i].xTicks, drawing),
      domain: places[i].x,
      anchor: `y${suffix}`,
    }
    axes[`yaxis${suffix}`] = {
      ...axis(panel.y, natural.panels[i].yTicks, drawing),
      domain: places[i].y,
      anchor: `x${suffix}`,
    }
    for (const mark of panel.marks) {
      if (plot.slider?.marks.includes(mark)) moved.push(data.length)
      for (const trace of traces(mark, drawing)) data.push({ ...trace, xaxis: `x${suffix}`, yaxis: `y${suffix}` })
    }
    annotations.push(...panelWords(panel, places[i], drawing))
  })
  for (const entry of plot.legend) data.push(legendTrace(entry, drawing))
  if (plot.ramp) data.push(rampTrace(plot.ramp, words.rampY, drawing))
  const slide = plot.slider ? SLIDER : 0
  const layout: PlotlyFigure['layout'] = {
    ...axes,
    annotations,
    font: { family: SANS, size: style.small, color: drawing.paint('ink') },
    paper_bgcolor: drawing.paint('paper'),
    plot_bgcolor: drawing.paint('paper'),
    margin: { ...sides, t: words.top, b: words.bottom + slide },
    height: Math.round(heightOf(natural) + words.top + words.bottom + slide),
    hovermode: 'closest',
    showlegend: plot.legend.length > 0,
    hoverlabel: { align: 'left', font: { size: style.small } },
  }
  if (data.some((trace) => trace.type === 'bar')) Object.assign(layout, { barmode: 'overlay', bargap: 0 })
  if (plot.legend.length)
    layout.legend = {
      orientation: 'h',
      x: 0,
      xanchor: 'left',
      y: words.legendY,
      yref: 'paper',
      yanchor: 'bottom',
      itemclick: false,
      itemdoubleclick: false,
      font: { size: style.text },
    }
  if (plot.slider) layout.sliders = [sliderOf(plot.slider, moved, words.bottom)]
  // A page decides how wide a figure in it is; a column, a slide and columns of letters are as wide as they are.
  if (style.size !== 'wide' || plot.monospaced) layout.width = Math.round(width)
  else layout.meta = { minWidth: Math.round(width) }
  return { data, layout, config: { responsive: true, displaylogo: false } }
}

/** A page may lack our fonts: DejaVu Sans, the widest that stands in, takes so much more than Inter over a sentence. */
const ROOM = { plain: 1.1, bold: 1.2 }

/** Its height, pixels. */
const SLIDER = 76

/** `below`: pixels from the drawing area to its upper edge. */
function sliderOf({ label, active, steps }: Slider, moved: number[], below: number): Json {
  return {
    active,
    currentvalue: { prefix: plain(label) },
    pad: { t: below },
    y: 0,
    yanchor: 'top',
    steps: steps.map(({ text, y }) => ({
      label: plain(text),
      method: 'restyle',
      args: [{ y: y.map((values) => values.map(rounded)) }, moved],
    })),
  }
}

/** From the first panel's area to the last one's, pixels. */
const heightOf = ({ panels }: Layout) => panels[panels.length - 1].area.bottom - panels[0].area.top

function sidesOf(plot: Plot, style: Style): { l: number; r: number } {
  const axes = plot.panels.some((panel) => panel.y.ticks !== 'none' || panel.y.label)
  return { l: Math.round(style.text * (axes ? 5 : 1.2)), r: Math.round(style.text * 1.5) }
}

/** Title, detail and notes as annotations, and how much room they and the legend need above and below, pixels. */
function wordsOf(plot: Plot, natural: Layout, inner: number, { style, paint }: Drawing) {
  const { text, small } = style
  const title = wrapped(plot.title, inner / ROOM.bold, { size: style.title, bold: true })
  const detail = style.showSummary ? wrapped(plot.detail, inner / ROOM.plain, { size: text }) : []
  const notes = [plot.subject, ...plot.notes].flatMap((note) => wrapped(note, inner / ROOM.plain, { size: small }))
  const { gap, width: swatch } = swatchOf(style)
  const entry = (words: LegendEntry) => textWidth(words.label, { size: text }) * ROOM.plain + gap + 2.5 * swatch
  const legendRows = rowsOf(plot.legend.map(entry), inner)
  const titled = (plot.panels[0].title ? 1.7 : 0.5) * text
  const legend = legendRows * text * 1.8
  const ramp = plot.ramp ? text * 4.6 : 0
  const titleHeight = title.length * style.title * 1.3 + text * 0.4
  const detailHeight = detail.length * text * LEADING + text * 0.6
  const top = Math.round(titleHeight + detailHeight + ramp + legend + titled + text * 0.6)
  const axisRoom = Math.round(small * 2 + text * 2)
  const height = heightOf(natural)
  const note = (lines: string[], y: number, yshift: number, font: Json): Json => ({
    text: lines.map(plain).join('<br>'),
    x: 0,
    xref: 'paper',
    xanchor: 'left',
    y,
    yref: 'paper',
    yanchor: 'top',
    yshift: Math.round(yshift),
    align: 'left',
    showarrow: false,
    borderpad: 0,
    font,
  })
  const bold = title.map((line) => `<b>${plain(line)}</b>`).join('<br>')
  const annotations: Json[] = [
    { ...(note([], 1, top - text * 0.5, { size: style.title }) as object), text: bold },
    note(notes, 0, -axisRoom, { size: small, color: paint('muted') }),
  ]
  if (detail.length) annotations.push(note(detail, 1, top - text * 0.5 - titleHeight, { size: text }))
  return {
    annotations,
    top,
    bottom: Math.round(axisRoom + notes.length * small * LEADING + text),
    legendY: rounded(1 + titled / height),
    // The scale's numbers hang below its edge.
    rampY: rounded(1 + (titled + legend + (plot.ramp ? text * 1.2 : 0)) / height) ?? 1,
  }
}

/** Rows of a legend: where its entries do not fit beside each other, plotly gives all of them the room of the widest. */
function rowsOf(widths: readonly number[], inner: number): number {
  const together = widths.reduce((sum, width) => sum + width, 0)
  if (together <= inner) return Math.min(1, widths.length)
  return Math.ceil(widths.length / Math.max(1, Math.floor(inner / Math.max(...widths))))
}

interface Place {
  x: [number, number]
  y: [number, number]
}

/** Shares of the drawing area: heights as svg lays them out, widths by the panels' shares. */
function placesOf(plot: Plot, natural: Layout): Place[] {
  const height = heightOf(natural)
  const bottom = natural.panels[natural.panels.length - 1].area.bottom
  const between = 0.035
  const shares = plot.panels.reduce((sum, panel) => sum + panel.share, 0)
  const free = 1 - between * (plot.panels.length - 1)
  let x = 0
  return natural.panels.map(({ panel, area }) => {
    if (plot.arrangement === 'rows') {
      const share = (y: number) => Math.min(1, Math.max(0, Number(((bottom - y) / height).toFixed(5))))
      return { x: [0, 1], y: [share(area.bottom), share(area.top)] }
    }
    const from = x
    const to = Math.min(1, from + (free * panel.share) / shares)
    x = to + between
    return { x: [Number(from.toFixed(5)), Number(to.toFixed(5))], y: [0, 1] }
  })
}

/** `ticks`: svg's; plotly finds its own only where it can do so anew after a zoom. */
export function axis(given: Axis, ticks: Tick[], { style, paint }: Drawing): { [name: string]: Json } {
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
  }
  if (given.grid) base.gridcolor = paint('faint')
  if (given.label) base.title = { text: plain(given.label), font: { size: style.text }, standoff: 6 }
  if (given.ticks === 'none') return { ...base, showticklabels: false }
  base.linecolor = paint('muted')
  if (!ticks.length) return { ...base, showticklabels: false }
  base.tickfont = { color: paint('muted'), size: style.small }
  if (!Array.isArray(given.ticks) && !log) {
    const few = given.whole && Math.abs(given.range[1] - given.range[0]) < 8
    return { ...base, ticks: 'outside', tickformat: ',', ...(few ? { tick0: 0, dtick: 1 } : {}) }
  }
  return {
    ...base,
    ticks: 'outside',
    tickvals: ticks.map((tick) => rounded(tick.at)),
    ticktext: ticks.map(({ text }) => linesOf(text).map(plain).join('<br>')),
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
