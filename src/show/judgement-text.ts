/** Which measure's order of heads did least damage, in words. */

interface IntervalFacts {
  mean: number
  low: number | null
  high: number | null
}

interface JudgedFacts {
  name: string
  curve: readonly { taken: number; share: number }[]
  area: { kl: IntervalFacts }
  overBest: IntervalFacts | null
  overRandom: IntervalFacts | null
}

interface JudgementFacts {
  measures: Readonly<Record<string, JudgedFacts>>
  random: JudgedFacts
  best: string
  facts: {
    take: string
    budget: number | null
    policy: string | null
    count: number
    texts: readonly { tokens: number }[]
    sameTexts: boolean
    rows: number
    seeds: readonly number[]
    card: { model: { name: string }; weights: string }
  }
}

export function judgementText({ measures, random, best, facts }: JudgementFacts): string {
  const { card, texts, rows, seeds, sameTexts } = facts
  const tokens = texts.map((each) => each.tokens)
  const lengths = new Set(tokens).size > 1 ? `${Math.min(...tokens)} to ${Math.max(...tokens)}` : String(tokens[0])
  const judged = Object.values(measures)
  const ranked = [...judged, random].sort((a, b) => a.area.kl.mean - b.area.kl.mean)
  const width = Math.max(...ranked.map(({ name }) => name.length))
  return [
    `Judge of ${judged.length} measure${judged.length === 1 ? '' : 's'} of heads of ${card.model.name}, weights ${card.weights}: ${doneText(facts, judged[0])}`,
    `${texts.length} text${texts.length === 1 ? '' : 's'} of ${lengths} tokens${sameTexts ? ', those that were measured on' : ', others than were measured on'}; KL over their last ${rows} rows, area under it over the share of heads`,
    ...ranked.map(
      ({ name, area, overBest, overRandom }) =>
        `${name.padEnd(width)} ${interval(area.kl)}${name === best ? ', the least' : ''}${overBest ? `; over ${best} ${interval(overBest)}` : ''}${overRandom ? `; over random ${interval(overRandom)}` : ` (mean of ${seeds.length} random order${seeds.length === 1 ? '' : 's'})`}`,
    ),
    'next: .of(name).curve, .difference(a, b), .table(), frame(), csv(), JSON.stringify()',
  ].join('\n')
}

function doneText({ take, budget, policy, count }: JudgementFacts['facts'], { curve }: JudgedFacts): string {
  const most = `up to ${curve[curve.length - 1].taken} of ${count}`
  if (take === 'ablate') return `output of the least query heads zeroed, ${most}`
  const size = budget! < 1 ? `${Number((100 * budget!).toPrecision(3))}% of the prompt` : `${budget} slots`
  // The call has its own budget, in place of which there is this one.
  return `cache of the least kv heads made ${size} by ${/^\w*/.exec(policy!)![0]}, ${most}`
}

const interval = ({ mean, low, high }: IntervalFacts) =>
  `${figure(mean)}${low === null ? '' : ` [${figure(low)}, ${figure(high!)}]`}`
const figure = (value: number) => (value === 0 ? '0' : value.toPrecision(3))
