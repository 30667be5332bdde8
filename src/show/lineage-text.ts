/** The text of a lineage: who is in the slot, since when, and how well it stands for them. */
import { counted, lines } from './texts.js'

export interface LineageFacts {
  layer: number
  kvHead: number
  slot: number
  step: number
  members: readonly { position: number; step: number; token: string }[]
  coherence: {
    keyDrift: Float64Array
    valueDrift: Float64Array
    keyCoherence: number | null
    valueCoherence: number | null
    medianKeyGap: number
    queries: number
  } | null
}

const MOST_SHOWN = 100

export function lineageText({ layer, kvHead, slot, step, members, coherence }: LineageFacts): string {
  const positions = members.map(({ position }) => position)
  const [first, newest] = [members[0], members[members.length - 1]]
  const range = positions.reduce(
    ([least, most], position) => [Math.min(least, position), Math.max(most, position)],
    [Infinity, -Infinity],
  )
  const letters = [...members.map(({ token }) => token).join('')]
  const words = letters.length > MOST_SHOWN ? `${letters.slice(0, MOST_SHOWN - 1).join('')}…` : letters.join('')
  const one = members.length === 1
  return lines(
    `Lineage of slot ${slot} in layer ${layer}, kv head ${kvHead} at the end of step ${step}: ${counted(members.length)} token${one ? '' : 's'}, ${one ? `position ${range[0]}` : `positions ${range[0]} to ${range[1]}`}`,
    `in order of arrival: ${JSON.stringify(words)}`,
    one
      ? `there since step ${first.step}`
      : `the first at ${first.position}, the newest at ${newest.position}, which came in step ${newest.step}`,
    coherence
      ? `cosine of members: keys ${fixed(coherence.keyCoherence)}, values ${fixed(coherence.valueCoherence)}; farthest from the slot: key ${most(coherence.keyDrift)}, value ${most(coherence.valueDrift)}; key gap σ ${fixed(coherence.medianKeyGap)} nats (median, ${counted(coherence.queries)} queries)`
      : "drift, coherence and key gap: of a run that keeps vectors, trace: { level: 'vectors', layers, kvHeads }",
    'next: lineage.frame(), a row per member; lineage.members',
  )
}

const fixed = (value: number | null) => (value === null ? '–' : value.toFixed(2))
const most = (values: Float64Array) => Math.max(...values).toPrecision(3)
