/** What the leak tests run in processes of their own: `node --expose-gc children.ts WHAT` prints one JSON object. */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { createCache, fullCache, load, zsmerge } from '../../src/index.js'

interface Memory {
  /** Resident bytes. */
  rss: number
}

const gc = (globalThis as { gc?: () => void }).gc

/** Once collecting gives nothing back any more: finalizers run after a collection, each in a turn of the loop, late on a busy machine. */
async function memory(): Promise<Memory> {
  let rss = Infinity
  for (let round = 0, still = 0; round < 100 && still < 10; round++) {
    gc?.()
    await pause(20)
    const now = process.memoryUsage().rss
    still = now < rss - 1e6 ? 0 : still + 1
    rss = Math.min(rss, now)
  }
  return { rss }
}

const TOKENS = 1000
const SHAPE = { layers: 1, heads: 8, kvHeads: 8, headDim: 64 }
const array = () => Float32Array.from({ length: 8 * 64 * TOKENS }, (_, i) => Math.sin(i))
const [q, k, v] = [array(), array(), array()]
const bytes = 2 * 8 * 64 * TOKENS * 4

/** 100 caches of 4 MB, half of them left to the collector. */
async function caches() {
  const one = async (dispose: boolean) => {
    const cache = createCache({ ...SHAPE, policy: fullCache(), threads: 2 })
    await cache.prefill(0, q, k, v)
    const fork = await cache.fork()
    await fork.step(0, q.slice(0, 512), k.slice(0, 512), v.slice(0, 512))
    if (dispose) for (const each of [cache, fork]) each.dispose()
  }
  for (let i = 0; i < 5; i++) await one(true)
  const before = await memory()
  for (let i = 0; i < 100; i++) {
    await one(i % 2 === 0)
    if (i % 20 === 19) await memory()
  }
  return { before, after: await memory(), bytes }
}

/**
 * Forks that nobody disposes and no collection is asked for: the collector comes by itself where it is told what they hold, and
 * has no reason to for small ones. → of 200 large and of 200 small forks, how many were collected, in how many full collections.
 */
async function told() {
  const collected = async (tokens: number) => {
    let [count, full] = [0, 0]
    const registry = new FinalizationRegistry<undefined>(() => void (count += 1))
    const cache = createCache({ ...SHAPE, policy: fullCache(), threads: 2 })
    await cache.prefill(
      0,
      ...([q, k, v].map((all) => all.slice(0, 512 * tokens)) as [Float32Array, Float32Array, Float32Array]),
    )
    await memory()
    const collections = new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        if ((entry as unknown as { detail: { kind: number } }).detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)
          full++
    })
    collections.observe({ entryTypes: ['gc'] })
    for (let i = 0; i < 200; i++) {
      const fork = await cache.fork()
      await fork.step(0, q.slice(0, 512), k.slice(0, 512), v.slice(0, 512))
      registry.register(fork, undefined)
      await pause(1)
    }
    collections.disconnect()
    const counted = { count, full }
    cache.dispose()
    return counted
  }
  return { small: await collected(1), large: await collected(TOKENS), bytes }
}

/** 100 sessions of the toy model: a prompt, a generation with events, a snapshot, a fork, back again. */
async function sessions(toy: string) {
  const model = await load(toy, { weights: 'float32', threads: 2, progress: false })
  const one = async () => {
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    await session.prefill('It was the best of times, it was the worst of times, it was the age of wisdom')
    const snapshot = await session.snapshot()
    const run = await session.generate(undefined, { maxTokens: 20, ignoreEos: true, progress: false })
    const fork = await session.fork({ policy: fullCache() })
    await session.restore(snapshot)
    for (const each of [snapshot, fork, session]) each.dispose()
    return run.receipt.ok
  }
  let ok = true
  for (let i = 0; i < 30; i++) ok = (await one()) && ok
  const before = await memory()
  for (let i = 0; i < 100; i++) ok = (await one()) && ok
  const after = await memory()
  model.dispose()
  return { before, after, ok }
}

/** Calls that are aborted, and whose cache is disposed, while they run. */
async function aborted() {
  const reasons: Record<string, number> = {}
  const one = async (i: number) => {
    const cache = createCache({ ...SHAPE, policy: fullCache(), threads: 2 })
    const stop = new AbortController()
    const call = cache.prefill(0, q, k, v, { signal: stop.signal }).then(
      () => 'done',
      (error: Error) => error.name,
    )
    if (i % 3 === 1) await new Promise(setImmediate)
    if (i % 3 === 2) await pause(1)
    if (i % 2) cache.dispose()
    stop.abort()
    const reason = await call
    reasons[reason] = (reasons[reason] ?? 0) + 1
    cache.dispose()
  }
  for (let i = 0; i < 12; i++) await one(i)
  const before = await memory()
  for (let i = 0; i < 100; i++) await one(i)
  return { before, after: await memory(), reasons, bytes }
}

const works = { caches, told, sessions, aborted }
const [what, ...words] = process.argv.slice(2)
const work = works[what as keyof typeof works] as (...words: string[]) => Promise<unknown>
process.stdout.write(JSON.stringify(await work(...words)))
