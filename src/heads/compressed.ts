/** What a policy takes from each head, by its own queries, keys and values: attention that it loses, and how far its output is off. */
import { localShadow } from '../inspect/local.js'
import { fullCache } from '../policies/index.js'
import { Reading } from '../reading.js'
import { keptOf } from '../trace/level.js'
import { decodedRows, eachMarked, type Measure, type Probe, type Work } from './measure.js'

const HOW =
  "the text's beginning is the prompt, then its last `rows` (at most half of it) are read one by one under `policy`; mean over those rows"

const of = (name: string, what: string, unit: string, most: number, source: string): Measure => ({
  name,
  formula: `${HOW} of ${what}`,
  unit,
  least: 0,
  most,
  source,
  differs: '',
  kv: 'max',
  leastTokens: 4,
  needs: 'policy',
})

const MEASURES: readonly Measure[] = [
  {
    ...of(
      'retainedMass',
      'the probability that the head’s query gives, with nothing removed, to tokens that have a slot of their own',
      'share',
      1,
      'zslab',
    ),
    kv: 'mean',
  },
  of(
    'outputError',
    '‖o − o*‖/‖o*‖, o* what the head gives with nothing removed, the layers below being those under the policy',
    '1',
    Infinity,
    'zslab; as run.shadow().local',
  ),
]

export const compressedHeads = (): Probe => ({
  name: 'compressed',
  measures: MEASURES,
  about: ({ rows, policy }) => ({ rows, policy: String(policy) }),
  // Refuses policies that change keys or values as they come.
  check: (model, policy) =>
    Reading.create(model, { policy, storage: 'float32', trace: { level: 'vectors', queries: 0 } }).dispose(),
  // The prompt, and the rows after it.
  layers: ({ model }) => 2 * model.description.layers,
  run,
})

async function run({ model, ids, marks, values, rows: asked, policy, call }: Work): Promise<void> {
  const rows = decodedRows(ids, asked)
  const { layers, heads, kvHeads } = model.description
  const [prompt, tail] = [ids.slice(0, -rows), ids.slice(-rows)]
  const { signal } = call
  const told = (share: number) => call.progress?.({ done: Math.floor(layers * share), total: 2 * layers })
  // Half of what comes after the prompt is reading rows, half is what they would have had without the policy.
  const report = (done: number) => told(1 + done / (2 * rows))
  const full = Reading.create(model, { policy: fullCache(), storage: 'float32', forkable: 'all' })
  const readings = [full]
  try {
    await full.feed(prompt, { signal, progress: ({ done, total }) => told(done / total) })
    const [own] = await full.underPolicies(
      [{ policy: policy!, budgets: undefined }],
      keptOf('events', layers, kvHeads),
      { signal },
    )
    readings.push(own)
    own.keepAttention()
    for (const [at, id] of tail.entries()) {
      await own.feed(Int32Array.of(id), { signal })
      await report(at + 1)
    }
    const local = await localShadow(
      {
        shape: full.cache.options.shape,
        policy: own.current.policy,
        events: own.cache.events(),
        calls: own.log.map((fed) => fed.ids.length),
        positions: Int32Array.from(tail, (_, at) => prompt.length + at),
      },
      full.cache,
      own.log.slice(1).map((fed) => fed.given!.attention!),
      { signal, progress: ({ done, total }) => report(rows + (rows * done) / total) },
    )
    const mean = (head: number, at: (i: number) => number) => {
      let sum = 0
      for (let row = 0; row < rows; row++) sum += at(row * layers * heads + head)
      return sum / rows
    }
    eachMarked(marks, (head) => {
      const put = (name: string, at: (i: number) => number) => {
        const to = values.get(name)
        if (to) to[head] = mean(head, at)
      }
      put('retainedMass', (i) => 1 - local.missed[i] - local.blurred[i])
      put('outputError', (i) => local.error[i])
    })
  } finally {
    for (const reading of readings) reading.dispose()
  }
}
