/** What a model answers under a policy, beside what is right and what it answers under the full cache; the likeliest token each time. */
import { readAnswers } from '../../answers.js'
import { flag, integer, invalid, number, oneOf, options as checked } from '../../expect.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { meanOf } from '../../statistics/moments.js'
import { EVIDENCE_METRICS, evictionRatios } from './evidence.js'
import type { Measuring, Metric } from './measuring.js'
import { SCORE_NAMES, scored, type ScoreName } from '../scores/index.js'

export interface AnswersMeasure {
  kind: 'answers'
  /** Of an answer, at most. */
  tokens: number
  /** How what was said is scored, by name; the first is what it is about. */
  scores: readonly ScoreName[]
  /** What the full cache has to reach in the mean of the first: below it the model cannot do the task, whatever the policy. */
  able: number
  /** How keys and values are kept. */
  storage: Storage
  /** Of each prompt; default 1. */
  turns?: number
  /**
   * Of several turns. 'session' (default): each goes on where the one before has asked, with what its `ask` says was answered. 'requests': each begins
   * where policies have acted on the prompt.
   */
  mode?: TurnsMode
  /** Prompts say which of their tokens answers need, and it is measured what became of them; default false. */
  evidence?: boolean
}

export const TURNS_MODES = ['session', 'requests'] as const
/** How several turns follow each other (SCBench, arXiv 2412.10319). */
export type TurnsMode = (typeof TURNS_MODES)[number]

const KNOWN = ['kind', 'tokens', 'scores', 'able', 'storage', 'turns', 'mode', 'evidence']

export function measureAnswers(measure: AnswersMeasure): Measuring {
  checked('measure', measure, KNOWN)
  const tokens = integer('measure.tokens', measure.tokens, 1)
  const storage = oneOf('measure.storage', measure.storage, STORAGES)
  const turns = measure.turns === undefined ? 1 : integer('measure.turns', measure.turns, 1)
  const mode = measure.mode === undefined ? 'session' : oneOf('measure.mode', measure.mode, TURNS_MODES)
  const evidence = measure.evidence === undefined ? false : flag('measure.evidence', measure.evidence)
  const [first, ...others] = scoresOf(measure.scores)
  return {
    metrics: [...metricsOf(first, others), ...turnsMetrics(turns), ...(evidence ? EVIDENCE_METRICS : [])],
    able: { metric: 'full', least: number('measure.able', measure.able, 0, 1) },
    work({ name, ids, turns: own, evidence: needed }) {
      if (own.length !== turns || own.some(({ answers }) => !answers.length))
        throw invalid(`the prompt ${name}`, `${turns} turns, with answers to each`, own.length)
      if (evidence && !needed) throw invalid(`the prompt ${name}`, 'evidence, the tokens that answers need', needed)
      return { given: ids.length, read: ids.length, each: own.reduce((sum, { ask }) => sum + ask.length + tokens, 0) }
    },
    run(model, { ids, turns: own, evidence: needed }, asked, put, call) {
      const text = (said: readonly number[]) => model.tokenizer.decode(said, { skipSpecial: true })
      const scores = (name: ScoreName, said: readonly (readonly number[])[]) =>
        own.map(({ answers }, i) => scored(name).of(text(said[i]), answers))
      return readAnswers(
        model,
        { ids, asks: own.map(({ ask }) => ask), mode, tokens, storage },
        asked,
        (choice, said, whole, reading) => {
          const [found, base] = [scores(first, said), scores(first, whole)]
          const [score, full] = [meanOf(found), meanOf(base)]
          const values: Record<string, number> = {
            score,
            change: score - full,
            full,
            length: meanOf(said.map(({ length }) => length)),
          }
          for (const name of others) values[name] = meanOf(scores(name, said))
          if (turns > 1)
            found.forEach((one, i) => {
              values[`score${i + 1}`] = one
              values[`change${i + 1}`] = one - base[i]
            })
          if (evidence) Object.assign(values, evictionRatios(reading, needed!))
          return put(choice, values, reading)
        },
        call,
      )
    },
  }
}

function scoresOf(given: unknown): ScoreName[] {
  if (!Array.isArray(given) || !given.length) throw invalid('measure.scores', 'an array of at least one name', given)
  const scores = given.map((name, i) => oneOf(`measure.scores[${i}]`, name, SCORE_NAMES))
  const twice = scores.find((name, i) => scores.indexOf(name) !== i)
  if (twice !== undefined) throw invalid('measure.scores', 'each score once', twice)
  return scores
}

const share = (name: string, about: string): Metric => ({ name, about, unit: 'share', better: 'more' })

const metricsOf = (first: ScoreName, others: readonly ScoreName[]): Metric[] => [
  share('score', scored(first).about),
  share('change', 'score over the full cache’s'),
  share('full', 'score of the full cache'),
  { name: 'length', about: 'tokens of the answer', unit: 'tokens', better: 'less' },
  ...others.map((name) => share(name, scored(name).about)),
]

/** Of each of several turns. */
const turnsMetrics = (turns: number): Metric[] =>
  turns < 2
    ? []
    : Array.from({ length: turns }, (_, i) => [
        share(`score${i + 1}`, `score of turn ${i + 1}`),
        share(`change${i + 1}`, `score of turn ${i + 1} over the full cache’s`),
      ]).flat()
