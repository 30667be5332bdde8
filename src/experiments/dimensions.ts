/** What a study varies: options with their levels, as plain values, under names, or anywhere in a range. */
import { flag, invalid, number, object, options as checked } from '../expect.js'
import type { Policy } from '../policies/index.js'
import type { Dimensions, Level } from './designs.js'

/** What any option may be given, by name: { even: 0.1, suggested: [[…]] }. The name is the level in rows, tables and figures. */
export type NamedLevels = Readonly<Record<string, unknown>>

/** A number anywhere between two ends, for a Latin hypercube. */
export interface Range {
  from: number
  to: number
  /** Drawn evenly in its logarithm; both ends are above 0. */
  log?: boolean
  /** Whole numbers alone, both ends among them. */
  integer?: boolean
}

/** By option: [0, 0.5, 1], levels by name, or { from: 0, to: 1 }. */
export type Over = Readonly<Record<string, readonly Level[] | NamedLevels | Range>>

export interface Dimension {
  /** The first is what effects are relative to; none of a range but what its design tries there. */
  levels: readonly Level[]
  /** What the levels stand for, where they are names. */
  values?: NamedLevels
  range?: Range
}

export type Varied = Readonly<Record<string, Dimension>>

/** What levels several policies are told apart by. */
export const POLICY = 'policy'

/** As they were given. Errors: 'invalid'. */
export function dimensionsOf(over: unknown): Varied {
  return Object.fromEntries(
    Object.entries(object('over', over)).map(([name, given]: [string, unknown]) => {
      if (name === POLICY)
        throw invalid('over', 'options of the policy', name, 'give several policies as policy: [zsmerge, snapkv]')
      return [name, dimensionOf(`over.${name}`, given)]
    }),
  )
}

function dimensionOf(name: string, given: unknown): Dimension {
  if (Array.isArray(given) && given.length) return { levels: listOf(name, given) }
  const plain =
    typeof given === 'object' && given !== null && [Object.prototype, null].includes(Object.getPrototypeOf(given))
  if (!plain || !Object.keys(given).length)
    throw invalid(
      name,
      'an array of at least one level, levels by name such as { even: 0.1 }, or a range { from, to }',
      given,
    )
  if ('from' in given || 'to' in given) return { levels: [], range: rangeOf(name, given) }
  const nothing = Object.keys(given).find((level) => (given as NamedLevels)[level] === undefined)
  if (nothing !== undefined) throw invalid(`${name}.${nothing}`, 'what the option is to be', undefined)
  return { levels: Object.keys(given), values: given as NamedLevels }
}

function listOf(name: string, levels: readonly unknown[]): Level[] {
  return levels.map((level, i) => {
    const plain = typeof level === 'number' ? Number.isFinite(level) : ['string', 'boolean'].includes(typeof level)
    if (level !== null && !plain)
      throw invalid(
        `${name}[${i}]`,
        'a finite number, a word, true or false',
        level,
        'other values take names: { even: 0.1, suggested: [[…]] }',
      )
    if (levels.indexOf(level) !== i) throw invalid(name, 'levels that each stand there once', level)
    return level as Level
  })
}

function rangeOf(name: string, given: object): Range {
  const asked = checked(name, given, ['from', 'to', 'log', 'integer'])
  const [log, integer] = [asked.log, asked.integer].map(
    (one, i) => one !== undefined && flag(`${name}.${['log', 'integer'][i]}`, one),
  )
  const end = (which: 'from' | 'to') => {
    const value = number(`${name}.${which}`, asked[which], -Number.MAX_VALUE, Number.MAX_VALUE, 'that is finite')
    if (log && value <= 0) throw invalid(`${name}.${which}`, 'a number above 0 beside log', value)
    if (integer && !Number.isSafeInteger(value))
      throw invalid(`${name}.${which}`, 'a whole number beside integer', value)
    return value
  }
  const [from, to] = [end('from'), end('to')]
  if (from >= to) throw invalid(name, 'a range whose from is below its to', `from ${from}, to ${to}`)
  return { from, to, ...(log && { log }), ...(integer && { integer }) }
}

/** The levels of those that have some. */
export const levelsIn = (varied: Varied): Dimensions =>
  Object.fromEntries(Object.entries(varied).map(([name, { levels }]) => [name, levels]))

/** What an option is at a level. */
export const valueAt = ({ values }: Dimension, level: Level): unknown => (values ? values[String(level)] : level)

/** A policy as the call that makes it, anything else as it is. */
export const asSaid = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'native' in value ? String(value as Policy) : value

/** As a study's file says it. */
export const written = (varied: Varied): Over =>
  Object.fromEntries(
    Object.entries(varied).map(([name, { levels, values, range }]) => [
      name,
      range ??
        (values ? Object.fromEntries(Object.entries(values).map(([level, value]) => [level, asSaid(value)])) : levels),
    ]),
  )

/** The first level, or the middle of a range that has none: between the ends, of a logarithmic one their geometric mean. */
export function firstOf({ levels, range }: Dimension): Level {
  if (levels.length || !range) return levels[0]
  const { from, to, log, integer } = range
  const middle = log ? Math.sqrt(from * to) : (from + to) / 2
  return integer ? Math.round(middle) : Number(middle.toPrecision(6))
}

/** Where a level stands in its range: 0 at its beginning, 1 at its end. */
export const placeIn = ({ from, to, log }: Range, level: Level): number =>
  log ? Math.log(Number(level) / from) / Math.log(to / from) : (Number(level) - from) / (to - from)
