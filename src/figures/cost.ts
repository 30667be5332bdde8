/** Cost: a step's time by operation and length, under the full cache and under a policy, and how much faster that is beside what bytes would allow. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import { addBar, addBox, extentOf, noBoxes } from './marks.js'
import type { LegendEntry, Mark, Panel, Plot, Shape, Tick } from './plot.js'
import { counted, plainNumber, rangeOf, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { ends, listed, shortModel, type Interval } from './words.js'

interface CacheData {
  parts: readonly { part: string; about: string; step: Interval }[]
  step: Interval
  bytes: number
}

interface CostAtData {
  length: number
  full: CacheData
  policy: CacheData
  upkeep: Interval | null
  gain: Interval
  gainByBytes: number
  promptMore: Interval | null
  tokens: number | null
}

/** What measureCost() gives. */
export interface CostData {
  facts: { name: string; policy: string; storage: string; steps: number; turns: number }
  lengths: readonly CostAtData[]
  breakEven: { length: Interval | null; turns: { always: number; crossing: number; never: number } }
  cards: readonly { model: { name: string }; cpu: { isa: string }; threads: number; device: { kind: string } }[]
  table(): Record<string, (string | number | null)[]>
}

/** In grey from light to dark, in the order in which they stand. */
const PARTS: Readonly<Record<string, { label: string; color: Fill }>> = {
  model: { label: 'model', color: 'spare' },
  attention: { label: 'attention', color: 'queries' },
  scores: { label: 'scores', color: 'residual' },
  choice: { label: 'choice', color: 'bookkeeping' },
  search: { label: 'similarity', color: 'flip' },
  merge: { label: 'merge', color: 'context' },
  policy: { label: 'attention and policy', color: 'residual' },
}
const MIB = 1024 * 1024

/**
 * What measureCost() found: for each length a step of the full cache (f) and of the policy (p), made up of its operations, with the interval of the whole; below,
 * the full cache's step over the policy's, beside what bytes alone would allow and where it pays. `data`: a row for each part. Errors: 'invalid' for
 * something else.
 */
export function cost(found: CostData, options: StyleOptions = {}): Figure {
  const style = styleOptions('cost', options, [])
  if (typeof found !== 'object' || found === null || !('breakEven' in found) || !('lengths' in found))
    throw invalid(
      'cost',
      'a result of measureCost()',
      found,
      'await it: figures.cost(await measureCost(model, { policy }))',
    )
  const words = wordsOf(found)
  const plot = (given: Style): Plot => ({ ...words, ...picture(found, given) })
  return new Figure(
    { call: ['cost', found, options], summary: `${words.title}. ${words.detail}`, columns: () => found.table(), plot },
    style,
  )
}

const mib = (bytes: number) => `${shortNumber(bytes / MIB)} MiB`
const tokens = (value: number) => plainNumber(Math.round(value))

function paysWords({ breakEven: { length, turns }, lengths }: CostData): string {
  const [first, last] = [lengths[0].length, lengths[lengths.length - 1].length]
  const all = turns.always + turns.crossing + turns.never
  const pays = lengths.find(({ gainByBytes }) => gainByBytes > 1)
  const bytes = pays
    ? `by bytes alone ${pays.length === first ? 'at every length' : `from ${plainNumber(pays.length)} on`}`
    : 'by bytes alone at none'
  if (length) return `A step is faster from ${tokens(length.mean)}${ends(length, tokens)} tokens on, ${bytes}.`
  if (turns.always === all) return `A step is faster at every length, from ${plainNumber(first)} tokens on, ${bytes}.`
  if (turns.never === all) return `At ${plainNumber(last)} tokens a step is not faster yet, ${bytes}.`
  return `From which length on a step is faster cannot be told: of ${counted(all, 'turn')} ${plainNumber(turns.always)} are at every length, ${plainNumber(turns.crossing)} from between two, ${plainNumber(turns.never)} not at ${plainNumber(last)} tokens (${bytes}).`
}

function promptWords({ mean, low, high }: Interval, after: number | null): string {
  const inSeconds = (ms: number) => shortNumber(ms / 1000)
  const seconds = `${inSeconds(mean)}${ends({ low, high }, inSeconds)} s`
  if (low !== null && high !== null && low <= 0 && high >= 0)
    return `That its prompt takes longer is not to be told from nothing: ${seconds}.`
  if (mean < 0) return `Its prompt takes less, ${seconds}, so there is nothing to make up for.`
  return `Its prompt takes ${seconds} more, ${after === null ? 'which no step makes up for' : `made up for after ${counted(after, 'token')}`}.`
}

function wordsOf(found: CostData): { title: string; detail: string } {
  const { facts, lengths } = found
  const { length, full, policy, upkeep, gain, gainByBytes, promptMore, tokens: after } = lengths[lengths.length - 1]
  const own = policy.parts.filter(({ part }) => part !== 'model')
  const said = own.map(({ part, step }) => `${PARTS[part].label} ${shortNumber(step.mean)}${ends(step)}`)
  return {
    title: `${facts.name} at ${counted(length, 'token')}: a step is ${shortNumber(gain.mean)}${ends(gain)} times as fast as the full cache’s`,
    detail:
      `${shortNumber(policy.step.mean)} ms for ${shortNumber(full.step.mean)}; bytes alone (${mib(policy.bytes)} for ${mib(full.bytes)}) would allow ${shortNumber(gainByBytes)} times. ` +
      `Of it, ms: ${listed(said)}${upkeep ? `; beyond attention ${shortNumber(upkeep.mean)}${ends(upkeep)} of ${shortNumber(policy.step.mean)}` : ''}. ${paysWords(found)}${promptMore ? ` ${promptWords(promptMore, after)}` : ''}`,
  }
}

function picture(found: CostData, style: Style) {
  const { facts, lengths, cards } = found
  const used = Object.keys(PARTS).filter((part) =>
    lengths.some(({ full, policy }) => [...full.parts, ...policy.parts].some((one) => one.part === part)),
  )
  const legend: LegendEntry[] = [
    ...used.map((part): LegendEntry => ({ label: PARTS[part].label, color: PARTS[part].color, swatch: 'box' })),
    { label: 'measured', color: 'calm', swatch: 'dot' },
    { label: 'by bytes alone', color: 'ink', swatch: 'dash' },
  ]
  if (found.breakEven.length) legend.push({ label: 'break-even', color: 'muted', swatch: 'line' })
  const [card] = cards
  const machine = card
    ? `${shortModel(card.model.name)} · ${card.device.kind === 'cpu' ? card.cpu.isa : card.device.kind}, ${counted(card.threads, 'thread')} · `
    : ''
  const few = lengths.some(({ gain }) => gain.low === null)
  return {
    subject: `${machine}${facts.name}, cache ${facts.storage}`,
    notes: [
      `${style.height ? `Left: full cache, right: ${facts.name}` : `f: full cache, p: ${facts.name}`}. Parts are differences of runs side by side with and without them${negative(found) ? '; those that came out below 0, which is noise, are not drawn' : ''}. Bars: 95% intervals over ${counted(facts.turns, 'turn')}, each the fastest of ${counted(facts.steps, 'step')}${few ? '; none of fewer than 6' : ''}. Times are of this machine, as busy as it was.`,
    ],
    legend,
    arrangement: style.height ? ('columns' as const) : ('rows' as const),
    panels: [bars(found, style), operations(found, style), gains(found, style)],
    body: style.size === 'column' ? 430 : 560,
  }
}

const negative = ({ lengths }: CostData) =>
  lengths.some(({ full, policy }) => [...full.parts, ...policy.parts].some(({ step }) => step.mean < 0))

const lengthTicks = (lengths: CostData['lengths']) =>
  lengths.map(({ length }, at): Tick => ({ at, text: plainNumber(length) }))

/** At 0, 1 … for each length: the full cache to the left, the policy to the right. */
function bars({ lengths, facts }: CostData, style: Style): Panel {
  const boxes = Object.fromEntries(
    Object.entries(PARTS).map(([part, { label, color }]) => [part, noBoxes(label, color)]),
  )
  const marks: Mark[] = []
  let most = 0
  const ticks: Tick[] = []
  lengths.forEach(({ length, full, policy }, at) => {
    for (const [of, middle, name, short] of [
      [full, at - 0.2, 'full cache', 'f'],
      [policy, at + 0.2, facts.name, 'p'],
    ] as const) {
      let top = 0
      for (const { part, about, step } of of.parts) {
        if (step.mean <= 0) continue
        const said = `${name}, ${counted(length, 'token')}: ${PARTS[part].label} ${shortNumber(step.mean)}${ends(step)} ms\n${about}`
        addBox(boxes[part], [middle - 0.17, middle + 0.17, top, top + step.mean], said)
        top += step.mean
      }
      const { mean, high } = of.step
      const said = `${name}, ${counted(length, 'token')}: a step ${shortNumber(mean)}${ends(of.step)} ms`
      addBar(marks, of.step, middle, { name: 'a step', color: 'ink', width: style.text / 9, said })
      most = Math.max(most, top, mean, high ?? 0)
      ticks.push({ at: middle, text: short })
    }
  })
  return {
    title: 'a step, by operation',
    share: 1.2,
    x: { range: [-0.5, lengths.length - 0.5], ticks: style.height ? lengthTicks(lengths) : ticks },
    y: { label: 'ms', range: [0, most * 1.05], grid: true },
    marks: [...Object.values(boxes).filter(({ x0 }) => x0.length), ...marks],
  }
}

const isUpkeep = (part: string) => part !== 'model' && part !== 'attention'
const SHAPES: readonly Shape[] = ['dot', 'square', 'triangle', 'diamond']

/** What the policy does beyond attention, with what is not to be told from nothing, too. */
function operations({ lengths }: CostData, style: Style): Panel {
  const names = lengths[0].policy.parts.map(({ part }) => part).filter(isUpkeep)
  const marks: Mark[] = [
    { kind: 'line', name: 'nothing', color: 'muted', dash: true, width: 1, x: [-0.5, lengths.length - 0.5], y: [0, 0] },
  ]
  const values = [0]
  names.forEach((name, i) => {
    const { label, color } = PARTS[name]
    const places = lengths.map((_, at) => at + 0.2 * (i - (names.length - 1) / 2))
    const found = lengths.map(({ policy }) => policy.parts.find(({ part }) => part === name)!.step)
    for (const [at, step] of found.entries()) {
      values.push(...extentOf(step))
      addBar(marks, step, places[at], { name: label, color, width: style.text / 7 })
    }
    const hover = found.map(
      (step, at) => `${label}, ${counted(lengths[at].length, 'token')}: ${shortNumber(step.mean)}${ends(step)} ms`,
    )
    marks.push({
      kind: 'points',
      name: label,
      color,
      shape: SHAPES[i],
      diameter: style.text * 0.75,
      x: places,
      y: found.map(({ mean }) => mean),
      hover,
    })
  })
  return {
    title: 'what the policy adds to a step',
    share: 1,
    x: { range: [-0.5, lengths.length - 0.5], ticks: style.height ? lengthTicks(lengths) : [] },
    y: { label: 'ms', range: rangeOf(values, 0.06), grid: true },
    marks,
  }
}

/** On the same x: lengths stand evenly, whatever is between them. */
function gains({ lengths, breakEven }: CostData, style: Style): Panel {
  const marks: Mark[] = []
  const at = lengths.map((_, i) => i)
  const values = lengths.flatMap(({ gain, gainByBytes }) => [...extentOf(gain), gainByBytes])
  const range = rangeOf([1, ...values], 0.08)
  const width = style.text / 9
  marks.push({
    kind: 'line',
    name: 'as fast as the full cache',
    color: 'muted',
    width: 1,
    x: [-0.5, lengths.length - 0.5],
    y: [1, 1],
  })
  const { length } = breakEven
  if (length) {
    const place = placeOf(lengths, length.mean)
    const said = `a step is faster from ${tokens(length.mean)}${ends(length, tokens)} tokens on`
    if (length.low !== null && length.high !== null) {
      const band = noBoxes('interval of the break-even', 'muted', { opacity: 0.15, leastWidth: 1 })
      addBox(band, [placeOf(lengths, length.low), placeOf(lengths, length.high), ...range], said)
      marks.push(band)
    }
    marks.push({
      kind: 'line',
      name: 'break-even',
      color: 'muted',
      width,
      x: [place, place],
      y: range,
      hover: [said, said],
    })
  }
  const byBytes = lengths.map(({ gainByBytes }) => gainByBytes)
  marks.push({ kind: 'line', name: 'by bytes alone', color: 'ink', dash: true, width, x: at, y: byBytes })
  marks.push({ kind: 'points', name: 'by bytes alone', color: 'ink', shape: 'cross', x: at, y: byBytes })
  for (const [i, { gain, length: tokensRead }] of lengths.entries()) {
    const said = `${counted(tokensRead, 'token')}: ${shortNumber(gain.mean)}${ends(gain)} times as fast, by bytes alone ${shortNumber(byBytes[i])}`
    addBar(marks, gain, i, { name: 'measured', color: 'calm', width: style.text / 7 })
    marks.push({
      kind: 'points',
      name: 'measured',
      color: 'calm',
      shape: 'dot',
      diameter: style.text * 0.75,
      x: [i],
      y: [gain.mean],
      hover: [said],
    })
  }
  return {
    title: 'full cache’s step over the policy’s',
    share: 1,
    x: {
      label: 'tokens of the prompt',
      range: [-0.5, lengths.length - 0.5],
      ticks: lengthTicks(lengths),
    },
    y: { label: 'times as fast', range, grid: true },
    marks,
  }
}

/** Of so many tokens among lengths that stand evenly; beyond them at the edge. */
function placeOf(lengths: CostData['lengths'], value: number): number {
  const above = lengths.findIndex(({ length }) => length >= value)
  if (above <= 0) return above ? lengths.length - 0.5 : value < lengths[0].length ? -0.5 : 0
  const [from, to] = [lengths[above - 1].length, lengths[above].length]
  return above - 1 + (value - from) / (to - from)
}
