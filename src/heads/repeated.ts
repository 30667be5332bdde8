/** Random ids, repeated: nothing to know but what came before. Who looks back at the same token, and at the one after it. */
import type { LoadedModel } from '../loaded-model.js'
import { generator } from '../sampling.js'
import { eachMarked, watched, type Measure, type Probe, type Work } from './measure.js'
import { pattern } from './patterns.js'

/** Tokens of the random sequence, and how many times it stands in the text. */
export const PERIOD = 64
export const TIMES = 4

const of = (name: string, what: string): Measure => ({
  name,
  formula: `${PERIOD} different random ids, ${TIMES} times; mean over t ≥ ${PERIOD} of ${what}`,
  unit: 'share',
  least: 0,
  most: 1,
  source: 'RazorAttention, arXiv 2407.15891, section 3',
  differs: 'no public scores are known; its own numbers of ids and repeats are not published',
  kv: 'max',
  leastTokens: 1,
})

const MEASURES: readonly Measure[] = [
  of('echo', `A[t, t − ${PERIOD}], the same token one repeat before`),
  of('inductionNext', `A[t, t − ${PERIOD - 1}], the token after that`),
  of('echoAll', `Σ A[t, t − ${PERIOD}k] over all k with t ≥ ${PERIOD}k`),
  of('inductionNextAll', `Σ A[t, t − ${PERIOD}k + 1] over all k with t ≥ ${PERIOD}k`),
]

/** PERIOD different ids of text (none that stands for a role or an end), drawn with `seed`, TIMES times. */
export function repeatedIds({ tokenizer, description }: LoadedModel, seed: number): Int32Array {
  const draw = generator(seed)
  const chosen = new Set<number>()
  const special = (id: number) => tokenizer.decode([id], { skipSpecial: true }) === ''
  while (chosen.size < Math.min(PERIOD, description.vocabulary >> 1)) {
    const id = Math.floor(draw() * description.vocabulary)
    if (!special(id)) chosen.add(id)
  }
  const once = Array.from(chosen)
  return Int32Array.from({ length: once.length * TIMES }, (_, i) => once[i % once.length])
}

export const repeated = (): Probe => ({
  name: 'repeated',
  measures: MEASURES,
  random: true,
  layers: ({ model }) => model.description.layers,
  run: (work) => run(work, work.ids.length / TIMES),
})

async function run(work: Work, period: number): Promise<void> {
  const { ids, marks, values } = work
  const names = MEASURES.map(({ name }) => name).filter((name) => values.has(name))
  const back = (all: boolean, next: number) => (t: number) => {
    const most = Math.floor(t / period)
    return Array.from({ length: all ? most : Math.min(1, most) }, (_, i) => t - period * (i + 1) + next)
  }
  const patterns = names.map((name) =>
    pattern(ids.length, back(name.endsWith('All'), name.startsWith('induction') ? 1 : 0)),
  )
  const count = marks.reduce((sum, marked) => sum + marked, 0)
  const masses = new Float64Array(patterns.length * count)
  await watched(work, ids, { patterns, masses })
  eachMarked(marks, (head, i) =>
    names.forEach((name, at) => (values.get(name)![head] = masses[at * count + i] / (ids.length - period))),
  )
}
