/** Passkey: five digits hidden in a book, at a depth of it; can the model say them? (Mohtashami & Jaggi 2023, arXiv 2305.16300) */
import { options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { filled, hidden } from './haystack.js'
import { atDepths, DEPTHS, type DepthOptions } from './sized.js'

export type PasskeyOptions = DepthOptions

const QUESTION = 'What is the pass key in the text above? Answer with the number alone.'
const DIGITS = 5

/** Prompts are every length at every depth; each of a seed is a cluster of its own, with a key and a place in the book that the seed draws. Errors: 'invalid'. */
export function passkey(options: PasskeyOptions = {}): Task {
  checked('passkey', options, DEPTHS)
  return atDepths(
    {
      call: 'passkey',
      name: 'passkey',
      about: `${DIGITS} digits at a depth of Moby Dick`,
      options: {},
      tokens: 24,
      scores: ['contains'],
      evidence: true,
    },
    options,
    ({ model, draws, length, where: depth }) => {
      const key = Array.from({ length: DIGITS }, () => draws.below(10)).join('')
      const text = `The pass key is ${key}. Remember it. ${key} is the pass key.`
      const context = hidden(model, [{ text, depth }], length, filled('book', draws.draw()))
      return { context, questions: [{ question: QUESTION, answers: [key] }], evidence: [text] }
    },
  )
}
