/**
 * A sweep over one prompt: forks under budget {.05, .1, .2, .4} × alpha {0, 1} × decay {.9, .98, 1}, each going on for some tokens, beside
 * the least it could be: one reading and every fork's own tokens. Ratio of one round = (forkable reading + forking + tokens) / (reading +
 * tokens). And what a policy in TypeScript costs per layer and step beside the built-in one, in turns.
 *   npx tsx bench/forks.ts [rounds = 3] [prompt tokens = 4096] [tokens a fork = 32]
 */
import { loadavg } from 'node:os'
import { createCache, evictOnly, load, zsmerge, type Model } from '../src/index.js'
import { h2o } from './policies/h2o.js'
import { text } from './text.js'

const [rounds = 3, promptTokens = 4096, ownTokens = 32] = process.argv.slice(2).map(Number)
const POLICIES = [0.05, 0.1, 0.2, 0.4].flatMap((budget) =>
  [0, 1].flatMap((alpha) => [0.9, 0.98, 1].map((decay) => zsmerge({ budget, alpha, decay }))),
)

const sorted = (values: number[]) => values.toSorted((a, b) => a - b)
const at = (values: number[], share: number) => sorted(values)[Math.round(share * (values.length - 1))]
const shown = (values: number[], digits: number) =>
  `${at(values, 0.5).toFixed(digits)} (${at(values, 0).toFixed(digits)}–${at(values, 1).toFixed(digits)})`

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const from = performance.now()
  const result = await work()
  return [result, performance.now() - from]
}

async function sweep(model: Model): Promise<void> {
  const ids = text(model, promptTokens)
  const ratios: number[] = []
  const parts: Record<'reading' | 'forkable' | 'forking' | 'tokens', number[]> = {
    reading: [],
    forkable: [],
    forking: [],
    tokens: [],
  }
  for (let round = 0; round < rounds; round++) {
    const plain = model.session()
    const [, reading] = await timed(() => plain.prefill(ids, { progress: false }))
    plain.dispose()
    const read = model.session({ forkable: 'all' })
    const [, forkable] = await timed(() => read.prefill(ids, { progress: false }))
    const [forks, forking] = await timed(() => read.forks(POLICIES, { progress: false }))
    let tokens = 0
    for (const fork of forks) {
      // The last token chosen is not read: one more than the steps that are timed.
      const options = { maxTokens: ownTokens + 1, ignoreEos: true, progress: false }
      tokens += (await timed(async () => fork.generate(undefined, options)))[1]
      fork.dispose()
    }
    read.dispose()
    for (const [name, ms] of Object.entries({ reading, forkable, forking, tokens })) parts[name as 'reading'].push(ms)
    ratios.push((forkable + forking + tokens) / (reading + tokens))
  }
  console.log(
    `${POLICIES.length} forks of a prompt of ${ids.length} tokens, ${ownTokens} tokens each; ${rounds} rounds; median (range)`,
  )
  for (const [name, values] of Object.entries(parts)) console.log(`${name.padEnd(10)}${shown(values, 0)} ms`)
  console.log(`ratio     ${shown(ratios, 2)}`)
}

async function own(): Promise<void> {
  const [slots, kvHeads, headDim] = [4096, 8, 64]
  const shape = { layers: 1, heads: kvHeads, kvHeads, headDim, trace: false }
  let x = 7
  const random = () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5
  const array = (tokens: number) => Float32Array.from({ length: kvHeads * tokens * headDim }, random)
  const caches = [h2o({ budget: slots }), evictOnly({ budget: slots, decay: 1, window: 'all' })].map((policy) =>
    createCache({ ...shape, policy }),
  )
  const [q, k, v] = [array(slots + 50), array(slots + 50), array(slots + 50)]
  for (const cache of caches) await cache.prefill(0, q, k, v)
  const more: number[] = []
  for (let step = 0; step < 200; step++) {
    const [one, two, three] = [array(1), array(1), array(1)]
    const took: number[] = []
    for (const cache of caches) took.push((await timed(() => cache.step(0, one, two, three)))[1])
    if (step >= 40) more.push(took[0] - took[1])
  }
  console.log(
    `definePolicy, ${slots} slots × ${kvHeads} heads: ${at(more, 0.5).toFixed(2)} ms a layer and step more than built in (10th–90th of a hundred ${at(more, 0.1).toFixed(2)}–${at(more, 0.9).toFixed(2)}, n ${more.length})`,
  )
}

console.log(`load ${loadavg()[0].toFixed(1)}`)
await own()
const model = await load('smollm2-135m', { progress: false })
await sweep(model)
model.dispose()
