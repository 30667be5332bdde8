/** The text of a head's scores: of which steps, how many rows, and what is worth most at the last. */
import { counted, lines } from './texts.js'

export interface ScoresFacts {
  layer: number
  kvHead: number
  steps: Int32Array
  starts: Float64Array
  positions: Int32Array
  scores: Float32Array
  probabilities: Float32Array
}

export function scoresText({ layer, kvHead, steps, starts, positions, scores, probabilities }: ScoresFacts): string {
  const rows = steps.length
  const whose = `layer ${layer}, kv head ${kvHead}`
  if (!rows) return lines(`Scores of ${whose}: of no step yet`, 'next: generate some tokens')
  const of = rows === 1 ? `step ${steps[0]}` : `${counted(rows)} steps, ${steps[0]} to ${steps[rows - 1]}`
  const [from, to] = [starts[rows - 1], starts[rows]]
  let most = from
  for (let at = from; at < to; at++) if (probabilities[at] > probabilities[most]) most = at
  return lines(
    `Scores of ${whose}: ${of}; ${counted(scores.length)} slots in all`,
    `at step ${steps[rows - 1]} of ${counted(to - from)} slots that of position ${positions[most]} got most, probability ${probabilities[most].toFixed(3)}${Number.isNaN(scores[most]) ? '; the policy keeps no scores then' : `, score ${scores[most].toPrecision(3)}`}`,
    'next: scores.frame(), a row per slot and step; scores.scores, scores.probabilities, typed arrays',
  )
}
