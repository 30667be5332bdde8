/**
 * A plain Node process that loads a model and reads a prompt, for bench/model: one line of JSON, what loading took and what is resident.
 *   node plain.mjs zslab|llama MODULE MODEL THREADS WEIGHTS IDS     WEIGHTS: '' for the default; IDS: a,b,c or ''
 */
import { readFileSync } from 'node:fs'

const [engine, module, model, threads, weights, words] = process.argv.slice(2)
const ids = words ? words.split(',').map(Number) : []
const library = await import(module)
const from = performance.now()
const read = await { zslab, llama }[engine]()
const loadMs = performance.now() - from
if (ids.length) await read()
console.log(JSON.stringify({ loadMs, ...resident() }))
process.exit()

async function zslab() {
  const loaded = await library.load(model, { threads: Number(threads), weights: weights || undefined, progress: false })
  const session = loaded.session()
  return () => session.prefill(ids, { progress: false })
}

async function llama() {
  const llama = await library.getLlama({ gpu: false, build: 'never', maxThreads: Number(threads), logLevel: 'error' })
  const loaded = await llama.loadModel({ modelPath: model })
  return async () => {
    const contextSize = ids.length + 1
    const context = await loaded.createContext({ contextSize, batchSize: 512, threads: Number(threads) })
    await context.getSequence().evaluateWithoutGeneratingNewTokens(ids)
  }
}

/** Bytes: of the file system's pages what is mapped, the rest; and the most that was resident at any time. */
function resident() {
  const kilobytes = (file, name) =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/self/${file}`, 'utf8'))[1])
  const [all, anonymous] = ['Rss', 'Anonymous'].map((name) => kilobytes('smaps_rollup', name))
  return { anonymous, files: all - anonymous, all, most: kilobytes('status', 'VmHWM') }
}
