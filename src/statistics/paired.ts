/** Two settings measured on the same texts: how far apart they are, whether that is about nothing, and what so many texts could have shown. */
import { finiteNumbers, invalid, options as checkedOptions } from '../expect.js'
import { clusterMeans, smallestEffect } from './clusters.js'
import { FEWEST, MANY, meanInterval, type IntervalOptions, type MeanInterval } from './intervals.js'
import { spreadOf } from './moments.js'
import { signFlips, type SignFlips } from './sign-flips.js'

export interface PairedOptions extends IntervalOptions {
  /** Of each pair, what it belongs to: a text, a task, a book. Pairs of one are one observation, their mean. Default: each pair by itself. */
  clusters?: ArrayLike<string>
}

export interface PairedDifference {
  /** Of a − b, over clusters (its `texts`), each counting the same. */
  difference: MeanInterval
  /** Whether it is about nothing. */
  test: SignFlips
  /** What a two-sided test at `level` finds four times of five, as clusters vary here; null of one cluster. */
  smallest: number | null
  pairs: number
  clusters: number
  /** Why the interval is of that kind, or there is none. */
  why: string
}

/**
 * a − b, paired by place. Errors: 'invalid' where there is no pair, lengths differ, a value is no finite number, or an option is wrong.
 */
export function paired(a: ArrayLike<number>, b: ArrayLike<number>, options: PairedOptions = {}): PairedDifference {
  checkedOptions('paired', options, ['clusters', 'method', 'level', 'seed', 'resamples'])
  if (a.length !== b.length)
    throw invalid('b', `as many values as a has, ${a.length}, one for each pair`, `${b.length} of them`)
  if (!a.length) throw invalid('a', 'at least one value', a)
  const others = finiteNumbers('b', b, 'pair')
  const differences = finiteNumbers('a', a, 'pair').map((value, i) => value - others[i])
  const { clusters, ...asked } = options
  const means = clusters ? clusterMeans(differences, clusters).means : differences
  const difference = meanInterval(means, asked)
  return {
    difference,
    test: signFlips(means, { seed: difference.draws?.seed ?? asked.seed }),
    smallest: means.length < 2 ? null : smallestEffect(means.length, spreadOf(means), { level: difference.level }),
    pairs: differences.length,
    clusters: means.length,
    why: why(means.length, difference.method, asked.method !== undefined),
  }
}

function why(clusters: number, method: MeanInterval['method'], asked: boolean): string {
  if (method === 'none')
    return `no interval: ${clusters} cluster${clusters === 1 ? ' says' : 's say'} too little of how they differ, at least ${FEWEST} are needed`
  const kind = { student: 'Student’s', bca: 'a BCa', studentised: 'a studentised bootstrap' }[method]
  if (asked) return `${kind} interval over ${clusters} clusters, as asked`
  return clusters < MANY
    ? `${kind} interval: ${clusters} clusters are fewer than ${MANY}, where the bootstrap covers too little`
    : `${kind} interval: ${clusters} clusters are at least ${MANY}, enough for the bootstrap, which follows their skewness`
}
