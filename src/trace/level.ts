/** How much a session keeps of what its cache does: the words of the option `trace`, and what they ask of the engine. */
import { flag, integer, invalid, oneOf, options } from '../expect.js'
import { ZslabError } from '../errors.js'
import { tapeBoundOf, type TapeBound } from './memory.js'

/**
 * off: origins and counters only; events: the tape. The other two each have the tape as well, and neither has the other (`scores: true` beside
 * 'vectors' asks for both, since scores may take the most of all): scores: what each slot of chosen heads is worth, step by step; vectors: what
 * chosen heads are given (keys, values, queries).
 */
export const LEVELS = ['off', 'events', 'scores', 'vectors'] as const
export type Level = (typeof LEVELS)[number]

/** By layer and kv head; default: all. */
export interface SomeHeads {
  layers?: readonly number[]
  kvHeads?: readonly number[]
}

/** layers, kvHeads: whose scores or vectors are kept. */
export interface TraceLevel extends SomeHeads {
  level: Level
  /** Of level 'vectors': queries kept of the prompt's last rows (default 512); of later tokens all are. */
  queries?: number
  /** Of level 'vectors': scores and probabilities, too, of the same heads (default false). */
  scores?: boolean
  /** Scores of every n-th step alone (default 1: all). */
  every?: number
  /** Bytes of events that stay in memory (default 2²⁸, 5.4 million events); older ones go to temporary files. */
  memory?: number
  /** For those files (default: the system's, os.tmpdir()); they have no names and are gone with the last who reads them. */
  folder?: string
}

/** true: 'events'; false: 'off'. */
export type TraceOption = boolean | Level | TraceLevel

/** What the engine is asked for. */
export interface Kept {
  readonly level: Level
  readonly events: boolean
  /** What of them stays in memory. */
  readonly tape?: TapeBound
  /** 1 where vectors are kept, [layers, kvHeads]; undefined: nowhere. */
  readonly vectors?: Uint8Array
  readonly queries: number
  /** 1 where scores are kept, [layers, kvHeads]; undefined: nowhere. */
  readonly scores?: Uint8Array
  readonly every: number
}

const QUERIES = 512

/** Bytes of scores and probabilities that one session keeps at most: who asks for more is told so before it is too late. */
export const MOST_SCORES = 2e9
/** Of a slot at a step: score and probability, float32. */
export const SCORE_BYTES = 8

export const NOTHING_KEPT: Kept = { level: 'off', events: false, queries: 0, every: 1 }

/** Names of TraceLevel beside `level`, by the levels that know them. */
const NAMES = {
  off: [],
  events: ['memory', 'folder'],
  scores: ['layers', 'kvHeads', 'every', 'memory', 'folder'],
  vectors: ['layers', 'kvHeads', 'queries', 'scores', 'every', 'memory', 'folder'],
} as const

/** `option` for a model of so many layers and kv heads. Errors: 'invalid'. */
export function keptOf(option: TraceOption | undefined, layers: number, kvHeads: number): Kept {
  if (option === undefined || typeof option === 'boolean')
    return levelOf({ level: option ? 'events' : 'off' }, layers, kvHeads)
  if (typeof option === 'string') return levelOf({ level: oneOf('trace', option, LEVELS) }, layers, kvHeads)
  if (typeof option !== 'object' || option === null || Array.isArray(option))
    throw invalid(
      'trace',
      `true, false, one of ${LEVELS.map((word) => `'${word}'`).join(', ')} or { level, … }`,
      option,
    )
  options('trace', option, ['level', ...NAMES.vectors])
  return levelOf(option, layers, kvHeads)
}

function levelOf(option: TraceLevel, layers: number, kvHeads: number): Kept {
  const level = oneOf('trace.level', option.level, LEVELS)
  const known: readonly string[] = NAMES[level]
  const odd = NAMES.vectors.find((name) => option[name] !== undefined && !known.includes(name))
  if (odd) throw needs(odd, level)
  if (level === 'off') return NOTHING_KEPT
  const tape = tapeBoundOf(option.memory, option.folder)
  if (level === 'events') return { ...NOTHING_KEPT, level, events: true, tape }
  const marks = headMarks(option, layers, kvHeads, 'trace.')
  const scores = level === 'scores' || (option.scores !== undefined && flag('trace.scores', option.scores))
  if (option.every !== undefined && !scores) throw needs('every', level)
  return {
    level,
    events: true,
    tape,
    vectors: level === 'vectors' ? marks : undefined,
    queries:
      option.queries === undefined ? (level === 'vectors' ? QUERIES : 0) : integer('trace.queries', option.queries, 0),
    scores: scores ? marks : undefined,
    every: option.every === undefined ? 1 : integer('trace.every', option.every, 1, 2 ** 31 - 1),
  }
}

const SAYS: Record<(typeof NAMES.vectors)[number], string> = {
  layers:
    "says whose scores or vectors are kept, but level is 'LEVEL': give level 'scores' or 'vectors', or leave it out",
  kvHeads:
    "says whose scores or vectors are kept, but level is 'LEVEL': give level 'scores' or 'vectors', or leave it out",
  queries:
    "says how many of the prompt's queries are kept, but level is 'LEVEL': give level 'vectors', or leave it out",
  scores: "asks for scores beside vectors, but level is 'LEVEL': give level 'vectors' with it, or level 'scores' alone",
  every:
    "says at which steps scores are kept, but level 'LEVEL' keeps none: give level 'scores', or scores: true beside level 'vectors', or leave it out",
  memory: "says how many bytes of events stay in memory, but level is 'LEVEL': give level 'events', or leave it out",
  folder: "says where events go that leave memory, but level is 'LEVEL': give level 'events', or leave it out",
}
const needs = (name: keyof typeof SAYS, level: Level) =>
  new ZslabError('invalid', `trace.${name} ${SAYS[name].replace('LEVEL', level)}`)

/** The option that comes to `kept`, but where events go that leave memory. */
export function optionOf(
  { level, vectors, scores, queries, every }: Kept,
  layers: number,
  kvHeads: number,
): TraceOption {
  const marks = vectors ?? scores
  if (!marks) return level
  const all = (count: number) => Array.from({ length: count }, (_, i) => i)
  const some = all(layers).filter((layer) => all(kvHeads).some((head) => marks[layer * kvHeads + head]))
  const heads = all(kvHeads).filter((head) => marks[some[0] * kvHeads + head])
  return {
    level,
    ...(some.length < layers && { layers: some }),
    ...(heads.length < kvHeads && { kvHeads: heads }),
    ...(vectors && { queries, ...(scores && { scores: true }) }),
    ...(scores && { every }),
  }
}

/** [layers, kvHeads]: 1 for the heads in `of.layers` and `of.kvHeads`, each all where it is left out. Errors: 'invalid', naming `prefix`. */
export function headMarks(of: SomeHeads, layers: number, kvHeads: number, prefix = ''): Uint8Array {
  const marks = new Uint8Array(layers * kvHeads)
  for (const layer of numbersOf(`${prefix}layers`, of.layers, layers))
    for (const kvHead of numbersOf(`${prefix}kvHeads`, of.kvHeads, kvHeads)) marks[layer * kvHeads + kvHead] = 1
  return marks
}

function numbersOf(name: string, value: readonly number[] | undefined, count: number): number[] {
  if (value === undefined) return Array.from({ length: count }, (_, i) => i)
  if (!Array.isArray(value) || value.length === 0)
    throw invalid(name, `numbers from 0 to ${count - 1} in an array`, value)
  return value.map((one, i) => integer(`${name}[${i}]`, one, 0, count - 1))
}

const sameMarks = (a: Uint8Array | undefined, b: Uint8Array | undefined) => String(a) === String(b)
export const sameVectors = (a: Kept, b: Kept) => a.queries === b.queries && sameMarks(a.vectors, b.vectors)
export const sameScores = (a: Kept, b: Kept) => a.every === b.every && sameMarks(a.scores, b.scores)
export const sameKept = (a: Kept, b: Kept) => a.level === b.level && sameVectors(a, b) && sameScores(a, b)
