/** What a head looks at in any text, and how much of its output there is: sums over attention rows, made while the text is read once. */
import type { NativePattern } from '../native/heads.js'
import { eachMarked, watched, type Measure, type Probe, type Work } from './measure.js'
import { duplicatesOf, excluding, inductionOf, pairs, pattern, previousOf } from './patterns.js'

/** Tokens that are near: a token and the 15 before it. */
const NEAR = 16

const statistic = (name: string, formula: string, unit: string, most: number, leastTokens = 2): Measure => ({
  name,
  formula,
  unit,
  least: 0,
  most,
  source: 'zslab',
  differs: '',
  kv: 'mean',
  leastTokens,
})

const DETECTED: [string, string][] = [
  ['previous', 'previous token: s = t − 1'],
  ['duplicate', 'duplicate token: s < t with the id of t'],
  ['induction', 'induction: s ≥ 1 with the id of t at s − 1 < t, after every earlier occurrence'],
]

const detectors = DETECTED.flatMap(([name, about]): Measure[] => {
  const common = {
    source: 'TransformerLens, head_detector',
    kv: 'max' as const,
    leastTokens: 2,
    unit: 'share',
  }
  const rows = 'all T rows count, those without a pair and row 0 too'
  return [
    {
      ...common,
      name,
      formula: `Σ A·P / Σ A, P the pairs of ${about}; ${rows}`,
      least: 0,
      most: 1,
      differs: 'no token that begins texts is put before the ids',
    },
    {
      ...common,
      name: `${name}Abs`,
      formula: `1 − Σ |A − P| / T, P the pairs of ${about}; ${rows}`,
      least: -Infinity,
      most: 1,
      differs: 'not rounded to three decimals; below −1 where rows have many pairs, there too',
    },
    {
      ...common,
      name: `${name}Excluding`,
      formula: `as ${name}, with column 0 and the diagonal taken out of both sums (exclude_bos, exclude_current_token)`,
      least: 0,
      most: 1,
      differs: 'no token that begins texts is put before the ids, so column 0 is the first of the text',
    },
  ]
})

const MEASURES: readonly Measure[] = [
  statistic('sinkMass', 'mean over t ≥ 1 of A[t, 0]', 'share', 1),
  statistic('entropy', 'mean over t ≥ 1 of −Σ A ln A', 'nats', Infinity),
  statistic('effectiveTokens', 'mean over t ≥ 1 of exp(entropy of row t)', 'tokens', Infinity),
  statistic('locality', `mean over t ≥ ${NEAR} of Σ A[t, t − ${NEAR - 1} … t]`, 'share', 1, NEAR + 1),
  {
    ...statistic(
      'outputNorm',
      'mean over t of ‖W_O,h · o_h(t)‖₂: what the head adds to the residual stream',
      '1',
      Infinity,
      1,
    ),
    kv: 'max',
  },
  ...detectors,
]

export const statistics = (): Probe => ({
  name: 'statistics',
  measures: MEASURES,
  layers: ({ model }) => model.description.layers,
  run,
})

async function run(work: Work): Promise<void> {
  const { ids, marks, values } = work
  const tokens = ids.length
  const count = marks.reduce((sum, marked) => sum + marked, 0)
  const wanted = (...names: string[]) => names.some((name) => values.has(name))
  const patterns: NativePattern[] = []
  const rows: Record<string, number> = {}
  const add = (name: string, made: NativePattern) => {
    rows[name] = patterns.length
    patterns.push(made)
  }
  const from = (first: number, of: (t: number) => Iterable<number>) => pattern(tokens, (t) => (t >= first ? of(t) : []))
  if (wanted('sinkMass'))
    add(
      'sinkMass',
      from(1, () => [0]),
    )
  if (wanted('locality'))
    add(
      'locality',
      from(NEAR, (t) => Array.from({ length: NEAR }, (_, i) => t - i)),
    )
  const excludes = DETECTED.some(([name]) => values.has(`${name}Excluding`))
  // Summed up as they are: what is left of a row beside its first token may be a millionth.
  if (excludes) add('others', { ...pattern(tokens, (t) => (t > 0 ? [0, t] : [0])), complement: true })
  const makers = { previous: previousOf, duplicate: duplicatesOf, induction: inductionOf }
  for (const [name, of] of Object.entries(makers)) {
    if (!wanted(name, `${name}Abs`, `${name}Excluding`)) continue
    const made = of(ids)
    add(name, made)
    if (values.has(`${name}Excluding`)) add(`${name}Excluding`, excluding(made))
  }
  const masses = new Float64Array(patterns.length * count)
  const entropies = wanted('entropy', 'effectiveTokens') ? new Float64Array(count * tokens) : undefined
  const norms = wanted('outputNorm') ? new Float64Array(count * tokens) : undefined
  await watched(work, ids, { ...(patterns.length && { patterns, masses }), entropies, norms })

  eachMarked(marks, (head, i) => {
    const put = (name: string, value: () => number) => {
      const to = values.get(name)
      if (to) to[head] = value()
    }
    const mass = (name: string) => masses[rows[name] * count + i]
    const mean = (of: Float64Array, first: number, f: (x: number) => number = (x) => x) => {
      let sum = 0
      for (let t = first; t < tokens; t++) sum += f(of[i * tokens + t])
      return sum / (tokens - first)
    }
    put('sinkMass', () => mass('sinkMass') / (tokens - 1))
    put('locality', () => mass('locality') / (tokens - NEAR))
    put('entropy', () => mean(entropies!, 1))
    put('effectiveTokens', () => mean(entropies!, 1, Math.exp))
    put('outputNorm', () => mean(norms!, 0))
    for (const [name] of DETECTED) {
      put(name, () => mass(name) / tokens)
      put(`${name}Abs`, () => 1 - (pairs(patterns[rows[name]]) - 2 * mass(name) + tokens) / tokens)
      put(`${name}Excluding`, () => mass(`${name}Excluding`) / mass('others'))
    }
  })
}
