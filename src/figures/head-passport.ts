/** Head passport: one query head beside all others of its model: where it looks, every measure of it, and what a run's cache kept for it. */
import { ZslabError } from '../errors.js'
import { integer, invalid } from '../expect.js'
import { ordinal } from '../show/texts.js'
import { medianOf } from '../statistics/moments.js'
import { byFate, fatesAtEnd, runData, type Fate, type RunLike } from './fates.js'
import { Figure } from './figure.js'
import { habitOf } from './habit.js'
import { placesOf, shadeScale, unitAfter, type HeadDistances, type HeadMeasures } from './head-measures.js'
import { bodyOf, endRoom, rowsRoom } from './layout.js'
import { addBox, noBoxes } from './marks.js'
import { textAxis } from './member-marks.js'
import { stretches } from './members.js'
import type { Boxes, Labels, LegendEntry, Panel, Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import type { RunData } from './data.js'
import { shortened, textWidth } from './text.js'
import { listed, shortModel, subjectWords } from './words.js'

export interface HeadPassportOptions extends StyleOptions {
  layer: number
  /** Query head. */
  head: number
  /** A run of the same model: what its cache kept, at its end, for the kv head that this head reads. */
  run?: RunLike
}

interface Row {
  name: string
  unit: string
  /** Of this head, then of all. */
  value: number
  all: Float64Array
  place: number
  count: number
}

interface Passport {
  layer: number
  head: number
  kvHead: number
  rows: Row[]
  distances: { bins: HeadDistances['bins']; own: number[]; median: number[] } | undefined
  run: { data: RunData; fate: Fate[] } | undefined
  model: string
}

/**
 * One query head of what headImportance() found: its habits in words (src/figures/habit.ts), its attention by distance where 'distance' was
 * measured, each measure among those of all heads (from the least to the largest; logarithmic where the largest is over ten times the
 * median), and with `run` what that run's cache kept, merged and dropped of the text for its kv head.
 * `data`: a row per measure (value, place, 1 the largest, of how many, median) and per distance ('attention from 4 to 7 back').
 * Errors: 'invalid' for a layer or head that there is none of or that was not measured, a run of a model of another shape, unknown options.
 */
export function headPassport(importance: HeadMeasures, options: HeadPassportOptions): Figure {
  const style = styleOptions('headPassport', options, ['layer', 'head', 'run'])
  if (!importance?.measures) throw invalid('importance', 'what headImportance() found', importance)
  const passport = passportOf(importance, options)
  const words = wordsOf(passport)
  const plot = (chosen: Style): Plot => picture(passport, words, chosen)
  return new Figure(
    {
      call: ['headPassport', importance, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(passport),
      plot,
    },
    style,
  )
}

function passportOf(importance: HeadMeasures, options: HeadPassportOptions): Passport {
  const { layers, heads, kvHeads, measures, distances, card } = importance
  const layer = integer('layer', options.layer, 0, layers - 1)
  const head = integer('head', options.head, 0, heads - 1)
  const rows = Object.values(measures).map(({ name, unit, values }): Row => {
    const all = Float64Array.from(values.flatMap((row) => Array.from(row)))
    const place = placesOf(all)[layer * heads + head]
    return {
      name,
      unit,
      value: values[layer][head],
      all,
      place,
      count: all.filter((value) => !Number.isNaN(value)).length,
    }
  })
  if (rows.every(({ value }) => Number.isNaN(value)))
    throw new ZslabError(
      'invalid',
      `layer ${layer}, head ${head} was not measured: leave \`heads\` out, or name it there`,
    )
  const kvHead = Math.floor(head / (heads / kvHeads))
  const data = options.run === undefined ? undefined : runData('run', options.run)
  if (data && (data.layers !== layers || data.kvHeads !== kvHeads))
    throw new ZslabError(
      'invalid',
      `the heads are of a model with ${layers} layers of ${kvHeads} kv heads, and the run's has ${data.layers} of ${data.kvHeads}: give a run of the same model`,
    )
  return {
    layer,
    head,
    kvHead,
    rows: rows.filter(({ value }) => !Number.isNaN(value)),
    distances: distances ? distancesOf(distances, layer, head) : undefined,
    run: data && { data, fate: fatesAtEnd(data, layer, kvHead).fate },
    model: card ? shortModel(card.model.name) : data ? shortModel(data.model) : '',
  }
}

/** As far as any head looks. */
function distancesOf({ bins, shares }: HeadDistances, layer: number, head: number): Passport['distances'] {
  const all = shares.flat()
  const median = bins.map((_, bin) => medianOf(all.map((each) => each[bin])))
  let used = bins.length
  while (used > 1 && all.every((each) => !(each[used - 1] > 0))) used--
  return {
    bins: bins.slice(0, used),
    own: Array.from(shares[layer][head]).slice(0, used),
    median: median.slice(0, used),
  }
}

const TOLD = ['ablation', 'distance', 'entropy', 'sinkMass', 'retrieval']

function wordsOf({ layer, head, kvHead, rows, run }: Passport): { title: string; detail: string } {
  const value = (name: string) => rows.find((row) => row.name === name)?.value
  const habits = habitOf(value)
  const where = `Layer ${layer}, query head ${head}`
  const [first] = rows
  const title = habits.length
    ? `${where}: ${listed(habits)}`
    : `${where}: ${ordinal(first.place)} of ${plainNumber(first.count)} by ${first.name}`
  const known = TOLD.flatMap((name) => rows.find((row) => row.name === name) ?? [])
  const told = known.length ? known : rows.slice(0, 3)
  const said = told.map((row) => `${row.name} ${valueWords(row)} (${placeWords(row)})`)
  const kept = run ? ` ${keptWords(run.fate, kvHead, run.data)}` : ''
  return { title, detail: `${capital(listed(said))}, the largest first.${kept}` }
}

function keptWords(fate: Fate[], kvHead: number, data: RunData): string {
  const { kept, merged, dropped } = byFate(fate)
  return `Its kv head ${kvHead} holds ${plainNumber(kept)} of ${counted(data.tokens.length, 'token')} on their own, ${plainNumber(merged)} merged and ${plainNumber(dropped)} dropped.`
}

const capital = (words: string) => words.slice(0, 1).toUpperCase() + words.slice(1)
const valueWords = ({ value, unit }: Row) => `${shortNumber(value)}${unitAfter(unit)}`
const placeWords = ({ place, count }: Row) => `${ordinal(place)} of ${plainNumber(count)}`
const binWords = ({ from, to }: HeadDistances['bins'][number]) =>
  from === to ? plainNumber(from) : `${plainNumber(from)}–${plainNumber(to)}`

function columnsOf({ rows, distances }: Passport) {
  const far = distances?.bins.map((bin, i) => ({
    name: `attention from ${bin.from} to ${bin.to} back`,
    unit: 'share',
    value: distances.own[i],
    place: null,
    count: null,
    median: distances.median[i],
  }))
  const all = [...rows.map((row) => ({ ...row, median: medianOf(row.all) })), ...(far ?? [])]
  return {
    measure: all.map(({ name }) => name),
    unit: all.map(({ unit }) => unit),
    value: all.map(({ value }) => value),
    place: all.map(({ place }) => place),
    of: all.map(({ count }) => count),
    median: all.map(({ median }) => median),
  }
}

function picture(passport: Passport, words: { title: string; detail: string }, style: Style): Plot {
  const { rows, distances, run, model } = passport
  const narrow = style.size === 'column'
  const around: { panel: Panel; height: number; last?: boolean }[] = [
    ...(distances ? [{ panel: distancePanel(distances, style), height: narrow ? 80 : 110 }] : []),
    ...(run ? [{ panel: keptPanel(run, style), height: narrow ? 26 : 34, last: true }] : []),
  ]
  const legend: LegendEntry[] = [
    { label: 'this head', swatch: 'diamond', color: 'dropped' },
    { label: 'all heads', swatch: 'tick', color: 'muted' },
    ...(distances ? [{ label: 'median of all', swatch: 'dash' as const, color: 'ink' as const }] : []),
    ...(run ? FATES.filter((fate) => run.fate.includes(fate)).map((fate) => LOOKS[fate]) : []),
  ]
  const saidOf = (shown: number) => ({
    ...words,
    subject: run ? subjectWords(run.data) : model,
    notes: [
      'Measures go from the least of all heads to the largest; in equal factors where marked ×.',
      ...(shown < rows.length ? [`${plainNumber(rows.length - shown)} more measures have no room here.`] : []),
    ],
    legend,
    arrangement: 'rows' as const,
  })
  const panelsOf = (shown: number) => [
    ...around.filter(({ last }) => !last).map(({ panel }) => panel),
    measuresPanel(rows.slice(0, shown), style),
    ...around.filter(({ last }) => last).map(({ panel }) => panel),
  ]
  const high = style.small * ROW
  const others = around.reduce((sum, { height }) => sum + height, 0)
  const roomOf = (shown: number) => bodyOf(saidOf(shown), style) - rowsRoom(panelsOf(shown), style)
  // On a slide, as many as leave the others half of it.
  const fits = style.height ? Math.floor(((around.length ? 0.55 : 1) * roomOf(0)) / high) : rows.length
  const shown = Math.max(1, Math.min(rows.length, fits))
  const panels = panelsOf(shown)
  const room = style.height ? roomOf(shown) : others + shown * high
  const measures = around.length ? Math.min(room, shown * high) : room
  panels[panels.length - 1 - around.filter(({ last }) => last).length].share = measures
  for (const { panel, height } of around) panel.share = ((room - measures) * height) / others
  return { ...saidOf(shown), panels, body: room + rowsRoom(panels, style) }
}

function distancePanel({ bins, own, median }: NonNullable<Passport['distances']>, style: Style): Panel {
  const narrow = style.size === 'column'
  const most = 1.08 * Math.max(...own, ...median)
  const boxes = noBoxes('this head', 'dropped')
  own.forEach((share, bin) =>
    addBox(
      boxes,
      [bin + 0.1, bin + 0.9, 0, share],
      `${binWords(bins[bin])} tokens back\n${percent(share)} of its attention`,
    ),
  )
  const line = {
    kind: 'line' as const,
    name: 'median of all',
    x: median.flatMap((_, bin) => [bin, bin + 1]),
    y: median.flatMap((share) => [share, share]),
  }
  return {
    title: narrow ? 'attention by distance' : 'where it looks: share of its attention by distance',
    share: 1,
    x: {
      label: narrow ? 'tokens back' : 'tokens between the query and who it looks at',
      range: [0, bins.length],
      ticks: bins.map((bin, i) => ({ at: i + 0.5, text: binWords(bin) })),
    },
    y: { range: [0, most], ticks: [0, Math.max(...own)].map((at) => ({ at, text: percent(at) })) },
    marks: [
      boxes,
      { ...line, color: 'paper', width: style.text / 4 },
      { ...line, color: 'ink', width: style.text / 9, dash: true },
    ],
  }
}

/** Beside the dots: the value and its place. */
const WORDS_FROM = 1.03
/** From one measure to the next, in heights of their words. */
const ROW = 1.45

function measuresPanel(rows: readonly Row[], style: Style): Panel {
  const narrow = style.size === 'column'
  const all = {
    kind: 'points' as const,
    name: 'all heads',
    color: 'muted' as const,
    shape: 'tick' as const,
    x: [] as number[],
    y: [] as number[],
  }
  const own = {
    ...all,
    name: 'this head',
    color: 'dropped' as const,
    shape: 'diamond' as const,
    x: [] as number[],
    y: [] as number[],
    hover: [] as string[],
  }
  const words: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start' }
  const ticks = rows.map((row, i) => {
    const scale = shadeScale(row.all)
    for (const at of new Set(Array.from(row.all, (value) => Math.round(400 * scale.at(value)) / 400))) {
      if (Number.isNaN(at)) continue
      all.x.push(at)
      all.y.push(i + 0.5)
    }
    own.x.push(scale.at(row.value))
    own.y.push(i + 0.5)
    own.hover.push(`${row.name} ${valueWords(row)}\n${placeWords(row)}, the largest first`)
    words.x.push(WORDS_FROM)
    words.y.push(i + 0.5)
    words.text.push(narrow ? shortNumber(row.value) : `${valueWords(row)} · ${placeWords(row)}`)
    const name = shortened(row.name, (narrow ? 0.38 : 0.22) * style.width, { size: style.small })
    return { at: i + 0.5, text: scale.logarithmic ? `${name} ×` : name }
  })
  return {
    title: narrow ? 'among all heads' : 'its measures among those of all heads, from the least to the largest',
    share: 1,
    x: { range: [-0.02, wordsEnd(words.text, ticks, style)], ticks: 'none' },
    y: { range: [rows.length, 0], ticks },
    marks: [{ ...all, diameter: style.small * 0.62 }, { ...own, diameter: style.small * 0.85 }, words],
  }
}

/** Where the longest of the words beside the dots ends, if 0 to 1 is as wide as what it leaves. */
function wordsEnd(texts: readonly string[], ticks: readonly { text: string }[], style: Style): number {
  const most = (all: readonly string[]) => Math.max(...all.map((text) => textWidth(text, { size: style.text })))
  const inner = style.width - 2 * style.margin - most(ticks.map(({ text }) => text)) - endRoom(style)
  const words = Math.min(most(texts), 0.6 * inner)
  return WORDS_FROM + (WORDS_FROM * words) / (inner - words)
}

const FATES: readonly Fate[] = ['kept', 'merged', 'dropped']
const LOOKS: Record<Fate, LegendEntry> = {
  kept: { label: 'kept on its own', swatch: 'box', color: 'held' },
  merged: { label: 'merged', swatch: 'box', color: 'residual' },
  dropped: { label: 'dropped', swatch: 'box', color: 'faint' },
}

function keptPanel({ data, fate }: NonNullable<Passport['run']>, style: Style): Panel {
  const marks = FATES.toReversed().flatMap((one): Boxes[] => {
    const positions = fate.flatMap((each, position) => (each === one ? [position] : []))
    if (!positions.length) return []
    const boxes = noBoxes(LOOKS[one].label, LOOKS[one].color, { seamless: true, leastWidth: one === 'kept' ? 1 : 0 })
    for (const { from, to } of stretches(positions, 0))
      addBox(boxes, [from, to, 0, 1], `positions ${plainNumber(from)} to ${plainNumber(to - 1)}: ${LOOKS[one].label}`)
    return [boxes]
  })
  return {
    title: 'what its kv head kept of the text',
    share: 1,
    x: textAxis(data, style),
    y: { range: [0, 1], ticks: 'none' },
    marks,
  }
}
