/**
 * The library as it was built, in plain Node: a prompt of argv[2] tokens through the default model in float32, into a compressed cache
 * whose scores are made of all rows.
 * Prints { peak, before, caches, ok }: the most that was resident, what was before the prompt, and the caches then, in bytes.
 */
import { readFileSync } from 'node:fs'
import { load, zsmerge } from '../../dist/src/index.js'

const model = await load('smollm2-135m', { weights: 'float32', progress: false })
const session = model.session({ policy: zsmerge({ budget: 0.1, window: 'all' }), storage: 'float32' })
const before = resident('VmRSS')
await session.prefill(Array.from({ length: Number(process.argv[2]) }, (_, i) => 1000 + ((i * 7919) % 40_000)))
const peak = resident('VmHWM')
process.stdout.write(
  JSON.stringify({ peak, before, caches: session.cache.bytes().total, ok: session.cache.receipt().ok }),
)

function resident(name) {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}
