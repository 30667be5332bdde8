/** Which combinations of levels a study tries. Every design holds the first level of all dimensions. */
import { ZslabError } from '../errors.js'
import { integer, invalid, number, object, options as checked, text } from '../expect.js'

/** A level of a dimension. */
export type Level = string | number | boolean | null
/** By dimension. */
export type Levels = Readonly<Record<string, Level>>
export type Dimensions = Readonly<Record<string, readonly Level[]>>

/**
 * 'grid': all combinations. 'one-at-a-time': the first level of each, and every other level with the rest as there. { fractional: r }: of two levels each,
 * the smallest regular fraction of the grid with resolution r: at 5 main effects and interactions of two are told from each other, at 4 main effects
 * from interactions, at 3 main effects from main effects. { latinHypercube: { runs, seed } }: so many settings spread evenly over ranges, each cut into as many parts
 * as there are runs and each part tried once, and one in the middle of all; seed 1 unless another is given. { ternary: { steps } }: ZSMerge's budget shared out between
 * recent, context and residual slots in steps of 1 / steps, for all combinations of what else varies. { halving: { first, keep, of, metric } }: the settings of
 * another design (default 'grid') on the `first` clusters; the share `keep` (default 0.5) that is best by `metric` (default: the task's first) goes on to as many times more, until one is left.
 */
export type Design = PlainDesign | { readonly halving: HalvingAsked }

interface HalvingAsked {
  readonly first: number
  readonly keep?: number
  readonly of?: PlainDesign
  readonly metric?: string
}

export type Halving = HalvingAsked & Required<Pick<HalvingAsked, 'keep' | 'of'>>

export type PlainDesign =
  | 'grid'
  | 'one-at-a-time'
  | { readonly fractional: Resolution }
  | { readonly latinHypercube: { readonly runs: number; readonly seed?: number } }
  | { readonly ternary: { readonly steps: number } }
export type Resolution = 3 | 4 | 5

const RESOLUTIONS: readonly unknown[] = [3, 4, 5]
const MOST_FACTORS = 12
const MOST_RUNS = 1000
const MOST_STEPS = 50
const MOST_SETTINGS = 100_000
const KINDS = ['fractional', 'latinHypercube', 'ternary']

/** Errors: 'invalid'. */
export function designOf(given: unknown): Design {
  if (typeof given !== 'object' || given === null || !('halving' in given)) return plainDesignOf('design', given)
  const { halving } = checked('design', given, ['halving'])
  const asked = checked('design.halving', object('design.halving', halving), ['first', 'keep', 'of', 'metric'])
  const { first, keep, of, metric } = asked
  return {
    halving: {
      first: integer('design.halving.first', first, 1),
      ...(keep !== undefined && { keep: number('design.halving.keep', keep, 0.1, 0.9) }),
      ...(of !== undefined && { of: plainDesignOf('design.halving.of', of) }),
      ...(metric !== undefined && { metric: text('design.halving.metric', metric) }),
    },
  }
}

/** With its defaults; undefined of a design that drops nothing. */
export const halvingIn = (design: Design): Halving | undefined =>
  typeof design === 'object' && 'halving' in design ? { keep: 0.5, of: 'grid', ...design.halving } : undefined

/** What a design tries, whether or not it drops some of it. */
export const plainOf = (design: Design): PlainDesign =>
  typeof design === 'object' && 'halving' in design ? (design.halving.of ?? 'grid') : design

/** `name`: of the option. */
function plainDesignOf(name: string, given: unknown): PlainDesign {
  if (given === 'grid' || given === 'one-at-a-time') return given
  const kinds = typeof given === 'object' && given !== null ? Object.keys(checked(name, given, KINDS)) : []
  if (kinds.length !== 1)
    throw invalid(
      name,
      `'grid', 'one-at-a-time', { fractional: 3, 4 or 5 }, { latinHypercube: { runs: 32 } }${name === 'design' ? ', { ternary: { steps: 5 } } or { halving: { first: 4 } }' : ' or { ternary: { steps: 5 } }'}`,
      given,
    )
  const { fractional, latinHypercube, ternary } = given as Record<string, unknown>
  if (latinHypercube !== undefined)
    return { latinHypercube: latinHypercubeOf(`${name}.latinHypercube`, latinHypercube) }
  if (ternary !== undefined) {
    const { steps } = checked(`${name}.ternary`, object(`${name}.ternary`, ternary), ['steps'])
    return { ternary: { steps: integer(`${name}.ternary.steps`, steps, 3, MOST_STEPS) } }
  }
  if (!RESOLUTIONS.includes(fractional)) throw invalid(`${name}.fractional`, 'a resolution: 3, 4 or 5', fractional)
  return given as PlainDesign
}

function latinHypercubeOf(name: string, given: unknown): { runs: number; seed: number } {
  const { runs, seed = 1 } = checked(name, object(name, given), ['runs', 'seed'])
  return {
    runs: integer(`${name}.runs`, runs, 2, MOST_RUNS),
    seed: integer(`${name}.seed`, seed, 0, 2 ** 32 - 1),
  }
}

/** Each once. Errors: 'invalid' for dimensions that the design cannot have. */
export function combinationsOf(
  dimensions: Dimensions,
  design: Exclude<PlainDesign, { latinHypercube: unknown } | { ternary: unknown }>,
): Levels[] {
  if (design === 'grid') return grid(dimensions)
  return design === 'one-at-a-time' ? oneAtATime(dimensions) : fractional(dimensions, design.fractional)
}

/** The first level of each. */
export const firstLevels = (dimensions: Dimensions): Levels =>
  Object.fromEntries(Object.entries(dimensions).map(([name, [level]]) => [name, level]))

/** The last dimension changes fastest. */
function grid(dimensions: Dimensions): Levels[] {
  const count = Object.values(dimensions).reduce((all, { length }) => all * length, 1)
  if (count > MOST_SETTINGS)
    throw new ZslabError(
      'invalid',
      `all combinations of these levels are ${count} settings, and a study has ${MOST_SETTINGS} at most: give fewer levels, or take 'one-at-a-time', { fractional: 4 } or { latinHypercube: { runs: 64 } }`,
    )
  let rows: Levels[] = [{}]
  for (const [name, levels] of Object.entries(dimensions))
    rows = rows.flatMap((row) => levels.map((level) => ({ ...row, [name]: level })))
  return rows
}

function oneAtATime(dimensions: Dimensions): Levels[] {
  const first = firstLevels(dimensions)
  return [
    first,
    ...Object.entries(dimensions).flatMap(([name, levels]) =>
      levels.slice(1).map((level) => ({ ...first, [name]: level })),
    ),
  ]
}

function fractional(dimensions: Dimensions, resolution: Resolution): Levels[] {
  const names = Object.keys(dimensions)
  const other = names.find((name) => dimensions[name].length !== 2)
  if (other !== undefined)
    throw new ZslabError(
      'invalid',
      `a fractional design needs two levels of each dimension, but ${other} has ${dimensions[other].length}: give two, or take the grid`,
    )
  if (names.length < 2 || names.length > MOST_FACTORS)
    throw new ZslabError(
      'invalid',
      `a fractional design is of 2 to ${MOST_FACTORS} dimensions, but there are ${names.length}: ${names.length < 2 ? 'take the grid' : 'leave some out'}`,
    )
  const { runs, words } = smallest(names.length, resolution)
  return Array.from({ length: runs }, (_, run) =>
    Object.fromEntries(names.map((name, i) => [name, dimensions[name][odd(run & words[i])]])),
  )
}

/** Whether so many bits are set. */
const bits = (of: number): number => {
  let count = 0
  for (let rest = of; rest; rest &= rest - 1) count++
  return count
}
const odd = (of: number) => bits(of) & 1

/**
 * The fewest runs (a power of two) of `factors` two-level factors with a resolution: run i has factor f at its second level where an odd number of
 * bits of words[f] is set in i. The first factors are bits of the run themselves, each further one a product of some: a word. No product of words with
 * their factors has fewer letters than the resolution (Box & Hunter 1961, "The 2^(k−p) fractional factorial designs").
 */
export function smallest(factors: number, resolution: number): { runs: number; words: number[] } {
  for (let base = Math.min(factors, resolution - 1); ; base++) {
    const words = wordsFor(base, factors - base, resolution)
    if (words) return { runs: 2 ** base, words: [...Array.from({ length: base }, (_, i) => 1 << i), ...words] }
  }
}

/** `count` words over `base` factors, each greater than the one before; undefined: there are none. */
function wordsFor(base: number, count: number, resolution: number): number[] | undefined {
  const candidates = Array.from({ length: 2 ** base }, (_, word) => word).filter((word) => bits(word) >= resolution - 1)
  /** `products`: of each set of the words so far, its product and how many words it has. */
  const search = (
    from: number,
    chosen: number[],
    products: readonly [word: number, size: number][],
  ): number[] | undefined => {
    if (chosen.length === count) return chosen
    for (let i = from; i < candidates.length; i++) {
      const made = products.map(([word, size]): [number, number] => [word ^ candidates[i], size + 1])
      if (made.some(([word, size]) => bits(word) + size < resolution)) continue
      const found = search(i + 1, [...chosen, candidates[i]], [...products, ...made])
      if (found) return found
    }
    return undefined
  }
  return search(0, [], [[0, 0]])
}
