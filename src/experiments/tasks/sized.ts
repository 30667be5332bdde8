/** What tasks share whose contexts are made as long as one likes: which prompts there are. */
import { integer, invalid, number } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import { generator } from '../../sampling.js'
import type { Task } from '../task.js'
import { ANSWERING, answering, type AnsweringOptions, type Asking } from './answering.js'
import { Draws } from './draws.js'

export interface LengthOptions extends AnsweringOptions {
  /** Tokens of the context, about; default [1,024]. */
  lengths?: readonly number[]
}

export interface SizedOptions extends LengthOptions {
  /** Of each length; default 10. */
  prompts?: number
}

export interface DepthOptions extends LengthOptions {
  /** Where the needle stands, 0 the beginning, 1 the end; default [0, 0.25, 0.5, 0.75, 1]. A prompt of each length at each. */
  depths?: readonly number[]
}

/** Prompts of a length. */
const MOST = 10_000

export const SIZED = ['lengths', 'prompts', ...ANSWERING]
export const DEPTHS = ['lengths', 'depths', ...ANSWERING]

type AnsweringParts = Omit<Parameters<typeof answering>[0], 'asked'>

/** What of a prompt is drawn. */
export type Drawn = Omit<Asking, 'name' | 'cluster'>

interface Place<W> {
  model: LoadedModel
  draws: Draws
  length: number
  where: W
}

/** A prompt of each length at each place; each of a seed is a cluster of its own. */
function placed<W>(
  parts: AnsweringParts,
  options: AnsweringOptions,
  lengths: readonly number[],
  places: readonly (readonly [name: string, where: W])[],
  drawn: (place: Place<W>) => Drawn,
): Task {
  return answering(
    {
      ...parts,
      options: { lengths, ...parts.options },
      asked(model, seed) {
        const { context } = model.description
        const long = lengths.findIndex((length) => length >= context)
        if (long >= 0)
          throw invalid(
            `lengths[${long}]`,
            `fewer tokens than the ${context} of the context of ${model.name}, so that the answer has room`,
            lengths[long],
          )
        const draw = generator(seed)
        return lengths.flatMap((length) =>
          places.map(([place, where]): Asking => {
            const name = `${length} tokens, ${place}`
            return {
              name,
              cluster: `${name}, seed ${seed}`,
              ...drawn({ model, draws: new Draws(draw), length, where }),
            }
          }),
        )
      },
    },
    options,
  )
}

export const lengthsOf = ({ lengths }: LengthOptions, otherwise = 1024): number[] =>
  listOf('lengths', lengths ?? [otherwise], (name, value) => integer(name, value, 64))

/** So many prompts of each length. */
export function sized(parts: AnsweringParts, options: SizedOptions, drawn: (place: Place<undefined>) => Drawn): Task {
  const prompts = options.prompts === undefined ? 10 : integer('prompts', options.prompts, 1, MOST)
  const places = Array.from({ length: prompts }, (_, i) => [`prompt ${i}`, undefined] as const)
  return placed({ ...parts, options: { prompts, ...parts.options } }, options, lengthsOf(options), places, drawn)
}

/** A prompt of each length at each depth. */
export function atDepths(parts: AnsweringParts, options: DepthOptions, drawn: (place: Place<number>) => Drawn): Task {
  const depths = listOf('depths', options.depths ?? [0, 0.25, 0.5, 0.75, 1], (name, value) => number(name, value, 0, 1))
  const places = depths.map((depth) => [`depth ${depth}`, depth] as const)
  return placed({ ...parts, options: { depths, ...parts.options } }, options, lengthsOf(options), places, drawn)
}

export function listOf(name: string, given: unknown, check: (name: string, value: unknown) => number): number[] {
  if (!Array.isArray(given) || !given.length) throw invalid(name, 'an array of at least one', given)
  const values = given.map((value: unknown, i) => check(`${name}[${i}]`, value))
  const twice = values.find((value, i) => values.indexOf(value) !== i)
  if (twice !== undefined) throw invalid(name, 'each once', twice)
  return values
}
