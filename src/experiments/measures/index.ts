/** How prompts are measured, by kind: a measure is plain data, so that whoever has it and a prompt can carry a trial out. */
import { object, oneOf } from '../../expect.js'
import { measureAnswers, type AnswersMeasure } from './answers.js'
import { measureTails, type TailsMeasure } from './tails.js'
import { measureTimes, type TimesMeasure } from './times.js'
import type { Measuring } from './measuring.js'

export type Measure = TailsMeasure | AnswersMeasure | TimesMeasure

const KINDS: { [K in Measure['kind']]: (measure: Extract<Measure, { kind: K }>) => Measuring } = {
  tails: measureTails,
  answers: measureAnswers,
  times: measureTimes,
}

/** Errors: 'invalid' naming what of the measure is wrong. */
export function measuring(measure: Measure): Measuring {
  const { kind } = object('measure', measure) as Measure
  const of = KINDS[oneOf('measure.kind', kind, Object.keys(KINDS) as Measure['kind'][])]
  return (of as (measure: Measure) => Measuring)(measure)
}
