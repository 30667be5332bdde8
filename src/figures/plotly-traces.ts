/** The marks of a plot as plotly traces, and traces of nothing that make plotly's legend say what svg's does. */
import type { Boxes, Labels, LegendEntry, Mark, Plot, Shape } from './plot.js'
import type { Color, Style } from './style.js'
import { MONO, SANS } from './fonts/names.js'

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }
export type Trace = { [name: string]: Json }

export interface Drawing {
  style: Style
  paint: (color: Color) => string
}

/** Plotly reads a little HTML in its texts, and tokens are full of it. */
export const plain = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
/** A number as it is written down: whole numbers whole, of others seven digits and three decimals; null where it is not finite. */
export function rounded(value: number): number | null {
  if (!Number.isFinite(value)) return null
  if (Number.isInteger(value)) return value
  const whole = Math.max(0, Math.floor(Math.log10(Math.abs(value))) + 1)
  return Number(value.toPrecision(Math.max(7, whole + 3)))
}

const SYMBOLS: Record<Shape, string> = {
  dot: 'circle',
  diamond: 'diamond',
  triangle: 'triangle-up',
  down: 'triangle-down',
  square: 'square',
  tick: 'line-ns-open',
  cross: 'x-thin-open',
}

export function traces(mark: Mark, drawing: Drawing): Trace[] {
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

function bars(mark: Boxes, paint: Drawing['paint']): Trace {
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

function labelTrace(mark: Labels, { style, paint }: Drawing): Trace[] {
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
export function legendTrace(entry: LegendEntry, { paint, style }: Drawing): Trace {
  // A word has no mark.
  const color = entry.swatch === 'none' ? 'rgba(0,0,0,0)' : paint(entry.color)
  const line = entry.swatch === 'line' || entry.swatch === 'dash'
  const box = ['box', 'frame', 'none'].includes(entry.swatch)
  const symbol = box ? (entry.swatch === 'frame' ? 'square-open' : 'square') : SYMBOLS[entry.swatch as Shape]
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

/** `y`: of the scale's lower edge, in heights of the drawing area. */
export function rampTrace(ramp: NonNullable<Plot['ramp']>, y: number, { paint, style }: Drawing): Trace {
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
        y,
        yanchor: 'bottom',
        ypad: 0,
        xpad: 0,
        len: 0.4,
        thickness: style.text * 0.8,
        title: { text: plain(ramp.label), side: 'top', font: { size: style.text } },
        tickvals: [0, 1],
        ticktext: [plain(ramp.from), plain(ramp.to)],
      },
    },
  }
}
