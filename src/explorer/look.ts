/** What a token looks like at a step: the colours of src/figures, by region, by what becomes of it, or by its score. */
import { RESIDUAL_HUES, type Fill } from '../figures/style.js'
import type { ExplorerSizes } from './data.js'
import { TOKEN, type HeadNow, type HeadStory } from './story.js'

export const MODES = ['region', 'fate', 'score'] as const
export type Mode = (typeof MODES)[number]

export type RegionNow = 'not yet' | 'dropped' | 'merged' | 'residual' | 'sink' | 'context' | 'recent'

export function regionAt(now: HeadNow, position: number, sizes: ExplorerSizes): RegionNow {
  const state = now.state[position]
  if (state === TOKEN.notYet) return 'not yet'
  if (state === TOKEN.dropped) return 'dropped'
  if (state === TOKEN.merged) return 'merged'
  if (position > now.newest - sizes.recent) return 'recent'
  const compressed = sizes.budget > 0 && now.newest >= sizes.budget
  if (compressed && now.slot[position] < sizes.residual) return 'residual'
  return position < sizes.sink ? 'sink' : 'context'
}

const TINTS = Array.from({ length: RESIDUAL_HUES }, (_, hue): Fill => `tint${hue}`)
const HUES = TINTS.map((_, hue): Fill => `residual${hue}`)
const tint = (slot: number) => TINTS[slot % RESIDUAL_HUES]
/** Of a merged slot itself. */
export const hue = (slot: number) => HUES[slot % RESIDUAL_HUES]
/** In twentieths: few colours to make. */
const RAMP = Array.from({ length: 21 }, (_, twentieth): Fill => `ramp:${twentieth / 20}`)

function byRegion(now: HeadNow, position: number, sizes: ExplorerSizes): Fill {
  const region = regionAt(now, position, sizes)
  switch (region) {
    case 'not yet':
    case 'dropped':
      return 'paper'
    case 'merged':
    case 'residual':
      return tint(now.slot[position])
    case 'sink':
    case 'recent':
      return region
    case 'context':
      return 'held'
  }
}

/** By what has become of it at the last step, known from the first on. */
function byFate(story: HeadStory, position: number, endSlot: Int32Array): Fill {
  const end = story.end[position]
  if (end === TOKEN.dropped) return 'dropped'
  return end === TOKEN.merged ? tint(endSlot[position]) : 'held'
}

export class Looks {
  private readonly endSlot: Int32Array
  /** By position: its place among all scores, 0 … 1; −1: no score is known. */
  private ranks: Float32Array | undefined

  constructor(
    readonly story: HeadStory,
    readonly sizes: ExplorerSizes,
  ) {
    this.endSlot = story.at(story.lastStep).slot.slice()
  }

  /** The fill of a token; of who is dropped (TOKEN.dropped) that of what it was, to be struck out. Asked thousands of times a frame. */
  at(now: HeadNow, position: number, mode: Mode): Fill {
    if (now.state[position] === TOKEN.notYet) return 'paper'
    if (mode === 'region') return byRegion(now, position, this.sizes)
    if (mode === 'fate') return byFate(this.story, position, this.endSlot)
    const rank = (this.ranks ??= ranksOf(this.story))[position]
    return rank < 0 ? 'faint' : RAMP[Math.round(rank * 20)]
  }
}

/** Scores spread over decades, so colours go by place among them. */
function ranksOf({ scored, events }: HeadStory): Float32Array {
  const ranks = new Float32Array(scored.length).fill(-1)
  const known = Array.from(scored.keys()).filter((position) => scored[position] >= 0)
  known.sort((a, b) => events.score[scored[a]] - events.score[scored[b]])
  known.forEach((position, i) => (ranks[position] = known.length > 1 ? i / (known.length - 1) : 0.5))
  return ranks
}

export interface LegendItem {
  label: string
  fill: Fill
  struck?: boolean
  /** With the mark of a pinned token. */
  pinned?: boolean
}

/** What there is to be told apart: runs that never merge need no word for it. */
export interface Seen {
  merged: boolean
  dropped: boolean
  sink: boolean
  pinned: boolean
}

/** The words of the token strip (src/figures). */
export function legendOf(mode: Mode, seen: Seen): LegendItem[] {
  const pinned: LegendItem[] = seen.pinned ? [{ label: 'pinned, never leaves', fill: 'held', pinned: true }] : []
  return [...ofMode(mode, seen), ...pinned]
}

function ofMode(mode: Mode, { merged, dropped, sink }: Seen): LegendItem[] {
  const shown = (when: boolean, label: string, fill: Fill, struck = false): LegendItem[] =>
    when ? [{ label, fill, struck }] : []
  switch (mode) {
    case 'region':
      return [
        ...shown(true, 'kept, recent', 'recent'),
        ...shown(true, 'kept, older', 'held'),
        ...shown(sink, 'sink', 'sink'),
        ...shown(merged, 'merged, a colour for each slot', 'tint0'),
        ...shown(dropped, 'dropped', 'paper', true),
      ]
    case 'fate':
      return [
        ...shown(true, 'kept to the end', 'held'),
        ...shown(merged, 'merged by the end', 'tint0'),
        ...shown(dropped, 'dropped by the end', 'dropped'),
        ...shown(dropped, 'gone by now', 'dropped', true),
      ]
    case 'score':
      return [
        ...shown(true, 'lowest score when last judged', 'ramp:0'),
        ...shown(true, 'middle', 'ramp:0.5'),
        ...shown(true, 'highest', 'ramp:1'),
        ...shown(true, 'never judged', 'faint'),
        ...shown(dropped, 'dropped', 'paper', true),
      ]
  }
}
