/** How far measures of heads agree, two by two, and each with itself. */
import { kendall, spearman, topOverlap } from '../statistics/ranks.js'
import type { Draws } from '../statistics/bootstrap.js'
import { CORRELATION, scaledInterval, SHARE, type Estimate, type Scale } from '../statistics/scaled.js'

/** What agreement needs of a measure. */
export interface Scored {
  name: string
  /** [heads], NaN: not measured. */
  values: Float64Array
  /** [texts][heads] */
  perText: readonly Float64Array[]
  /** Not of the given texts but of sequences of its own: it stays as it is where texts are left out. */
  ownTexts: boolean
}

export interface Agreement {
  a: string
  b: string
  /** That both measured. */
  heads: number
  /** Spearman's ρ. */
  spearman: Estimate
  /** Kendall's τ-b. */
  kendall: Estimate
  /** Share of the top quarter of a that is in the top quarter of b. */
  top: Estimate
}

/** Of a measure with itself on other texts. null with fewer than two texts, or where a half is constant. */
export interface Reliability {
  /** Spearman's ρ of the means over the texts at even and at odd places. */
  halves: number | null
  /** What it comes to for all texts: 2ρ/(1 + ρ) (Spearman 1910, Brown 1910); ρ itself where that is not above 0. */
  all: number | null
}

/**
 * Over the heads that both have. Intervals (scaledInterval) are of texts drawn like these, the heads being those of the model; of 8 texts 95%
 * held what texts without end would say in 94 to 97% (Spearman's), 93% (Kendall's) and 88 to 94% (top quarter) of simulated sets.
 */
export function agreementOf(a: Scored, b: Scored, draws: Draws): Agreement {
  const both = Array.from(a.values.keys()).filter(
    (head) => !Number.isNaN(a.values[head]) && !Number.isNaN(b.values[head]),
  )
  const moving = [a, b].filter(({ ownTexts }) => !ownTexts)
  const texts = moving.length ? Math.min(...moving.map(({ perText }) => perText.length)) : 0
  const all = (measure: Scored) => both.map((head) => measure.values[head])
  const pair = [all(a), all(b)] as const
  const at = (measure: Scored, chosen: ArrayLike<number>) =>
    measure.ownTexts ? all(measure) : both.map((head) => meanAt(measure.perText, chosen, head))
  const estimate = (statistic: (a: number[], b: number[]) => number | null, scale: Scale): Estimate => {
    const value = both.length ? statistic(...pair) : null
    const { low, high } = scaledInterval(texts, (chosen) => statistic(at(a, chosen), at(b, chosen)), scale, draws)
    return value === null ? { value, low: null, high: null } : { value, low, high }
  }
  return {
    a: a.name,
    b: b.name,
    heads: both.length,
    spearman: estimate(spearman, CORRELATION),
    kendall: estimate(kendall, CORRELATION),
    top: estimate((x, y) => (x.length ? topOverlap(x, y) : null), SHARE),
  }
}

export function reliabilityOf({ perText }: Pick<Scored, 'perText'>): Reliability {
  const none = { halves: null, all: null }
  if (perText.length < 2) return none
  const half = (odd: number) => Array.from(perText.keys()).filter((i) => i % 2 === odd)
  const heads = Array.from(perText[0].keys()).filter((head) => perText.every((text) => !Number.isNaN(text[head])))
  const means = [half(0), half(1)].map((chosen) => heads.map((head) => meanAt(perText, chosen, head)))
  const halves = spearman(means[0], means[1])
  return halves === null ? none : { halves, all: halves <= 0 ? halves : (2 * halves) / (1 + halves) }
}

function meanAt(perText: readonly Float64Array[], chosen: ArrayLike<number>, head: number): number {
  let sum = 0
  for (let i = 0; i < chosen.length; i++) sum += perText[chosen[i]][head]
  return sum / chosen.length
}
