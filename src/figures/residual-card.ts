/** Residual slot card: what one merged slot stands for, how it came to it, and what it gets for that. */
import { integer } from '../expect.js'
import { medianOf } from '../statistics/moments.js'
import type { RunData } from './data.js'
import { eventsOf, headOf, runData, type HeadChoice, type RunLike } from './fates.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import { barsOf } from './histogram.js'
import { bodyOf, endRoom, rowsLeft, rowsRoom } from './layout.js'
import { noWords, spell } from './member-words.js'
import { addStretch, laterDots, madeBoxes, textAxis } from './member-marks.js'
import { laterThan, memberColumns, membersOf, stretches, type Member } from './members.js'
import type { Boxes, Labels, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber, ticksOf } from './scale.js'
import { charWidth, styleOptions, type Style, type StyleOptions } from './style.js'
import { listed, subjectWords } from './words.js'

export interface ResidualCardOptions extends StyleOptions, HeadChoice {
  /** 0 … residual slots − 1; default 0. */
  slot?: number
}

interface Card {
  data: RunData
  slot: number
  members: Member[]
  /** The step at which the slot was made. */
  made: number
  later: Member[]
}

/**
 * One residual slot of a kv head (default: layer layers >> 1, kv head 0, slot 0): its weight w in tokens and the α·ln w that its logits
 * get at the run's end, its members by position and step, how alike their keys were to the slot's as they came (in the policy's
 * measure), their scores then, and the first and newest of them as text.
 * `data`: a row per member in order of arrival, as of mergeLineage, and `compensation`, α·ln w from then on (null where it is not known).
 * Needs a run with trace: true.
 * Errors: 'invalid' for a run without events, a layer, head or slot that is not there.
 */
export function residualCard(run: RunLike, options: ResidualCardOptions = {}): Figure {
  const style = styleOptions('residualCard', options, ['layer', 'kvHead', 'slot'])
  const data = runData('run', run)
  const { layer, kvHead } = headOf(data, options)
  const slots = membersOf(data, eventsOf(data, 'the residual card'), layer, kvHead)
  const slot = integer('slot', options.slot ?? 0, 0, slots.length - 1)
  const made = laterThan(data, layer, kvHead)
  const members = slots[slot]
  const card: Card = { data, slot, members, made, later: members.filter(({ step }) => step > made) }
  const words = wordsOf(card, `Layer ${layer}, kv head ${kvHead}, residual slot ${slot}`)
  const columns = {
    ...memberColumns(data, members),
    compensation: members.map(({ weight }) => compensation(data, weight) ?? null),
  }
  const plot = (chosen: Style): Plot => picture(card, words, chosen)
  return new Figure(
    { call: ['residualCard', run, options], summary: `${words.title}. ${words.detail}`, columns: () => columns, plot },
    style,
  )
}

const compensation = ({ alpha }: RunData, weight: number) =>
  alpha === undefined ? undefined : alpha * Math.log(weight)

function wordsOf({ data, members, later }: Card, where: string): { title: string; detail: string } {
  const weight = members.length
  const more = compensation(data, weight)
  const named = ({ position }: Member) =>
    `“${visible(data.tokens[position].text).trim() || '␣'}” at ${plainNumber(position)}`
  const newest = members[weight - 1]
  const gets =
    more === undefined
      ? ''
      : `α·ln w is ${plainNumber(data.alpha!, 3)} · ln ${plainNumber(weight)} = ${plainNumber(more, 2)} on its logits. `
  const came = later.length
    ? `${plainNumber(weight - later.length)} came when it was made, ${plainNumber(later.length)} after that, the newest ${named(newest)} in step ${plainNumber(newest.step)}`
    : `${weight === 1 ? 'It' : 'All'} came when it was made`
  const positions = members.map(({ position }) => position)
  const reach =
    weight > 1
      ? `, at positions ${plainNumber(Math.min(...positions))} to ${plainNumber(Math.max(...positions))}, the first ${named(members[0])}`
      : `: ${named(members[0])}`
  return {
    title: `${where} stands for ${counted(weight, 'token')}`,
    detail: `${percent(weight / data.tokens.length)} of the ${counted(data.tokens.length, 'token')} seen${reach}. ${gets}${came}${atArrival(members)}.`,
  }
}

function atArrival(members: Member[]): string {
  const parts = (['similarity', 'score'] as const).flatMap((name) => {
    const median = medianOf(members.map((member) => member[name]))
    return Number.isNaN(median) ? [] : [`a median ${name} of ${shortNumber(median)}`]
  })
  return parts.length ? `; at arrival ${listed(parts)}` : ''
}

const LINE = 1.55

function picture(card: Card, words: { title: string; detail: string }, style: Style): Plot {
  const { data, members, later } = card
  const narrow = style.size === 'column'
  const similarity = histogram(members, 'similarity', style)
  const score = histogram(members, 'score', style)
  const drawn = [mapPanel(card, style), ...similarity, ...score]
  const text = textPanel(card, style.width - 2 * style.margin - rowsLeft(drawn, style) - endRoom(style), style)
  const panels = [...drawn, text.panel]
  const unknown = [!similarity.length && 'similarity', !score.length && 'score'].filter(Boolean)
  const said = {
    ...words,
    subject: subjectWords(data),
    notes: unknown.length ? [`No ${unknown.join(' and no ')} was measured as its members came.`] : [],
    legend: [
      { label: 'came when it was made', swatch: 'box' as const, color: 'residual' as const },
      ...(later.length ? [{ label: 'merged later', swatch: 'dot' as const, color: 'ink' as const }] : []),
    ],
    arrangement: 'rows' as const,
    monospaced: true,
  }
  const letters = text.lines * style.mono * LINE
  const heights = drawn.map((_, i) => (i ? (narrow ? 56 : 70) : later.length ? (narrow ? 90 : 120) : 40))
  const own = heights.reduce((sum, height) => sum + height, 0)
  const room = style.height ? bodyOf(said, style) - rowsRoom(panels, style) : own + letters
  drawn.forEach((panel, i) => (panel.share = ((room - letters) * heights[i]) / own))
  text.panel.share = letters
  return { ...said, panels, body: room + rowsRoom(panels, style) }
}

/** Above, what came when the slot was made; below, the rest by step. */
function mapPanel({ data, members, made, later, slot }: Card, style: Style): Panel {
  const own = members.filter(({ step }) => step <= made).map(({ position }) => position)
  const steps = Math.max(1, data.steps - made)
  const strip = later.length ? 0.3 * steps : steps
  const boxes = madeBoxes()
  for (const stretch of stretches(own, Math.floor(data.tokens.length / style.width)))
    addStretch(boxes, stretch, slot, made - strip, made - 0.15 * strip)
  const dots = laterDots(data, later, ({ step }) => step, later.length > 400, style)
  const ticks = later.length
    ? ticksOf({ range: [made, data.steps], whole: true }, 3)
    : [{ at: made - 0.575 * strip, text: plainNumber(made) }]
  return {
    share: 1,
    x: textAxis(data, style),
    y: { label: 'step', range: [later.length ? data.steps + 0.06 * steps : made, made - 1.1 * strip], ticks },
    marks: [boxes, ...(later.length ? [dots] : [])],
  }
}

/** Nothing where nothing is known. */
function histogram(members: Member[], name: 'similarity' | 'score', style: Style): Panel[] {
  const values = members.map((member) => member[name])
  const bars = barsOf(values, style.size === 'column' ? 24 : 40)
  if (!bars.length) return []
  const shown = bars.filter(({ count }) => count)
  const most = Math.max(...bars.map(({ count }) => count))
  const median = medianOf(values)
  const boxes: Boxes = {
    kind: 'boxes',
    name: `${name} at arrival`,
    color: 'residual',
    x0: shown.map(({ from }) => from),
    x1: shown.map(({ to }) => to),
    y0: shown.map(() => 0),
    y1: shown.map(({ count }) => count),
    hover: shown.map(
      ({ from, to, count }) => `${name} ${shortNumber(from)} to ${shortNumber(to)}\n${counted(count, 'member')}`,
    ),
    leastWidth: 1,
  }
  const line = { kind: 'line' as const, name: 'median', x: [median, median], y: [0, most * 1.08] }
  return [
    {
      title: `${name} at arrival: median ${shortNumber(median)}`,
      share: 1,
      x: { range: [bars[0].from, bars[bars.length - 1].to] },
      y: {
        label: style.size === 'column' ? undefined : 'members',
        range: [0, most * 1.08],
        ticks: [0, most].map((at) => ({ at, text: plainNumber(at) })),
      },
      marks: [
        boxes,
        // On the bars, too, it stands out: paper on either side.
        { ...line, color: 'paper', width: style.text / 2.5 },
        { ...line, color: 'ink', width: style.text / 8, dash: true },
      ],
    },
  ]
}

/** `width`: pixels. */
function textPanel({ data, members, made, later }: Card, width: number, style: Style): { panel: Panel; lines: number } {
  const columns = width / charWidth(style)
  const rows = [
    { name: 'made ', members: members.filter(({ step }) => step <= made) },
    { name: 'later', members: later },
  ].filter((row) => row.members.length)
  const words = noWords()
  const heads: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start', mono: true }
  rows.forEach((row, line) => {
    heads.x.push(0)
    heads.y.push(line + 0.5)
    heads.text.push(row.name)
    spell(data, row.members, words, line, row.name.length + 1, Math.floor(columns), 'tint0', style)
  })
  const panel: Panel = {
    title:
      style.size === 'column' ? 'members, first and newest' : 'members in order of arrival, the first and the newest',
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [rows.length, 0], ticks: 'none' },
    marks: [words.boxes, words.labels, heads],
  }
  return { panel, lines: rows.length }
}
