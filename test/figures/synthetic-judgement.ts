/** What a judge found, how far measures agree and budgets by one of them, made up with a seed. */
import { reliabilityOf } from '../../src/heads/agreement.js'
import { Agreements } from '../../src/heads/agreements.js'
import { proportional } from '../../src/heads/allocation.js'
import { judgedOf, meanDamage } from '../../src/heads/judged.js'
import { randomOrder } from '../../src/sampling.js'
import { Judgement } from '../../src/heads/judgement.js'
import { random } from './synthetic.js'

const NAMES = ['ablation', 'kvzip', 'outputNorm', 'induction', 'entropy', 'locality', 'echo', 'sinkMass']

interface JudgeMade {
  texts?: number
  measures?: number
  points?: number
  compress?: boolean
  seed?: number
  /** All damage, as a factor. */
  damage?: number
}

/** Measures of ever worse orders, the last of them worse than random. */
export function judgementMade({ texts = 8, measures = 8, points = 8, compress, seed = 1, damage = 1 }: JudgeMade = {}) {
  const next = random(seed)
  const [layers, each] = compress ? [16, 4] : [16, 12]
  const count = layers * each
  const places = {
    points: Array.from({ length: points }, (_, i) => {
      const taken = Math.round((count * (i + 1)) / (2 * points))
      return { taken, share: taken / count }
    }),
    perLayer: each,
    seed,
  }
  const scale = Array.from({ length: texts }, () => 0.6 + 0.8 * next())
  const made = (bad: number) =>
    scale.map((text) =>
      places.points.map(({ share }) => {
        const kl = damage * text * bad * 3 * share ** 1.6 * (0.85 + 0.3 * next())
        return { kl, loss: kl * (0.7 + 0.2 * next()) }
      }),
    )
  const judged = NAMES.slice(0, measures).map((name, i) =>
    judgedOf(name, randomOrder(count, i), made(0.05 + (1.3 * (i + 0.02)) / 7), places),
  )
  const baseline = judgedOf('random', new Int32Array(), meanDamage([made(0.9), made(1), made(1.1)]), places)
  return new Judgement(judged, baseline, {
    card: { model: { name: 'smollm2-135m.gguf' } } as never,
    take: compress ? 'compress' : 'ablate',
    budget: compress ? 0.1 : null,
    policy: compress ? 'zsmerge({ budget: 0.1 })' : null,
    heads: compress ? 'kv' : 'query',
    count,
    texts: Array.from({ length: texts }, () => ({ tokens: 256, ids: [] })),
    sameTexts: Boolean(compress),
    rows: 32,
    seeds: [1, 2, 3],
  })
}

interface AgreementsMade {
  texts?: number
  measures?: number
  heads?: number
  seed?: number
}

/** Every third measure is more or less the reverse of those before it. */
export function agreementsMade({ texts = 8, measures = 8, heads = 60, seed = 3 }: AgreementsMade = {}) {
  const next = random(seed)
  const common = Float64Array.from({ length: heads }, () => next() - 0.5)
  const scored = NAMES.slice(0, measures).map((name, i) => {
    const own = common.map((value) => (i % 3 === 2 ? -1 : 1) * value + (0.1 + 0.12 * i) * (next() - 0.5))
    const perText = Array.from({ length: texts }, () => own.map((value) => value + 0.4 * (next() - 0.5)))
    const values = own.map((_, head) => perText.reduce((sum, text) => sum + text[head], 0) / texts)
    return { name, values, perText, ownTexts: false, reliability: reliabilityOf({ perText }) }
  })
  const card = { model: { name: 'smollm2-135m.gguf' } } as never
  return new Agreements(scored, { seed, resamples: 100 }, card)
}

export function budgetsMade({ layers = 30, kvHeads = 3, total = 128, floor = 0.2, equal = false, seed = 5 } = {}) {
  const next = random(seed)
  const scores = Array.from({ length: layers }, () => Array.from({ length: kvHeads }, () => (equal ? 1 : next() ** 4)))
  const budgets = proportional(scores, { total, floor })
  return { budgets, by: 'kvzip', rule: 'proportional', total, floor, card: { model: { name: 'smollm2-135m.gguf' } } }
}
