/** What heads lost, made up with a seed: local parts of shadows whose lost tokens are a run's own, and autopsies of a piece of its text. */
import { ACTION, type LocalData, type RunData, type ShadowData } from '../../src/figures/data.js'
import type { AutopsyData } from '../../src/figures/needle-autopsy.js'
import { agreement, globalEviction } from '../../src/inspect/agreement.js'
import { random, shadowMade } from './synthetic.js'

/** Query heads of a kv head. */
const GROUP = 3

export function localMade(data: RunData, seed = 1): LocalData {
  const { layers, kvHeads, steps, events } = data
  const next = random(seed * 613)
  const heads = kvHeads * GROUP
  const all = steps * layers * heads
  const measures = () => new Float64Array(all)
  const made = {
    dropped: measures(),
    merged: measures(),
    repaired: measures(),
    missed: measures(),
    blurred: measures(),
  }
  const merges = data.resolved.residual > 0
  for (let i = 0; i < all; i++) {
    const layer = Math.floor(i / heads) % layers
    const base = (0.08 + 0.2 * Math.sin((3 * layer) / layers) ** 2) * (0.5 + next()) * (1 + i / all)
    made.dropped[i] = base
    made.merged[i] = merges ? base * (0.5 * next() - 0.3) : 0
    made.repaired[i] = merges ? -base * 0.4 * next() : 0
    made[merges ? 'blurred' : 'missed'][i] = Math.min(1, base * (0.4 + next()))
  }
  const rows = Array.from({ length: events!.count }, (_, row) => row).filter(
    (row) => events!.action[row] === ACTION.merge || events!.action[row] === ACTION.drop,
  )
  const after = rows.map((row) => steps - Math.max(0, events!.step[row]))
  const worst = rows.map((row, i) =>
    after[i] ? next() ** 12 * (0.2 + 0.8 * Number(events!.position[row] % 11 === 0)) : 0,
  )
  // Of a head's attention at most a third goes to what it lost.
  const sums = new Float64Array(layers * kvHeads)
  const headOf = (row: number) => events!.layer[row] * kvHeads + events!.kvHead[row]
  rows.forEach((row, i) => (sums[headOf(row)] += worst[i]))
  rows.forEach((row, i) => (worst[i] /= 3 * Math.max(1, sums[headOf(row)])))
  return {
    layers,
    heads,
    kvHeads,
    steps: Int32Array.from({ length: steps }, (_, i) => i + 1),
    ...made,
    error: made.dropped.map((dropped, i) => dropped + made.merged[i] + made.repaired[i]),
    lost: {
      layer: rows.map((row) => events!.layer[row]),
      kvHead: rows.map((row) => events!.kvHead[row]),
      position: rows.map((row) => events!.position[row]),
      step: rows.map((row) => events!.step[row]),
      merged: rows.map((row) => Number(events!.action[row] === ACTION.merge)),
      probability: worst.map((value, i) => value * (after[i] ? 1 + 0.5 * (after[i] - 1) : 0)),
      worst,
      worstStep: rows.map((row, i) => (after[i] ? Math.min(steps, events!.step[row] + 1) : -1)),
      change: worst.map((value, i) => 2 * value * after[i] ** 0.5),
    },
  }
}

export function lossesMade(data: RunData, seed = 1): ShadowData {
  const shadow = shadowMade(0.1, Math.max(1, data.steps), seed, data.promptTokens)
  return { ...shadow, label: `${data.policyName}, ${data.resolved.budget} slots`, local: localMade(data, seed) }
}

/** Positions from … to − 1 of a run's text; heads keep more of some tokens, and later layers less. */
export function autopsyMade(
  data: RunData,
  { from, to, seed = 1, all }: { from: number; to: number; seed?: number; all?: number },
): AutopsyData {
  const next = random(seed * 977)
  const { layers, kvHeads } = data
  const count = to - from
  const liked = Array.from({ length: count }, () => next() ** 2)
  const fate: number[] = []
  for (let head = 0; head < layers * kvHeads; head++)
    for (let i = 0; i < count; i++) {
      const keeps = next() < 0.75 * liked[i] * (1 - (0.6 * head) / (layers * kvHeads))
      fate.push(all ?? (keeps ? 0 : next() < 0.5 ? 1 : next() < 0.7 ? 2 : 3))
    }
  const names = ['kept', 'blurred', 'never', 'later'] as const
  const counts = { kept: 0, blurred: 0, never: 0, later: 0 }
  for (const one of fate) counts[names[one]]++
  const keeps = { layers, kvHeads, count, kept: fate.map((one) => Number(one === 0)) }
  const gone = <T>(value: (i: number) => T) => fate.map((one, i) => (one ? value(i) : null))
  return {
    model: data.model,
    policyName: data.policyName,
    layers,
    kvHeads,
    step: data.steps,
    from,
    to,
    tokens: data.tokens.slice(from, to),
    counts,
    globalEviction: globalEviction(keeps),
    agreement: agreement(keeps),
    table: () => ({
      fate: fate.map((one) => names[one]),
      weight: fate.map((one) => (one === 0 ? 1 : one === 1 ? 20 : null)),
      share: fate.map((one) => (one === 0 ? 1 : one === 1 ? 0.05 : null)),
      step: gone((i) => i % 7),
      reason: gone(() => 'score'),
      margin: gone((i) => -(i % 10) / 10),
      event: gone((i) => (fate[i] === 1 ? 'merge' : 'drop')),
    }),
  }
}
