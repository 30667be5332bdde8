/** Several plots in one picture as plotly.js 3 JSON: a subplot where svg has a panel, and the same words and legends around them. */
import { drawWords, panelTitle } from './draw.js'
import { SANS } from './fonts/names.js'
import { pictureLayout } from './grid.js'
import { pictured } from './pictured.js'
import type { Plot } from './plot.js'
import { axis, plotlyOf, type PlotlyFigure } from './plotly.js'
import { PlotlySurface } from './plotly-surface.js'
import { traces, type Drawing, type Trace } from './plotly-traces.js'
import { Shifted } from './shifted.js'
import { colorOf, type Style } from './style.js'

/** A page may have wider letters than ours, so lines get more room. */
const ROOMIER = 1.15

/** Of any plot, with panels or with cells. */
export function plotlyPicture(given: Plot, style: Style): PlotlyFigure {
  const plot = pictured(given, style)
  return plot.cells ? plotlyGrid(plot, style) : plotlyOf(plot, style)
}

function plotlyGrid(plot: Plot, style: Style): PlotlyFigure {
  const picture = pictureLayout(plot, style)
  const { width, height, cells = [] } = picture
  const paint: Drawing['paint'] = (color) => colorOf(color, style.theme)
  const surface = new PlotlySurface(width, height, ROOMIER)
  drawWords(surface, plot, style, picture)
  const data: Trace[] = []
  const axes: PlotlyFigure['layout'] = {}
  let count = 0
  for (const { layout, style: own, left, top } of cells)
    for (const placed of layout.panels) {
      const { panel, area, xTicks, yTicks } = placed
      const suffix = count++ ? String(count) : ''
      const of: Drawing = { style: own, paint }
      panelTitle(new Shifted(surface, left, top), placed, own, paint)
      const across = [surface.x(left + area.left), surface.x(left + area.right)]
      const up = [surface.y(top + area.bottom), surface.y(top + area.top)]
      axes[`xaxis${suffix}`] = { ...axis(panel.x, xTicks, of), domain: across, anchor: `y${suffix}` }
      axes[`yaxis${suffix}`] = { ...axis(panel.y, yTicks, of), domain: up, anchor: `x${suffix}` }
      for (const mark of panel.marks)
        for (const trace of traces(mark, of)) data.push({ ...trace, xaxis: `x${suffix}`, yaxis: `y${suffix}` })
    }
  return {
    data,
    layout: {
      ...axes,
      annotations: surface.annotations,
      shapes: surface.shapes,
      font: { family: SANS, size: style.small, color: paint('ink') },
      paper_bgcolor: paint('paper'),
      plot_bgcolor: paint('paper'),
      margin: { l: 0, r: 0, t: 0, b: 0 },
      width: Math.round(width * ROOMIER),
      height,
      hovermode: 'closest',
      showlegend: false,
      hoverlabel: { align: 'left', font: { size: style.small } },
      ...(data.some(({ type }) => type === 'bar') && { barmode: 'overlay', bargap: 0 }),
    },
    config: { displaylogo: false },
  }
}
