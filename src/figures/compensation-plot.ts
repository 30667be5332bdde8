/** How compensation is drawn: masses beside each other, their ratio by step, how far off each α is, and what a slider moves. */
import type { HeadCompensation } from '../inspect/compensation.js'
import { addBox, noBoxes } from './marks.js'
import type { Axis, Mark, Panel, Plot, Points, Slider } from './plot.js'
import { counted, plainNumber, shortNumber } from './scale.js'
import type { Style } from './style.js'
import { spreadOf, type Spread } from './survival-spread.js'

/** Exponents that the slider and the misfit go through. */
const ALPHAS = Array.from({ length: 21 }, (_, i) => i / 10)
/** More pairs than this are drawn one in so many. */
const MOST_POINTS = 1200
/** Classes of weight: each is a size. */
const CLASSES = 4

export interface Pairs {
  of: HeadCompensation
  /** Rows of merged slots. */
  rows: number[]
  /** ln w, by row of the columns. */
  lnWeight: Float64Array
}

/** ln(slot's mass / its members') under `alpha`; undefined: the run's own. */
export const logRatio = ({ of: { columns }, lnWeight }: Pairs, row: number, alpha: number | undefined) =>
  columns.massLogRatio[row] + (alpha === undefined ? 0 : alpha * lnWeight[row] - columns.bias[row])

/** Of the slot, in units of all mass with nothing removed. */
export const massOf = (pairs: Pairs, row: number, alpha: number | undefined) =>
  pairs.of.columns.membersProb[row] * Math.exp(logRatio(pairs, row, alpha))

/** Root mean square of the log-ratio. */
export function misfit(pairs: Pairs, alpha: number): number {
  const sum = pairs.rows.reduce((all, row) => all + logRatio(pairs, row, alpha) ** 2, 0)
  return Math.sqrt(sum / pairs.rows.length)
}

export function picture(pairs: Pairs, words: { title: string; detail: string }, style: Style): Plot {
  // A slide has room beside, not below.
  const narrow = style.size !== 'wide'
  const { of } = pairs
  const every = Math.ceil(pairs.rows.length / MOST_POINTS)
  const drawn = pairs.rows.filter((_, i) => i % every === 0)
  const classes = classesOf(pairs, drawn)
  const scatter = scatterPanel(pairs, drawn, classes, style)
  const sizes = classes.map(({ least, most }) =>
    least === most ? plainNumber(least) : `${plainNumber(least)} to ${plainNumber(most)}`,
  )
  return {
    ...words,
    subject: `${counted(of.group, 'query head')} of layer ${of.layer}, kv head ${of.kvHead} · ${counted(of.reads, 'step')}`,
    notes: [
      `Dots from small to large: w = ${sizes.join(', ')} tokens.${every > 1 ? ` Drawn: one pair in ${every}.` : ''} Mass is a share of all attention with nothing removed.`,
    ],
    legend: [
      { label: narrow ? 'query and slot' : 'a query and a merged slot', swatch: 'dot', color: 'residual' },
      { label: narrow ? 'equal' : 'as much as its members', swatch: 'dash', color: 'ink' },
      { label: narrow ? '80%' : 'middle 80%', swatch: 'box', color: 'spare' },
      { label: narrow ? 'this α' : "the run's α", swatch: 'line', color: 'recent' },
      { label: narrow ? 'fits' : 'α that fits, 95%', swatch: 'dash', color: 'bookkeeping' },
    ],
    arrangement: style.size === 'talk' ? 'columns' : 'rows',
    panels: [scatter, stepsPanel(pairs, narrow), misfitPanel(pairs, narrow)],
    body: narrow ? 460 : 520,
    slider: sliderOf(pairs, classes, scatter),
  }
}

interface Class {
  least: number
  most: number
  rows: number[]
}

/** By weight, in classes of equal width on a logarithmic scale; empty ones left out. */
function classesOf({ of, lnWeight }: Pairs, rows: number[]): Class[] {
  const logs = rows.map((row) => lnWeight[row])
  const [low, high] = logs.reduce(([a, b], ln) => [Math.min(a, ln), Math.max(b, ln)], [Infinity, -Infinity])
  const made = Array.from({ length: CLASSES }, (): Class => ({ least: Infinity, most: 0, rows: [] }))
  rows.forEach((row, i) => {
    const share = high > low ? (logs[i] - low) / (high - low) : 0
    const own = made[Math.min(CLASSES - 1, Math.floor(share * CLASSES))]
    const weight = of.columns.weight[row]
    own.rows.push(row)
    own.least = Math.min(own.least, weight)
    own.most = Math.max(own.most, weight)
  })
  return made.filter((each) => each.rows.length)
}

/** Below this a mass is drawn at the axis. */
const FLOOR = 1e-8
const shown = (mass: number) => Math.min(1e3, Math.max(FLOOR, mass))

function scatterPanel(pairs: Pairs, drawn: number[], classes: Class[], style: Style): Panel {
  const { columns, alpha } = pairs.of
  const members = drawn.map((row) => shown(columns.membersProb[row]))
  // Room for no compensation and for one that counts tokens; the slider's other α may come to lie on the edge.
  const slots = [...new Set([0, 1, alpha])].flatMap((each) => drawn.map((row) => shown(massOf(pairs, row, each))))
  const x = logAxis(style.size !== 'wide' ? 'mass of members' : 'mass that its members would have had', members)
  const y = logAxis('mass of the slot', slots)
  const equal = [Math.max(x.range[0], y.range[0]), Math.min(x.range[1], y.range[1])]
  const points = classes.map(({ rows }, i): Points => ({
    kind: 'points',
    name: 'a query and a merged slot',
    color: 'residual',
    shape: 'dot',
    diameter: style.text * (0.22 + 0.16 * i),
    x: rows.map((row) => shown(columns.membersProb[row])),
    y: rows.map((row) => shown(massOf(pairs, row, undefined))),
    hover: rows.map((row) => hoverOf(pairs, row)),
  }))
  return {
    title: `mass of merged slots at α = ${plainNumber(alpha, 2)}`,
    share: 1.5,
    x,
    y,
    marks: [
      ...points,
      { kind: 'line', name: 'as much as its members', color: 'ink', dash: true, width: 1.2, x: equal, y: equal },
    ],
  }
}

/** From the power of ten below the least to that above the greatest. */
function logAxis(label: string, masses: number[]): Axis {
  const [least, most] = masses.reduce(([a, b], mass) => [Math.min(a, mass), Math.max(b, mass)], [Infinity, 0])
  const low = 10 ** Math.floor(Math.log10(least) - 0.01)
  return { label, range: [low, Math.max(low * 10, 10 ** Math.ceil(Math.log10(most) + 0.01))], scale: 'log', grid: true }
}

function hoverOf({ of: { columns } }: Pairs, row: number): string {
  const { step, position, head, slot, weight, membersProb, massLogRatio } = columns
  return `step ${step[row]}, query at ${position[row]}, query head ${head[row]}\nslot ${slot[row]}, w = ${weight[row]}\nmembers ${shortNumber(membersProb[row])}, slot ${shortNumber(Math.exp(massLogRatio[row]))} times that`
}

/** Steps are put together to at most so many. */
const BINS = 120

function stepsPanel(pairs: Pairs, narrow: boolean): Panel {
  const { step } = pairs.of.columns
  const steps = [...new Set(pairs.rows.map((row) => step[row]))].sort((a, b) => a - b)
  const size = Math.ceil(steps.length / BINS)
  const binOf = new Map(steps.map((each, i) => [each, Math.floor(i / size)]))
  const values = Array.from({ length: Math.ceil(steps.length / size) }, (): number[] => [])
  for (const row of pairs.rows) values[binOf.get(step[row])!].push(logRatio(pairs, row, undefined))
  const bins = values.map((own, i): Spread & { from: number; to: number } => {
    const last = Math.min(steps.length, (i + 1) * size) - 1
    return { from: steps[i * size], to: steps[last] + 1, ...spreadOf(own) }
  })
  const band = noBoxes('middle 80%', 'spare')
  const mean = noBoxes('mean', 'recent')
  const ends = bins.flatMap(({ low, high }) => [low, high, 0])
  const [least, most] = [Math.min(...ends), Math.max(...ends)]
  const room = Math.max(0.1, most - least) * 0.08
  for (const bin of bins) {
    const said = `steps ${bin.from} to ${bin.to - 1}\nmean ${shortNumber(bin.mean)}, middle 80% ${shortNumber(bin.low)} to ${shortNumber(bin.high)}`
    addBox(band, [bin.from, bin.to, bin.low, bin.high], said)
    addBox(mean, [bin.from, bin.to, bin.mean - room / 8, bin.mean + room / 8], said)
  }
  const [from, to] = [steps[0], steps[steps.length - 1] + 1]
  return {
    title: narrow
      ? 'ln of slot ÷ members, by step'
      : 'ln of the slot’s mass over its members’, by step (above 0: too much)',
    share: 1,
    x: { label: 'step', range: [from, to], whole: true },
    y: { label: 'nats', range: [least - room, most + room], grid: true },
    marks: [
      band,
      mean,
      { kind: 'line', name: 'as much as its members', color: 'ink', dash: true, width: 1.2, x: [from, to], y: [0, 0] },
    ],
  }
}

function misfitPanel(pairs: Pairs, narrow: boolean): Panel {
  const { alpha, fitted } = pairs.of
  const interval = fitted!.interval
  const off = ALPHAS.map((each) => misfit(pairs, each))
  const top = Math.max(...off) * 1.08 || 1
  const edges = [0, 2, alpha, fitted!.alpha, interval?.low ?? 0, interval?.high ?? 0]
  const range: [number, number] = [Math.min(...edges), Math.max(...edges)]
  const upright = (name: string, at: number, color: 'recent' | 'bookkeeping', dash: boolean): Mark => ({
    ...{ kind: 'line', name, color, dash, width: 2, x: [at, at], y: [0, top] },
    hover: [`${name}: ${plainNumber(at, 3)}`, `${name}: ${plainNumber(at, 3)}`],
  })
  const marks: Mark[] = []
  if (interval) {
    const band = noBoxes('95% of the α that fits', 'bookkeeping', { opacity: 0.3, leastWidth: 1 })
    addBox(
      band,
      [interval.low, interval.high, 0, top],
      `95%: ${plainNumber(interval.low, 3)} to ${plainNumber(interval.high, 3)}`,
    )
    marks.push(band)
  }
  marks.push(
    {
      kind: 'line',
      name: 'off by',
      color: 'ink',
      width: 1.5,
      x: ALPHAS,
      y: off,
      hover: off.map((nats, i) => `α = ${ALPHAS[i]}: off by ${shortNumber(nats)} nats`),
    },
    upright('α that fits', fitted!.alpha, 'bookkeeping', true),
    upright("the run's α", alpha, 'recent', false),
  )
  return {
    title: narrow ? 'how far off each α is' : 'how far off each α would be (root mean square)',
    share: 0.8,
    x: { label: 'α', range },
    y: { label: 'nats', range: [0, top], grid: true },
    marks,
  }
}

/** The scatter under each α: no model is needed, since α only moves slots by (α′ − α)·ln w. */
function sliderOf(pairs: Pairs, classes: Class[], { marks, y }: Panel): Slider {
  const { alpha } = pairs.of
  const alphas = [...new Set([...ALPHAS, alpha])].sort((a, b) => a - b)
  return {
    label: 'α = ',
    active: alphas.indexOf(alpha),
    steps: alphas.map((each) => ({
      text: plainNumber(each, 2),
      y: classes.map(({ rows }) =>
        rows.map((row) => Math.min(y.range[1], Math.max(y.range[0], massOf(pairs, row, each)))),
      ),
    })),
    marks: marks.slice(0, classes.length),
  }
}
