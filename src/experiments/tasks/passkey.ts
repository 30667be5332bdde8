/** Passkey: five digits hidden in a book, at a depth of it; can the model say them? (Mohtashami & Jaggi 2023, arXiv 2305.16300) */
import { integer, invalid, number, options as checked } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import { generator } from '../../sampling.js'
import type { Task } from '../task.js'
import { answering, type AnsweringOptions, type Asking } from './answering.js'
import { bookChapters } from './texts.js'

export interface PasskeyOptions extends AnsweringOptions {
  /** Tokens of the context, about; default [1,024]. */
  lengths?: readonly number[]
  /** Where the key stands, 0 the beginning, 1 the end; default [0, 0.25, 0.5, 0.75, 1]. */
  depths?: readonly number[]
}

const QUESTION = 'What is the pass key in the text above? Answer with the number alone.'
const DIGITS = 5

/** Prompts are every length at every depth; each of a seed is a cluster of its own, with a key and a place in the book that the seed draws. Errors: 'invalid'. */
export function passkey(options: PasskeyOptions = {}): Task {
  checked('passkey', options, ['lengths', 'depths', 'question', 'storage'])
  const lengths = listOf('lengths', options.lengths ?? [1024], (name, value) => integer(name, value, 64))
  const depths = listOf('depths', options.depths ?? [0, 0.25, 0.5, 0.75, 1], (name, value) => number(name, value, 0, 1))
  return answering(
    {
      name: 'passkey',
      about: `${DIGITS} digits in ${lengths.join(', ')} tokens of Moby Dick, at depths ${depths.join(', ')}`,
      options: { lengths, depths },
      tokens: 24,
      scores: ['contains'],
      able: 0.5,
      asked(model, seed) {
        const draw = generator(seed)
        return lengths.flatMap((length) =>
          depths.map((depth): Asking => {
            const key = Array.from({ length: DIGITS }, () => Math.floor(draw() * 10)).join('')
            const context = hidden(
              model,
              `The pass key is ${key}. Remember it. ${key} is the pass key.`,
              length,
              depth,
              draw(),
            )
            const name = `${length} tokens, depth ${depth}`
            return { name, cluster: `${name}, seed ${seed}`, context, question: QUESTION, answers: [key] }
          }),
        )
      },
    },
    options,
  )
}

function listOf(name: string, given: unknown, check: (name: string, value: unknown) => number): number[] {
  if (!Array.isArray(given) || !given.length) throw invalid(name, 'an array of at least one', given)
  return given.map((value: unknown, i) => check(`${name}[${i}]`, value))
}

let sentences: string[] | undefined

/** Of all chapters, each on one line. */
const book = (): string[] =>
  (sentences ??= bookChapters()
    .flatMap(({ text }) => text.replace(/\s+/g, ' ').match(/[^.!?]+[.!?]+/g) ?? [])
    .map((one) => one.trim()))

/** `needle` between sentences of the book from `place` (0 to 1) of it on, `length` tokens in all, at `depth` of them. */
function hidden(model: LoadedModel, needle: string, length: number, depth: number, place: number): string {
  const all = book()
  const count = (text: string) => model.tokenizer.encode(` ${text}`, { special: false }).length
  const taken: { text: string; tokens: number }[] = []
  let tokens = count(needle)
  for (let i = Math.floor(place * all.length); ; i = (i + 1) % all.length) {
    const own = count(all[i])
    if (tokens + own > length && taken.length) break
    taken.push({ text: all[i], tokens: own })
    tokens += own
  }
  const filler = taken.reduce((sum, one) => sum + one.tokens, 0)
  let before = 0
  const at = taken.findIndex((one) => {
    const here = before >= depth * filler - 1e-9
    before += one.tokens
    return here
  })
  const texts = taken.map(({ text }) => text)
  texts.splice(at < 0 ? texts.length : at, 0, needle)
  return texts.join(' ')
}
