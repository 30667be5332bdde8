/** KVzip's head score: what the model looks at while it repeats its context. */
import { eachMarked, watched, type Measure, type Probe, type Work } from './measure.js'

/** The first tokens hold the maximum in most heads, whatever is repeated. */
const SKIPPED = 4

const of = (name: string, from: number): Measure => ({
  name,
  formula: `the context twice; largest A[t, s] over t of the repetition, s ≥ ${from} of the context, and the query heads of the group`,
  unit: 'share',
  least: 0,
  most: 1,
  source: 'KVzip, arXiv 2505.23416 (head scores)',
  differs: 'its code puts an instruction between context and repetition, and repeats long contexts in chunks',
  kv: 'own',
  leastTokens: from + 1,
  mostTokens: (context) => context >> 1,
})

const MEASURES: readonly Measure[] = [of('kvzip', 0), of('kvzipSkip4', SKIPPED)]

export const kvzip = (): Probe => ({
  name: 'kvzip',
  measures: MEASURES,
  layers: ({ model }) => model.description.layers,
  run,
})

async function run(work: Work): Promise<void> {
  const { ids, marks, values, model } = work
  const { heads, kvHeads } = model.description
  const n = ids.length
  const group = heads / kvHeads
  const whole = marks.map((_, head) =>
    Number(marks.subarray(head - (head % group), head - (head % group) + group).includes(1)),
  )
  const count = whole.reduce((sum, marked) => sum + marked, 0)
  const most = new Float32Array(count * 2 * n)
  await watched({ ...work, marks: whole }, Int32Array.from([...ids, ...ids]), { most, mostFrom: n })
  for (const [name, to] of values) {
    const found = new Float64Array(marks.length)
    eachMarked(whole, (head, i) => {
      let largest = 0
      for (let s = name === 'kvzip' ? 0 : SKIPPED; s < n; s++) largest = Math.max(largest, most[i * 2 * n + s])
      const first = head - (head % group)
      for (let h = first; h < first + group; h++) found[h] = Math.max(found[h], largest)
    })
    eachMarked(marks, (head) => (to[head] = found[head]))
  }
}
