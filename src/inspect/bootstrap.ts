/** How far a mean over decode steps is to be trusted: neighbouring steps are alike, so whole blocks of them are drawn (Künsch 1989). */
import { integer } from '../expect.js'
import { generator } from '../sampling.js'
import { percentile, seedOf } from '../statistics/bootstrap.js'
import { meanOf } from '../statistics/moments.js'

export interface BootstrapOptions {
  /** 0 to 2³² − 1; drawn at random and reported where not given. */
  seed?: number
  /** Default 1,000. */
  resamples?: number
  /** Steps of a block; default the cube root of their number, rounded. */
  block?: number
}

/** What held. */
export interface Bootstrap {
  seed: number
  resamples: number
  block: number
}

/** From the 2.5th to the 97.5th percentile of the resamples. */
export interface Interval {
  low: number
  high: number
}

export const BOOTSTRAP_OPTIONS = ['seed', 'resamples', 'block'] as const

export function bootstrapOf(options: BootstrapOptions, steps: number): Bootstrap {
  return {
    seed: seedOf(options.seed),
    resamples: options.resamples === undefined ? 1000 : integer('resamples', options.resamples, 2, 1_000_000),
    block:
      options.block === undefined
        ? Math.max(1, Math.round(Math.cbrt(steps)))
        : integer('block', options.block, 1, Math.max(1, steps)),
  }
}

/** Indices of [0, steps) by resample, each of `steps`: blocks from anywhere, one after another, the last cut. */
export function* resampled(steps: number, { seed, resamples, block }: Bootstrap): Generator<Int32Array> {
  const draw = generator(seed)
  const chosen = new Int32Array(steps)
  for (let i = 0; i < resamples; i++) {
    for (let at = 0; at < steps;) {
      const from = Math.floor(draw() * (steps - block + 1))
      for (let j = 0; j < block && at < steps; j++) chosen[at++] = from + j
    }
    yield chosen
  }
}

/** Intervals of several statistics over the same resamples; null with fewer than two steps, which say nothing of their spread. */
export function intervalsOf(
  steps: number,
  bootstrap: Bootstrap,
  statistics: readonly ((chosen: ArrayLike<number>) => number)[],
): (Interval | null)[] {
  if (steps < 2) return statistics.map(() => null)
  const found = statistics.map(() => new Float64Array(bootstrap.resamples))
  let i = 0
  for (const chosen of resampled(steps, bootstrap)) {
    statistics.forEach((statistic, at) => (found[at][i] = statistic(chosen)))
    i++
  }
  return found.map((values) => {
    const sorted = values.sort()
    return { low: percentile(sorted, 0.025), high: percentile(sorted, 0.975) }
  })
}

/** The mean of `values` at chosen steps. */
export const meanAt = (values: ArrayLike<number>) => (chosen: ArrayLike<number>) => meanOf(chosen, values)
