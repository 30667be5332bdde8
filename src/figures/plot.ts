/**
 * One description of a picture, drawn by svg.ts and by plotly.ts: panels with axes and marks, a legend, words around them.
 * Coordinates are data; what is in pixels says so (96 to the inch). Colours are roles of style.ts.
 */
import type { Counted } from './part.js'
import type { Color, Style } from './style.js'

export interface Tick {
  at: number
  /** On a y axis in lines, where it has several. */
  text: string
}

export interface Axis {
  /** With its unit. */
  label?: string
  /** First and last value, left to right or bottom to top; the first may be the greater. */
  range: [number, number]
  scale?: 'linear' | 'log'
  /** Default 'numbers': round ones are found. 'none': no axis at all. */
  ticks?: 'numbers' | 'none' | Tick[]
  grid?: boolean
  /** Only whole numbers mean something. */
  whole?: boolean
  /** Of figures that can be drawn in parts. */
  counts?: Counted
}

/** Boxes from (x0, y0) to (x1, y1). */
export interface Boxes {
  kind: 'boxes'
  name: string
  color: Color
  /** One per box, instead of `color`. */
  colors?: Color[]
  x0: number[]
  x1: number[]
  y0: number[]
  y1: number[]
  /** Drawn as a frame only. */
  outline?: boolean
  /** Boxes side by side that are to look like one surface: drawn a hair larger, so that no paper shines through. */
  seamless?: boolean
  opacity?: number
  /** Boxes narrower than this are widened to it, pixels. */
  leastWidth?: number
  hover?: string[]
}

export interface Points {
  kind: 'points'
  name: string
  color: Color
  shape: Shape
  x: number[]
  y: number[]
  /** Diameter, pixels. Default: by size of the figure. */
  diameter?: number
  hover?: string[]
}

export interface Line {
  kind: 'line'
  name: string
  color: Color
  x: number[]
  y: number[]
  dash?: boolean
  /** Pixels. Default 1.5. */
  width?: number
  hover?: string[]
}

/** Words at places in a panel. */
export interface Labels {
  kind: 'labels'
  x: number[]
  y: number[]
  text: string[]
  color: Color
  colors?: Color[]
  anchor: 'start' | 'middle' | 'end'
  mono?: boolean
  bold?: boolean
  strike?: boolean[]
}

export type Mark = Boxes | Points | Line | Labels
export type Shape = 'dot' | 'diamond' | 'triangle' | 'down' | 'square' | 'tick' | 'cross'

export interface Panel {
  title?: string
  /** Part of the body's length (height in rows, width in columns); all shares together are the whole. */
  share: number
  x: Axis
  y: Axis
  marks: Mark[]
}

export interface LegendEntry {
  label: string
  /** 'none': a word before the entries that follow. */
  swatch: 'box' | 'frame' | 'line' | 'dash' | 'none' | Shape
  color: Color
}

/** A slider below the picture where it is live: each step puts other heights under some marks. */
export interface Slider {
  /** Before the step's text. */
  label: string
  /** The step that the picture stands at. */
  active: number
  /** `y`: one list for each of `marks`. */
  steps: { text: string; y: number[][] }[]
  /** Of the panels'. */
  marks: Mark[]
}

/** One of several plots in a picture. */
export interface Cell {
  /** Above it, with its letter. */
  title: string
  /** Its own words are left out: the picture has those. */
  plot: Plot
  style: Style
}

export interface Plot {
  /** The finding in one line, with its number. */
  title: string
  /** What else it shows, in numbers; together with the title it is the figure's summary. */
  detail: string
  /** What was drawn: model and policy. */
  subject: string
  /** What a reader must know to read it rightly: binning, elision, floors. */
  notes: string[]
  legend: LegendEntry[]
  /** A continuous scale in the legend: 'ramp:0' to 'ramp:1' (cividis) or 'shade:0' to 'shade:1'. */
  ramp?: { label: string; from: string; to: string; kind: 'ramp' | 'shade' }
  arrangement: 'rows' | 'columns'
  /** There is more in it than is drawn one by one: a part shows more. */
  coarse?: boolean
  /** Words are set in columns of letters, so the picture cannot stretch. */
  monospaced?: boolean
  panels: Panel[]
  /** Instead of panels: plots with panels of their own, so many in a row. */
  cells?: { each: Cell[]; columns: number }
  /** Only where plotly draws; elsewhere the picture stands still. */
  slider?: Slider
  /** Of all panels with their axes, pixels; default: style.body, in a talk whatever is left of the slide. */
  body?: number
}
