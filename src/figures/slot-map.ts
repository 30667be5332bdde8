/** The eviction map by slots: who sits in which slot at which step, coloured by place in the text. */
import { REASONS } from '../trace/actions.js'
import { HeadLedger } from '../trace/rebuild.js'
import { ACTION, type EventColumns, type RunData, type Sizes } from './data.js'
import { eventsOf, firstCompression, rowsOf, sizesOf, stepOf } from './fates.js'
import { clippedBox, noBoxes } from './marks.js'
import { within, type Span } from './part.js'
import { PINNED, pinPoints, pinsOf } from './pins.js'
import { visible } from './visible.js'
import type { Panel, Plot } from './plot.js'
import { plainNumber } from './scale.js'
import type { Style } from './style.js'

const ASKED = REASONS.indexOf('asked')

export interface Stay {
  slot: number
  /** First step, and the step after the last. */
  from: number
  to: number
  /** The token that is in the slot; the first one of a merged slot. */
  position: number
  merged: boolean
}

/**
 * Every stay of a token in a slot of one kv head, in order of slots and steps. Read backwards from the slots at the end, since a
 * compression says what leaves but not where the rest comes to lie.
 */
export function staysOf(
  data: RunData,
  layer: number,
  kvHead: number,
  rows: readonly number[] = rowsOf(eventsOf(data, 'the eviction map'), layer, kvHead),
): Stay[] {
  const events = eventsOf(data, 'the eviction map')
  const last = data.steps + 1
  const sizes = sizesOf(data, layer, kvHead)
  const compression = firstCompression(data, sizes)
  const stays: Stay[] = []
  const now = new Map<number, Omit<Stay, 'from'>>()
  const hold = (slot: number, position: number, merged: boolean, to: number) =>
    now.set(slot, { slot, position, merged, to })
  const begins = (slot: number, from: number) => {
    const stay = now.get(slot)
    now.delete(slot)
    if (stay && from < stay.to) stays.push({ ...stay, from })
  }
  if (rows.some((row) => events.reason[row] === ASKED)) return staysForward(events, rows, last)
  const moved = new Set(rows.filter((row) => events.action[row] === ACTION.merge).map((row) => events.position[row]))
  if (compression > data.steps) {
    // Nothing ever left: tokens lie in the order in which they came.
    for (const token of data.tokens)
      stays.push({
        slot: token.position,
        from: stepOf(data, token.position),
        to: last,
        position: token.position,
        merged: false,
      })
    return stays
  }
  const slots = data.origins[layer].kvHeads[kvHead]
  // The token that a residual slot began with never was merged into another.
  const seeds = slots.map((members) => Array.from(members).find((position) => !moved.has(position)) ?? members[0])
  slots.forEach((members, slot) => hold(slot, seeds[slot], members.length > 1, last))
  for (const row of rows.toReversed()) {
    const [step, slot, target, position] = [
      events.step[row],
      events.slot[row],
      events.target[row],
      events.position[row],
    ]
    if (step <= compression) break
    const action = events.action[row]
    if (action === ACTION.place || action === ACTION.settle || action === ACTION.options) continue
    if (action === ACTION.admit) begins(slot, step)
    else if (action === ACTION.leave) {
      begins(target, step)
      hold(slot, position, false, step)
    } else {
      hold(slot, position, false, step)
      if (action === ACTION.merge && events.targetWeight[row] === 1) {
        begins(target, step)
        hold(target, seeds[target], false, step)
      }
    }
  }
  for (const slot of [...now.keys()]) begins(slot, compression)
  if (compression > 0)
    for (let position = 0; position < sizes.budget; position++)
      stays.push({ slot: position, from: stepOf(data, position), to: compression, position, merged: false })
  return joined(stays.sort((a, b) => a.slot - b.slot || a.from - b.from))
}

/** The same from the first event on, slots and all: where somebody was asked to leave or to come back. */
function staysForward(events: EventColumns, rows: readonly number[], last: number): Stay[] {
  const stays: Stay[] = []
  const ledger = new HeadLedger()
  let now: Stay[] = []
  for (let i = 0; i < rows.length;) {
    const step = events.step[rows[i]]
    for (; i < rows.length && events.step[rows[i]] === step; i++) ledger.apply(events, rows[i])
    const slots = ledger.slots()
    const next = slots.map(({ slot, position, weight }): Stay => {
      const before = now[slot]
      const same = before?.position === position && before.merged === weight > 1
      return same ? before : { slot, from: step, to: last, position, merged: weight > 1 }
    })
    for (const stay of now) if (next[stay.slot] !== stay) stays.push({ ...stay, to: step })
    now = next
  }
  return [...stays, ...now].filter(({ from, to }) => from < to).sort((a, b) => a.slot - b.slot || a.from - b.from)
}

/** A token that stays where it was through a compression has one stay. */
function joined(stays: Stay[]): Stay[] {
  const out: Stay[] = []
  for (const stay of stays) {
    const before = out[out.length - 1]
    const same = before?.slot === stay.slot && before.to === stay.from && before.position === stay.position
    if (same && before.merged === stay.merged) before.to = stay.to
    else out.push({ ...stay })
  }
  return out
}

/** One head's cache as slots over steps. */
export interface Slots {
  data: RunData
  sizes: Sizes
  stays: Stay[]
  /** Slots that were ever in use, at least one. */
  count: number
  /** Stays of pinned tokens, from the step on at which they are pinned. */
  pinned: { stay: Stay; from: number }[]
}

export function slotsOf(data: RunData, layer: number, kvHead: number, rows: readonly number[]): Slots {
  const stays = staysOf(data, layer, kvHead, rows)
  const pins = pinsOf(eventsOf(data, 'the eviction map'), rows)
  return {
    data,
    sizes: sizesOf(data, layer, kvHead),
    stays,
    count: stays.reduce((most, { slot }) => Math.max(most, slot + 1), 1),
    pinned: stays.flatMap((stay) => {
      const from = Math.max(stay.from, pins.get(stay.position) ?? Infinity)
      return from < stay.to ? [{ stay, from }] : []
    }),
  }
}

type Drawn = Pick<Plot, 'notes' | 'legend' | 'ramp' | 'arrangement' | 'panels' | 'body' | 'coarse'>

/** Slots across, steps down, of both the spans that are looked at. */
export function slotPlot({ data, sizes, stays, count, pinned }: Slots, slots: Span, steps: Span, style: Style): Drawn {
  const body = style.size === 'column' ? 210 : 320
  const said = ({ slot, from, to, position, merged }: Stay) =>
    `slot ${slot}, steps ${from} to ${to - 1}\n${merged ? 'merged tokens' : `“${visible(data.tokens[position].text)}” at ${position}`}`
  const last = Math.max(1, data.promptTokens - 1)
  const seamless = { seamless: true }
  const tokens = noBoxes('of the prompt', 'held', { ...seamless, hover: [], colors: [] })
  const written = noBoxes('generated', 'recent', { ...seamless, hover: [] })
  const merged = noBoxes('merged tokens', 'residual', { ...seamless, hover: [], leastWidth: 2 })
  for (const stay of stays) {
    if (!within(slots, stay.slot)) continue
    const read = !stay.merged && stay.position < data.promptTokens
    const color = read ? (`ramp:${Math.round((stay.position / last) * 200) / 200}` as const) : undefined
    const place: [number, number, number, number] = [stay.slot, stay.slot + 1, stay.from, stay.to]
    clippedBox(stay.merged ? merged : read ? tokens : written, place, steps, said(stay), color)
  }
  const pins = pinPoints(style)
  for (const { stay, from } of pinned) {
    if (!within(slots, stay.slot) || from >= steps[1] || stay.to <= steps[0]) continue
    pins.x.push(stay.slot + 0.5)
    pins.y.push(Math.max(from, steps[0]) + 0.5)
    pins.hover.push(`${said(stay)}\npinned${from > stay.from ? ` at step ${from}` : ''}: it never leaves`)
  }
  const panel: Panel = {
    share: 1,
    x: { label: regionWords(sizes, count, style), range: [...slots], whole: true, counts: 'slot' },
    y: {
      label: 'step (0 = prompt)',
      range: [steps[1], steps[0]],
      whole: true,
      ticks: data.steps ? 'numbers' : [{ at: 0.5, text: '0' }],
      counts: 'step',
    },
    marks: [tokens, written, merged, pins],
  }
  const legend: Plot['legend'] = []
  if (stays.some((stay) => stay.merged)) legend.push({ label: 'merged tokens', swatch: 'box', color: 'residual' })
  if (stays.some((stay) => !stay.merged && stay.position >= data.promptTokens))
    legend.push({ label: 'generated', swatch: 'box', color: 'recent' })
  if (pinned.length) legend.push(PINNED)
  return {
    notes: [],
    legend,
    ramp: {
      label: style.size === 'column' ? 'prompt:' : 'prompt, by position:',
      from: '0',
      to: plainNumber(last),
      kind: 'ramp',
    },
    arrangement: 'rows',
    panels: [panel],
    body,
    // Pixels are fewer than slots or steps.
    coarse: slots[1] - slots[0] > 0.9 * style.width || steps[1] - steps[0] > body,
  }
}

/** 'slot (residual 0–2, context 3–150, recent 151–299)': regions as they lie in a compressed cache. */
function regionWords(sizes: Sizes, slots: number, style: Style): string {
  const { budget, residual, sink, recent } = sizes
  if (style.size === 'column' || budget === 0 || slots < budget) return 'slot of the cache'
  // The newest token included, recent protects one more than the ring holds.
  const ring = budget - Math.max(0, recent - 1)
  const ends: [string, number, number][] = [
    ['residual', 0, residual],
    ['sink', residual, residual + sink],
    ['context', residual + sink, ring],
    ['recent', ring, budget],
  ]
  const named = ends.filter(([, from, to]) => to > from).map(([name, from, to]) => `${name} ${from}–${to - 1}`)
  return `slot of the cache (${named.join(', ')})`
}
