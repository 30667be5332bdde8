/** Effects of a study and its summary, made up with a seed. */
import { effectsOf, type Effects } from '../../src/experiments/effects.js'
import type { Row } from '../../src/experiments/rows.js'
import { summaryOf, type Summary } from '../../src/experiments/summary.js'
import type { Level } from '../../src/experiments/designs.js'
import { dimensionsOf, placeIn } from '../../src/experiments/dimensions.js'
import { slopesOf } from '../../src/experiments/slopes.js'
import { withParts } from '../../src/experiments/ternary.js'
import { triedOf } from '../../src/experiments/tried.js'
import { random } from './synthetic.js'

export const METRICS = [
  { name: 'kl', about: 'KL(full cache ‖ policy) of the predictions', unit: 'nats a token', better: 'less' },
  { name: 'bytes', about: 'keys, values and what belongs to them, at the end', unit: 'bytes', better: 'less' },
] as const

export interface StudyMade {
  texts?: number
  dimensions?: Record<string, readonly Level[]>
  /** All that dimensions do, as a factor. */
  effect?: number
  interactions?: boolean
  seed?: number
}

const DIMENSIONS = { budget: [0.05, 0.1, 0.2], alpha: [0, 0.5, 1], recent: [0.5, 0.25] }

export const POLICIES = { budget: [0.05, 0.1, 0.2, 0.4, 0.8], policy: ['zsmerge', 'snapkv', 'streaming'] }
export const MANY_LEVELS = {
  alpha: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
  'a dimension of a long name': ['some words that say much', 'other words that say as much'],
}

/** A grid in which the first dimension does most, and the first two more together. */
export function studyMade({ texts = 24, dimensions = DIMENSIONS, effect = 1, seed = 1 }: StudyMade = {}): Row[] {
  const next = random(seed)
  const scale = Array.from({ length: texts }, () => 0.6 + 0.8 * next())
  let grid: Record<string, Level>[] = [{}]
  for (const [name, levels] of Object.entries(dimensions))
    grid = grid.flatMap((row) => levels.map((level) => ({ ...row, [name]: level })))
  const names = Object.keys(dimensions)
  return scale.flatMap((text, i) =>
    grid.map((levels, j): Row => {
      const at = names.map((name) => dimensions[name].indexOf(levels[name]))
      const sum = at.reduce((all, level, d) => all + (effect * level * (d % 2 ? 1 : -1)) / (d + 1), 0)
      const kl =
        text *
        0.1 *
        Math.exp(
          -Math.abs(0.5 * (at[0] ?? 0)) +
            0.5 * (sum - effect * (at[0] ?? 0)) +
            0.05 * effect * (at[0] ?? 0) * (at[1] ?? 0),
        ) *
        (0.9 + 0.2 * next())
      const prompt = { name: `text ${i}`, cluster: `text ${i}`, seed: 1, tokens: 1024, sha256: 'x' }
      const bytes = 1e6 * 2 ** (at[0] ?? 0)
      const key = `${i}-${j}`
      return { levels, trial: { key, policy: 'zsmerge', prompt, values: { kl, bytes }, unchanged: false } }
    }),
  )
}

export const effectsMade = (options: StudyMade = {}): Effects =>
  effectsOf(studyMade(options), options.dimensions ?? DIMENSIONS, METRICS[0], options.interactions ?? true, { seed: 1 })

/** What frontier() takes of a study. */
export const studiedMade = (options: StudyMade = {}) => ({
  metrics: METRICS,
  facts: { task: { name: 'language modelling', about: 'the last 64 tokens of excerpts of 1024' } },
  summary: () => summaryMade(options),
})

export const summaryMade = (options: StudyMade = {}): Summary =>
  summaryOf(studyMade(options), Object.keys(options.dimensions ?? DIMENSIONS), METRICS, { seed: 1 })

const RANGES = {
  alpha: { from: 0, to: 1 },
  decay: { from: 0.9, to: 0.999, log: true },
  window: { from: 16, to: 512, integer: true },
  similarity: ['dot', 'cosine'],
}

/** Of a Latin hypercube of `runs`: alpha does much, with window the more. */
export function slopesMade({ texts = 24, runs = 32 } = {}): Effects {
  const next = random(2)
  const varied = dimensionsOf(RANGES)
  const tried = triedOf(varied, { latinHypercube: { runs } })
  const rows = Array.from({ length: texts }, (_, i) => {
    const own = 0.6 + 0.8 * next()
    return tried.settings.map((levels, j): Row => {
      const alpha = Number(levels.alpha) - 0.5
      const window = placeIn(RANGES.window, levels.window) - 0.5
      const kl = own * (0.1 + 0.05 * alpha ** 2 + 0.04 * alpha - 0.03 * alpha * window + 0.01 * (next() - 0.5))
      const prompt = { name: `text ${i}`, cluster: `text ${i}`, seed: 1, tokens: 1024, sha256: 'x' }
      return {
        levels,
        trial: { key: `${i}-${j}`, policy: 'zsmerge', prompt, values: { kl, bytes: 1e6 }, unchanged: false },
      }
    })
  }).flat()
  return slopesOf(rows, tried, METRICS[0], true, { seed: 1 })
}

/** Of a ternary design: best with much recent and a little residual; where nearly all is recent, trials failed. */
export function ternaryMade({ steps = 5, texts = 24, spread = 1 } = {}) {
  const next = random(4)
  const ternary = { steps }
  const { settings } = triedOf(withParts({}, {}, ternary), { ternary })
  const rows = Array.from({ length: texts }, (_, i) =>
    settings.map((levels, j): Row => {
      const [recent, residual] = [Number(levels.recent), Number(levels.residual)]
      const kl = (0.08 + spread * (0.3 * (recent - 0.55) ** 2 + 0.5 * (residual - 0.15) ** 2)) * (0.7 + 0.6 * next())
      const prompt = { name: `text ${i}`, cluster: `text ${i}`, seed: 1, tokens: 1024, sha256: 'x' }
      const trial = { key: `${i}-${j}`, policy: 'zsmerge', prompt, values: { kl, bytes: 1e6 }, unchanged: false }
      const failed = recent + residual > 0.99 - 1 / steps && recent > 0.6
      return { levels, trial: failed ? { ...trial, values: null, failed: 'too few slots' } : trial }
    }),
  ).flat()
  return {
    metrics: METRICS,
    facts: {
      task: { name: 'language modelling', about: 'the last 64 tokens of excerpts of 1024' },
      design: { ternary },
    },
    summary: (by: readonly string[]) => summaryOf(rows, by, METRICS, { seed: 1 }),
  }
}
