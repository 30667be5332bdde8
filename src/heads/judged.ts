/** One order of heads, judged: damage by ever more heads of it, and the area under that. */
import { meanInterval, type MeanInterval } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import { areaUnder, type Damage } from './damage.js'

/** What damage is counted in: kl: KL(untouched ‖ without the heads), nats a token; loss: change of −ln p of the next token. */
export const DAMAGES = ['kl', 'loss'] as const
export type DamageKind = (typeof DAMAGES)[number]

/** What random orders are called beside measures. */
export const RANDOM = 'random'

export interface DamagePoint {
  /** Heads that are taken, and their share of all. */
  taken: number
  share: number
  /** Means over texts. */
  kl: MeanInterval
  loss: MeanInterval
  /** [texts] */
  perText: Record<DamageKind, number[]>
}

export interface Judged {
  name: string
  /** The first to be taken first; empty for random orders, of which there are several. */
  order: { layer: number; head: number }[]
  /** By ever more heads. */
  curve: DamagePoint[]
  /** Area under the curve over the share of heads, from no damage at none on, by trapezoids: nats a token × share. */
  area: Record<DamageKind, MeanInterval>
  /** [texts] of the same. */
  areaPerText: Record<DamageKind, number[]>
  /** Its area (KL) less that of the best measure, text by text; null: it is the best. */
  overBest: MeanInterval | null
  /** Its area (KL) less the mean of random orders', text by text; null for those themselves. */
  overRandom: MeanInterval | null
}

/** How it was judged. */
export interface JudgementFacts {
  card: EngineCard
  /** ablate: outputs of query heads set to zero; compress: caches of kv heads made small. */
  take: 'ablate' | 'compress'
  /** Of a kv head that is taken: slots, or share of the prompt; null where heads are ablated. */
  budget: number | null
  /** The call that makes the policy, in place of whose budget there is the one above; null where heads are ablated. */
  policy: string | null
  heads: 'query' | 'kv'
  /** Heads that there are. */
  count: number
  texts: readonly { tokens: number; ids: number[] }[]
  /** Judged on the texts that measures are of, which favours those that look at damage, as ablation does. */
  sameTexts: boolean
  /** The last rows of a text that count. */
  rows: number
  /** Of the random orders. */
  seeds: readonly number[]
}

/** What heads an order takes at each point, and the seed of intervals. */
export interface Points {
  points: readonly { taken: number; share: number }[]
  /** Heads of a layer. */
  perLayer: number
  seed: number
}

/** `damage`: [texts][points]. */
export function judgedOf(
  name: string,
  order: Int32Array,
  damage: readonly (readonly Damage[])[],
  { points, perLayer, seed }: Points,
): Judged {
  const shares = points.map(({ share }) => share)
  const mean = (values: readonly number[]) => meanInterval(values, { seed })
  const areas = (kind: DamageKind) =>
    damage.map((text) =>
      areaUnder(
        shares,
        text.map((point) => point[kind]),
      ),
    )
  const areaPerText = { kl: areas('kl'), loss: areas('loss') }
  return {
    name,
    order: Array.from(order, (at) => ({ layer: Math.floor(at / perLayer), head: at % perLayer })),
    curve: points.map(({ taken, share }, i) => {
      const perText = { kl: damage.map((text) => text[i].kl), loss: damage.map((text) => text[i].loss) }
      return { taken, share, kl: mean(perText.kl), loss: mean(perText.loss), perText }
    }),
    area: { kl: mean(areaPerText.kl), loss: mean(areaPerText.loss) },
    areaPerText,
    overBest: null,
    overRandom: null,
  }
}

/** Area of `a` less that of `b`, text by text. */
export const pairedAreas = (a: Judged, b: Judged, kind: DamageKind, seed: number): MeanInterval =>
  meanInterval(
    a.areaPerText[kind].map((area, text) => area - b.areaPerText[kind][text]),
    { seed },
  )

/** [texts][points]: means over several orders. */
export const meanDamage = (orders: readonly (readonly (readonly Damage[])[])[]): Damage[][] =>
  orders[0].map((text, at) =>
    text.map((_, point) => {
      const mean = (kind: DamageKind) => orders.reduce((sum, order) => sum + order[at][point][kind], 0) / orders.length
      return { kl: mean('kl'), loss: mean('loss') }
    }),
  )
