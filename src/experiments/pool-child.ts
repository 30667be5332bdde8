/** A process of a pool: it loads the model, does one prompt after another, and ends with whoever started it. */
import { ZslabError } from '../errors.js'
import { load, type LoadOptions } from '../load.js'
import { doJob } from './hand.js'
import { jobOfSpec, type ModelSpec } from './job-spec.js'
import { measuring } from './measures/index.js'
import type { FromChild, ToChild } from './pool.js'

/** At most ten times a second. */
const PROGRESS_MS = 100

const tell = (message: FromChild) =>
  new Promise<void>((resolve) => process.send!(message, undefined, undefined, () => resolve()))

// Ctrl+C reaches the whole group; who started this one decides.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(0))

let goOn: (() => void) | undefined
let paused: Promise<void> | undefined
const { path, weights, threads, isa, device } = JSON.parse(process.argv[2]) as ModelSpec
const model = load(path, { weights, threads, isa, device, progress: false } as LoadOptions)
model.catch(() => undefined)

process.on('message', (message: ToChild) => {
  if ('paused' in message) {
    goOn?.()
    goOn = undefined
    paused = message.paused ? new Promise((resolve) => (goOn = resolve)) : undefined
  } else void job(message)
})

async function job({ job: spec, measure }: Extract<ToChild, { job: unknown }>): Promise<void> {
  let last = 0
  const progress = async ({ done }: { done: number }) => {
    const now = performance.now()
    if (now - last > PROGRESS_MS) void tell({ tokens: done })
    if (now - last > PROGRESS_MS) last = now
    await paused
  }
  try {
    await doJob(await model, measuring(measure), jobOfSpec(spec), (trial) => tell({ trial }), { progress })
    await tell({ over: true })
  } catch (error) {
    const { message } = error as Error
    await tell({ failed: { message, ...(error instanceof ZslabError && { code: error.code }) } })
  }
}
