/** The text of a kv head as it was at a step: how many slots, who shares one, and what else there is to read. */
import { counted, lines } from './texts.js'

export interface HeadAtFacts {
  layer: number
  kvHead: number
  step: number
  slots: readonly { slot: number; position: number; weight: number }[]
  dropped: readonly number[]
  keys?: Float32Array
}

const MOST_NAMED = 4

export function headAtText({ layer, kvHead, step, slots, dropped, keys }: HeadAtFacts): string {
  const merged = slots.filter(({ weight }) => weight > 1).toSorted((a, b) => b.weight - a.weight)
  const named = merged.slice(0, MOST_NAMED).map(({ slot, weight }) => `slot ${slot} for ${counted(weight)} tokens`)
  const more = merged.length > MOST_NAMED ? ` and ${counted(merged.length - MOST_NAMED)} more` : ''
  return lines(
    `Layer ${layer}, kv head ${kvHead} at the end of step ${step}: ${counted(slots.length)} slot${slots.length === 1 ? '' : 's'}, ${counted(slots.length - merged.length)} of a single token; ${counted(dropped.length)} dropped`,
    merged.length ? `merged: ${named.join(', ')}${more}` : 'nobody shares a slot',
    keys
      ? undefined
      : "keys and values: of a run that keeps vectors under a policy that leaves them as they are, trace: { level: 'vectors', layers, kvHeads }",
    `next: head.slots[i], its position, weight and origins; head.dropped${keys ? '; head.keys, head.values [slots, headDim]' : ''}; trace.lineage({ layer: ${layer}, kvHead: ${kvHead}, slot })`,
  )
}
