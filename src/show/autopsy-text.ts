/** The text of an autopsy: what became of the span, how much of it is gone everywhere, and how far heads agree. */
import { counted, lines } from './texts.js'

export interface AutopsyFacts {
  text: string
  from: number
  to: number
  step: number
  layers: number
  kvHeads: number
  counts: Record<'kept' | 'blurred' | 'never' | 'later', number>
  globalEviction: { model: number; layers: readonly number[] }
  agreement: { model: number | null; layers: readonly (number | null)[] }
}

const MOST_SHOWN = 60

export function autopsyText(facts: AutopsyFacts): string {
  const { from, to, step, counts, globalEviction: gone, agreement } = facts
  const letters = [...facts.text]
  const words = letters.length > MOST_SHOWN ? `${letters.slice(0, MOST_SHOWN - 1).join('')}…` : facts.text
  const heads = facts.layers * facts.kvHeads
  const share = (places: number) => `${((100 * places) / (heads * (to - from))).toFixed(1)}%`
  const known = agreement.layers.filter((one) => one !== null)
  const agree =
    agreement.model === null
      ? 'no two heads keep any of it'
      : `${agreement.model.toFixed(2)} over the model${known.length ? `, ${rangeOf(known)} within a layer` : ''}`
  return lines(
    `Autopsy of ${JSON.stringify(words)}: ${counted(to - from)} tokens, positions ${from} to ${to - 1}, in ${counted(heads)} kv heads at the end of step ${step}`,
    `kept ${share(counts.kept)}, blurred in merged slots ${share(counts.blurred)}; dropped: at their first chance ${share(counts.never)}, later ${share(counts.later)}`,
    `without a slot of their own in any head (Global Eviction Ratio): ${gone.model.toFixed(2)} of the model, ${rangeOf(gone.layers)} of a layer`,
    `agreement of heads on what to keep of it (mean pairwise Jaccard): ${agree}`,
    'next: autopsy.frame(), a row per head and position; autopsy.byLayer(); figures.needleAutopsy(autopsy)',
  )
}

function rangeOf(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(2))
  return least === most ? least : `${least} to ${most}`
}
