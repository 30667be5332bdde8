/** A Latin hypercube: settings spread evenly over ranges. Each range is cut into as many parts as there are runs, and each part holds one run. */
import { ZslabError } from '../errors.js'
import { generator, orderOf } from '../sampling.js'
import type { Level, Levels } from './designs.js'
import { firstOf, type Dimension, type Varied } from './dimensions.js'

export interface LatinHypercube {
  runs: number
  seed: number
}

/** Hypercubes that are drawn; the one is taken whose nearest two runs are farthest apart (maximin, Johnson et al. 1990). */
const DRAWN = 100
/** Of a level: what ranges are drawn to. */
const DIGITS = 6

/**
 * First the middle of all ranges with the first levels of other dimensions, which the rest is compared with, then `runs` of a Latin hypercube
 * (McKay et al. 1979). Errors: 'invalid' without a range.
 */
export function latinHypercube(varied: Varied, { runs, seed }: LatinHypercube): Levels[] {
  const all = Object.entries(varied)
  if (!all.some(([, { range }]) => range))
    throw new ZslabError(
      'invalid',
      'a Latin hypercube needs a range, such as over: { alpha: { from: 0, to: 1 } }: give one, or take the grid',
    )
  const draw = generator(seed)
  let best = drawn(all.length, runs, draw)
  let least = nearest(best)
  for (let i = 1; i < DRAWN && all.length > 1; i++) {
    const one = drawn(all.length, runs, draw)
    const own = nearest(one)
    if (own > least) [best, least] = [one, own]
  }
  return [
    Object.fromEntries(all.map(([name, dimension]) => [name, firstOf(dimension)])),
    ...Array.from({ length: runs }, (_, run) =>
      Object.fromEntries(all.map(([name, dimension], d) => [name, levelAt(dimension, best[d][run])])),
    ),
  ]
}

/** [dimensions][runs], in [0, 1): anywhere within a part of its own. */
const drawn = (dimensions: number, runs: number, draw: () => number): Float64Array[] =>
  Array.from({ length: dimensions }, () => Float64Array.from(orderOf(runs, draw), (part) => (part + draw()) / runs))

/** Least squared distance of two runs. */
function nearest(points: readonly Float64Array[]): number {
  let least = Infinity
  const runs = points[0].length
  for (let a = 0; a < runs; a++)
    for (let b = 0; b < a; b++) {
      let sum = 0
      for (const of of points) sum += (of[a] - of[b]) ** 2
      if (sum < least) least = sum
    }
  return least
}

function levelAt({ levels, range }: Dimension, share: number): Level {
  if (!range) return levels[Math.floor(share * levels.length)]
  const { from, to, log, integer } = range
  // Whole numbers have parts of one width, the last one's too.
  const end = integer ? to + 1 : to
  const value = log ? from * (end / from) ** share : from + share * (end - from)
  return Math.min(to, Math.max(from, integer ? Math.floor(value) : Number(value.toPrecision(DIGITS))))
}
