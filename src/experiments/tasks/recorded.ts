/** What tasks share whose contexts are a user's own records. */
import { integer, number } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import { Place } from '../../recipe/recipe.js'
import { randomOrder } from '../../sampling.js'
import type { Task } from '../task.js'
import { ANSWERING, answering, type AnsweringOptions, type Question } from './answering.js'

export interface RecordedOptions extends AnsweringOptions {
  /** A file of JSON objects, one a line. */
  file: string
  /** So many records, drawn with the seed; default all, in their order. */
  prompts?: number
  /** Of a context, at most: what stands in its middle is left out, as LongBench and SCBench do. Default: a context that is too long is refused. */
  length?: number
  /** Of an answer, at most. */
  tokens?: number
  /** What the full cache has to reach in the mean of the score: below it the model cannot do the task. Default 0.1. */
  able?: number
}

export const RECORDED = ['file', 'prompts', 'length', 'tokens', 'able', ...ANSWERING]

export interface Recorded {
  /** Where it stands: file and line. */
  at: string
  name?: string
  cluster?: string
  context: string
  questions: readonly Question[]
}

type AnsweringParts = Omit<Parameters<typeof answering>[0], 'asked' | 'able' | 'options'>

export function recorded(parts: AnsweringParts, options: RecordedOptions, records: readonly Recorded[]): Task {
  const prompts = options.prompts === undefined ? undefined : integer('prompts', options.prompts, 1, records.length)
  const length = options.length === undefined ? undefined : integer('length', options.length, 16)
  const tokens = options.tokens === undefined ? parts.tokens : integer('tokens', options.tokens, 1)
  const able = options.able === undefined ? 0.1 : number('able', options.able, 0, 1)
  // Where it lies from a card is the card's to say.
  const given = { ...options, file: new Place(options.file) }
  return answering(
    {
      ...parts,
      tokens,
      able,
      options: { file: options.file, ...(prompts && { prompts }), ...(length && { length }) },
      asked(model, seed) {
        const order = prompts === undefined ? records.keys() : randomOrder(records.length, seed).slice(0, prompts)
        return Array.from(order, (i) => {
          const { at, name = at, cluster = name, context, questions } = records[i]
          return {
            name,
            cluster,
            context: length === undefined ? context : shortened(model, context, length),
            questions,
          }
        })
      },
    },
    given,
  )
}

/** Without its middle where it has more tokens than `length`. */
function shortened({ tokenizer }: LoadedModel, context: string, length: number): string {
  const ids = tokenizer.encode(context, { special: false })
  if (ids.length <= length) return context
  const first = Math.ceil(length / 2)
  return tokenizer.decode(ids.slice(0, first)) + tokenizer.decode(ids.slice(ids.length - (length - first)))
}
