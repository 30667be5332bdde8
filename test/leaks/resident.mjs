/**
 * The library as it was built, in plain Node: the default model, a long prompt's full cache, a compressed fork that generates.
 * Prints { peak, weights, caches, ok }: the most that was resident, the weights, and the caches by formula, in bytes.
 */
import { readFileSync } from 'node:fs'
import { fullCache, load, zsmerge } from '../../dist/src/index.js'

const TOKENS = 3000
const model = await load('smollm2-135m', { progress: false })
const { layers, kvHeads, headDim } = model.description
const session = model.session({ policy: fullCache(), forkable: true })
await session.prefill(Array.from({ length: TOKENS }, (_, i) => 1000 + ((i * 7919) % 40_000)))
const fork = await session.fork({ policy: zsmerge({ budget: 0.1 }) })
const run = await fork.generate(undefined, { maxTokens: 16, ignoreEos: true, progress: false })
const element = session.storage === 'float32' ? 4 : 2
const formula = (slots) => 2 * layers * kvHeads * headDim * slots * element
const caches = formula(TOKENS) + formula(fork.cache.resolved().budget)
process.stdout.write(JSON.stringify({ peak: peak(), weights: model.bytes, caches, ok: run.receipt.ok }))

function peak() {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}
