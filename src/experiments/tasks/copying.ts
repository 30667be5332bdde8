/** Copying: drawn words are read and to be written again, all but the first line; what left the cache cannot be. */
import { options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { bookWords } from './draws.js'
import { hidden } from './haystack.js'
import { lengthsOf, SIZED, sized, type SizedOptions } from './sized.js'

export interface CopyingOptions extends Omit<SizedOptions, 'lengths'> {
  /** Tokens of the context, about, which are to be written; default [128]. */
  lengths?: readonly number[]
}

/** Words of a line. */
const LINE = 8

/** Prompts are so many of each length; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function copying(options: CopyingOptions = {}): Task {
  checked('copying', options, SIZED)
  const lengths = lengthsOf(options, 128)
  return sized(
    {
      call: 'copying',
      name: 'copying',
      about: 'drawn words are to be written again, all but the first line',
      options: {},
      tokens: 16 + Math.max(...lengths),
      scores: ['rougeL', 'exact'],
    },
    { ...options, lengths },
    ({ model, draws, length }) => {
      const line = () => Array.from({ length: LINE }, () => draws.of(bookWords())).join(' ')
      const context = hidden(model, [], length, line, '\n')
      const [first, ...others] = context.split('\n')
      return {
        context,
        questions: [
          { question: 'Repeat the text above word for word.', answers: [others.join('\n')], begin: `${first}\n` },
        ],
      }
    },
  )
}
