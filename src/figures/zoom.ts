/** What a page needs to zoom into a long figure: by which name the kernel knows it, how much of it is shown, and which axis counts what. */
import type { Counted, Part } from './part.js'
import type { Plot } from './plot.js'
import type { PlotlyFigure } from './plotly.js'

/** In the layout's `meta`. */
export interface Zoom {
  id: string
  whole: Part
  part: Part
  /** 'xaxis2': 'position' */
  axes: Record<string, Counted>
}

/** The figure as plotly draws it, with what a page needs. */
export function zooming(figure: PlotlyFigure, plot: Plot, of: Omit<Zoom, 'axes'>): PlotlyFigure {
  const axes: Zoom['axes'] = {}
  plot.panels.forEach(({ x, y }, i) => {
    const suffix = i ? String(i + 1) : ''
    if (x.counts) axes[`xaxis${suffix}`] = x.counts
    if (y.counts) axes[`yaxis${suffix}`] = y.counts
  })
  const zoom = { ...of, axes } as unknown as PlotlyFigure['layout']
  const { meta } = figure.layout
  return { ...figure, layout: { ...figure.layout, meta: { ...(meta as object | undefined), zoom } } }
}

/** For a picture of which parts can be looked at; it is read where it stands still, too. */
export function stillWords(whole: Part): string {
  const part = Object.keys(whole).map((name) => `${name}: [from, to]`)
  return `Drawn coarsely. In JupyterLab, with the kernel that drew it, it can be zoomed into; elsewhere it stands still, and figure.part({ ${part.join(', ')} }) draws a part.`
}
