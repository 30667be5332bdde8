/** What a policy costs and saves, in words. */
import { figure, interval, type IntervalFacts } from './numbers.js'
import { counted, lines, sizeText } from './texts.js'

interface CacheFacts {
  parts: readonly { part: string; step: IntervalFacts }[]
  step: IntervalFacts
  prompt: IntervalFacts | null
  bytes: number
}

interface CostTextFacts {
  facts: { name: string; turns: number; steps: number }
  lengths: readonly {
    length: number
    full: CacheFacts
    policy: CacheFacts
    upkeep: IntervalFacts | null
    gain: IntervalFacts
    gainByBytes: number
    promptMore: IntervalFacts | null
    tokens: number | null
  }[]
  breakEven: { length: IntervalFacts | null; turns: { always: number; crossing: number; never: number } }
}

const seconds = ({ mean, low, high }: IntervalFacts, signed = false) => {
  const of = (ms: number | null) => (ms === null ? null : ms / 1000)
  return interval({ mean: mean / 1000, low: of(low), high: of(high) }, signed)
}

const tokensText = ({ mean, low, high }: IntervalFacts) =>
  `${counted(Math.round(mean))}${low === null || high === null ? '' : ` [${counted(Math.round(low))}, ${counted(Math.round(high))}]`}`

export function costText({ facts, lengths, breakEven }: CostTextFacts): string {
  const { always, crossing, never } = breakEven.turns
  return lines(
    `What ${facts.name} costs and saves, over ${counted(facts.turns)} turns of ${counted(facts.steps)} steps`,
    ...lengths.flatMap(({ length, full, policy, upkeep, gain, gainByBytes, promptMore, tokens }) => [
      `${counted(length)} tokens: a step ${interval(policy.step)} ms, full cache ${interval(full.step)}: × ${interval(gain)}, bytes would allow × ${figure(gainByBytes)}; ${sizeText(policy.bytes)} and ${sizeText(full.bytes)}`,
      `  of it ${policy.parts.map(({ part, step }) => `${part} ${interval(step)}`).join(', ')}${upkeep ? `; beyond attention ${interval(upkeep)}` : ''}`,
      ...(promptMore && full.prompt
        ? [
            `  the prompt ${seconds(full.prompt)} s, and ${seconds(promptMore, true)} more: ${tokens === null ? 'never made up for' : tokens ? `made up for after ${counted(tokens)} tokens` : 'nothing to make up for'}`,
          ]
        : []),
    ]),
    breakEven.length
      ? `a step is faster from ${tokensText(breakEven.length)} tokens on (${counted(crossing)} turns)`
      : `turns that are faster at every length: ${counted(always)}, from between two of them on: ${counted(crossing)}, not at the longest: ${counted(never)}`,
    'next: .lengths, .frame(), .csv(), .save(), figures.cost(cost)',
  )
}
