/** Judge: damage by ever more heads of each measure's order, and the areas under these curves beside each other. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import { addBox, addInterval, noBoxes } from './marks.js'
import type { LegendEntry, Line, Mark, Panel, Plot, Shape } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { ends, listed, shortModel, type Interval } from './words.js'

export interface JudgeFigureOptions extends StyleOptions {
  /** Measures whose curves stand out, up to three; default those with the least and with the largest area. */
  by?: string | readonly string[]
}

interface JudgedData {
  name: string
  curve: readonly { taken: number; share: number; kl: Interval }[]
  area: { kl: Interval }
  overBest: Interval | null
  overRandom: Interval | null
}

/** What importance.judge() gives. */
export interface JudgementData {
  measures: Readonly<Record<string, JudgedData>>
  random: JudgedData
  best: string
  facts: {
    take: 'ablate' | 'compress'
    budget: number | null
    policy: string | null
    heads: 'query' | 'kv'
    count: number
    rows: number
    sameTexts: boolean
    texts: readonly { tokens: number }[]
    seeds: readonly number[]
    card: { model: { name: string } }
  }
  table(): Record<string, (string | number | boolean | null)[]>
}

/** In grey, shapes tell them apart. */
const STANDING_OUT: { color: Fill; shape: Shape }[] = [
  { color: 'calm', shape: 'dot' },
  { color: 'flip', shape: 'triangle' },
  { color: 'residual1', shape: 'diamond' },
]
/** Below it a damage is rounding, and a logarithmic axis has to end somewhere. */
const FLOOR = 1e-6

/**
 * What importance.judge() found: KL by the share of heads that are taken, the least important first (a band is the interval over texts; the random
 * orders' mean is dashed), and each order's area under it with its interval, the least first. `data`: the judgement's table. Errors: 'invalid' for
 * something else, and for a measure that was not judged.
 */
export function judge(judgement: JudgementData, options: JudgeFigureOptions = {}): Figure {
  const style = styleOptions('judge', options, ['by'])
  if (typeof judgement !== 'object' || judgement === null || !('best' in judgement) || !('random' in judgement))
    throw invalid('judgement', 'a result of importance.judge()', judgement, 'await it: judge(await importance.judge())')
  const ranked = [...Object.values(judgement.measures)].sort((a, b) => a.area.kl.mean - b.area.kl.mean)
  const chosen = chosenOf(options.by, ranked)
  const words = wordsOf(judgement, ranked)
  const plot = (given: Style): Plot => ({ ...words, ...picture(judgement, ranked, chosen, given) })
  const columns = () => judgement.table()
  return new Figure(
    { call: ['judge', judgement, options], summary: `${words.title}. ${words.detail}`, columns, plot },
    style,
  )
}

function chosenOf(by: JudgeFigureOptions['by'], ranked: JudgedData[]): JudgedData[] {
  if (by === undefined) return ranked.length > 1 ? [ranked[0], ranked[ranked.length - 1]] : ranked
  const names: unknown[] = typeof by === 'string' ? [by] : Array.isArray(by) ? by : []
  const most = STANDING_OUT.length
  if (!names.length || names.length > most) throw invalid('by', `names of one to ${most} measures`, by)
  return Array.from(new Set(names), (name) => {
    const found = ranked.find((one) => one.name === name)
    if (!found) throw invalid('by', `one of ${ranked.map((one) => one.name).join(', ')}`, name)
    return found
  })
}

const apart = ({ low, high }: Interval) => low !== null && high !== null && (low > 0 || high < 0)

/** The first of many. */
const some = (names: readonly string[]) =>
  listed(names.length > 7 ? [...names.slice(0, 6), `${plainNumber(names.length - 6)} more`] : names)

function wordsOf({ random, best, facts }: JudgementData, ranked: JudgedData[]): { title: string; detail: string } {
  const first = ranked.find(({ name }) => name === best)!
  const least = first.area.kl.mean < random.area.kl.mean
  const others = ranked.filter(({ name }) => name !== best)
  const like = others.filter(({ overBest }) => overBest && !apart(overBest)).map(({ name }) => name)
  const known = first.area.kl.low !== null
  const worse = ranked.filter(({ overRandom }) => overRandom && apart(overRandom) && overRandom.mean > 0)
  const done = facts.take === 'ablate' ? 'zeroed' : 'compressed'
  const tied = !others.length
    ? ''
    : like.length
      ? ` Not to be told from it on these texts: ${some(like)}.`
      : ' All other measures do more.'
  const wrong = worse.length ? ` Worse than random: ${some(worse.map(({ name }) => name))}.` : ''
  return {
    title: least
      ? `${best}: its order of ${facts.heads} heads does least damage when they are ${done}`
      : `No measure’s order of ${facts.heads} heads does less damage than a random one when they are ${done}`,
    detail:
      `Area under KL over the share of heads, up to ${percent(first.curve[first.curve.length - 1].share)}: ${best} ${shortNumber(first.area.kl.mean)}${ends(first.area.kl)} nats, random ${shortNumber(random.area.kl.mean)}${ends(random.area.kl)}` +
      `${first.overRandom ? `, difference ${shortNumber(first.overRandom.mean)}${ends(first.overRandom)}` : ''}.` +
      (known ? `${tied}${wrong}` : ' Too few texts for intervals: at least 6 are needed.'),
  }
}

function picture(judgement: JudgementData, ranked: JudgedData[], chosen: JudgedData[], style: Style) {
  const { facts } = judgement
  const narrow = style.size === 'column'
  const tokens = facts.texts.map((text) => text.tokens)
  const [least, most] = [Math.min(...tokens), Math.max(...tokens)]
  const size =
    facts.budget === null
      ? ''
      : facts.budget < 1
        ? percent(facts.budget) + ' of the prompt'
        : counted(facts.budget, 'slot')
  const texts = `${counted(facts.texts.length, 'text')} of ${least === most ? most : `${least} to ${most}`} tokens${facts.sameTexts ? ', the ones that were measured on' : ', not the ones that were measured on'}`
  const legend: LegendEntry[] = chosen.map(({ name }, i) => ({
    label: shortened(name, 0.6 * style.width, { size: style.text }),
    swatch: STANDING_OUT[i].shape,
    color: STANDING_OUT[i].color,
  }))
  legend.push({
    label: narrow ? 'random' : `mean of ${counted(facts.seeds.length, 'random order')}`,
    swatch: 'dash',
    color: 'ink',
  })
  if (ranked.length > chosen.length) legend.push({ label: 'others', swatch: 'line', color: 'muted' })
  return {
    subject: `${shortModel(facts.card.model.name)} · ${texts}, last ${facts.rows} rows`,
    notes: [
      `${facts.take === 'ablate' ? 'Outputs of heads are set to zero' : `Caches of heads are made ${size}, the others keep all`}, the least important of ${counted(facts.count, `${facts.heads} head`)} first. Bands and bars: 95% over texts.`,
    ],
    legend,
    arrangement: narrow ? ('rows' as const) : ('columns' as const),
    panels: [curvesPanel(judgement, ranked, chosen, style), areasPanel(judgement, ranked, chosen, style)],
    body: narrow ? 200 + areaRows(ranked) * 14 : Math.max(280, 70 + areaRows(ranked) * 17),
  }
}

const areaRows = (ranked: JudgedData[]) => ranked.length + 1

function curvesPanel({ random }: JudgementData, ranked: JudgedData[], chosen: JudgedData[], style: Style): Panel {
  const drawn = [...ranked, random]
  const values = drawn.flatMap(({ curve }) => curve.map(({ kl }) => kl.mean)).filter((kl) => kl > FLOOR)
  const low = 10 ** Math.floor(Math.log10(values.length ? Math.min(...values) : 1e-4) + 0.15)
  const high = Math.max(
    low * 10,
    1.25 * Math.max(...drawn.flatMap(({ curve }) => curve.map(({ kl }) => kl.high ?? kl.mean))),
  )
  const clipped = (kl: number) => Math.min(high, Math.max(low, kl))
  const shares = random.curve.map(({ share }) => share)
  const line = (one: JudgedData, color: Fill, width: number, dash = false): Line => ({
    kind: 'line',
    name: one.name,
    color,
    width,
    dash,
    x: shares,
    y: one.curve.map(({ kl }) => clipped(kl.mean)),
    hover: one.curve.map((point) => hoverOf(one.name, point)),
  })
  const width = style.text / 9
  const marks: Mark[] = chosen.map((one, i) => band(one, STANDING_OUT[i].color, clipped))
  for (const one of ranked) if (!chosen.includes(one)) marks.push(line(one, 'muted', width * 0.6))
  marks.push(line(random, 'ink', width, true))
  chosen.forEach((one, i) => {
    const { color, shape } = STANDING_OUT[i]
    const { x, y, hover } = line(one, color, width)
    marks.push(line(one, color, width * 1.3), {
      kind: 'points',
      name: one.name,
      color,
      shape,
      x,
      y,
      hover,
      diameter: style.text * 0.6,
    })
  })
  const [first, last] = [shares[0], shares[shares.length - 1]]
  const edge = (last - first || last) * 0.04
  return {
    title: 'damage by heads taken',
    share: style.size === 'column' ? 1 : 1.15,
    x: {
      label: 'share of heads',
      range: [first - edge, last + edge],
      ticks: shares.map((at) => ({ at, text: percent(at) })),
    },
    y: { label: 'KL, nats a token', range: [low, high], scale: 'log', grid: true },
    marks,
  }
}

const hoverOf = (name: string, { taken, share, kl }: JudgedData['curve'][number]) =>
  `${name}: ${counted(taken, 'head')} (${percent(share)})\n${shortNumber(kl.mean)}${ends(kl)} nats`

/** Between the points straight; on a logarithmic axis in steps fine enough to look so. */
function band({ name, curve }: JudgedData, color: Fill, clipped: (kl: number) => number) {
  const boxes = noBoxes(`95% of ${name}`, color, { opacity: 0.22 })
  const STEPS = 24
  const at = (end: 'low' | 'high', i: number, part: number) => {
    const [a, b] = [curve[i].kl[end], curve[i + 1].kl[end]].map((value) => Math.log(clipped(value!)))
    return Math.exp(a + (b - a) * part)
  }
  for (let i = 0; i + 1 < curve.length; i++) {
    if ([curve[i], curve[i + 1]].some(({ kl }) => kl.low === null || kl.high === null)) continue
    const step = (curve[i + 1].share - curve[i].share) / STEPS
    for (let j = 0; j < STEPS; j++) {
      const [low, high] = [at('low', i, (j + 0.5) / STEPS), at('high', i, (j + 0.5) / STEPS)]
      const from = curve[i].share + j * step
      if (high > low) addBox(boxes, [from, from + step, low, high], hoverOf(name, curve[j < STEPS / 2 ? i : i + 1]))
    }
  }
  return boxes
}

function areasPanel({ random }: JudgementData, ranked: JudgedData[], chosen: JudgedData[], style: Style): Panel {
  const rows = [...ranked, random].sort((a, b) => a.area.kl.mean - b.area.kl.mean)
  const narrow = style.size === 'column'
  const most = Math.max(...rows.map(({ area: { kl } }) => kl.high ?? kl.mean))
  const least = Math.min(0, ...rows.map(({ area: { kl } }) => kl.low ?? kl.mean))
  const marks: Mark[] = []
  const reference = random.area.kl.mean
  marks.push({
    kind: 'line',
    name: 'random',
    color: 'muted',
    dash: true,
    width: 1,
    x: [reference, reference],
    y: [-0.5, rows.length - 0.5],
  })
  rows.forEach((one, row) => {
    const at = chosen.indexOf(one)
    const [color, shape]: [Fill, Shape] =
      at >= 0 ? [STANDING_OUT[at].color, STANDING_OUT[at].shape] : [one === random ? 'ink' : 'muted', 'dot']
    const said = `${one.name}: ${shortNumber(one.area.kl.mean)}${ends(one.area.kl)} nats`
    addInterval(marks, { name: one.name, color, shape, interval: one.area.kl, row, said }, style)
  })
  const edge = (most - least || 1) * 0.05
  // Half of the panel at most, which beside another one has half of the width.
  const room = (narrow ? 0.4 : 0.22) * style.width
  return {
    title: narrow ? 'area under it' : 'area under the curve',
    share: 1,
    x: { label: 'nats a token × share of heads', range: [least - (least < 0 ? edge : 0), most + edge] },
    y: {
      range: [rows.length - 0.5, -0.5],
      ticks: rows.map(({ name }, at) => ({ at, text: shortened(name, room, { size: style.small }) })),
    },
    marks,
  }
}
