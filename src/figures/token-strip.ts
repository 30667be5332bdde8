/** Token strip: the text itself, every token coloured by what became of it in one kv head, or by how many heads keep it. */
import { invalid } from '../expect.js'
import type { RunData, Sizes } from './data.js'
import { byFate, fatesAtEnd, headOf, runData, sizesOf, type Fate, type HeadFates, type RunLike } from './fates.js'
import { visible } from './visible.js'
import { Figure } from './figure.js'
import type { Part } from './part.js'
import type { LegendEntry, Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { shownRange, stripPlot, stripRange, type Strip, type StripRange } from './strip.js'
import { RESIDUAL_HUES, styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { listed, subjectWords } from './words.js'

export interface TokenStripOptions extends StyleOptions, StripRange {
  /** One kv head's tokens by their fate; default: all heads, tokens by the share of heads that keep them. */
  layer?: number
  /** Default 0 where a layer is given. */
  kvHead?: number
}

interface Reading extends Strip {
  title: string
  detail: string
  legend: LegendEntry[]
  ramp?: Plot['ramp']
  columns: () => Record<string, (number | string | boolean | null)[]>
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
  const range = stripRange(data, options)
  if (options.kvHead !== undefined && options.layer === undefined)
    throw invalid('layer', 'a layer beside kvHead', undefined, 'a kv head belongs to a layer')
  const reading = options.layer === undefined ? allHeads(data) : oneHead(data, headOf(data, options))
  const { title, detail, columns } = reading
  const plot = (chosen: Style, part?: Part): Plot => {
    const { legend, ramp } = reading
    return stripPlot(
      data,
      reading,
      { title, detail, subject: subjectWords(data), legend, ramp },
      shownRange(range, part),
      chosen,
    )
  }
  const base = () => ({
    position: data.tokens.map((token) => token.position),
    token: data.tokens.map((token) => token.text),
    prompt: data.tokens.map((token) => token.prompt),
  })
  return new Figure(
    {
      call: ['tokenStrip', run, options],
      summary: `${title}. ${detail}`,
      columns: () => ({ ...base(), ...columns() }),
      plot,
      whole: { position: [range.from, range.to] },
    },
    style,
  )
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
    bin: (from, to) => commonest(fate, fill, from, to),
    binWords: 'one that is kept hides those beside it',
    said: (position) => saidOf(ends, position),
    told: (from, to) => {
      const left = byFate(fate.slice(from, to))
      return (['kept', 'merged', 'dropped'] as const)
        .filter((name) => left[name])
        .map((name) => `${plainNumber(left[name])} ${name}`)
        .join(', ')
    },
    columns: () => ({ fate: [...fate], slot: Array.from(slot, (at) => (at < 0 ? null : at)) }),
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
  const counts = headCounts(data)
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
    bin: (from, to) => `shade:${Math.round((50 * sum(counts.kept, from, to)) / (heads * (to - from))) / 50}`,
    said: (position) =>
      `kept in ${counts.kept[position]}, merged in ${counts.merged[position]}, dropped in ${counts.dropped[position]} of ${heads} heads`,
    told: (from, to) => `${percent(sum(counts.kept, from, to) / (heads * (to - from)))} kept on average`,
    columns: () => ({
      keptHeads: Array.from(counts.kept),
      mergedHeads: Array.from(counts.merged),
      droppedHeads: Array.from(counts.dropped),
      heads: data.tokens.map(() => heads),
    }),
  }
}

/** By position: in how many kv heads the token is alone, in a slot of several, and in none. Goes through what is held alone: of long runs the least. */
function headCounts({ tokens, layers, kvHeads, origins }: RunData): Record<Fate, Int32Array> {
  const [kept, merged] = [new Int32Array(tokens.length), new Int32Array(tokens.length)]
  for (const layer of origins)
    for (const slots of layer.kvHeads)
      for (const members of slots) {
        const counted = members.length > 1 ? merged : kept
        for (let i = 0; i < members.length; i++) counted[members[i]]++
      }
  const dropped = kept.map((alone, position) => layers * kvHeads - alone - merged[position])
  return { kept, merged, dropped }
}

/** What most tokens of a bin are; a kept one among them wins, so that none is hidden. */
function commonest(fates: readonly Fate[], fill: (position: number) => Fill, from: number, to: number): Fill {
  const counts = new Map<Fill, number>()
  for (let position = from; position < to; position++) {
    if (fates[position] === 'kept') return fill(position)
    counts.set(fill(position), (counts.get(fill(position)) ?? 0) + 1)
  }
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0]
}
