/** How far measures of heads agree, two by two, and each with itself. */
import { kendall, ranked, spearman, topOverlap, type Ranked } from '../statistics/ranks.js'
import { resampled, type Draws } from '../statistics/bootstrap.js'
import { FEWEST } from '../statistics/intervals.js'
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

/** A measure's heads over all texts, and over resamples of them: the same resamples for all measures of as many texts. */
export interface Resampled {
  of: Scored
  /** Heads that it has. */
  heads: readonly number[]
  whole: Ranked
  /** Means over its texts, of which draws are resamples: `whole` but for a measure that pools its texts otherwise. */
  means: Ranked | null
  /** One for each resample, null where its texts say nothing of a head; empty where the texts are too few, or its own. */
  draws: readonly (Ranked | null)[]
}

/** Most measures have the same heads: each is ranked once for all that it is compared with. */
export function resampledRanks(of: Scored, draws: Draws): Resampled {
  const heads = Array.from(of.values.keys()).filter((head) => !Number.isNaN(of.values[head]))
  const at = (values: Float64Array) => Float64Array.from(heads, (head) => values[head])
  const told = (means: Float64Array) => {
    const own = at(means)
    return own.some(Number.isNaN) ? null : ranked(own)
  }
  const drawn = resampledMeans(of, draws).map(told)
  const means = told(of.values.map((_, head) => meanAt(of.perText, Array.from(of.perText.keys()), head)))
  return { of, heads, whole: ranked(at(of.values)), means, draws: drawn }
}

function resampledMeans({ perText, ownTexts, values }: Scored, draws: Draws): Float64Array[] {
  if (ownTexts || perText.length < FEWEST) return []
  return Array.from(resampled(perText.length, draws), (chosen) =>
    values.map((_, head) => meanAt(perText, chosen, head)),
  )
}

/**
 * Over the heads that both have. Intervals (scaledInterval) are of texts drawn like these, the heads being those of the model; of 8 texts 95%
 * held what texts without end would say in 94 to 97% (Spearman's), 93% (Kendall's) and 88 to 94% (top quarter) of simulated sets.
 */
export function agreementOf(a: Resampled, b: Resampled): Agreement {
  const heads = a.heads.filter((head) => !Number.isNaN(b.of.values[head]))
  const [one, other] = [a, b].map((each) => among(each, heads))
  const moving = [a, b].filter(({ of }) => !of.ownTexts)
  const texts = moving.length ? Math.min(...moving.map(({ of }) => of.perText.length)) : 0
  const statistics = (x: Ranked | null, y: Ranked | null) => ({
    spearman: x && y && spearman(x, y),
    kendall: x && y && kendall(x, y),
    top: x && y && topOverlap(x, y),
  })
  const whole = statistics(one.whole, other.whole)
  const means = ({ of, whole, means }: Resampled) => (of.ownTexts ? whole : means)
  const all = statistics(means(one), means(other))
  const count = Math.min(...moving.map(({ draws }) => draws.length), Infinity)
  const drawn = ({ of, whole, draws }: Resampled, i: number) => (of.ownTexts ? whole : draws[i])
  const found = Array.from({ length: Number.isFinite(count) ? count : 0 }, (_, i) =>
    statistics(drawn(one, i), drawn(other, i)),
  )
  const estimate = (name: keyof typeof whole, scale: Scale) =>
    scaledInterval(
      found.length ? texts : 0,
      whole[name],
      found.map((each) => each[name]),
      scale,
      all[name],
    )
  return {
    a: a.of.name,
    b: b.of.name,
    heads: heads.length,
    spearman: estimate('spearman', CORRELATION),
    kendall: estimate('kendall', CORRELATION),
    top: estimate('top', SHARE),
  }
}

/** Ranked among these heads, some of its own. */
function among(each: Resampled, heads: readonly number[]): Resampled {
  if (heads.length === each.heads.length) return each
  const at = new Map(each.heads.map((head, i) => [head, i]))
  const own = ({ values }: Ranked) => ranked(Float64Array.from(heads, (head) => values[at.get(head)!]))
  const { of, whole, means, draws } = each
  return { of, heads, whole: own(whole), means: means && own(means), draws: draws.map((draw) => draw && own(draw)) }
}

/** Of the texts that say anything of the measure. */
export function reliabilityOf({ perText: given }: Pick<Scored, 'perText'>): Reliability {
  const none = { halves: null, all: null }
  const perText = given.filter((text) => text.some((value) => !Number.isNaN(value)))
  if (perText.length < 2) return none
  const half = (odd: number) => Array.from(perText.keys()).filter((i) => i % 2 === odd)
  const heads = Array.from(perText[0].keys()).filter((head) => perText.every((text) => !Number.isNaN(text[head])))
  const means = [half(0), half(1)].map((chosen) => heads.map((head) => meanAt(perText, chosen, head)))
  const halves = spearman(ranked(means[0]), ranked(means[1]))
  return halves === null ? none : { halves, all: halves <= 0 ? halves : (2 * halves) / (1 + halves) }
}

/** Over the texts that say something of the head; NaN where none does. */
function meanAt(perText: readonly Float64Array[], chosen: ArrayLike<number>, head: number): number {
  let [sum, count] = [0, 0]
  for (let i = 0; i < chosen.length; i++) {
    const value = perText[chosen[i]][head]
    if (Number.isNaN(value)) continue
    sum += value
    count++
  }
  return sum / count
}
