/** Attention map beside keep map: what the queries of one kv head give to all tokens, and which of these were still in its cache. */
import { invalid } from '../expect.js'
import { attentionMap as mapOf, LATER, PLACES, type AttentionMap } from '../inspect/attention.js'
import type { HeadRead } from '../inspect/reads.js'
import type { HeadVectors } from '../inspect/vectors.js'
import type { RunData } from './data.js'
import { headOf, runData, type HeadChoice } from './fates.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import { addBox, noBoxes } from './marks.js'
import type { Axis, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { subjectWords } from './words.js'

export interface AttentionMapOptions extends StyleOptions, HeadChoice {
  /** One query head of the kv head's group, from 0; default: their mean. */
  head?: number
  /** Queries at positions [from, to), after the first prompt; default: all. */
  from?: number
  to?: number
}

/** A run whose session kept vectors, or whatever gives the same. */
export interface Inspected {
  data(): RunData
  vectors(of: { layer: number; kvHead: number }): HeadVectors
  reads(of: { layer: number; kvHead: number; from?: number; to?: number }): readonly HeadRead[]
}

/** At most: each is some pixels. */
const TILES = { rows: 64, columns: 120 }
const COLORS: Record<(typeof PLACES)[number], Fill> = { own: 'held', merged: 'residual', gone: 'faint' }
/** Smaller probabilities are left blank. */
const FLOOR = 1e-4

/**
 * Of one kv head (default: layer layers >> 1, kv head 0), a row for each query after the prompt and a column for each position: left the
 * probability that the query gives to it over all keys that the head was ever given (nothing removed), right whether it was in the cache when
 * the query asked: in a slot of its own, in a merged one, or gone. Needs a run with trace: { level: 'vectors' } for that head.
 * `data`: a row per tile, tokens and queries by position. Time: queries × tokens; `from` and `to` take fewer.
 * Errors: 'invalid' for something else than such a run, a layer or head that there is none of, no query, vectors that were not kept.
 */
export function attentionMap(run: Inspected, options: AttentionMapOptions = {}): Figure {
  const style = styleOptions('attentionMap', options, ['layer', 'kvHead', 'head', 'from', 'to'])
  if (typeof run !== 'object' || run === null || typeof run.vectors !== 'function' || typeof run.reads !== 'function')
    throw invalid('run', "a run of a session with trace: 'vectors', or its trace", run)
  const data = runData('run', run)
  const of = headOf(data, options)
  const reads = run.reads({ ...of, from: options.from, to: options.to })
  const map = mapOf(run.vectors(of), reads, { ...TILES, head: options.head })
  const words = wordsOf(data, map)
  const plot = (chosen: Style): Plot => ({ ...words, subject: subjectWords(data), ...picture(map, chosen) })
  return new Figure(
    {
      call: ['attentionMap', run, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(map),
      plot,
    },
    style,
  )
}

/** Mean over queries of the mass at each place. */
const shares = ({ mass, positions }: AttentionMap) =>
  PLACES.map((_, place) => {
    let sum = 0
    for (let at = 0; at < positions.length; at++) sum += mass[at * PLACES.length + place]
    return sum / positions.length
  })

function wordsOf(data: RunData, map: AttentionMap): { title: string; detail: string } {
  const { layer, kvHead, heads, positions, missed, missedMass, mass } = map
  const [own, merged, gone] = shares(map)
  const named = (position: number) =>
    `“${visible(data.tokens[position].text).trim() || '␣'}” at ${plainNumber(position)}`
  const where = `Layer ${layer}, kv head ${kvHead}`
  const title =
    gone > 0
      ? `${where}: ${percent(gone)} of the attention is for tokens that are gone`
      : merged > 0
        ? `${where}: ${percent(merged)} of the attention is for tokens in merged slots, none for gone ones`
        : `${where}: all of the attention is for tokens in slots of their own`
  const most = missed.reduce(
    (best, token, at) => (token >= 0 && (best < 0 || missedMass[at] > missedMass[best]) ? at : best),
    -1,
  )
  const worst =
    most < 0
      ? ''
      : ` Most missed: ${named(missed[most])}, to which the query ${named(positions[most])} gives ${percent(missedMass[most])} (${percent(mass[most * PLACES.length + PLACES.length - 1])} to gone tokens together).`
  const of = heads.length > 1 ? `${heads.length} query heads` : `query head ${heads[0]}`
  return {
    title,
    detail:
      `Nothing removed, ${counted(positions.length, 'query', 'queries')} (mean; ${of}) would give ${percent(own)} to tokens that have a slot of their own, ` +
      `${percent(merged)} to those in merged slots and ${percent(gone)} to gone ones.${worst}`,
  }
}

function columnsOf(map: AttentionMap) {
  const tiles = [...map.place.keys()].filter((tile) => map.place[tile] !== LATER)
  const { columns, columnSize, rowSize, positions, tokens } = map
  const row = (tile: number) => Math.floor(tile / columns)
  const last = (tile: number) => Math.min(positions.length, (row(tile) + 1) * rowSize) - 1
  return {
    query: tiles.map((tile) => positions[row(tile) * rowSize]),
    queryLast: tiles.map((tile) => positions[last(tile)]),
    position: tiles.map((tile) => (tile % columns) * columnSize),
    positionLast: tiles.map((tile) => Math.min(tokens, ((tile % columns) + 1) * columnSize) - 1),
    probability: tiles.map((tile) => map.attention[tile]),
    place: tiles.map((tile) => PLACES[map.place[tile]]),
  }
}

function picture(map: AttentionMap, style: Style) {
  const narrow = style.size === 'column'
  const { rowSize, columnSize } = map
  const size =
    rowSize > 1 || columnSize > 1
      ? [
          `A tile is ${counted(columnSize, 'token')} by ${counted(rowSize, 'query', 'queries')}: left the largest probability in it, right where that token was.`,
        ]
      : []
  const x: Axis = { label: narrow ? 'position' : 'position, tokens', range: [0, map.tokens], whole: true }
  const y = (label: string | undefined): Axis => ({
    label,
    range: [map.positions.length, 0],
    ticks: queryTicks(map),
  })
  const rows = narrow
  const panels: Panel[] = [
    {
      title: narrow ? 'attention, nothing removed' : 'what queries give, nothing removed',
      share: 1,
      x,
      y: y('query at'),
      marks: [attentionTiles(map)],
    },
    {
      title: narrow ? 'what was in the cache' : 'what was in the cache then',
      share: 1,
      x,
      y: y(rows ? 'query at' : undefined),
      marks: placeTiles(map),
    },
  ]
  return {
    notes: [...size, `Probabilities below ${plainNumber(FLOOR, 4)} are left blank.`],
    legend: [
      { label: narrow ? 'own slot' : 'in a slot of its own', swatch: 'box' as const, color: COLORS.own },
      { label: narrow ? 'merged' : 'in a merged slot', swatch: 'box' as const, color: COLORS.merged },
      { label: 'gone', swatch: 'box' as const, color: COLORS.gone },
    ],
    ramp: {
      label: narrow ? 'probability:' : 'probability, logarithmic:',
      from: plainNumber(FLOOR, 4),
      to: '1',
      kind: 'shade' as const,
    },
    arrangement: rows ? ('rows' as const) : ('columns' as const),
    panels,
    body: rows ? 330 : 300,
  }
}

/** Rows are queries in order; what stands beside them is their positions. */
function queryTicks({ positions }: AttentionMap) {
  const few = Math.min(5, positions.length)
  const at = Array.from({ length: few }, (_, i) =>
    few === 1 ? 0 : Math.round((i * (positions.length - 1)) / (few - 1)),
  )
  return [...new Set(at)].map((row) => ({ at: row + 0.5, text: plainNumber(positions[row]) }))
}

/** Rows of tiles; neighbours of one `colour` are one box. */
function tiles(
  map: AttentionMap,
  name: string,
  colour: (tile: number) => Fill | undefined,
  said: (tile: number) => string,
) {
  const boxes = noBoxes(name, 'held', { seamless: true })
  const { rows, columns, rowSize, columnSize, tokens, positions } = map
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const tile = row * columns + column
      const color = colour(tile)
      if (!color) continue
      const to = Math.min(tokens, (column + 1) * columnSize)
      const last = boxes.x1.length - 1
      const joins =
        last >= 0 &&
        boxes.y0[last] === row * rowSize &&
        boxes.x1[last] === column * columnSize &&
        boxes.colors![last] === color
      if (joins) boxes.x1[last] = to
      else
        addBox(
          boxes,
          [column * columnSize, to, row * rowSize, Math.min(positions.length, (row + 1) * rowSize)],
          said(tile),
          color,
        )
    }
  return boxes
}

/** A share of the way from FLOOR to 1, in steps that the eye can tell apart. */
function attentionTiles(map: AttentionMap) {
  return tiles(
    map,
    'attention, nothing removed',
    (tile) => {
      const value = map.attention[tile]
      return value < FLOOR
        ? undefined
        : `shade:${Math.max(0.05, Math.round(20 * (1 - Math.log10(value) / Math.log10(FLOOR))) / 20)}`
    },
    (tile) => `largest ${shortNumber(map.attention[tile])}`,
  )
}

function placeTiles(map: AttentionMap) {
  return PLACES.map((place, code) =>
    tiles(
      map,
      place,
      (tile) => (map.place[tile] === code ? COLORS[place] : undefined),
      () => place,
    ),
  )
}
