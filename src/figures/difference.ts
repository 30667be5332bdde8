/** Two runs' difference: how far each head keeps the same tokens, which ones in one head, and where the texts part. */
import { invalid, integer } from '../expect.js'
import type { Difference, DifferenceAt } from '../inspect/difference.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import { bodyOf, endRoom, rowsLeft, rowsRoom, swatchOf } from './layout.js'
import { addBox, noBoxes } from './marks.js'
import { partingPanel } from './parting.js'
import type { Part, Span } from './part.js'
import type { Axis, Boxes, LegendEntry, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { shortModel } from './words.js'

export interface DifferenceOptions extends StyleOptions {
  /** The head whose tokens are drawn: 0 … layers − 1 and 0 … kvHeads − 1; default: the one that differs most. */
  layer?: number
  kvHead?: number
  /** Both caches once this step is over; default: at each run's end. */
  step?: number
}

interface Seen {
  difference: Difference
  at: DifferenceAt
  head: DifferenceAt['heads'][number]
  /** By position: kept by both, by a alone, by b alone, or by neither. */
  kept: (Lane | undefined)[]
}

/** From top to bottom. */
const LANES = ['onlyA', 'both', 'onlyB'] as const
type Lane = (typeof LANES)[number]
const COLORS: Record<Lane, Fill> = { onlyA: 'calm', both: 'held', onlyB: 'flip' }
const NAMES: Record<Lane, string> = { onlyA: 'only a', both: 'both', onlyB: 'only b' }

/**
 * Of run.minus(other), the run a and the other b: Jaccard of the tokens that have slots of their own, layers × kv heads; in one head the
 * tokens that both keep, and those that only one does; and the first token that differs, in its text.
 * `data`: a row per kv head. Errors: 'invalid' for something else than a difference, a layer, head or step that there is none of.
 */
export function difference(of: Difference, options: DifferenceOptions = {}): Figure {
  const style = styleOptions('difference', options, ['layer', 'kvHead', 'step'])
  if (typeof of !== 'object' || of === null || !('firstDifference' in of) || typeof of.at !== 'function')
    throw invalid('of', 'the difference of two runs', of, 'figures.difference(runA.minus(runB))')
  const at = of.at({ step: options.step })
  const head = headOf(of, at, options)
  const { fates } = of.head({ layer: head.layer, kvHead: head.kvHead, step: options.step })
  const kept = Array.from(fates[0], (fate, position): Lane | undefined => {
    const other = fates[1][position]
    if (fate === 0) return other === 0 ? 'both' : 'onlyA'
    return other === 0 ? 'onlyB' : undefined
  })
  const seen: Seen = { difference: of, at, head, kept }
  const words = wordsOf(seen)
  const positions: Span = [0, Math.max(1, kept.length)]
  const plot = (chosen: Style, part?: Part): Plot => picture(seen, words, part?.position ?? positions, chosen)
  const whole: Part = { position: positions }
  return new Figure(
    {
      call: ['difference', of, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => of.columns({ step: options.step }),
      plot,
      whole,
    },
    style,
  )
}

function headOf({ layers, kvHeads }: Difference, { heads }: DifferenceAt, options: DifferenceOptions): Seen['head'] {
  const layer = options.layer === undefined ? undefined : integer('layer', options.layer, 0, layers - 1)
  const kvHead = options.kvHead === undefined ? undefined : integer('kvHead', options.kvHead, 0, kvHeads - 1)
  const fit = heads.filter(
    (head) => (layer === undefined || head.layer === layer) && (kvHead === undefined || head.kvHead === kvHead),
  )
  return fit.reduce((least, head) => (head.jaccard < least.jaccard ? head : least))
}

const where = ({ layer, kvHead }: { layer: number; kvHead: number }) => `layer ${layer}, kv head ${kvHead}`

function wordsOf({ difference, at, head }: Seen): { title: string; detail: string } {
  const { heads, meanJaccard } = at
  const all = counted(heads.length, 'kv head')
  const same = heads.every(({ jaccard }) => jaccard === 1)
  const title = same
    ? `a and b keep the same tokens in ${heads.length === 1 ? 'the one kv head' : `all ${all}`}`
    : `a and b share ${percent(meanJaccard)} of the tokens that either keeps`
  const sorted = [...heads].sort((x, y) => x.jaccard - y.jaccard)
  const [least, most] = [sorted[0], sorted[sorted.length - 1]]
  const range =
    heads.length > 1 && !same
      ? `Mean Jaccard over ${all}; from ${percent(least.jaccard)} (${where(least)}) to ${percent(most.jaccard)} (${where(most)}). `
      : ''
  const [a, b] = difference.labels
  const changed = heads.reduce((sum, each) => sum + each.changed, 0)
  const own = where(head)
  const fates = `${percent(at.tokens ? changed / (at.tokens * heads.length) : 0)} of all tokens in heads have another fate or went to another merged slot.`
  return {
    title,
    detail:
      `a: ${a}; b: ${b}. ${range}In ${own} both keep ${counted(head.both, 'token')}, ` +
      `only a ${plainNumber(head.onlyA)} and only b ${plainNumber(head.onlyB)}. ${fates} ${textWords(difference)}`,
  }
}

function textWords({ written, firstDifference: at }: Difference): string {
  if (at === null) return `Both wrote the same ${counted(written[0].ids.length, 'token')}.`
  const [x, y] = written.map(({ texts, logprobs }) =>
    at < texts.length
      ? `“${visible(texts[at]).trim() || '␣'}” (${percent(Math.exp(logprobs[at]))} likely)`
      : 'the end of its text',
  )
  return `The texts part at generated token ${plainNumber(at + 1)}: ${x} in a, ${y} in b.`
}

function picture(seen: Seen, words: { title: string; detail: string }, span: Span, style: Style): Plot {
  const { difference, at, head } = seen
  const narrow = style.size === 'column'
  const inner = style.width - 2 * style.margin
  const drawn = [headsPanel(seen, narrow), stripPanel(seen, span, style)]
  const parting = partingPanel(difference, inner - rowsLeft(drawn, style) - endRoom(style), style)
  const panels = parting ? [...drawn, parting.panel] : drawn
  const room = inner - swatchOf(style).width - swatchOf(style).gap
  const entry = (lane: Lane, label: string): LegendEntry => ({
    label: shortened(label, room, { size: style.text }),
    swatch: 'box',
    color: COLORS[lane],
  })
  const size = binSize(span, style)
  const notes = [
    `${at.step === undefined ? "At each run's end" : `After step ${plainNumber(at.step)}`}, of the ${counted(at.tokens, 'token')} that stand at the same places of both texts; the frame is ${where(head)}.` +
      (size > 1 ? ` One bar is ${counted(size, 'token')}.` : ''),
  ]
  const said = {
    ...words,
    subject: shortModel(difference.model),
    notes,
    legend: [
      entry('onlyA', `only a: ${difference.labels[0]}`),
      entry('both', 'both'),
      entry('onlyB', `only b: ${difference.labels[1]}`),
    ],
    ramp: { label: narrow ? 'Jaccard:' : 'Jaccard of kept tokens:', from: '0', to: '1', kind: 'shade' as const },
    arrangement: 'rows' as const,
    monospaced: parting !== undefined,
  }
  const letters = parting?.height ?? 0
  const heights = [Math.min(narrow ? 110 : 160, Math.max(narrow ? 34 : 44, difference.kvHeads * 14)), narrow ? 78 : 104]
  const own = heights[0] + heights[1]
  const free = style.height ? bodyOf(said, style) - rowsRoom(panels, style) - letters : own
  drawn.forEach((panel, i) => (panel.share = (free * heights[i]) / own))
  if (parting) parting.panel.share = letters
  return { ...said, panels, coarse: size > 1, body: free + letters + rowsRoom(panels, style) }
}

/** Whole numbers 0 … count − 1, a cell each. */
const cells = (label: string, count: number): Axis => ({
  label,
  range: [-0.5, count - 0.5],
  whole: true,
  ...(count === 1 ? { ticks: [{ at: 0, text: '0' }] } : {}),
})

function headsPanel({ difference, at, head }: Seen, narrow: boolean): Panel {
  const boxes = noBoxes('Jaccard of kept tokens', 'held', { seamless: true })
  for (const each of at.heads) {
    const { layer, kvHead, jaccard, both, onlyA, onlyB } = each
    addBox(
      boxes,
      [layer - 0.5, layer + 0.5, kvHead - 0.5, kvHead + 0.5],
      `${where(each)}: Jaccard ${jaccard.toFixed(3)}\nkept by both ${both}, only by a ${onlyA}, only by b ${onlyB}`,
      `shade:${Math.round(jaccard * 100) / 100}`,
    )
  }
  // Black or white, as the cell needs it.
  const frame = noBoxes('the head below', `on:shade:${Math.round(head.jaccard * 100) / 100}`, { outline: true })
  addBox(frame, [head.layer - 0.5, head.layer + 0.5, head.kvHead - 0.5, head.kvHead + 0.5])
  const y = cells(narrow ? 'kv' : 'kv head', difference.kvHeads)
  return {
    title: 'how much the heads keep alike',
    share: 1,
    x: cells('layer', difference.layers),
    y: { ...y, range: [y.range[1], y.range[0]] },
    marks: [boxes, frame],
  }
}

/** Tokens that one bar of the strip stands for. */
const binSize = ([from, to]: Span, style: Style) =>
  Math.max(1, Math.ceil(((to - from) * (style.size === 'talk' ? 3 : 1.5)) / style.width))

function stripPanel(seen: Seen, [first, end]: Span, style: Style): Panel {
  const { head, kept } = seen
  const size = binSize([first, end], style)
  const bins = Array.from({ length: Math.ceil((end - first) / size) }, () => ({ onlyA: 0, both: 0, onlyB: 0 }))
  kept.slice(first, end).forEach((lane, at) => {
    if (lane) bins[Math.floor(at / size)][lane]++
  })
  const most = Math.max(1, ...bins.map((bin) => Math.max(bin.onlyA, bin.both, bin.onlyB)))
  const marks = LANES.map((lane, i): Boxes => {
    const boxes = noBoxes(NAMES[lane], COLORS[lane], { leastWidth: size === 1 ? 1 : undefined })
    const base = LANES.length - 1 - i
    bins.forEach((bin, at) => {
      if (!bin[lane]) return
      const [from, to] = [first + at * size, Math.min(end, first + (at + 1) * size)]
      const top = base + (0.92 * bin[lane]) / most
      const last = boxes.x1.length - 1
      if (last >= 0 && boxes.x1[last] === from && boxes.y1[last] === top) boxes.x1[last] = to
      else addBox(boxes, [from, to, base, top])
    })
    boxes.hover = boxes.x0.map(
      (from, at) =>
        `positions ${from} to ${boxes.x1[at] - 1}\nkept by ${NAMES[lane]}: ${share(boxes, at, base, most, size)}`,
    )
    return boxes
  })
  return {
    title: `${where(head)}: who keeps which tokens`,
    share: 1,
    x: {
      label: style.size === 'column' ? 'position' : 'position in the text, tokens',
      range: [first, end],
      whole: true,
      counts: 'position',
    },
    y: { range: [0, LANES.length], ticks: LANES.map((lane, i) => ({ at: LANES.length - 0.5 - i, text: NAMES[lane] })) },
    marks,
  }
}

function share(boxes: Boxes, at: number, base: number, most: number, size: number): string {
  const each = Math.round(((boxes.y1[at] - base) * most) / 0.92)
  return size === 1 ? 'each of them' : `${each} of each ${size}`
}
