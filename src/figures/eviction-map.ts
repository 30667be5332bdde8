/** Eviction map: every token's life in one kv head's cache, step by step: who stays, who leaves when, and into which slot. */
import { oneOf } from '../expect.js'
import type { RunData } from './data.js'
import {
  byFate,
  candidateFrom,
  eventsOf,
  firstCompression,
  headOf,
  livesOf,
  runData,
  type HeadLives,
  type RunLike,
} from './fates.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import { addBox, noBoxes } from './marks.js'
import type { Axis, Boxes, LegendEntry, Panel, Plot, Points } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { slotPlot } from './slot-map.js'
import { RESIDUAL_HUES, styleOptions, type Style, type StyleOptions } from './style.js'
import { subjectWords } from './words.js'

export interface EvictionMapOptions extends StyleOptions {
  /** 0 … layers − 1; default: the middle one. */
  layer?: number
  /** 0 … kvHeads − 1; default 0. */
  kvHead?: number
  /** Across: places in the text (default), or slots of the cache, coloured by who is in them. */
  by?: 'position' | 'slot'
}

/**
 * Tokens [positions] × steps of one kv head: when each token came, whether it is protected, on its own, merged (and into which
 * residual slot) or dropped. Needs a run with trace: true.
 * Errors: 'invalid' for a run without events, a layer or head that the model has not, unknown options.
 */
export function evictionMap(run: RunLike, options: EvictionMapOptions = {}): Figure {
  const style = styleOptions('evictionMap', options, ['layer', 'kvHead', 'by'])
  const data = runData('run', run)
  const { layer, kvHead } = headOf(data, options)
  const by = oneOf('by', options.by ?? 'position', ['position', 'slot'])
  const lives = livesOf(data, eventsOf(data, 'the eviction map'), layer, kvHead)
  const where = `layer ${layer}, kv head ${kvHead}`
  const words = wordsOf(data, lives, where)
  const plot = (chosen: Style): Plot => ({
    ...words,
    subject: subjectWords(data),
    ...(by === 'slot' ? slotPlot(data, layer, kvHead, chosen) : positionPlot(data, lives, chosen)),
  })
  return new Figure({ summary: `${words.title}. ${words.detail}`, columns: () => columnsOf(data, lives), plot }, style)
}

function columnsOf(data: RunData, lives: HeadLives) {
  const none = (value: number) => (Number.isNaN(value) ? null : value)
  return {
    position: data.tokens.map((token) => token.position),
    token: data.tokens.map((token) => token.text),
    prompt: data.tokens.map((token) => token.prompt),
    entered: Array.from(lives.entered),
    left: Array.from(lives.left, (step) => (step < 0 ? null : step)),
    fate: lives.fate,
    slot: Array.from(lives.slot, (slot) => (slot < 0 ? null : slot)),
    score: Array.from(lives.score, none),
    similarity: Array.from(lives.similarity, none),
  }
}

function wordsOf(data: RunData, lives: HeadLives, where: string): { title: string; detail: string } {
  const total = data.tokens.length
  const count = byFate(lives.fate)
  const gone = data.tokens.map((token) => token.position).filter((position) => lives.left[position] >= 0)
  const later = gone.filter((position) => lives.left[position] >= 1)
  // A candidate for the first time at the very step that it leaves.
  const first = Math.max(1, firstCompression(data, lives.sizes))
  const atOnce = later.filter(
    (position) => lives.left[position] <= Math.max(first, candidateFrom(data, position, lives.sizes)),
  )
  const title = `${where[0].toUpperCase()}${where.slice(1)}: ${plainNumber(count.kept)} of ${counted(total, 'token')} keep a slot of their own`
  const steps = `After ${counted(data.steps, 'decode step')}`
  if (!gone.length) return { title, detail: `${steps} nothing was merged or dropped.` }
  const merged = gone.filter((position) => lives.fate[position] === 'merged')
  const targets = new Set(merged.map((position) => lives.slot[position]))
  const shared = count.merged
    ? `${counted(count.merged, 'token shares', 'tokens share')} ${counted(targets.size, 'residual slot')}`
    : 'no token was merged'
  const dropped = count.dropped
    ? `${plainNumber(count.dropped)} ${count.dropped === 1 ? 'was' : 'were'} dropped`
    : 'none was dropped'
  const young = later.length
    ? `; ${plainNumber(atOnce.length)} of these (${percent(atOnce.length / later.length)}) went at the first step at which they could`
    : ''
  return {
    title,
    detail:
      `${steps} ${shared} and ${dropped}. ${plainNumber(gone.length - later.length)} left when the prompt was read, ` +
      `${plainNumber(later.length)} while decoding${young}.`,
  }
}

/** Of the panel's width: more lines than this would hide how few tokens they are. */
const DENSEST = 0.45

function positionPlot(data: RunData, lives: HeadLives, style: Style) {
  const total = data.tokens.length
  const newest = lives.sizes.recent + data.steps
  const split = lives.sizes.recent > 0 && newest < 0.4 * total ? total - newest : 0
  const narrow = style.size === 'column'
  const line = style.size === 'talk' ? 1.4 : narrow ? 0.5 : 0.75
  const usable = style.width - 2 * style.margin - style.text * 5
  const parts = split
    ? [
        { name: narrow ? 'older' : 'older tokens', side: 'left', from: 0, to: split, share: 0.54 },
        {
          name: narrow ? 'newest, enlarged' : 'newest tokens, enlarged',
          side: 'right',
          from: split,
          to: total,
          share: 0.46,
        },
      ]
    : [{ name: undefined, side: 'here', from: 0, to: total, share: 1 }]
  const notes: string[] = []
  let ramp: Plot['ramp']
  const panels = parts.map(({ name, side, from, to, share }, i): Panel => {
    const width = usable * share
    const pixels = width / (to - from)
    const own = lives.fate.slice(from, to).filter((fate, at) => fate === 'kept' || lives.left[from + at] > 0).length
    const binned = from === 0 && own * Math.max(line, pixels) > DENSEST * width && pixels < 0.67
    const x: Axis = { label: narrow ? 'position' : 'position in the text, tokens', range: [from, to], whole: true }
    const y: Axis = {
      label: i ? undefined : 'step (0 = prompt)',
      range: [data.steps + 1, 0],
      whole: true,
      ticks: i ? 'none' : data.steps ? 'numbers' : [{ at: 0.5, text: '0' }],
    }
    if (binned) {
      const bins = binnedBoxes(data, lives, from, to, width, style)
      ramp = {
        label: narrow ? 'share alone:' : 'share of tokens alone in a slot:',
        from: '0%',
        to: percent(bins.most),
        kind: 'shade',
      }
      notes.push(`${side} one column is ${counted(bins.size, 'token')}`)
      return { title: name, share, x, y, marks: [bins.boxes, ...recentBoxes(data, lives, from, to)] }
    }
    if (pixels < 0.9 * line) notes.push(`${side} a token is ${plainNumber(pixels, 2)} px wide, drawn ${line} px`)
    return { title: name, share, x, y, marks: marks(data, lives, from, to, line, style) }
  })
  return {
    notes: notes.length ? [`Scale: ${notes.join('; ')}.`] : [],
    ramp,
    legend: legendOf(data, lives, panels),
    arrangement: 'columns' as const,
    panels,
    body: narrow ? 200 : 300,
  }
}

function marks(data: RunData, lives: HeadLives, from: number, to: number, line: number, style: Style) {
  const merged = noBoxes('merged', 'residual')
  const own = noBoxes('in a slot of its own', 'held', { leastWidth: line })
  const last = data.steps + 1
  for (let position = from; position < to; position++) {
    const [left, slot] = [lives.left[position], lives.slot[position]]
    const alone = Math.min(last, left < 0 ? last : left)
    const protectedUntil = Math.min(alone, candidateFrom(data, position, lives.sizes))
    if (alone > protectedUntil)
      addBox(
        own,
        [position, position + 1, Math.max(lives.entered[position], protectedUntil), alone],
        hoverOf(data, lives, position),
      )
    if (left < 0 || lives.fate[position] !== 'merged') continue
    const before = merged.x1.length - 1
    const joins =
      before >= 0 &&
      merged.x1[before] === position &&
      merged.y0[before] === left &&
      merged.colors![before] === `tint${slot}`
    if (joins) merged.x1[before] = position + 1
    else addBox(merged, [position, position + 1, left, last], undefined, `tint${slot}`)
  }
  merged.hover = merged.x0.map(
    (x0, i) =>
      `positions ${x0} to ${merged.x1[i] - 1}\nmerged into residual slot ${merged.colors![i].slice(4)} at step ${merged.y0[i]}`,
  )
  return [merged, ...recentBoxes(data, lives, from, to), own, ...endings(data, lives, from, to, style)]
}

/** The newest tokens, which nothing can remove: a band that moves on with every step. */
function recentBoxes(data: RunData, lives: HeadLives, from: number, to: number): Boxes[] {
  const recent = noBoxes('recent, protected', 'recent')
  for (let position = from; position < to; position++) {
    const until = Math.min(data.steps + 1, candidateFrom(data, position, lives.sizes))
    if (until > lives.entered[position])
      addBox(recent, [position, position + 1, lives.entered[position], until], hoverOf(data, lives, position))
  }
  delete recent.colors
  return recent.x0.length ? [recent] : []
}

/** Where a token's line ends: a dot in its new slot's colour, or a cross. */
function endings(data: RunData, lives: HeadLives, from: number, to: number, style: Style): Points[] {
  const byColor = new Map<string, Points>()
  const diameter = style.size === 'talk' ? 7 : style.size === 'wide' ? 4.2 : 3
  for (let position = from; position < to; position++) {
    if (lives.left[position] < 1) continue
    const dropped = lives.fate[position] === 'dropped'
    const color = dropped ? 'dropped' : (`residual${lives.slot[position] % RESIDUAL_HUES}` as const)
    let points = byColor.get(color)
    if (!points) {
      points = {
        kind: 'points',
        name: dropped ? 'dropped' : 'merged',
        color,
        shape: dropped ? 'cross' : 'dot',
        x: [],
        y: [],
        hover: [],
        diameter,
      }
      byColor.set(color, points)
    }
    points.x.push(position + 0.5)
    points.y.push(lives.left[position])
    points.hover!.push(hoverOf(data, lives, position))
  }
  return [...byColor.keys()].sort().map((color) => byColor.get(color)!)
}

function hoverOf(data: RunData, lives: HeadLives, position: number): string {
  const from = candidateFrom(data, position, lives.sizes)
  const score = Number.isNaN(lives.score[position]) ? '' : `, score ${lives.score[position].toPrecision(3)}`
  const similarity = Number.isNaN(lives.similarity[position])
    ? ''
    : `, similarity ${lives.similarity[position].toPrecision(3)}`
  const end =
    lives.left[position] < 0
      ? 'kept to the end'
      : lives.fate[position] === 'dropped'
        ? `dropped at step ${lives.left[position]}${score}`
        : `merged into residual slot ${lives.slot[position]} at step ${lives.left[position]}${score}${similarity}`
  return `“${visible(data.tokens[position].text)}” at ${position}\ncame at step ${lives.entered[position]}, protected before step ${from}\n${end}`
}

function binnedBoxes(data: RunData, lives: HeadLives, from: number, to: number, width: number, style: Style) {
  const size = Math.max(1, Math.ceil(((to - from) * (style.size === 'talk' ? 4 : 2.5)) / width))
  const boxes = noBoxes('share of tokens alone in a slot', 'held', { seamless: true })
  const last = data.steps + 1
  const shares: number[] = []
  for (let start = from; start < to; start += size) {
    const end = Math.min(to, start + size)
    // Tokens that are alone at each step; a run of equal shares is one box.
    const change = new Map<number, number>()
    for (let position = start; position < end; position++) {
      const [came, left] = [lives.entered[position], lives.left[position] < 0 ? last : lives.left[position]]
      change.set(came, (change.get(came) ?? 0) + 1)
      change.set(left, (change.get(left) ?? 0) - 1)
    }
    let alone = 0
    const steps = [...change.keys()].filter((step) => step < last).sort((a, b) => a - b)
    steps.forEach((step, i) => {
      alone += change.get(step)!
      addBox(
        boxes,
        [start, end, step, steps[i + 1] ?? last],
        `positions ${start} to ${end - 1}, from step ${step}\n${alone} of ${end - start} alone in a slot`,
      )
      shares.push(alone / (end - start))
    })
  }
  const most = Math.max(...shares)
  boxes.colors = shares.map((share) => `shade:${most ? Math.round((share / most) * 100) / 100 : 0}` as const)
  return { boxes, size, most }
}

function legendOf(data: RunData, lives: HeadLives, panels: Panel[]): LegendEntry[] {
  const names = new Set(
    panels.flatMap((panel) =>
      panel.marks.filter((mark) => 'x0' in mark && mark.x0.length).map((mark) => (mark as Boxes).name),
    ),
  )
  const entries: LegendEntry[] = []
  if (names.has('recent, protected')) entries.push({ label: 'recent, protected', swatch: 'box', color: 'recent' })
  if (names.has('in a slot of its own')) entries.push({ label: 'in a slot of its own', swatch: 'line', color: 'held' })
  const slots = [
    ...new Set(data.tokens.filter((t) => lives.fate[t.position] === 'merged').map((t) => lives.slot[t.position])),
  ].sort((a, b) => a - b)
  if (names.has('merged')) {
    if (slots.length <= 4)
      for (const slot of slots)
        entries.push({ label: `merged into slot ${slot}`, swatch: 'box', color: `residual${slot}` })
    else {
      const few = slots.slice(0, RESIDUAL_HUES)
      const label = slots.length > RESIDUAL_HUES ? `(${slots.length} slots, colours repeat)` : ''
      few.forEach((slot, i) =>
        entries.push({
          label: i ? `${slot}${i === few.length - 1 ? ` ${label}`.trimEnd() : ''}` : `merged into slot ${slot}`,
          swatch: 'box',
          color: `residual${slot}`,
        }),
      )
    }
  }
  if (lives.fate.includes('dropped')) entries.push({ label: 'dropped', swatch: 'cross', color: 'dropped' })
  return entries
}
