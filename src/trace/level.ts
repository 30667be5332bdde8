/** How much a session keeps of what its cache does: the words of the option `trace`, and what they ask of the engine. */
import { integer, invalid, oneOf, options } from '../expect.js'
import { ZslabError } from '../errors.js'

/** off: origins and counters only; events: the tape; vectors: also what chosen heads are given (keys, values, queries). */
export const LEVELS = ['off', 'events', 'vectors'] as const
export type Level = (typeof LEVELS)[number]

export interface TraceLevel {
  level: Level
  /** Whose vectors are kept; default: all. */
  layers?: readonly number[]
  kvHeads?: readonly number[]
  /** Queries kept of the prompt's last rows (default 512); of later tokens all are. */
  queries?: number
}

/** true: 'events'; false: 'off'. */
export type TraceOption = boolean | Level | TraceLevel

/** What the engine is asked for. */
export interface Kept {
  readonly level: Level
  readonly events: boolean
  /** [layers, kvHeads]: 1 where vectors are kept; undefined: nowhere. */
  readonly vectors?: Uint8Array
  readonly queries: number
}

const QUERIES = 512

export const NOTHING_KEPT: Kept = { level: 'off', events: false, queries: 0 }

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
  options('trace', option, ['level', 'layers', 'kvHeads', 'queries'])
  return levelOf(option, layers, kvHeads)
}

function levelOf(option: TraceLevel, layers: number, kvHeads: number): Kept {
  const level = oneOf('trace.level', option.level, LEVELS)
  const chosen = (['layers', 'kvHeads', 'queries'] as const).filter((name) => option[name] !== undefined)
  if (level !== 'vectors') {
    if (chosen.length)
      throw new ZslabError(
        'invalid',
        `trace.${chosen[0]} says whose vectors are kept, but level is '${level}': give level 'vectors', or leave it out`,
      )
    return level === 'off' ? NOTHING_KEPT : { level, events: true, queries: 0 }
  }
  const vectors = new Uint8Array(layers * kvHeads)
  for (const layer of numbersOf('trace.layers', option.layers, layers))
    for (const kvHead of numbersOf('trace.kvHeads', option.kvHeads, kvHeads)) vectors[layer * kvHeads + kvHead] = 1
  const queries = option.queries === undefined ? QUERIES : integer('trace.queries', option.queries, 0)
  return { level, events: true, vectors, queries }
}

function numbersOf(name: string, value: readonly number[] | undefined, count: number): number[] {
  if (value === undefined) return Array.from({ length: count }, (_, i) => i)
  if (!Array.isArray(value) || value.length === 0)
    throw invalid(name, `numbers from 0 to ${count - 1} in an array`, value)
  return value.map((one, i) => integer(`${name}[${i}]`, one, 0, count - 1))
}

export const sameVectors = (a: Kept, b: Kept) => a.queries === b.queries && String(a.vectors) === String(b.vectors)
export const sameKept = (a: Kept, b: Kept) => a.level === b.level && sameVectors(a, b)
