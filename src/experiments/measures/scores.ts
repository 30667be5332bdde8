/** How much of what was to be said was said, from 0 to 1, by name. */

/** said, and answers that are right (at least one). */
export type Score = (said: string, answers: readonly string[]) => number

interface Scored {
  of: Score
  about: string
}

const has = (said: string, answer: string) => said.toLowerCase().includes(answer.toLowerCase())

const SCORES = {
  contains: {
    of: (said, answers) => Number(answers.some((answer) => has(said, answer))),
    about: 'share of answers that say what is right',
  },
  all: {
    of: (said, answers) => answers.filter((answer) => has(said, answer)).length / answers.length,
    about: 'share of what is to be said that is said',
  },
} as const satisfies Record<string, Scored>

export type ScoreName = keyof typeof SCORES
export const SCORE_NAMES = Object.keys(SCORES) as ScoreName[]
export const scored = (name: ScoreName): Scored => SCORES[name]
