/** Token strip: the text itself, every token coloured by what became of it in one kv head, or by how many heads keep it. */
import { invalid, integer } from '../expect.js'
import type { RunData, Sizes } from './data.js'
import { excerpt, lineStarts, type Part } from './excerpt.js'
import { byFate, fatesAtEnd, headOf, runData, sizesOf, visible, type HeadFates, type RunLike } from './fates.js'
import { Figure } from './figure.js'
import { bodyOf, endRoom, rowsRoom } from './layout.js'
import { addBox, noBoxes } from './marks.js'
import type { Labels, LegendEntry, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { charWidth, RESIDUAL_HUES, styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { columnsOf, shortened } from './text.js'
import { listed, subjectWords } from './words.js'

export interface TokenStripOptions extends StyleOptions {
  /** One kv head's tokens by their fate; default: all heads, tokens by the share of heads that keep them. */
  layer?: number
  /** Default 0 where a layer is given. */
  kvHead?: number
  /** First position, and the one after the last; default: the whole text. */
  from?: number
  to?: number
}

/** What the strip knows of each token; arrays by position. */
interface Reading {
  title: string
  detail: string
  legend: LegendEntry[]
  ramp?: Plot['ramp']
  fill: (position: number) => Fill
  strike: (position: number) => boolean
  /** How much a token deserves to be spelt out. */
  weight: Float64Array
  /** 'merged into residual slot 2', 'kept by 12 of 90 heads'. */
  said: (position: number) => string
  /** Of a stretch that is not spelt out: 'kept 12, merged 400'. */
  told: (from: number, to: number) => string
  columns: Record<string, (number | string | boolean | null)[]>
}

/**
 * The tokens of a run as text at its end: kept, merged (into which residual slot) or dropped in one kv head, or shaded by the
 * share of all kv heads that keep each in a slot of its own. Long texts are cut to their beginning, their end and the stretch
 * between that was kept most; how much is left out is written there. Works without trace.
 * Errors: 'invalid' for a layer or head that the model has not, an empty range, unknown options.
 */
export function tokenStrip(run: RunLike, options: TokenStripOptions = {}): Figure {
  const style = styleOptions('tokenStrip', options, ['layer', 'kvHead', 'from', 'to'])
  const data = runData('run', run)
  const total = data.tokens.length
  const from = integer('from', options.from ?? 0, 0, total - 1)
  const to = integer('to', options.to ?? total, from + 1, total)
  if (options.kvHead !== undefined && options.layer === undefined)
    throw invalid('layer', 'a layer beside kvHead', undefined, 'a kv head belongs to a layer')
  const reading = options.layer === undefined ? allHeads(data) : oneHead(data, headOf(data, options))
  const { title, detail, columns } = reading
  const plot = (chosen: Style): Plot => picture(data, reading, { from, to }, chosen)
  const base = {
    position: data.tokens.map((token) => token.position),
    token: data.tokens.map((token) => token.text),
    prompt: data.tokens.map((token) => token.prompt),
  }
  return new Figure({ summary: `${title}. ${detail}`, columns: { ...base, ...columns }, plot }, style)
}

const isRecent = (data: RunData, position: number, { recent }: Sizes = data.resolved) =>
  position >= data.tokens.length - recent

function oneHead(data: RunData, { layer, kvHead }: { layer: number; kvHead: number }): Reading {
  const ends = fatesAtEnd(data, layer, kvHead)
  const { fate, slot } = ends
  const count = byFate(fate)
  const region = sizesOf(data, layer, kvHead)
  const recent = data.tokens.filter(
    ({ position }) => isRecent(data, position, region) && fate[position] === 'kept',
  ).length
  const sizes = new Map<number, number>()
  fate.forEach((one, position) => {
    if (one === 'merged') sizes.set(slot[position], (sizes.get(slot[position]) ?? 0) + 1)
  })
  const slots = [...sizes.keys()].sort((a, b) => a - b)
  const fill = (position: number): Fill => {
    if (fate[position] === 'merged') return `tint${slot[position] % RESIDUAL_HUES}`
    if (fate[position] === 'dropped') return 'paper'
    return isRecent(data, position, region) ? 'recent' : 'held'
  }
  const legend: LegendEntry[] = []
  if (recent) legend.push({ label: 'kept, recent', swatch: 'box', color: 'recent' })
  if (count.kept > recent) legend.push({ label: 'kept, older', swatch: 'box', color: 'held' })
  for (const at of slots.slice(0, RESIDUAL_HUES))
    legend.push({ label: `merged into slot ${at}`, swatch: 'box', color: `tint${at % RESIDUAL_HUES}` })
  if (slots.length > RESIDUAL_HUES)
    legend.push({ label: `(${slots.length} slots, colours repeat)`, swatch: 'box', color: 'paper' })
  if (count.dropped) legend.push({ label: 'dropped (struck out)', swatch: 'frame', color: 'faint' })
  const merged = count.merged
    ? `${counted(count.merged, 'token')} went into ${counted(slots.length, 'residual slot')} (${slotWords(slots, sizes)})`
    : 'no token was merged'
  const kept = recent
    ? `${plainNumber(recent)} are recent and protected, ${plainNumber(count.kept - recent)} are older`
    : 'None is protected as recent'
  return {
    title: `Layer ${layer}, kv head ${kvHead} keeps ${plainNumber(count.kept)} of ${counted(data.tokens.length, 'token')} on their own`,
    detail: `${kept}; ${merged}, ${count.dropped ? plainNumber(count.dropped) : 'none'} dropped.`,
    legend,
    fill,
    strike: (position) => fate[position] === 'dropped',
    weight: Float64Array.from(fate, (one) => (one === 'kept' ? 1 : 0)),
    said: (position) => saidOf(ends, position),
    told: (from, to) => {
      const left = byFate(fate.slice(from, to))
      return (['kept', 'merged', 'dropped'] as const)
        .filter((name) => left[name])
        .map((name) => `${plainNumber(left[name])} ${name}`)
        .join(', ')
    },
    columns: { fate: [...fate], slot: Array.from(slot, (at) => (at < 0 ? null : at)) },
  }
}

function slotWords(slots: number[], sizes: Map<number, number>): string {
  if (slots.length > 4) {
    const most = Math.max(...sizes.values())
    return `up to ${plainNumber(most)} in one`
  }
  return listed(slots.map((slot) => `${plainNumber(sizes.get(slot)!)} in slot ${slot}`))
}

const saidOf = ({ fate, slot }: HeadFates, position: number) =>
  fate[position] === 'dropped'
    ? 'dropped'
    : `${fate[position]}, ${fate[position] === 'merged' ? 'residual slot' : 'slot'} ${slot[position]}`

function allHeads(data: RunData): Reading {
  const total = data.tokens.length
  const heads = data.layers * data.kvHeads
  const counts = { kept: new Int32Array(total), merged: new Int32Array(total), dropped: new Int32Array(total) }
  for (let layer = 0; layer < data.layers; layer++)
    for (let kvHead = 0; kvHead < data.kvHeads; kvHead++)
      fatesAtEnd(data, layer, kvHead).fate.forEach((fate, position) => counts[fate][position]++)
  const share = (position: number) => counts.kept[position] / heads
  const sum = (values: Int32Array, from = 0, to = total) => values.subarray(from, to).reduce((a, b) => a + b, 0)
  const everywhere = counts.kept.reduce((n, kept) => n + (kept === heads ? 1 : 0), 0)
  const nowhere = counts.kept.reduce((n, kept) => n + (kept === 0 ? 1 : 0), 0)
  const older = data.tokens.filter(({ position }) => !isRecent(data, position))
  const best = older.reduce<number>(
    (at, { position }) => (at < 0 || counts.kept[position] > counts.kept[at] ? position : at),
    -1,
  )
  const protectedNow = Math.min(total, data.resolved.recent)
  const bestWords =
    best >= 0 && counts.kept[best] > 0 && counts.kept[best] < heads
      ? ` Of the older ones “${visible(data.tokens[best].text).trim() || '␣'}” at ${plainNumber(best)} survives in most heads, ${plainNumber(counts.kept[best])} of ${heads}.`
      : ''
  return {
    title: `A kv head keeps ${percent(sum(counts.kept) / (heads * total))} of ${counted(total, 'token')} on their own, on average`,
    detail:
      `Of ${counted(total, 'token')}, ${plainNumber(everywhere)} are kept in all ${plainNumber(heads)} kv heads ` +
      `(${plainNumber(protectedNow)} of them recent and protected) and ${plainNumber(nowhere)} in none.${bestWords}`,
    legend: [],
    ramp: { label: `kept alone in, of ${plainNumber(heads)} heads:`, from: '0', to: plainNumber(heads), kind: 'shade' },
    fill: (position) => `shade:${Math.round(share(position) * 100) / 100}`,
    strike: (position) => counts.dropped[position] === heads,
    weight: Float64Array.from(counts.kept, (kept) => kept / heads),
    said: (position) =>
      `kept in ${counts.kept[position]}, merged in ${counts.merged[position]}, dropped in ${counts.dropped[position]} of ${heads} heads`,
    told: (from, to) => `${percent(sum(counts.kept, from, to) / (heads * (to - from)))} kept on average`,
    columns: {
      keptHeads: Array.from(counts.kept),
      mergedHeads: Array.from(counts.merged),
      droppedHeads: Array.from(counts.dropped),
      heads: data.tokens.map(() => heads),
    },
  }
}

const LINE = 1.55

function picture(data: RunData, reading: Reading, range: { from: number; to: number }, style: Style): Plot {
  const inner = style.width - 2 * style.margin - endRoom(style)
  const columns = inner / charWidth(style)
  const whole = Math.floor(columns)
  const texts = data.tokens.map((token) => cutTo(visible(token.text), whole))
  const widths = texts.map(columnsOf)
  const lineHeight = style.mono * LINE
  const said = {
    title: reading.title,
    detail: reading.detail,
    subject: subjectWords(data),
    legend: reading.legend,
    ramp: reading.ramp,
    arrangement: 'rows' as const,
    monospaced: true,
  }
  const bar = overview(reading, range, [], style)
  const note = (parts: Part[]) => {
    const shown = parts.reduce((sum, part) => sum + (part.shown ? part.to - part.from : 0), 0)
    const all = range.to - range.from
    if (shown === all) return []
    const size = binSize(range, !!reading.ramp, style)
    const per = size > 1 ? `, ${size} to a column${reading.ramp ? '' : '; one that is kept hides those beside it'}` : ''
    return [`${plainNumber(shown)} of ${counted(all, 'token')} spelt out (brackets); the bar shows all of them${per}.`]
  }
  const barHeight = style.text * 1.6
  const shell: Panel = {
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [1, 0], ticks: 'none' },
    marks: [],
  }
  const most = style.height
    ? Math.floor(
        (bodyOf({ ...said, notes: note([{ from: range.from, to: range.to - 1, shown: true }]) }, style) -
          rowsRoom([bar, shell], style) -
          barHeight) /
          lineHeight,
      )
    : style.size === 'column'
      ? 26
      : 34
  const parts = excerpt(widths, reading.weight, range, whole, most)
  const text = spelt(data, reading, parts, texts, widths, whole, style)
  const elided = parts.length > 1
  text.panel.x.range = [0, columns]
  const panels = elided ? [overview(reading, range, parts, style), text.panel] : [text.panel]
  let room = text.lines * lineHeight
  if (style.height)
    room = bodyOf({ ...said, notes: note(parts) }, style) - rowsRoom(panels, style) - (elided ? barHeight : 0)
  text.panel.y.range = [room / lineHeight, 0]
  text.panel.share = room
  if (elided) panels[0].share = barHeight
  return { ...said, notes: note(parts), panels, body: room + rowsRoom(panels, style) + (elided ? barHeight : 0) }
}

function cutTo(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  const characters = [...text]
  while (columnsOf(characters.join('')) >= columns) characters.pop()
  return `${characters.join('')}…`
}

/** Tokens to a column of the bar, so that columns are wide enough to be seen. */
function binSize(range: { from: number; to: number }, shaded: boolean, style: Style): number {
  const columns = (style.width - 2 * style.margin) / (shaded ? 2 : 0.7)
  return Math.max(1, Math.ceil((range.to - range.from) / columns))
}

/** The whole range as one bar, with a bracket under what is spelt out. */
function overview(reading: Reading, range: { from: number; to: number }, parts: Part[], style: Style): Panel {
  const boxes = noBoxes('all tokens', 'held')
  const size = binSize(range, !!reading.ramp, style)
  for (let start = range.from; start < range.to; start += size) {
    const end = Math.min(range.to, start + size)
    const color = reading.ramp ? meanShade(reading.weight, start, end) : commonest(reading, start, end)
    const last = boxes.x1.length - 1
    if (last >= 0 && boxes.colors![last] === color) boxes.x1[last] = end
    else addBox(boxes, [start, end, 0, 0.72], undefined, color)
  }
  boxes.seamless = true
  boxes.hover = boxes.x0.map((x0, i) => `positions ${x0} to ${boxes.x1[i] - 1}\n${reading.told(x0, boxes.x1[i])}`)
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
    },
    y: { range: [1, 0], ticks: 'none' },
    marks: [boxes, ...brackets],
  }
}

function meanShade(weight: Float64Array, from: number, to: number): Fill {
  const mean = weight.subarray(from, to).reduce((a, b) => a + b, 0) / (to - from)
  return `shade:${Math.round(mean * 50) / 50}`
}

/** What most tokens of a bin are; a kept one among them wins, so that none is hidden. */
function commonest(reading: Reading, from: number, to: number): Fill {
  const counts = new Map<Fill, number>()
  for (let position = from; position < to; position++) {
    if (reading.weight[position] > 0) return reading.fill(position)
    counts.set(reading.fill(position), (counts.get(reading.fill(position)) ?? 0) + 1)
  }
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0]
}

function spelt(
  data: RunData,
  reading: Reading,
  parts: Part[],
  texts: string[],
  widths: number[],
  columns: number,
  style: Style,
) {
  const boxes = noBoxes('tokens', 'held')
  const labels: Labels = {
    kind: 'labels',
    x: [],
    y: [],
    text: [],
    color: 'ink',
    colors: [],
    anchor: 'start',
    mono: true,
    strike: [],
  }
  const gaps: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'muted', anchor: 'start' }
  let line = 0
  for (const part of parts) {
    if (!part.shown) {
      const left = `… ${counted(part.to - part.from, 'token')} not spelt out: ${reading.told(part.from, part.to)} …`
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
        const fill = reading.fill(position)
        const dropped = fill === 'paper'
        addBox(
          boxes,
          [x + 0.04, x + widths[position] - 0.04, line + 0.06, line + 0.94],
          `“${visible(data.tokens[position].text)}” at ${position}${data.tokens[position].prompt ? '' : ', generated'}\n${reading.said(position)}`,
          fill,
        )
        labels.x.push(x)
        labels.y.push(line + 0.5)
        labels.text.push(texts[position])
        labels.colors!.push(dropped ? 'muted' : `on:${fill}`)
        labels.strike!.push(reading.strike(position))
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
