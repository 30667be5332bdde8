/** Which words are the most frequent? Two of RULER's tasks (Hsieh et al. 2024, arXiv 2404.06654): they need all of the context, not a place in it. */
import { options as checked } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import type { Task } from '../task.js'
import { bookWords, type Draws } from './draws.js'
import { SIZED, sized, type SizedOptions } from './sized.js'

/** Words that are to be found. */
const [COMMON, FREQUENT] = [10, 3]
/** How much more often the common ones stand there, where there is room for it. */
const TIMES = 10
/** How fast frequencies fall: of rank r, r to the power of −this. */
const POWER = 2

/** A numbered list of which ten words make up half, and all others are rare. Prompts are so many of each length. Errors: 'invalid'. */
export function commonWords(options: SizedOptions = {}): Task {
  checked('commonWords', options, SIZED)
  return sized(
    {
      call: 'commonWords',
      name: 'common words',
      about: `a list in which ${COMMON} words stand up to ${TIMES} times as often as the others`,
      options: {},
      tokens: 96,
      scores: ['all'],
    },
    options,
    ({ model, draws, length }) => {
      const count = fitting(model, length, (i) => `${i + 1}. ${draws.of(bookWords())}\n`)
      // As many others as there are words, at most.
      const rare = Math.max(Math.min(3, Math.floor(count / 250)), Math.ceil(count / (bookWords().length - COMMON)))
      const often = Math.max(rare + 1, Math.min(TIMES * rare, Math.floor(count / 2 / COMMON)))
      const others = Math.max(1, Math.floor((count - COMMON * often) / rare))
      const words = draws.some(bookWords(), COMMON + others)
      const common = words.slice(0, COMMON)
      const list = words.flatMap((word, i) => Array.from({ length: i < COMMON ? often : rare }, () => word))
      return {
        context: mixed(draws, list)
          .map((word, i) => `${i + 1}. ${word}`)
          .join('\n'),
        questions: [
          {
            question: `Which ${COMMON} words are the most frequent in the list above?`,
            answers: common,
            begin: `The ${COMMON} most frequent words are`,
          },
        ],
      }
    },
  )
}

/** Made-up words whose frequencies fall fast. Prompts are so many of each length. Errors: 'invalid'. */
export function frequentWords(options: SizedOptions = {}): Task {
  checked('frequentWords', options, SIZED)
  return sized(
    {
      call: 'frequentWords',
      name: 'frequent words',
      about: `made-up words of which the ${FREQUENT} most frequent are asked; the r-th stands there r^−${POWER} as often as the first`,
      options: {},
      tokens: 48,
      scores: ['all'],
    },
    options,
    ({ model, draws, length }) => {
      const word = () => draws.letters(6).toLowerCase()
      const count = fitting(model, length, () => `${word()} `)
      const ranks = Math.max(FREQUENT + 1, Math.floor(Math.sqrt(count)))
      const shares = Array.from({ length: ranks }, (_, i) => (i + 1) ** -POWER)
      const sum = shares.reduce((all, share) => all + share)
      const found = shares.map((share, i) => {
        // However few there are, those that are asked differ from the others.
        const least = 1 + Math.max(0, FREQUENT - i)
        return { word: word(), times: Math.max(least, Math.round((count * share) / sum)) }
      })
      return {
        context: mixed(
          draws,
          found.flatMap(({ word: one, times }) => Array.from({ length: times }, () => one)),
        ).join(' '),
        questions: [
          {
            question: `Which ${FREQUENT} words are the most frequent in the text above?`,
            answers: found.slice(0, FREQUENT).map((one) => one.word),
            begin: `The ${FREQUENT} most frequent words are`,
          },
        ],
      }
    },
  )
}

const SAMPLE = 64

/** How many pieces such as these have `length` tokens, about. */
function fitting({ tokenizer }: LoadedModel, length: number, piece: (i: number) => string): number {
  const sample = Array.from({ length: SAMPLE }, (_, i) => piece(100 + i)).join('')
  return Math.floor((SAMPLE * length) / tokenizer.encode(sample).length)
}

const mixed = (draws: Draws, list: readonly string[]): string[] => draws.some(list, list.length)
