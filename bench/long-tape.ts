/**
 * The tape of a long run: 32 layers of 8 kv heads (headDim 8, a synthetic cache) under ZSMerge, chunk by chunk. Events, seconds, bytes in memory
 * and in files, the most that the process ever had resident; then two looks at all events, and a file of them.
 *   npx tsx bench/long-tape.ts [tokens = 32768] [megabytes in memory = 268]
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCache, zsmerge } from '../src/index.js'
import { laidOut } from '../src/trace/columns.js'
import { arrowOf } from '../src/trace/files/arrow.js'
import { parquetOf } from '../src/trace/files/parquet.js'

const [tokens = 32_768, megabytes = 2 ** 28 / 1e6] = process.argv.slice(2).map(Number)
const [layers, kvHeads, headDim, chunk] = [32, 8, 8, 64]

const inMB = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`

/** Of the process: now resident of its own (files that are mapped and read count apart), and the most at any time. */
function resident(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  const of = (name: string) => inMB(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) * 1024)
  return `resident ${of('RssAnon')} and ${of('RssFile')} of files, at most ${of('VmHWM')}`
}

async function timed<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  const from = performance.now()
  const made = await work()
  console.log(`${what.padEnd(34)}${((performance.now() - from) / 1000).toFixed(2).padStart(8)} s   ${resident()}`)
  return made
}

console.log(
  `${tokens} tokens, ${layers} × ${kvHeads} heads, at most ${megabytes} MB of events in memory; load ${loadavg()[0]}`,
)
const cache = createCache({
  layers,
  heads: kvHeads,
  kvHeads,
  headDim,
  policy: zsmerge({ budget: 128, recent: 64, residual: 8, chunk }),
  trace: { level: 'events', memory: megabytes * 1e6 },
  origins: false,
  threads: 1,
})
let seed = 1
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5
const array = () => Float32Array.from({ length: kvHeads * chunk * headDim }, random)
console.log(`said before: ${JSON.stringify(cache.tapeBytes(tokens))}`)
await timed('read and compressed', async () => {
  for (let at = 0; at < tokens; at += chunk) {
    const [q, k, v] = [array(), array(), array()]
    for (let layer = 0; layer < layers; layer++)
      await (at ? cache.extend(layer, q, k, v) : cache.prefill(layer, q, k, v))
  }
})
const took = cache.tapeBytes()
console.log(`${took.events} events: ${inMB(took.memory)} in memory, ${inMB(took.files)} in files`)
const events = await timed('all events, twice', () => [cache.events(), cache.events()][1])
await timed('every score read', () => events.score.reduce((sum, score) => sum + (score || 0), 0))
const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
try {
  for (const [ending, write] of [
    ['arrow', arrowOf],
    ['parquet', parquetOf],
  ] as const) {
    const path = join(folder, ending)
    await timed(`saved as ${ending}`, () => writeFile(path, write(laidOut(events, String), new Map())))
    console.log(`  ${inMB(statSync(path).size)}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
