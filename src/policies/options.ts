/** What an option of a policy is, and those that several policies share. Defaults are not here: every policy's file holds its own. */
import { integer, invalid, number, oneOf } from '../expect.js'
import type { FieldType } from '../native/contract.js'

export interface OptionSpec {
  /** For `npx zslab policies`, --help, the run card and the docs. */
  about: string
  unit: string
  /** The value as it is kept; throws 'invalid'. */
  check(value: unknown): unknown
  /** It may change from one step to the next, while a session lives (session.change). */
  later?: boolean
  /** Name on the command line where it is not the option's own. */
  flag?: string
}

/** A field of a policy's native parameters: its type, and its value from the checked options and the mode. */
export type ParameterSpec<V> = readonly [FieldType, (options: V, mode: string) => number]

export const MOST = 2 ** 31 - 1

/** A share below 1 or a whole count of slots. */
export function shareOrCount(name: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > MOST)
    throw invalid(name, 'a share below 1 or a count of slots', value)
  if (value >= 1 && !Number.isInteger(value))
    throw invalid(name, 'a share below 1 or a whole count of slots', value, `use ${Math.trunc(value)} or a share`)
  return value
}

/** A word of a list; the engine knows its place in it. */
export const words = <const W extends readonly string[]>(name: string, about: string, list: W) => ({
  about,
  unit: list.join(' | '),
  check: (value: unknown) => oneOf(name, value, list),
  /** As a native parameter. */
  as: <V>(read: (options: V) => W[number]): ParameterSpec<V> => ['int32', (options) => list.indexOf(read(options))],
})

export const budget: OptionSpec = {
  about: 'size of the cache',
  unit: 'slots per kv head, or share of the prompt',
  check: (value) => {
    if (value === 0) throw invalid('budget', 'a share above 0 or a count of slots', value)
    return shareOrCount('budget', value)
  },
}

export const recent: OptionSpec = {
  about: 'newest tokens that are never candidates, the incoming one included',
  unit: 'slots, or share of the budget',
  check: (value) => {
    if (value === 0)
      throw invalid('recent', 'a share above 0 or a count of slots', value, 'the least is 1, the new token itself')
    return shareOrCount('recent', value)
  },
}

export const sink: OptionSpec = {
  about: 'first tokens that never leave',
  unit: 'slots',
  check: (value) => integer('sink', value, 0, MOST),
}

export const chunk: OptionSpec = {
  about: 'chunk length of a further turn',
  unit: 'tokens',
  check: (value) => integer('chunk', value, 1, 1 << 20),
}

// ---- history: the decayed sum of attention (spec §2, §4)

export interface HistoryOptions {
  /** λ of the score s ← λ·s + p, in (0, 1]. */
  decay: number
  /** 'off': no scores; the oldest position leaves first. */
  history: 'on' | 'off'
  /** Prompt rows whose probabilities count: 'auto' = smallest W with λ^W < 1e-7, 'all', or a count. */
  window: 'auto' | 'all' | number
}

const historyWords = words('history', "'off' keeps no scores: the oldest position leaves first", ['on', 'off'])

export const history: { readonly [K in keyof HistoryOptions]: OptionSpec } = {
  decay: {
    about: 'how fast attention of the past fades from the scores (λ)',
    unit: 'per step',
    check: (value) => {
      if (value === 0) throw invalid('decay', 'a number above 0 and up to 1', value)
      return number('decay', value, 0, 1, 'above 0 and up to 1')
    },
    later: true,
  },
  history: historyWords,
  window: {
    about: 'prompt rows whose attention counts for the first scores',
    unit: 'auto | all | rows',
    check: (value) => {
      if (value === 'auto' || value === 'all') return value
      if (typeof value === 'number') return integer('window', value, 1, MOST)
      throw invalid('window', "'auto', 'all' or a number of rows", value)
    },
  },
}

const WINDOW = { auto: 0, all: -1 } as const

export const historyParameters: Readonly<Record<keyof HistoryOptions, ParameterSpec<HistoryOptions>>> = {
  decay: ['float32', (o) => o.decay],
  history: ['int32', (o) => (o.history === 'on' ? 1 : 0)],
  window: ['int32', (o) => (typeof o.window === 'number' ? o.window : WINDOW[o.window])],
}

/** A decay that somebody asks for beside history 'off' contradicts itself. */
export function refuseDecayWithoutHistory(values: HistoryOptions, given: Readonly<Record<string, unknown>>): void {
  if (values.history === 'off' && given.decay !== undefined)
    throw invalid('decay', "no value beside history 'off'", given.decay, 'without history there are no scores to decay')
}

export const underfull = words('underfull', 'what happens when a cache fills up that was never compressed', [
  'compress',
  'first-tokens',
])
