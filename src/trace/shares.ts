/** How much of a merged slot's key and value each of its members is, from the events that brought them. */
import type { PolicyCard } from './card.js'

/** What a merge makes of two slots. */
export interface Merges {
  aggregate: 'mean' | 'score' | 'medoid'
  keys: 'mean' | 'fixed'
  values: 'mean' | 'fixed'
}

/** Of the policy that merges, or of the one that it wraps; undefined where it does not say. */
export function mergesOf({ options, of }: PolicyCard): Merges | undefined {
  const { aggregate, keys, values } = options as Partial<Merges>
  if (aggregate && keys && values) return { aggregate, keys, values }
  return of && mergesOf(of)
}

/** A merge into the slot: of how many tokens, and what the tape says of both sides. */
export interface Arrival {
  tokens: number
  score: number
  /** NaN: of a group that was made at once, of whom the highest score is the medoid. */
  similarity: number
  /** Before. */
  targetScore: number
  targetWeight: number
}

/** Shares by member in order of arrival, the slot's first at the front; they add up to 1. */
export function sharesOf(arrivals: readonly Arrival[], how: Merges): { keys: number[]; values: number[] } {
  const added = addedShares(arrivals, how)
  // Backwards: what came later takes its part of all that were there.
  const backwards: number[] = []
  let left = 1
  for (let i = arrivals.length - 1; i >= 0; i--) {
    const { tokens } = arrivals[i]
    for (let member = 0; member < tokens; member++) backwards.push((left * added[i]) / tokens)
    left *= 1 - added[i]
  }
  const shares = [...backwards, left].reverse()
  const seed = seedAmong(arrivals)
  const fixed = shares.map((_, i) => Number(i === seed))
  return { keys: how.keys === 'fixed' ? fixed : shares, values: how.values === 'fixed' ? fixed : shares }
}

/** Of each arrival in the slot as it was after it. */
function addedShares(arrivals: readonly Arrival[], { aggregate }: Merges): number[] {
  const seed = seedAmong(arrivals)
  return arrivals.map(({ tokens, score, similarity, targetScore, targetWeight }, i) => {
    if (aggregate === 'medoid') return Number(Number.isNaN(similarity) ? i + 1 === seed : score > targetScore)
    const scores = score + targetScore
    return aggregate === 'score' && scores ? score / scores : tokens / (tokens + targetWeight)
  })
}

/**
 * Whose key and value a slot begins with, as a place among its members: of a group made at once the highest score, the earliest of equals;
 * else the first.
 */
export function seedAmong(arrivals: readonly Pick<Arrival, 'score' | 'similarity' | 'targetScore'>[]): number {
  let [seed, best] = [0, arrivals.length ? arrivals[0].targetScore : NaN]
  for (let i = 0; i < arrivals.length && Number.isNaN(arrivals[i].similarity); i++)
    if (arrivals[i].score > best) [seed, best] = [i + 1, arrivals[i].score]
  return seed
}
