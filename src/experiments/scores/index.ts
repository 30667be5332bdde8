/** How much of what was to be said was said, from 0 to 1, by name. */
import { ROUGES, rouge, type Rouge } from './rouge.js'
import { exact, f1 } from './squad.js'

interface Scored {
  /** What was said, and answers (at least one) that are right. */
  of(said: string, answers: readonly string[]): number
  about: string
}

const has = (said: string, answer: string) => said.toLowerCase().includes(answer.toLowerCase())

/** Of the answer that what was said comes closest to. */
const best =
  (close: (said: string, answer: string) => number): Scored['of'] =>
  (said, answers) =>
    Math.max(...answers.map((answer) => close(said, answer)))

const rougeOf = (kind: Rouge, stemmed: boolean): Scored => ({
  of: best((said, answer) => rouge(kind, said, answer, stemmed)),
  about: `${kind.replace('rouge', 'ROUGE-')}${stemmed ? ' of stems' : ''}, F measure`,
})

type RougeName = Rouge | `${Rouge}Stemmed`
const ROUGE_SCORES = Object.fromEntries(
  ROUGES.flatMap((kind) => [
    [kind, rougeOf(kind, false)],
    [`${kind}Stemmed`, rougeOf(kind, true)],
  ]),
) as Record<RougeName, Scored>

const SCORES = {
  contains: {
    of: best((said, answer) => Number(has(said, answer))),
    about: 'share of answers that say what is right',
  },
  all: {
    of: (said, answers) => answers.filter((answer) => has(said, answer)).length / answers.length,
    about: 'share of what is to be said that is said',
  },
  exact: { of: best(exact), about: 'share of answers that are right, word for word' },
  f1: { of: best(f1), about: 'F1 of the words' },
  ...ROUGE_SCORES,
} as const satisfies Record<string, Scored>

export type ScoreName = keyof typeof SCORES
export const SCORE_NAMES = Object.keys(SCORES) as ScoreName[]
export const scored = (name: ScoreName): Scored => SCORES[name]
