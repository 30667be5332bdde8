/** Trials of a study by the levels of their setting, and differences between levels: everything equal but these, prompt by prompt. */
import { invalid, object } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { meanOf } from '../statistics/moments.js'
import { paired, type PairedDifference } from '../statistics/paired.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import type { TraceCell } from '../trace/columns.js'
import type { Dimensions, Level, Levels } from './designs.js'
import { valueOf, type Trial } from './trial.js'

export interface Row {
  levels: Levels
  trial: Trial
}

/** As a cell of a table. */
export const levelCell = (level: Level): TraceCell => (typeof level === 'boolean' ? String(level) : level)

/** What says something about its setting: it did not fail, and its policy did something. */
export const counts = ({ trial }: Row): boolean => trial.values !== null && !trial.unchanged

/** One side of a difference: levels that it has, and how it is counted. */
export interface Term {
  levels: Levels
  sign: 1 | -1
}

export interface Contrast extends PairedDifference {
  /** Places where one side failed or changed nothing: they are left out. */
  left: number
}

/** What two or more terms have in common: their rows, term by term. */
type Found = readonly (readonly Row[])[]

/**
 * Places that every term has: those of equal prompt and seed and, unless rows are a `fraction` of a grid, of equal levels in all other dimensions. In a
 * fraction these levels differ, and are balanced over a whole prompt. `whole`: those of which every row counts.
 */
export function placesOf(rows: readonly Row[], terms: readonly Term[], fraction: boolean) {
  const own = Object.keys(terms[0].levels)
  const places = new Map<string, Row[][]>()
  for (const row of rows) {
    const term = terms.findIndex(({ levels }) => own.every((name) => row.levels[name] === levels[name]))
    if (term < 0) continue
    const { name, seed } = row.trial.prompt
    const others = fraction ? [] : Object.entries(row.levels).filter(([dimension]) => !own.includes(dimension))
    const place = JSON.stringify([others, name, seed])
    const found = places.get(place) ?? terms.map(() => [])
    found[term].push(row)
    places.set(place, found)
  }
  const tried: Found[] = [...places.values()].filter((found) => found.every(({ length }) => length))
  return { tried, whole: tried.filter((found) => found.every((of) => of.every(counts))) }
}

/** Mean of `metric` of each term. */
export const meansAt = (found: Found, metric: string): number[] =>
  found.map((of) => meanOf(of.map(({ trial }) => valueOf(trial, metric))))

/** Σ sign · mean of `metric`, place by place (placesOf), by cluster of prompts; null where no place has them all. */
export function contrast(
  rows: readonly Row[],
  terms: readonly Term[],
  metric: string,
  options: IntervalOptions,
  fraction = false,
): Contrast | null {
  const { tried, whole } = placesOf(rows, terms, fraction)
  if (!whole.length) return null
  const means = whole.map((found) => meansAt(found, metric))
  const side = (sign: 1 | -1) =>
    means.map((of) => terms.reduce((sum, term, i) => (term.sign === sign ? sum + of[i] : sum), 0))
  const clusters = whole.map(([[{ trial }]]) => trial.prompt.cluster)
  return { ...paired(side(1), side(-1), { ...options, clusters }), left: tried.length - whole.length }
}

/** Levels of some dimensions as a user names them. Errors: 'invalid' for a dimension or level that the study does not have. */
function levelsOf(name: string, given: unknown, dimensions: Dimensions): Levels {
  for (const [dimension, level] of Object.entries(object(name, given)) as [string, Level][]) {
    const levels = Object.hasOwn(dimensions, dimension) ? dimensions[dimension] : undefined
    if (!levels)
      throw new ZslabError(
        'invalid',
        `${name} names ${shown(dimension)}, which the study does not vary; it varies ${Object.keys(dimensions).join(', ')}`,
      )
    if (!levels.includes(level)) throw invalid(`${name}.${dimension}`, `one of ${levels.map(shown).join(', ')}`, level)
  }
  return given as Levels
}

/** a − b. Errors: 'invalid' where they do not name levels of the same dimensions. */
export function termsOf(a: unknown, b: unknown, dimensions: Dimensions): readonly [Term, Term] {
  const [one, other] = [levelsOf('a', a, dimensions), levelsOf('b', b, dimensions)]
  const names = (levels: object) => Object.keys(levels).sort().join(', ')
  if (names(one) !== names(other) || !names(one))
    throw new ZslabError(
      'invalid',
      `a names ${names(one) || 'nothing'} and b ${names(other) || 'nothing'}: give both a level of the same dimensions`,
    )
  return [
    { levels: one, sign: 1 },
    { levels: other, sign: -1 },
  ]
}
