/** Effects of settings that are spread over ranges: the plane of least squares through each prompt's settings, over clusters of prompts. */
import { clusterMeans } from '../statistics/clusters.js'
import { holm } from '../statistics/holm.js'
import { student, type IntervalOptions } from '../statistics/intervals.js'
import { dot, leastSquares } from '../statistics/least-squares.js'
import { meanOf } from '../statistics/moments.js'
import { paired } from '../statistics/paired.js'
import type { EngineCard } from '../trace/card.js'
import type { Level, Levels } from './designs.js'
import { placeIn, type Varied } from './dimensions.js'
import { Effects, type Effect } from './effects.js'
import { counts, type Row } from './rows.js'
import type { Metric } from './measures/measuring.js'
import { valueOf } from './trial.js'

/** Settings for each coefficient, so that interactions are not what noise makes of too few. */
const SETTINGS_EACH = 2

/** What a coefficient stands for, and what multiplies it at a setting: centred, so that each effect is that in the middle of the others. */
export interface SlopeColumn {
  dimensions: readonly string[]
  from: readonly Level[]
  to: readonly Level[]
  at(levels: Levels): number
}

/** Of each range from end to end, and of other dimensions each level against the first. */
export function slopeColumns(varied: Varied): SlopeColumn[] {
  return Object.entries(varied).flatMap(([name, { levels, range }]): SlopeColumn[] =>
    range
      ? [{ dimensions: [name], from: [range.from], to: [range.to], at: (of) => placeIn(range, of[name]) - 0.5 }]
      : levels.slice(1).map((level) => ({
          dimensions: [name],
          from: [levels[0]],
          to: [level],
          at: (of) => Number(of[name] === level) - 1 / levels.length,
        })),
  )
}

function products(columns: readonly SlopeColumn[]): SlopeColumn[] {
  return columns.flatMap((a, i) =>
    columns
      .slice(i + 1)
      .filter((b) => b.dimensions[0] !== a.dimensions[0])
      .map((b) => ({
        dimensions: [...a.dimensions, ...b.dimensions],
        from: [...a.from, ...b.from],
        to: [...a.to, ...b.to],
        at: (of: Levels) => a.at(of) * b.at(of),
      })),
  )
}

export interface SlopesAsked {
  columns: SlopeColumn[]
  /** Why interactions are not among them though they were wanted; null: they are, or were not. */
  without: string | null
}

export function slopesAsked(varied: Varied, settings: number, interactions: boolean): SlopesAsked {
  const main = slopeColumns(varied)
  const pairs = interactions ? products(main) : []
  const needed = SETTINGS_EACH * (1 + main.length + pairs.length)
  if (!pairs.length || settings >= needed) return { columns: [...main, ...pairs], without: null }
  return {
    columns: main,
    without: `${settings} settings are too few for ${pairs.length} interactions beside ${main.length} main effects: from ${needed} on they are told`,
  }
}

/** A prompt of a seed: rows that count, and how many do not. */
interface Place {
  cluster: string
  rows: Row[]
  left: number
}

function placesOf(rows: readonly Row[]): Place[] {
  const places = new Map<string, Place>()
  for (const row of rows) {
    const { name, seed, cluster } = row.trial.prompt
    const key = JSON.stringify([name, seed])
    const place = places.get(key) ?? { cluster, rows: [], left: 0 }
    if (counts(row)) place.rows.push(row)
    else place.left++
    places.set(key, place)
  }
  return [...places.values()]
}

/** 1 and what multiplies each coefficient, by setting, and the weights of least squares; undefined: the settings are too few to tell the coefficients. */
function equationsOf(settings: readonly Levels[], columns: readonly SlopeColumn[]) {
  const factors = [() => 1, ...columns.map(({ at }) => at)].map((at) => Float64Array.from(settings, at))
  const weights = settings.length > columns.length ? leastSquares(factors) : undefined
  return weights && { factors, weights }
}

interface PlaceFit {
  cluster: string
  /** By column. */
  effects: number[]
  /** By row of its place: value less the plane's, and less the mean of all. */
  missed: Float64Array
  around: Float64Array
  rows: readonly Row[]
}

/** The plane through each place's rows, and how many rows were left out. */
function fitsOf(rows: readonly Row[], columns: readonly SlopeColumn[], metric: string) {
  // Prompts mostly have the same settings, and so the same equations.
  const known = new Map<string, ReturnType<typeof equationsOf>>()
  let left = 0
  const fits = placesOf(rows).flatMap((place): PlaceFit[] => {
    const settings = place.rows.map(({ levels }) => levels)
    const key = JSON.stringify(settings)
    if (!known.has(key)) known.set(key, equationsOf(settings, columns))
    const equations = known.get(key)
    left += place.left + (equations ? 0 : settings.length)
    if (!equations) return []
    const values = Float64Array.from(place.rows, ({ trial }) => valueOf(trial, metric))
    const solved = equations.weights.map((weights) => dot(weights, values))
    const plane = (row: number) => solved.reduce((sum, one, j) => sum + one * equations.factors[j][row], 0)
    const mean = meanOf(values)
    return [
      {
        cluster: place.cluster,
        effects: solved.slice(1),
        missed: values.map((value, row) => value - plane(row)),
        around: values.map((value) => value - mean),
        rows: place.rows,
      },
    ]
  })
  return { fits, left }
}

/**
 * By column, half of Student's interval of its coefficient around the plane through the means of settings over clusters: all texts have the same settings, so where
 * these happen to lie off the plane they do so for all alike, which intervals over texts do not see. Null: no setting is left to say.
 */
function misfitsOf(
  fits: readonly PlaceFit[],
  columns: readonly SlopeColumn[],
  settings: readonly Levels[],
  level: number,
) {
  const equations = equationsOf(settings, columns)
  const free = settings.length - 1 - columns.length
  if (!equations || free < 1) return columns.map(() => null)
  const missed = new Map<string, { values: number[]; clusters: string[] }>()
  for (const { cluster, rows, missed: own } of fits)
    rows.forEach(({ levels }, row) => {
      const key = JSON.stringify(levels)
      const found = missed.get(key) ?? { values: [], clusters: [] }
      found.values.push(own[row])
      found.clusters.push(cluster)
      missed.set(key, found)
    })
  let squares = 0
  for (const levels of settings) {
    const found = missed.get(JSON.stringify(levels))
    if (found) squares += meanOf(clusterMeans(found.values, found.clusters).means) ** 2
  }
  const error = Math.sqrt(squares / free)
  return columns.map((_, j) => {
    const weights = equations.weights[1 + j]
    return student((1 + level) / 2, free) * error * Math.sqrt(dot(weights, weights))
  })
}

export function slopesOf(
  rows: readonly Row[],
  { varied, settings }: { varied: Varied; settings: readonly Levels[] },
  metric: Metric,
  interactions: boolean,
  options: IntervalOptions,
  cards: readonly EngineCard[] = [],
): Effects {
  const { columns, without } = slopesAsked(varied, settings.length, interactions)
  const { fits, left } = fitsOf(rows, columns, metric.name)
  const clusters = fits.map(({ cluster }) => cluster)
  const nothing = new Float64Array(fits.length)
  const found = columns.map((_, j) => {
    const slopes = fits.map(({ effects }) => effects[j])
    return fits.length ? { ...paired(slopes, nothing, { ...options, clusters }), left } : null
  })
  const misfits = misfitsOf(fits, columns, settings, options.level ?? 0.95)
  const adjusted = fits.length ? holm(found.map((one) => one!.test.p)) : undefined
  const all = columns.map(({ dimensions, from, to }, j): Effect => {
    const misfit = found[j] && misfits[j]
    return { dimensions, from, to, found: found[j], aliases: [], misfit, holm: adjusted?.[j] ?? null }
  })
  const squares = (of: (fit: PlaceFit) => Float64Array) => fits.reduce((sum, fit) => sum + dot(of(fit), of(fit)), 0)
  const total = squares(({ around }) => around)
  const explained = total > 0 ? 1 - squares(({ missed }) => missed) / total : null
  const isMain = ({ dimensions }: Effect) => dimensions.length === 1
  const fit = { settings: settings.length, explained, without }
  return new Effects(
    metric,
    all.filter(isMain),
    all.filter((one) => !isMain(one)),
    cards,
    fit,
  )
}
