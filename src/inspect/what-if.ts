/** One kv head at one step under any α, without the model: the slider of the compensation microscope. */
import { number } from '../expect.js'
import { whatIfAnswerText, whatIfText } from '../show/compensation-text.js'
import { showsItself } from '../show/show.js'
import { meanOf } from '../statistics/moments.js'
import {
  checkReads,
  checkVectors,
  logitsOf,
  probsOf,
  queriesOf,
  relativeError,
  slotRows,
  weighted,
  type Centroid,
  type SlotsRead,
} from './head.js'
import type { HeadVectors } from './vectors.js'

/** By query head of the group. */
export interface WhatIfAnswer {
  alpha: number
  /** [group][slots] */
  probs: Float64Array[]
  /** [group][headDim] */
  outputs: Float64Array[]
  /** [group] ‖o − o*‖/‖o*‖, o* with nothing removed. */
  errors: Float64Array
  /** Mean of errors. */
  error: number
}

export interface WhatIf {
  step: number
  position: number
  /** [slots] tokens that each stands for. */
  weights: Int32Array
  /** [group][slots] probability that a slot's members have with nothing removed. */
  membersProbs: Float64Array[]
  /** What this step would have been under `alpha`. Errors: 'invalid' for a number that is not from −100 to 100. */
  at(alpha: number): WhatIfAnswer
}

/** Everything that does not depend on α is computed here, once: `at` costs group × slots × headDim. */
export function whatIf(
  vectors: HeadVectors,
  read: SlotsRead,
  options: { keys?: Centroid; values?: Centroid } = {},
): WhatIf {
  checkVectors(vectors)
  checkReads(vectors, [read])
  const { headDim } = vectors
  const { slots, step, position } = read
  const keys = slotRows(vectors.keys, headDim, slots, options.keys ?? 'mean')
  const values = slotRows(vectors.values, headDim, slots, options.values ?? 'mean')
  const lnWeights = Float64Array.from(slots, ({ origins }) => Math.log(origins.length))
  const queries = queriesOf(vectors, position).map((full) => {
    const probs = probsOf(full.logits, full.lse)
    return {
      output: full.output,
      logits: logitsOf(full.q, keys, slots.length),
      membersProbs: Float64Array.from(slots, ({ origins }) => origins.reduce((sum, origin) => sum + probs[origin], 0)),
    }
  })
  const asked: WhatIf = {
    step,
    position,
    weights: Int32Array.from(slots, ({ origins }) => origins.length),
    membersProbs: queries.map(({ membersProbs }) => membersProbs),
    at(alpha) {
      number('alpha', alpha, -100, 100)
      const bias = lnWeights.map((ln) => alpha * ln)
      const probs = queries.map(({ logits }) => probsOf(logits.map((logit, i) => logit + bias[i])))
      const outputs = probs.map((each) => weighted(each, values, headDim))
      const errors = Float64Array.from(queries, ({ output }, head) => relativeError(outputs[head], output))
      return showsItself<WhatIfAnswer>({ alpha, probs, outputs, errors, error: meanOf(errors) }, whatIfAnswerText)
    },
  }
  return showsItself(asked, whatIfText)
}
