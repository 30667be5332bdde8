/** Merge lineage: which tokens went into which residual slot of one kv head, at which step, and how the slots grew. */
import { medianOf } from '../statistics/moments.js'
import type { RunData } from './data.js'
import { eventsOf, headOf, runData, type HeadChoice, type RunLike } from './fates.js'
import { Figure } from './figure.js'
import { bodyOf, endRoom, rowsLeft, rowsRoom } from './layout.js'
import { memberWords, noWords, spell } from './member-words.js'
import { addStretch, laterDots, madeBoxes, textAxis } from './member-marks.js'
import { laterThan, memberColumns, membersOf, stretches, type Member } from './members.js'
import type { Axis, Labels, Line, Mark, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { charWidth, styleOptions, type Style, type StyleOptions } from './style.js'
import { subjectWords } from './words.js'

export interface MergeLineageOptions extends StyleOptions, HeadChoice {}

interface Lineage {
  data: RunData
  slots: Member[][]
  /** The step at which the slots were made. */
  made: number
  /** Members that came after it, by slot. */
  later: Member[][]
}

/**
 * Members of each residual slot of one kv head (default: layer layers >> 1, kv head 0) in order of arrival: a row per slot with the
 * positions that it took in, then the tokens taken in since it was made by step, then its first and newest members as text.
 * `data`: a row per member with slot, position, step, score and similarity at arrival (null where there was none), and the weight
 * that the slot had then, in tokens. Needs a run with trace: true.
 * Errors: 'invalid' for a run without events, a layer or head that the model has not, a head without residual slots.
 */
export function mergeLineage(run: RunLike, options: MergeLineageOptions = {}): Figure {
  const style = styleOptions('mergeLineage', options, ['layer', 'kvHead'])
  const data = runData('run', run)
  const { layer, kvHead } = headOf(data, options)
  const slots = membersOf(data, eventsOf(data, 'merge lineage'), layer, kvHead)
  const made = laterThan(data, layer, kvHead)
  const lineage = { data, slots, made, later: slots.map((members) => members.filter(({ step }) => step > made)) }
  const words = wordsOf(lineage, `Layer ${layer}, kv head ${kvHead}`)
  const plot = (chosen: Style): Plot => picture(lineage, words, chosen)
  return new Figure(
    {
      call: ['mergeLineage', run, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => memberColumns(data, slots.flat()),
      plot,
    },
    style,
  )
}

function wordsOf({ data, slots, later }: Lineage, where: string): { title: string; detail: string } {
  const weights = slots.map((members) => members.length)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const [least, most] = [Math.min(...weights), Math.max(...weights)]
  const each = least === most ? plainNumber(most) : `${plainNumber(least)} to ${plainNumber(most)}`
  const single = slots.length === 1
  const held = `${counted(slots.length, 'residual slot')} ${single ? 'stands' : 'stand'} for ${plainNumber(total)} of ${counted(data.tokens.length, 'token')}`
  const came = later.flat()
  const first = `${plainNumber(total - came.length)} came when the ${single ? 'slot was' : 'slots were'} made`
  const share = `${percent(total / data.tokens.length)} of all tokens${single ? '' : `, ${each} a slot`}`
  if (!came.length) return { title: `${where}: ${held}`, detail: `${capital(share)}: ${first}, none later.` }
  const similarity = medianOf(came.map((member) => member.similarity))
  const alike = Number.isNaN(similarity) ? '' : `, at a median similarity of ${shortNumber(similarity)}`
  const then = `${first}, ${plainNumber(came.length)} one by one after that${alike}.`
  if (single) return { title: `${where}: ${held}`, detail: `${capital(share)}: ${then}` }
  const busiest = later.reduce((best, members, slot) => (members.length > later[best].length ? slot : best), 0)
  const idle = later.filter((members) => !members.length).length
  return {
    title: `${where}: ${percent(later[busiest].length / came.length)} of later merges went into residual slot ${busiest}`,
    detail: `${capital(held)} (${share}): ${then}${idle ? ` ${capital(counted(idle, 'slot'))} took in none since.` : ''}`,
  }
}

const capital = (words: string) => words[0].toUpperCase() + words.slice(1)

/** Slots whose members are spelt out: those with most later members, the heaviest of equals; in order of slots. */
function spelt({ slots, later }: Lineage, most: number): number[] {
  return slots
    .map((_, slot) => slot)
    .sort((a, b) => later[b].length - later[a].length || slots[b].length - slots[a].length || a - b)
    .slice(0, most)
    .sort((a, b) => a - b)
}

const LINE = 1.55
const SPELT = 5

function picture(lineage: Lineage, words: { title: string; detail: string }, style: Style): Plot {
  const { slots, later, data } = lineage
  const narrow = style.size === 'column'
  const grows = later.some((members) => members.length)
  const drawn = [rowsPanel(lineage, style), ...(grows ? [growthPanel(lineage, style)] : [])]
  const text = textPanel(lineage, style.width - 2 * style.margin - rowsLeft(drawn, style) - endRoom(style), style)
  const panels = [...drawn, text.panel]
  const said = {
    ...words,
    subject: subjectWords(data),
    notes: [
      `Row of a slot: above, what came when it was made; below, what came later, downwards by step.${text.shown < slots.length ? ` Spelt out: ${text.shown} of ${slots.length} slots.` : ''}`,
    ],
    legend: [
      { label: 'came when it was made', swatch: 'box' as const, color: 'residual' as const },
      ...(grows ? [{ label: 'merged later', swatch: 'dot' as const, color: 'ink' as const }] : []),
    ],
    arrangement: 'rows' as const,
    monospaced: true,
  }
  const letters = text.lines * style.mono * LINE
  const height = Math.min(narrow ? 190 : 280, Math.max(72, slots.length * (narrow ? 26 : 40)))
  const growth = grows ? (narrow ? 80 : 110) : 0
  const room = style.height ? bodyOf(said, style) - rowsRoom(panels, style) : height + growth + letters
  const share = grows ? growth / (height + growth) : 0
  panels[0].share = (room - letters) * (1 - share)
  if (grows) panels[1].share = (room - letters) * share
  text.panel.share = letters
  return { ...said, panels, body: room + rowsRoom(panels, style) }
}

/** Boxes are put together until there are not more of them than this. */
const MOST_BOXES = 6000

function rowsPanel({ data, slots, made, later }: Lineage, style: Style): Panel {
  const boxes = madeBoxes()
  const own = slots.map((members) => members.filter(({ step }) => step <= made).map(({ position }) => position))
  let gap = Math.floor(data.tokens.length / style.width)
  let parts = own.map((positions) => stretches(positions, gap))
  while (parts.flat().length > MOST_BOXES) parts = own.map((positions) => stretches(positions, (gap = 2 * gap + 1)))
  parts.forEach((each, slot) => {
    for (const stretch of each) addStretch(boxes, stretch, slot, slot - 0.42, slot - 0.1)
  })
  const steps = Math.max(1, data.steps - made)
  const all = later.flat()
  const height = ({ slot, step }: Member) => slot + 0.42 * ((step - made) / steps)
  const dots = laterDots(data, all, height, slots.length > 8 || all.length > 400, style)
  const y: Axis = { label: 'residual slot', range: [slots.length - 0.5, -0.5], whole: true, grid: true }
  if (slots.length === 1) y.ticks = [{ at: 0, text: '0' }]
  return {
    share: 1,
    x: textAxis(data, style),
    y,
    marks: [boxes, ...(dots.x.length ? [dots] : [])],
  }
}

function growthPanel({ data, made, later }: Lineage, style: Style): Panel {
  const most = Math.max(...later.map((members) => members.length))
  const order = later.map((_, slot) => slot).sort((a, b) => later[b].length - later[a].length || a - b)
  const end = data.steps + 1
  const size = style.small
  const lines = order.map((slot, rank): Line => {
    const line = {
      kind: 'line' as const,
      name: `residual slot ${slot}`,
      color: rank ? ('muted' as const) : ('ink' as const),
      width: rank ? 1 : style.text / 6,
      x: [made],
      y: [0],
      hover: [`residual slot ${slot}`],
    }
    later[slot].forEach((member, i) => {
      line.x.push(member.step, member.step)
      line.y.push(i, i + 1)
      line.hover.push(memberWords(data, member), memberWords(data, member))
    })
    line.x.push(end)
    line.y.push(later[slot].length)
    line.hover.push(`residual slot ${slot}: ${plainNumber(later[slot].length)} since it was made`)
    return line
  })
  // Names at the lines' ends, as many as stand clear of each other: the panel is at least this high, on a slide with a long legend too.
  const apart = (most * 1.1 * size * 1.5) / { column: 60, text: 70, wide: 80, talk: 30 }[style.size]
  const names: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start' }
  for (const slot of order) {
    const at = later[slot].length
    if (names.y.some((other) => Math.abs(other - at) < apart)) continue
    names.x.push(end + (end - made) * 0.01)
    names.y.push(at)
    names.text.push(`slot ${slot}`)
  }
  const right = end + (end - made) * (style.size === 'column' ? 0.22 : 0.1)
  const marks: Mark[] = [...lines.reverse(), names]
  return {
    share: 1,
    x: { label: style.size === 'column' ? 'step' : 'step (0 = prompt)', range: [made, right], whole: true },
    y: { label: 'merged later', range: [0, most * 1.1], whole: true, grid: true },
    marks,
  }
}

/** `width`: pixels. */
function textPanel(lineage: Lineage, width: number, style: Style): { panel: Panel; lines: number; shown: number } {
  const { data, slots } = lineage
  const columns = width / charWidth(style)
  const chosen = spelt(lineage, SPELT)
  const names = chosen.map((slot) => `slot ${slot}`)
  const from = Math.max(...names.map((name) => name.length)) + 1
  const words = noWords()
  const heads: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start', mono: true }
  chosen.forEach((slot, line) => {
    heads.x.push(0)
    heads.y.push(line + 0.5)
    heads.text.push(names[line])
    spell(data, slots[slot], words, line, from, Math.floor(columns), 'tint0', style)
  })
  const panel: Panel = {
    title:
      style.size === 'column' ? 'members, first and newest' : 'members in order of arrival, the first and the newest',
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [chosen.length, 0], ticks: 'none' },
    marks: [words.boxes, words.labels, heads],
  }
  return { panel, lines: chosen.length, shown: chosen.length }
}
