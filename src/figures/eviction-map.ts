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
  rowsOf,
  runData,
  type HeadLives,
  type RunLike,
} from './fates.js'
import { positionPlot, type Lives } from './eviction-plot.js'
import { Figure } from './figure.js'
import type { Part, Span } from './part.js'
import { pinsOf } from './pins.js'
import type { Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { slotPlot, slotsOf } from './slot-map.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
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
  const events = eventsOf(data, 'the eviction map')
  const rows = rowsOf(events, layer, kvHead)
  const lives: Lives = { ...livesOf(data, events, layer, kvHead, rows), pins: pinsOf(events, rows) }
  const where = `layer ${layer}, kv head ${kvHead}`
  const words = wordsOf(data, lives, where)
  const steps: Span = [0, data.steps + 1]
  const slots = by === 'slot' ? slotsOf(data, layer, kvHead, rows) : undefined
  const whole: Part = slots
    ? { slot: [0, slots.count], step: steps }
    : { position: [0, data.tokens.length], step: steps }
  const plot = (chosen: Style, part: Part = whole): Plot => ({
    ...words,
    subject: subjectWords(data),
    ...(slots
      ? slotPlot(slots, part.slot!, part.step!, chosen)
      : positionPlot(data, lives, { positions: part.position!, steps: part.step! }, chosen)),
  })
  const summary = `${words.title}. ${words.detail}`
  return new Figure(
    { call: ['evictionMap', run, options], summary, columns: () => columnsOf(data, lives), plot, whole },
    style,
  )
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
