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

/** How many levels a message names. */
const NAMED = 12

/** Dimensions that a user names. Errors: 'invalid' for one that the study does not have. */
function namesOf(name: string, given: unknown, dimensions: Dimensions): string[] {
  const names = Object.keys(object(name, given))
  const none = names.find((dimension) => !Object.hasOwn(dimensions, dimension))
  if (none === undefined) return names.sort()
  throw new ZslabError(
    'invalid',
    `${name} names ${shown(none)}, which the study does not vary; it varies ${Object.keys(dimensions).join(', ') || 'nothing'}`,
  )
}

/**
 * a − b, both some levels of the same dimensions; `spread`: settings are spread over ranges, so that both name all dimensions. Errors: 'invalid' where
 * they do not, for levels that the study has not tried, and where both are the same.
 */
export function termsOf(a: unknown, b: unknown, dimensions: Dimensions, spread: boolean): readonly [Term, Term] {
  const [one, other] = [namesOf('a', a, dimensions), namesOf('b', b, dimensions)]
  if (one.join() !== other.join() || !one.length)
    throw new ZslabError(
      'invalid',
      `a names ${one.join(', ') || 'nothing'} and b ${other.join(', ') || 'nothing'}: give both a level of the same dimensions`,
    )
  const left = Object.keys(dimensions).filter((dimension) => !one.includes(dimension))
  if (spread && left.length)
    throw new ZslabError(
      'invalid',
      `settings that are spread over ranges differ in all dimensions at once, so a and b need ${left.join(', ')}, too; what one dimension does is told by effects()`,
    )
  const [first, second] = [a, b] as [Levels, Levels]
  for (const [name, levels] of [
    ['a', first],
    ['b', second],
  ] as const)
    for (const dimension of one) {
      const known = dimensions[dimension]
      if (known.includes(levels[dimension])) continue
      const said = known.slice(0, NAMED).map(shown).join(', ')
      const more = known.length > NAMED ? ` and ${known.length - NAMED} more` : ''
      throw invalid(`${name}.${dimension}`, `a level that was tried, one of ${said}${more}`, levels[dimension])
    }
  if (one.every((dimension) => first[dimension] === second[dimension]))
    throw new ZslabError('invalid', 'a and b are the same: give levels that differ in a dimension at least')
  return [
    { levels: first, sign: 1 },
    { levels: second, sign: -1 },
  ]
}
