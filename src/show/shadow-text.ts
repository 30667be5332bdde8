/** A shadow in words: how far the next tokens moved, what heads themselves missed, and the token that they missed most. */
import { counted, lines } from './texts.js'

export interface ShadowFacts {
  label: string
  model: string
  tokens: ArrayLike<unknown>
  meanKl: number
  flipCount: number
  local: LocalFacts | undefined
  localNote: string | undefined
  decodedAgain: string | undefined
}

interface LocalFacts {
  error: Float64Array
  dropped: Float64Array | undefined
  merged: Float64Array | undefined
  repaired: Float64Array | undefined
  missed: Float64Array
  blurred: Float64Array
  lost: Record<'position' | 'step' | 'layer' | 'kvHead' | 'probability' | 'merged', ArrayLike<number>>
}

export const shadowText = (facts: ShadowFacts): string =>
  lines(
    `Shadow of ${facts.label} on ${facts.model}: ${counted(facts.tokens.length)} tokens against the full cache`,
    `mean KL ${facts.meanKl.toPrecision(3)} nats; ${counted(facts.flipCount)} where another token is likeliest`,
    ...(facts.local ? localLines(facts.local) : []),
    facts.localNote === undefined ? undefined : `no part of heads: ${facts.localNote}`,
    facts.decodedAgain === undefined ? undefined : `decoded again under its policy, too: ${facts.decodedAgain}`,
    `next: figures.divergence(shadow)${facts.local ? ', errorSplit(shadow), regretStrip(shadow)' : ''}; shadow.kl[i], shadow.tokens[i]`,
  )

function localLines({ error, dropped, merged, repaired, missed, blurred, lost }: LocalFacts): string[] {
  const parts =
    dropped && merged && repaired
      ? `: ${percent(mean(dropped))} by dropping, merging ${signed(mean(merged))}, compensation ${signed(mean(repaired))}`
      : ''
  const made = [
    `heads’ own outputs are off by ${percent(mean(error))} in the mean${parts}`,
    `of full attention, ${percent(mean(blurred))} goes to tokens that were merged before and ${percent(mean(missed))} to dropped ones`,
  ]
  let most = 0
  for (let i = 1; i < lost.probability.length; i++) if (lost.probability[i] > lost.probability[most]) most = i
  if (lost.probability[most] > 0)
    made.push(
      `missed most: position ${lost.position[most]}, ${lost.merged[most] ? 'merged' : 'dropped'} at step ${lost.step[most]} in layer ${lost.layer[most]}, kv head ${lost.kvHead[most]}: full attention gave it ${lost.probability[most].toPrecision(3)} since then (1: all of one step’s)`,
    )
  return made
}

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length
const percent = (value: number) => `${(100 * value).toFixed(1)}%`
const signed = (value: number) => `${value < 0 ? '−' : '+'}${percent(Math.abs(value))}`
