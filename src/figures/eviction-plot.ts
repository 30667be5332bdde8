/** How the eviction map is drawn by position: a token's line from step to step, what became of it at the line's end, or shares of many tokens. */
import type { RunData } from './data.js'
import { candidateFrom, type HeadLives } from './fates.js'
import { aloneIn, gapsBy } from './gaps.js'
import { visible } from './visible.js'
import { addBox, clippedBox, noBoxes } from './marks.js'
import { within, type Span } from './part.js'
import { PINNED, pinPoints } from './pins.js'
import type { Axis, Boxes, LegendEntry, Panel, Plot, Points } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { RESIDUAL_HUES, type Style } from './style.js'

/** With the step at which a token was pinned. */
export type Lives = HeadLives & { pins: Map<number, number> }

/** Of the panel's width: more lines than this would hide how few tokens they are. */
const DENSEST = 0.45

/** Pixels of a token from which on it stands by itself. */
const APART = 9

/** What is drawn of a head: of positions those that `from` and `to` name, which change from panel to panel. */
interface Window {
  from: number
  to: number
  steps: Span
  /** Left of a token and right of it, of its width, where there is room to tell it from its neighbours. */
  apart: number
}

export function positionPlot(
  data: RunData,
  lives: Lives,
  { positions: [first, end], steps }: { positions: Span; steps: Span },
  style: Style,
) {
  const total = data.tokens.length
  const newest = lives.sizes.recent + data.steps
  const all = first === 0 && end === total
  const split = all && lives.sizes.recent > 0 && newest < 0.4 * total ? total - newest : 0
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
    : [{ name: undefined, side: 'here', from: first, to: end, share: 1 }]
  const body = narrow ? 200 : 300
  let coarse = steps[1] - steps[0] > body
  const notes: string[] = []
  let ramp: Plot['ramp']
  const panels = parts.map(({ name, side, from, to, share }, i): Panel => {
    const width = usable * share
    const pixels = width / (to - from)
    coarse ||= pixels < 1
    const window: Window = { from, to, steps, apart: pixels < APART ? 0 : 0.04 }
    const own = ownIn(lives, window)
    const binned = side !== 'right' && own * Math.max(line, pixels) > DENSEST * width && pixels < 0.67
    const x: Axis = {
      label: narrow ? 'position' : 'position in the text, tokens',
      range: [from, to],
      whole: true,
      counts: 'position',
    }
    const y: Axis = {
      label: i ? undefined : 'step (0 = prompt)',
      range: [steps[1], steps[0]],
      whole: true,
      ticks: i ? 'none' : data.steps ? 'numbers' : [{ at: 0.5, text: '0' }],
      counts: 'step',
    }
    if (binned) {
      const bins = binnedBoxes(lives, window, width, style)
      ramp = {
        label: narrow ? 'share alone:' : 'share of tokens alone in a slot:',
        from: '0%',
        to: percent(bins.most),
        kind: 'shade',
      }
      notes.push(`${side} one column is ${counted(bins.size, 'token')}`)
      return {
        title: name,
        share,
        x,
        y,
        marks: [bins.boxes, ...recentBoxes(data, lives, window), pinMarks(data, lives, window, style)],
      }
    }
    if (pixels < 0.9 * line) notes.push(`${side} a token is ${plainNumber(pixels, 2)} px wide, drawn ${line} px`)
    return { title: name, share, x, y, marks: marks(data, lives, window, line, style) }
  })
  return {
    notes: notes.length ? [`Scale: ${notes.join('; ')}.`] : [],
    ramp,
    legend: legendOf(lives, panels),
    arrangement: 'columns' as const,
    panels,
    body,
    coarse,
  }
}

/** Tokens that have a slot of their own at some of the steps. */
function ownIn({ entered, left }: HeadLives, { from, to, steps: [first, end] }: Window): number {
  let own = 0
  for (let position = from; position < to; position++)
    if (entered[position] < end && (left[position] < 0 || left[position] > first)) own++
  return own
}

function marks(data: RunData, lives: Lives, window: Window, line: number, style: Style) {
  const { from, to, steps, apart } = window
  const merged = noBoxes('merged', 'residual')
  const own = noBoxes('in a slot of its own', 'held', { leastWidth: line })
  const last = data.steps + 1
  const gaps = gapsBy(lives.gaps)
  for (let position = from; position < to; position++) {
    const [left, slot] = [lives.left[position], lives.slot[position]]
    const alone = Math.min(last, left < 0 ? last : left)
    const protectedUntil = Math.min(alone, candidateFrom(data, position, lives.sizes))
    for (const span of aloneIn(gaps.get(position) ?? [], lives.entered[position], alone)) {
      const since = Math.max(span[0], protectedUntil)
      if (span[1] > since)
        clippedBox(own, [position + apart, position + 1 - apart, since, span[1]], steps, hoverOf(data, lives, position))
    }
    if (left < 0 || lives.fate[position] !== 'merged') continue
    const before = merged.x1.length - 1
    const joins =
      !apart &&
      before >= 0 &&
      merged.x1[before] === position &&
      lives.left[position - 1] === left &&
      merged.colors![before] === `tint${slot}`
    if (joins) merged.x1[before] = position + 1
    else clippedBox(merged, [position + apart, position + 1 - apart, left, last], steps, undefined, `tint${slot}`)
  }
  merged.hover = merged.x0.map((x0, i) =>
    apart
      ? hoverOf(data, lives, Math.floor(x0))
      : `positions ${x0} to ${merged.x1[i] - 1}\nmerged into residual slot ${merged.colors![i].slice(4)} at step ${lives.left[x0]}`,
  )
  const ends = [...endings(data, lives, window, style), pinMarks(data, lives, window, style)]
  return [merged, ...recentBoxes(data, lives, window), own, ...ends]
}

/** Where tokens were asked to stay. */
function pinMarks(data: RunData, lives: Lives, { from, to, steps }: Window, style: Style): Points {
  const points = pinPoints(style)
  for (const [position, step] of lives.pins) {
    if (position < from || position >= to || !within(steps, step)) continue
    points.x.push(position + 0.5)
    points.y.push(step + 0.5)
    points.hover.push(`${hoverOf(data, lives, position)}\npinned at step ${step}: it never leaves`)
  }
  return points
}

/** The newest tokens, which nothing can remove: a band that moves on with every step. */
function recentBoxes(data: RunData, lives: HeadLives, { from, to, steps, apart }: Window): Boxes[] {
  const recent = noBoxes('recent, protected', 'recent')
  const gaps = gapsBy(lives.gaps)
  for (let position = from; position < to; position++) {
    // Who was asked to leave is gone all the same.
    const gone = lives.left[position] < 0 ? data.steps + 1 : lives.left[position]
    const until = Math.min(gone, candidateFrom(data, position, lives.sizes))
    for (const span of aloneIn(gaps.get(position) ?? [], lives.entered[position], until))
      clippedBox(recent, [position + apart, position + 1 - apart, ...span], steps, hoverOf(data, lives, position))
  }
  delete recent.colors
  return recent.x0.length ? [recent] : []
}

/** Where a token's line ends: a dot in its new slot's colour, or a cross. */
function endings(data: RunData, lives: HeadLives, { from, to, steps }: Window, style: Style): Points[] {
  const byColor = new Map<string, Points>()
  const diameter = style.size === 'talk' ? 7 : style.size === 'wide' ? 4.2 : 3
  const end = (position: number, step: number, dropped: boolean) => {
    if (step < 1 || !within(steps, step)) return
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
    points.y.push(step)
    points.hover!.push(hoverOf(data, lives, position))
  }
  for (let position = from; position < to; position++)
    end(position, lives.left[position], lives.fate[position] === 'dropped')
  for (const { position, left } of lives.gaps) if (position >= from && position < to) end(position, left, true)
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
  const away = lives.gaps
    .filter((gap) => gap.position === position)
    .map(({ left, back }) => `dropped at step ${left}, back at step ${back}\n`)
  return `“${visible(data.tokens[position].text)}” at ${position}\ncame at step ${lives.entered[position]}, protected before step ${from}\n${away.join('')}${end}`
}

function binnedBoxes(lives: HeadLives, { from, to, steps: [first, last] }: Window, width: number, style: Style) {
  const size = Math.max(1, Math.ceil(((to - from) * (style.size === 'talk' ? 4 : 2.5)) / width))
  const boxes = noBoxes('share of tokens alone in a slot', 'held', { seamless: true })
  const gaps = gapsBy(lives.gaps)
  const shares: number[] = []
  for (let start = from; start < to; start += size) {
    const end = Math.min(to, start + size)
    // Tokens that are alone at each step; a run of equal shares is one box.
    const change = new Map<number, number>()
    for (let position = start; position < end; position++) {
      const alone = lives.left[position] < 0 ? last : lives.left[position]
      for (const span of aloneIn(gaps.get(position) ?? [], lives.entered[position], alone)) {
        const [came, left] = [Math.max(first, span[0]), Math.max(first, span[1])]
        change.set(came, (change.get(came) ?? 0) + 1)
        change.set(left, (change.get(left) ?? 0) - 1)
      }
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

function legendOf(lives: Lives, panels: Panel[]): LegendEntry[] {
  const boxes = panels.flatMap(({ marks }) =>
    marks.filter((mark) => mark.kind === 'boxes' && mark.x0.length > 0),
  ) as Boxes[]
  const names = new Set(boxes.map(({ name }) => name))
  const entries: LegendEntry[] = []
  if (names.has('recent, protected')) entries.push({ label: 'recent, protected', swatch: 'box', color: 'recent' })
  if (names.has('in a slot of its own')) entries.push({ label: 'in a slot of its own', swatch: 'line', color: 'held' })
  // Of those that are drawn: where tokens are drawn together, nobody sees into which.
  const drawn = boxes.filter(({ name }) => name === 'merged').flatMap(({ colors = [] }) => colors)
  const slots = [...new Set(drawn)].map((color) => Number(color.slice('tint'.length))).sort((a, b) => a - b)
  if (names.has('merged')) {
    if (slots.length <= 4)
      for (const slot of slots) entries.push({ label: `merged into slot ${slot}`, swatch: 'box', color: `tint${slot}` })
    else {
      const few = slots.slice(0, RESIDUAL_HUES)
      const label = slots.length > RESIDUAL_HUES ? `(${slots.length} slots, colours repeat)` : ''
      few.forEach((slot, i) =>
        entries.push({
          label: i ? `${slot}${i === few.length - 1 ? ` ${label}`.trimEnd() : ''}` : `merged into slot ${slot}`,
          swatch: 'box',
          color: `tint${slot}`,
        }),
      )
    }
  }
  if (lives.pins.size) entries.push(PINNED)
  if (lives.fate.includes('dropped') || lives.gaps.length)
    entries.push({ label: 'dropped', swatch: 'cross', color: 'dropped' })
  return entries
}
