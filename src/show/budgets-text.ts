/** What budgets by head lose, in words: compared with each other, and certified. */
import { figure, interval, type IntervalFacts } from './numbers.js'
import { counted, lines, sizeText } from './texts.js'

interface ComparisonFacts {
  choices: readonly {
    name: string
    slots: number
    bytes: number
    kl: IntervalFacts
    loss: IntervalFacts
    overFirst: IntervalFacts | null
  }[]
  facts: {
    card: { model: { name: string } }
    policy: string
    texts: readonly { tokens: number }[]
    rows: number
  }
}

export function budgetComparisonText({ choices, facts }: ComparisonFacts): string {
  const [{ name: first }] = choices
  return lines(
    `Budgets on ${facts.card.model.name} under ${facts.policy}: ${textsWords(facts)}`,
    ...choices.map(
      ({ name, slots, bytes, kl, loss, overFirst }) =>
        `${name}: KL ${interval(kl)} nats, loss ${interval(loss, true)}${overFirst ? `, KL ${interval(overFirst, true)} over ${first}` : ''}; ${counted(Math.round(slots))} slots, ${sizeText(Math.round(bytes))} of keys and values`,
    ),
    'next: .choices[i].perText, .table(), frame(), csv(), JSON.stringify()',
  )
}

interface CurvesFacts {
  shares: readonly number[]
  others: number
  losses: (number[] | null)[][]
  facts: Omit<ComparisonFacts['facts'], 'policy'> & { policy: string | null }
}

export function budgetCurvesText({ shares, others, losses, facts }: CurvesFacts): string {
  const all = losses.flatMap((row, layer) =>
    row.flatMap((curve, kvHead) => (curve ? [{ layer, kvHead, loss: curve[0] }] : [])),
  )
  const ranked = all.toSorted((a, b) => b.loss - a.loss)
  const most = ranked.slice(0, 3).map(({ layer, kvHead, loss }) => `${layer}-${kvHead} (${figure(loss, true)})`)
  return lines(
    `Budget curves of ${all.length} kv heads of ${facts.card.model.name} under ${facts.policy}, the others keeping ${100 * others}%: ${textsWords(facts)}`,
    `change of log perplexity where one keeps ${100 * shares[0]}%: most in ${most.join(', ')}; median ${figure(ranked[ranked.length >> 1].loss, true)}`,
    "next: .losses[layer][kvHead][share], .interval({ layer, kvHead, share }), frame(), csv(); importance.suggestBudgets({ by: 'budgetCurve', rule: 'greedy', total: 0.1 })",
  )
}

interface CertifiedFacts {
  total: number | null
  totals: readonly number[]
  certificate: {
    level: number
    bound: number
    risks: Float64Array
    corrected: Float64Array
    choice: number | null
    reason?: string
  }
  facts: ComparisonFacts['facts'] & { by: string; loss: string }
}

export function certifiedText({ total, totals, certificate, facts }: CertifiedFacts): string {
  const { level, bound, choice, risks, corrected, reason } = certificate
  const unit = facts.loss === 'kl' ? 'a mean KL' : 'a mean change of loss'
  return lines(
    `Budgets by ${facts.by} on ${facts.card.model.name} under ${facts.policy}: ${textsWords(facts)}`,
    choice === null
      ? `no total of ${totals.join(', ')} is certified for ${unit} of at most ${level} nats: ${reason}`
      : `total ${total} is certified for ${unit} of at most ${level} nats on a text to come like these: ${risks[choice].toPrecision(3)} measured, ${corrected[choice].toPrecision(3)} with the correction for ${facts.texts.length} texts (losses count up to ${bound})`,
    `next: ${choice === null ? '' : 'session({ policy, budgets: certified.chosen.budgets }), '}.table(), .losses[text][total], JSON.stringify()`,
  )
}

function textsWords({ texts, rows }: Pick<ComparisonFacts['facts'], 'texts' | 'rows'>): string {
  const tokens = texts.map((each) => each.tokens)
  const lengths = new Set(tokens).size > 1 ? `${Math.min(...tokens)} to ${Math.max(...tokens)}` : String(tokens[0])
  return `${texts.length} text${texts.length === 1 ? '' : 's'} of ${lengths} tokens, the last ${rows} of each decoded`
}
