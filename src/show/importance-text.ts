/** Measures of heads, and what headImportance() found, in words. */

interface ImportanceFacts {
  layers: number
  heads: number
  kvHeads: number
  measures: Readonly<Record<string, { name: string; unit: string; values: readonly Float64Array[] }>>
  facts: {
    texts: readonly { tokens: number }[]
    seeds: readonly number[]
    card: { model: { name: string }; weights: string } | { model: { name: string }; file: string; format: string }
  }
}

const TOP = 3

const NEXT = 'next: .measures.NAME.values[layer][head], kvValues, perText, formula; frame(), csv(), JSON.stringify()'

/** `next`: the last line, of what is to be had from here; '' for none. */
export function importanceText({ layers, heads, kvHeads, measures, facts }: ImportanceFacts, next = NEXT): string {
  const { texts, seeds, card } = facts
  const tokens = texts.map((each) => each.tokens)
  const lengths = new Set(tokens).size > 1 ? `${Math.min(...tokens)} to ${Math.max(...tokens)}` : String(tokens[0])
  const by = 'weights' in card ? `weights ${card.weights}` : `read from ${card.file} (${card.format})`
  const read = tokens.length
    ? `${texts.length} text${texts.length === 1 ? '' : 's'} of ${lengths} tokens`
    : 'of no text that is known here'
  const random = seeds.length ? `; random sequences with seeds ${seeds.join(', ')}` : ''
  const lines = Object.values(measures).map(({ name, unit, values }) => {
    const all = values.flatMap((row, layer) => Array.from(row, (value, head) => ({ value, layer, head })))
    const ranked = all.filter(({ value }) => !Number.isNaN(value)).sort((a, b) => b.value - a.value)
    const best = ranked.slice(0, TOP).map(({ value, layer, head }) => `${layer}-${head} (${value.toPrecision(3)})`)
    return `${name} [${unit}]: highest in ${best.join(', ')}; median ${(ranked[ranked.length >> 1]?.value ?? NaN).toPrecision(3)}`
  })
  return [
    `Heads of ${card.model.name}, ${by}: ${layers} layers × ${heads} query heads on ${kvHeads} kv heads, ${read}${random}`,
    ...lines,
    ...(next ? [next] : []),
  ].join('\n')
}

/** A table under its names, columns aligned to the right; – where there is no value. */
export function columnsText(table: Readonly<Record<string, readonly unknown[]>>): string {
  const cell = (value: unknown) =>
    typeof value !== 'number' ? '–' : Number.isInteger(value) ? String(value) : value.toPrecision(4)
  const columns = Object.entries(table).map(([name, values]) => {
    const cells = [name, ...values.map(cell)]
    const width = Math.max(...cells.map((one) => one.length))
    return cells.map((one) => one.padStart(width))
  })
  return columns[0].map((_, row) => columns.map((column) => column[row]).join('  ')).join('\n')
}

interface MeasureFacts {
  name: string
  formula: string
  unit: string
  least: number
  most: number
  source: string
  differs: string
  kv: string
  leastTokens: number
}

const KV: Record<string, string> = {
  max: 'of a kv head: the largest of its query heads',
  mean: 'of a kv head: the mean of its query heads',
  own: 'one of the kv head, repeated over its query heads',
}

export function measureText(of: MeasureFacts): string {
  const range = `${of.least === -Infinity ? 'any number' : `from ${Number(of.least.toPrecision(3))}`}${of.most === Infinity ? ' up' : ` to ${of.most}`}`
  return [
    `Measure ${of.name} [${of.unit}], ${range}: ${of.formula}`,
    `${of.source}; ${KV[of.kv]}${of.leastTokens > 2 ? `; at least ${of.leastTokens} tokens` : ''}`,
    ...(of.differs ? [`public code: ${of.differs}`] : []),
    `next: headImportance(model, text, { by: '${of.name}' })`,
  ].join('\n')
}

/** A line each: name, unit, where its definition is from. */
export const measureLines = (all: readonly MeasureFacts[]): string[] =>
  all.map(({ name, unit, source }) => `${name.padEnd(20)} ${unit.padEnd(15)} ${source}`)

export const measuresText = (all: readonly MeasureFacts[]): string =>
  [
    `${all.length} measures of heads`,
    ...measureLines(all),
    "next: HEAD_MEASURES.find(({ name }) => name === 'induction'); headImportance(model, text, { by: [ … ] })",
  ].join('\n')

interface AgreementsFacts {
  names: readonly string[]
  pairs: readonly {
    a: string
    b: string
    heads: number
    spearman: EstimateFacts
    kendall: EstimateFacts
    top: EstimateFacts
  }[]
  reliability: Readonly<Record<string, { halves: number | null; all: number | null }>>
}

interface EstimateFacts {
  value: number | null
  low: number | null
  high: number | null
}

export function agreementsText({ names, pairs, reliability }: AgreementsFacts): string {
  const estimate = ({ value, low, high }: EstimateFacts) =>
    `${decimals(value)}${low === null ? '' : ` [${decimals(low)}, ${decimals(high)}]`}`
  const own = names.filter((name) => reliability[name].all !== null)
  return [
    `Agreement of ${names.length} measures, two by two`,
    ...pairs.map(
      ({ a, b, heads, spearman, kendall, top }) =>
        `${a}, ${b}: Spearman ${estimate(spearman)}, Kendall ${estimate(kendall)}, top quarter ${estimate(top)} (${heads} heads)`,
    ),
    own.length
      ? `with itself on other texts (split half, all texts): ${own.map((name) => `${name} ${decimals(reliability[name].all)}`).join(', ')}`
      : 'with itself on other texts: not to be told from one text',
    'next: .of(a, b), .table(), frame(), csv()',
  ].join('\n')
}

interface BudgetsFacts {
  budgets: readonly (readonly number[])[]
  by: string
  rule: string
  total: number
  floor: number
}

export function budgetsText({ budgets, by, rule, total, floor }: BudgetsFacts): string {
  const all = budgets.flatMap((row, layer) => row.map((slots, kvHead) => ({ slots, layer, kvHead })))
  const ranked = [...all].sort((a, b) => b.slots - a.slots)
  const size = (slots: number) => (total < 1 ? `${(100 * slots).toFixed(1)}% of the prompt` : `${slots} slots`)
  const named = ({ slots, layer, kvHead }: (typeof all)[number]) => `layer ${layer}, kv head ${kvHead} ${size(slots)}`
  return [
    `Budgets of ${all.length} kv heads by ${by} (${rule}): ${size(total)} in the mean, at least ${(100 * floor).toFixed(0)}% of that each`,
    `most: ${ranked.slice(0, TOP).map(named).join('; ')}; least: ${named(ranked[ranked.length - 1])}`,
    'next: model.session({ policy, budgets: suggested.budgets }); suggested.save(path)',
  ].join('\n')
}

const decimals = (value: number | null) => (value === null ? '–' : value.toFixed(2))
