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

/** Short lines, for a terminal of 100 columns and a page: what was done, a table with each number under its like, what the columns are. */
export function judgementText({ measures, random, best, facts }: JudgementFacts): string {
  const { card, texts, rows, seeds, sameTexts } = facts
  const tokens = texts.map((each) => each.tokens)
  const lengths = new Set(tokens).size > 1 ? `${Math.min(...tokens)} to ${Math.max(...tokens)}` : String(tokens[0])
  const judged = Object.values(measures)
  const ranked = [...judged, random].sort((a, b) => a.area.kl.mean - b.area.kl.mean)
  const intervals = random.area.kl.low !== null
  return [
    `Judge of ${counted(judged.length, 'measure')} of heads of ${card.model.name}, weights ${card.weights}`,
    doneText(facts, judged[0]),
    `${counted(texts.length, 'text')} of ${lengths} tokens, ${sameTexts ? 'those that' : 'others than'} were measured on; KL over their last ${rows} rows`,
    '',
    ...tableText(ranked, best),
    '',
    `area: under KL [nats] over the share of heads, mean over texts${intervals ? ' and its 95% interval' : ''}`,
    `over: difference of areas, text by text${intervals ? ', its 95% interval' : ''}`,
    `random: mean of ${counted(seeds.length, 'random order')}`,
    'next: .of(name).curve, .difference(a, b), .table(), frame(), csv(), JSON.stringify()',
  ].join('\n')
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`

function doneText({ take, budget, policy, count }: JudgementFacts['facts'], { curve }: JudgedFacts): string {
  const most = `up to ${curve[curve.length - 1].taken} of ${count}`
  if (take === 'ablate') return `output of the least query heads zeroed, ${most}`
  const size = budget! < 1 ? `${Number((100 * budget!).toPrecision(3))}% of the prompt` : `${budget} slots`
  // The call has its own budget, in place of which there is this one.
  return `cache of the least kv heads made ${size} by ${/^\w*/.exec(policy!)![0]}, ${most}`
}

function tableText(ranked: readonly JudgedFacts[], best: string): string[] {
  const decimals = decimalsOf(ranked.map(({ area }) => area.kl.mean))
  const figures = (values: readonly number[]) => {
    const texts = values.map((value) => value.toFixed(decimals).replace('-', '−'))
    const width = Math.max(...texts.map(({ length }) => length))
    return texts.map((text) => text.padStart(width))
  }
  const ends = (all: readonly IntervalFacts[]) => {
    const [low, high] = [figures(all.map((one) => one.low!)), figures(all.map((one) => one.high!))]
    return all.map((_, i) => `[${low[i]}, ${high[i]}]`)
  }
  const column = (name: string, value: (one: JudgedFacts) => IntervalFacts | null, none: string, means: boolean) => {
    const there = ranked.flatMap((one) => value(one) ?? [])
    const some = there[0]?.low !== null
    const parts = [...(means || !some ? [figures(there.map(({ mean }) => mean))] : []), ...(some ? [ends(there)] : [])]
    const cells = there.map((_, i) => parts.map((part) => part[i]).join(' '))
    return [name, ...ranked.map((one) => cells[there.indexOf(value(one)!)] ?? none)]
  }
  const columns = [
    ['', ...ranked.map(({ name }) => name)],
    column('area', ({ area }) => area.kl, '', true),
    column(`over ${best}`, ({ overBest }) => overBest, 'the least', false),
    column('over random', ({ overRandom }) => overRandom, '', false),
  ].map((cells) => cells.map((cell) => cell.padEnd(Math.max(...cells.map(({ length }) => length)))))
  return columns[0].map((_, row) =>
    columns
      .map((cells) => cells[row])
      .join('  ')
      .trimEnd(),
  )
}

/** Three digits of the least area, but no more than five of the largest. */
function decimalsOf(areas: readonly number[]): number {
  const [least, largest] = [Math.min(...areas.map(Math.abs).filter(Boolean)), Math.max(...areas.map(Math.abs))]
  if (!largest) return 0
  const power = (value: number) => Math.floor(Math.log10(value))
  return Math.max(0, Math.min(2 - power(least), 4 - power(largest), 20))
}
