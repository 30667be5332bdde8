/** Needle map: of tasks that hide something at depths of contexts, how well it is found at each length and depth, under the full cache and under settings. */
import { invalid, oneOf, text } from '../expect.js'
import { meanOf } from '../statistics/moments.js'
import { Figure } from './figure.js'
import { addBox, noBoxes, noWords } from './marks.js'
import type { LegendEntry, Mark, Panel, Plot } from './plot.js'
import { counted, plainNumber, shortNumber } from './scale.js'
import { checkStudy, metricNamed, rowsFitting, settingWords, type LevelsData, type MetricData } from './study.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened, textWidth } from './text.js'
import { levelWords } from './words.js'

export interface NeedleMapOptions extends StyleOptions {
  /** Default: what the study is about. */
  metric?: string
  /** A map for each level of it; default: the first dimension of several levels. */
  by?: string
  /** Only where other dimensions have these levels; else cells are means over all of them. */
  at?: Readonly<Record<string, string | number | boolean | null>>
}

interface TrialData {
  prompt: { name: string; seed: number }
  values: Readonly<Record<string, number>> | null
  unchanged: boolean
}

/** A study that has run, or a half of one. */
export interface NeedleStudyData {
  cannot: string | null
  able: { metric: string; least: number } | undefined
  facts: { task: { name: string; about: string } }
  metrics: readonly MetricData[]
  dimensions: Readonly<Record<string, readonly unknown[]>>
  rows: readonly { levels: LevelsData; trial: TrialData }[]
  summary(): object
}

interface Cell {
  /** Of trials that count; the mean of none is null. */
  mean: number | null
  trials: number
  /** The full cache does not do it, in the mean: what a policy does there says nothing. */
  beyond: boolean
}

/** A map of its own. */
interface Map {
  name: string
  /** [depth][length] */
  cells: readonly (readonly Cell[])[]
}

interface Facts {
  study: NeedleStudyData
  metric: MetricData
  lengths: readonly number[]
  depths: readonly number[]
  maps: readonly Map[]
  over: readonly string[]
}

/** As tasks call such prompts. */
const PLACE = /^([\d,]+) tokens, depth ([\d.]+)/

/**
 * A map for each level of a dimension, and of the full cache where the task says what it has to reach: mean of a metric at each length (along x) and depth
 * (0 the beginning, at the top). Crossed cells: there the full cache itself does not reach it, so they are in no mean of the words. `data`: a row for each
 * cell. Errors: 'invalid' for something else, for a dimension or level that the study does not have, and for a task whose prompts are at no length and depth.
 */
export function needleMap(study: NeedleStudyData, options: NeedleMapOptions = {}): Figure {
  const style = styleOptions('needleMap', options, ['metric', 'by', 'at'])
  checkStudy(study, 'needleMap', ['summary'])
  const facts = factsOf(study, options)
  const words = wordsOf(facts)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, words, given) })
  return new Figure(
    {
      call: ['needleMap', study, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(facts),
      plot,
    },
    style,
  )
}

interface Placed {
  length: number
  depth: number
  levels: LevelsData
  trial: TrialData
}

function factsOf(study: NeedleStudyData, { metric: asked, by: given, at = {} }: NeedleMapOptions): Facts {
  const { dimensions, able } = study
  const metric = metricNamed(study.metrics, asked)
  const names = Object.keys(dimensions)
  const by =
    given === undefined ? names.find((name) => dimensions[name].length > 1) : oneOf('by', text('by', given), names)
  for (const [name, level] of Object.entries(at)) {
    oneOf('at', name, names)
    if (!dimensions[name].includes(level))
      throw invalid(`at.${name}`, `one of ${dimensions[name].map(String).join(', ')}`, level)
  }
  const rows = placedOf(
    study.rows.filter(({ levels }) => Object.entries(at).every(([name, level]) => levels[name] === level)),
  )
  const lengths = [...new Set(rows.map(({ length }) => length))].sort((a, b) => a - b)
  const depths = [...new Set(rows.map(({ depth }) => depth))].sort((a, b) => a - b)
  const full = able && (({ trial }: Placed) => trial.values?.[able.metric])
  const beyond = (of: readonly Placed[]) => {
    const found = full ? of.map(full).filter((value) => value !== undefined) : []
    return able !== undefined && found.length > 0 && meanOf(found) < able.least
  }
  const map = (name: string, own: readonly Placed[], value: (row: Placed) => number | undefined): Map => ({
    name,
    cells: depths.map((depth) =>
      lengths.map((length): Cell => {
        const here = (row: Placed) => row.depth === depth && row.length === length
        const values = own
          .filter(here)
          .map(value)
          .filter((one) => one !== undefined)
        return { mean: values.length ? meanOf(values) : null, trials: values.length, beyond: beyond(rows.filter(here)) }
      }),
    ),
  })
  const counting = ({ trial }: Placed) => (trial.unchanged ? undefined : trial.values?.[metric.name])
  const levels =
    by === undefined ? [undefined] : dimensions[by].filter((level) => at[by] === undefined || at[by] === level)
  const maps = levels.map((level) =>
    map(
      by === undefined ? 'the one setting' : settingWords({ [by]: level }),
      by === undefined ? rows : rows.filter((row) => row.levels[by] === level),
      counting,
    ),
  )
  // The full cache's score is that of each prompt, whatever the policy: once a prompt.
  const once = new globalThis.Map(rows.map((row) => [`${row.trial.prompt.name} ${row.trial.prompt.seed}`, row]))
  if (full && metric === study.metrics[0]) maps.unshift(map('full cache', [...once.values()], full))
  const over = names.filter((name) => name !== by && dimensions[name].length > 1 && !(name in at))
  return { study, metric, lengths, depths, maps, over }
}

function placedOf(rows: NeedleStudyData['rows']): Placed[] {
  const placed = rows.flatMap(({ levels, trial }) => {
    const found = PLACE.exec(trial.prompt.name)
    return found ? [{ length: Number(found[1].replaceAll(',', '')), depth: Number(found[2]), levels, trial }] : []
  })
  if (!placed.length)
    throw invalid(
      'study',
      'trials of a task whose prompts are at lengths and depths, called “1024 tokens, depth 0.5”, such as passkey()',
      rows.length ? rows[0].trial.prompt.name : 'no trial',
    )
  return placed
}

const flat = (map: Map) => map.cells.flat()

function wordsOf({ study, metric, lengths, depths, maps, over }: Facts): { title: string; detail: string } {
  const said = maps.flatMap((map) => {
    const known = flat(map).filter(({ mean, beyond }) => mean !== null && !beyond)
    return known.length ? [{ name: map.name, mean: meanOf(known.map(({ mean }) => mean!)) }] : []
  })
  const cells = lengths.length * depths.length
  const beyond = flat(maps[0]).filter((cell) => cell.beyond).length
  const policies = said.filter(({ name }) => name !== 'full cache')
  const cost = ({ mean }: { mean: number }) => (metric.better === 'more' ? -mean : mean)
  const best = [...policies].sort((a, b) => cost(a) - cost(b))
  return {
    title: best.length
      ? `${best[0].name}${best.length > 1 && cost(best[0]) < cost(best[1]) ? ' does best' : ''}: ${metric.name} ${shortNumber(best[0].mean)} over ${counted(cells - beyond, 'length and depth', 'lengths and depths')}`
      : `The full cache itself cannot do any of ${counted(cells, 'length and depth', 'lengths and depths')}`,
    detail:
      `${said.map(({ name, mean }) => `${name} ${shortNumber(mean)}`).join(', ')}${said.length ? ` (${metric.about}, ${metric.better} is better)` : `${metric.about}, ${metric.better} is better`}.` +
      (beyond
        ? ` ${counted(beyond, 'crossed cell is', 'crossed cells are')} left out: the full cache itself does not do ${beyond === 1 ? 'it' : 'them'}.`
        : '') +
      (over.length ? ` Means over all levels of ${over.join(', ')}.` : '') +
      (study.cannot === null ? '' : ` But ${study.cannot}.`),
  }
}

/** Colours go from 0 to 1 for shares, else over what there is. */
function rangeOf(maps: readonly Map[]): [number, number] {
  const values = maps.flatMap((map) => flat(map).flatMap(({ mean }) => (mean === null ? [] : [mean])))
  const [low, high] = [Math.min(...values), Math.max(...values)]
  if (!values.length || (low >= 0 && high <= 1)) return [0, 1]
  return low === high ? [low, low + 1] : [low, high]
}

const K = 1024
const lengthText = (tokens: number) =>
  tokens >= K && tokens % 512 === 0 ? `${plainNumber(tokens / K, 1)}k` : plainNumber(tokens)

function picture(facts: Facts, words: { title: string; detail: string }, style: Style) {
  const { study, metric, maps, depths, lengths } = facts
  const range = rangeOf(maps)
  const trials = [...new Set(maps.flatMap((map) => flat(map).map((cell) => cell.trials)))].sort((a, b) => a - b)
  const texts = maps.flatMap((map) => flat(map).map(({ mean }) => (mean === null ? '' : cellText(mean))))
  const least = 4 + Math.max(...[...texts, '0.00'].map((one) => textWidth(one, { size: style.small })))
  const beside = maps.length * (lengths.length * least + 4 * style.text) <= style.width - 2 * style.margin
  const crossed = maps.some((map) => flat(map).some(({ beyond }) => beyond))
  const legend: LegendEntry[] = crossed ? [{ label: 'not by the full cache', color: 'ink', swatch: 'cross' }] : []
  const row = Math.max(style.small * 1.3, Math.min(style.text * 2.2, (beside ? 150 : 110) / depths.length))
  const said = {
    subject: `${study.facts.task.name}: ${study.facts.task.about}`,
    notes: [
      `Cells: means over trials that count, ${trials.length === 1 ? plainNumber(trials[0]) : `${plainNumber(trials[0])} to ${plainNumber(trials[trials.length - 1])}`} in each.`,
    ],
    legend,
    ramp: { label: `${metric.name}:`, from: shortNumber(range[0]), to: shortNumber(range[1]), kind: 'ramp' as const },
    arrangement: beside ? ('columns' as const) : ('rows' as const),
  }
  // On a slide, every second or third depth where all of them have no room.
  const titles = (beside ? 5 : 3 + 2.4 * maps.length) * style.text
  const fitting = rowsFitting({ ...words, ...said }, titles, style) / (beside ? 1 : maps.length)
  const every = Math.max(1, Math.ceil(depths.length / Math.max(1, fitting)))
  return {
    ...said,
    panels: maps.map((map, i) =>
      panel(facts, map, { range, first: i === 0, last: i === maps.length - 1, beside, least, every }, style),
    ),
    body: titles + (beside ? 1 : maps.length) * depths.length * row,
  }
}

interface Where {
  range: [number, number]
  first: boolean
  last: boolean
  beside: boolean
  /** Width of a number, pixels. */
  least: number
  /** Depths are named. */
  every: number
}

function panel({ metric, maps, lengths, depths }: Facts, map: Map, where: Where, style: Style): Panel {
  const { range, first, last, beside, least, every } = where
  const boxes = noBoxes(metric.name, 'held', { seamless: true })
  const labels = noWords({ anchor: 'middle', mono: false })
  const crosses = { x: [] as number[], y: [] as number[] }
  map.cells.forEach((cells, y) =>
    cells.forEach(({ mean, trials, beyond }, x) => {
      const at = mean === null ? 0 : (mean - range[0]) / (range[1] - range[0])
      const color: Fill = mean === null || beyond ? 'faint' : `ramp:${Math.round(100 * at) / 100}`
      const value =
        mean === null ? 'nothing counts' : `${metric.name} ${shortNumber(mean)} of ${counted(trials, 'trial')}`
      const said = `${map.name}, ${counted(lengths[x], 'token')}, depth ${depths[y]}: ${value}${beyond ? '\nthe full cache itself does not do it' : ''}`
      addBox(boxes, [x - 0.5, x + 0.5, y - 0.5, y + 0.5], said, color)
      if (beyond && y % every === 0) {
        crosses.x.push(x)
        crosses.y.push(y)
      } else if (mean !== null && !beyond) {
        labels.x.push(x)
        labels.y.push(y)
        labels.text.push(cellText(mean))
        labels.colors.push(`on:${color}`)
      }
    }),
  )
  const room = style.width - 2 * style.margin
  const wide = beside || (room - 4 * style.text) / lengths.length >= least
  const marks: Mark[] = [boxes]
  if (wide && every === 1) marks.push(labels)
  if (crosses.x.length)
    marks.push({
      kind: 'points',
      name: 'not by the full cache',
      color: 'ink',
      shape: 'cross',
      diameter: style.text * 0.7,
      ...crosses,
    })
  const labelled = beside || last
  return {
    title: shortened(map.name, beside ? room / maps.length - 2 * style.text : room, { size: style.text, bold: true }),
    share: 1,
    x: {
      range: [-0.5, lengths.length - 0.5],
      ticks: labelled ? lengths.map((length, at) => ({ at, text: lengthText(length) })) : [],
      ...(labelled && { label: 'tokens' }),
    },
    y: {
      range: [depths.length - 0.5, -0.5],
      ticks:
        beside && !first ? [] : depths.flatMap((depth, at) => (at % every ? [] : [{ at, text: levelWords(depth) }])),
      ...((!beside || first) && { label: 'depth' }),
    },
    marks,
  }
}

/** As short as it may be: a cell is small. */
const cellText = (value: number) => (value >= 0 && value <= 1 ? plainNumber(value, 2) : shortNumber(value))

function columnsOf({ metric, lengths, depths, maps }: Facts) {
  const rows = maps.flatMap(({ name, cells }) =>
    cells.flatMap((of, y) => of.map((cell, x) => ({ map: name, length: lengths[x], depth: depths[y], ...cell }))),
  )
  return {
    map: rows.map(({ map }) => map),
    length: rows.map(({ length }) => length),
    depth: rows.map(({ depth }) => depth),
    [metric.name]: rows.map(({ mean }) => mean),
    trials: rows.map(({ trials }) => trials),
    beyond: rows.map(({ beyond }) => Number(beyond)),
  }
}
