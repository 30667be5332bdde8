/** A strip: the text itself, every token in a colour of its own, cut to the parts that say most, with a bar that shows all of it. */
import { integer } from '../expect.js'
import type { RunData } from './data.js'
import { excerpt, lineStarts, type Part } from './excerpt.js'
import { visible } from './visible.js'
import { tokenText } from './spelt.js'
import { bodyOf, endRoom, rowsRoom } from './layout.js'
import { addBox, noBoxes, noWords } from './marks.js'
import type { Span } from './part.js'
import type { Labels, Panel, Plot } from './plot.js'
import { counted, plainNumber } from './scale.js'
import { charWidth, type Fill, type Style } from './style.js'
import { columnsOf, shortened } from './text.js'

export interface StripRange {
  /** First position, and the one after the last; default: the whole text. */
  from?: number
  to?: number
}

/** What the strip knows of each token; arrays by position. */
export interface Strip {
  fill: (position: number) => Fill
  strike: (position: number) => boolean
  /** How much a token deserves to be spelt out. */
  weight: Float64Array
  /** 'merged into residual slot 2', 'kept by 12 of 90 heads'. */
  said: (position: number) => string
  /** Of a stretch that is not spelt out: 'kept 12, merged 400'. */
  told: (from: number, to: number) => string
  /** The colour of several tokens together, and what a reader must know of it. */
  bin: (from: number, to: number) => Fill
  binWords?: string
}

/** What stands around the strip. */
export type StripWords = Pick<Plot, 'title' | 'detail' | 'subject' | 'legend' | 'ramp'>

/** A panel below the strip, `height` pixels without its words. */
export interface Below {
  panel: Panel
  height: number
}

export function stripRange(data: RunData, given: StripRange): Required<StripRange> {
  const total = data.tokens.length
  const from = integer('from', given.from ?? 0, 0, total - 1)
  return { from, to: integer('to', given.to ?? total, from + 1, total) }
}

/** The whole range, or the part of it that is looked at. */
export const shownRange = (range: Required<StripRange>, part?: { position?: Span }): Required<StripRange> =>
  part?.position ? { from: part.position[0], to: part.position[1] } : range

const LINE = 1.55

export function stripPlot(
  data: RunData,
  strip: Strip,
  words: StripWords,
  range: Required<StripRange>,
  style: Style,
  below?: Below,
): Plot {
  const inner = style.width - 2 * style.margin - endRoom(style)
  const columns = inner / charWidth(style)
  const whole = Math.floor(columns)
  const texts = data.tokens.map((token) => cutTo(tokenText(token.text, style), whole))
  const widths = texts.map(columnsOf)
  const lineHeight = style.mono * LINE
  const said = { ...words, arrangement: 'rows' as const, monospaced: true }
  const shaded = words.ramp !== undefined
  const note = (parts: Part[]) => {
    const shown = parts.reduce((sum, part) => sum + (part.shown ? part.to - part.from : 0), 0)
    const all = range.to - range.from
    if (shown === all) return []
    const size = binSize(range, shaded, style)
    const per = size > 1 ? `, ${size} to a column${strip.binWords ? `; ${strip.binWords}` : ''}` : ''
    return [`${plainNumber(shown)} of ${counted(all, 'token')} spelt out (brackets); the bar shows all of them${per}.`]
  }
  const barHeight = style.text * 1.6
  const more = below ? [below.panel] : []
  /** Pixels of a slide that are left for lines of text. */
  const roomFor = (parts: Part[], others: Panel[], used: number) =>
    bodyOf({ ...said, notes: note(parts) }, style) - rowsRoom(others, style) - used - (below?.height ?? 0)
  const shell: Panel = {
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [1, 0], ticks: 'none' },
    marks: [],
  }
  const bar = overview(strip, range, [], shaded, style)
  const cut = [{ from: range.from, to: range.to - 1, shown: true }]
  const most = style.height
    ? Math.floor(roomFor(cut, [bar, shell, ...more], barHeight) / lineHeight)
    : style.size === 'column'
      ? 26
      : 34
  const parts = excerpt(widths, strip.weight, range, whole, most)
  const text = spelt(data, strip, parts, texts, widths, whole, style)
  const elided = parts.length > 1
  const panels = [...(elided ? [overview(strip, range, parts, shaded, style)] : []), text.panel, ...more]
  const used = elided ? barHeight : 0
  const room = style.height ? roomFor(parts, panels, used) : text.lines * lineHeight
  text.panel.x.range = [0, columns]
  text.panel.y.range = [room / lineHeight, 0]
  text.panel.share = room
  if (elided) panels[0].share = barHeight
  if (below) below.panel.share = below.height
  const body = room + rowsRoom(panels, style) + used + (below?.height ?? 0)
  return { ...said, notes: note(parts), panels, body, coarse: elided }
}

function cutTo(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  const characters = [...text]
  while (columnsOf(characters.join('')) >= columns) characters.pop()
  return `${characters.join('')}…`
}

/** Tokens to a column of the bar, so that columns are wide enough to be seen, and shades to be told apart. */
function binSize(range: Required<StripRange>, shaded: boolean, style: Style): number {
  const columns = (style.width - 2 * style.margin) / (shaded ? 2 : 0.7)
  return Math.max(1, Math.ceil((range.to - range.from) / columns))
}

/** The whole range as one bar, with a bracket under what is spelt out. */
function overview(strip: Strip, range: Required<StripRange>, parts: Part[], shaded: boolean, style: Style): Panel {
  const boxes = noBoxes('all tokens', 'held')
  const size = binSize(range, shaded, style)
  for (let start = range.from; start < range.to; start += size) {
    const end = Math.min(range.to, start + size)
    const color = strip.bin(start, end)
    const last = boxes.x1.length - 1
    if (last >= 0 && boxes.colors![last] === color) boxes.x1[last] = end
    else addBox(boxes, [start, end, 0, 0.72], undefined, color)
  }
  boxes.seamless = true
  boxes.hover = boxes.x0.map((x0, i) => `positions ${x0} to ${boxes.x1[i] - 1}\n${strip.told(x0, boxes.x1[i])}`)
  const brackets = parts
    .filter((part) => part.shown)
    .map((part) => ({
      kind: 'line' as const,
      name: 'spelt out below',
      color: 'ink' as const,
      width: Math.max(2, style.text / 6),
      x: [part.from, part.to],
      y: [0.9, 0.9],
    }))
  return {
    share: 1,
    x: {
      label: style.size === 'column' ? 'position' : 'position in the text, tokens',
      range: [range.from, range.to],
      whole: true,
      counts: 'position',
    },
    y: { range: [1, 0], ticks: 'none' },
    marks: [boxes, ...brackets],
  }
}

function spelt(
  data: RunData,
  strip: Strip,
  parts: Part[],
  texts: string[],
  widths: number[],
  columns: number,
  style: Style,
) {
  const boxes = noBoxes('tokens', 'held')
  const labels: Labels = { ...noWords(), strike: [] }
  const gaps: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'muted', anchor: 'start' }
  let line = 0
  for (const part of parts) {
    if (!part.shown) {
      const left = `… ${counted(part.to - part.from, 'token')} not spelt out: ${strip.told(part.from, part.to)} …`
      gaps.x.push(0)
      gaps.y.push(line + 0.5)
      gaps.text.push(shortened(left, style.width - 2 * style.margin - endRoom(style), { size: style.small }))
      line++
      continue
    }
    const starts = lineStarts(widths, part.from, part.to, columns)
    starts.forEach((start, i) => {
      let x = 0
      for (let position = start; position < (starts[i + 1] ?? part.to); position++) {
        const fill = strip.fill(position)
        const dropped = fill === 'paper'
        addBox(
          boxes,
          [x + 0.04, x + widths[position] - 0.04, line + 0.06, line + 0.94],
          `“${visible(data.tokens[position].text)}” at ${position}${data.tokens[position].prompt ? '' : ', generated'}\n${strip.said(position)}`,
          fill,
        )
        labels.x.push(x)
        labels.y.push(line + 0.5)
        labels.text.push(texts[position])
        labels.colors!.push(dropped ? 'muted' : `on:${fill}`)
        labels.strike!.push(strip.strike(position))
        x += widths[position]
      }
      line++
    })
  }
  const panel: Panel = {
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [line, 0], ticks: 'none' },
    marks: [boxes, labels, gaps],
  }
  return { panel, lines: line }
}
