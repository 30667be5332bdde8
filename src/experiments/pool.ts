/** Hands that are processes of their own, each with the model: as many as memory has room for; one that dies is replaced, and its prompt goes on where it was. */
import { fork, type ChildProcess } from 'node:child_process'
import { freemem } from 'node:os'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ZslabError, type ErrorCode } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Call } from '../native/call.js'
import type { Hand, Put } from './hand.js'
import { jobSpecOf, modelSpecOf, type JobSpec, type ModelSpec } from './job-spec.js'
import type { Job } from './jobs.js'
import type { Measure } from './measures/index.js'
import type { Trial } from './trial.js'

export type ToChild = { job: JobSpec; measure: Measure } | { paused: boolean }
export type FromChild =
  { trial: Trial } | { tokens: number } | { over: true } | { failed: { message: string; code?: ErrorCode } }

/** From src/ it is TypeScript, which only tests run. */
const CHILD = fileURLToPath(new URL(`./pool-child${extname(import.meta.url)}`, import.meta.url))
const LOADER = CHILD.endsWith('.ts') ? ['--import', 'tsx'] : []
/** A process by itself, without weights and caches. */
const PROCESS_BYTES = 150e6
/** So often a prompt is begun by a new process after one that did it died. */
const LIVES = 3

export interface Room {
  processes: number
  /** Of each. */
  threads: number
  /** Why there are fewer than were asked for; else ''. */
  why: string
}

/** How many of `asked` processes there is memory for, and how the model's threads are shared out among them. */
export function roomFor(asked: number, model: LoadedModel, jobs: readonly Job[]): Room {
  const { layers, heads, kvHeads, headDim } = model.description
  const tokens = Math.max(0, ...jobs.map(({ prompt }) => prompt.ids.length))
  // Keys and values of the whole prompt twice over, and the queries that forks are made from.
  const cache = tokens * layers * (2 * 2 * kvHeads * headDim * 4 + heads * (headDim + 2) * 4)
  const forks = 1e9
  const each = PROCESS_BYTES + (model.held.mapped ? 0 : model.bytes) + cache + forks
  const fit = Math.max(1, Math.floor(freemem() / each))
  const useful = Math.max(1, Math.min(asked, jobs.length))
  const processes = Math.min(useful, fit)
  return {
    processes,
    threads: Math.max(1, Math.floor(model.engine.info.threads / processes)),
    why:
      fit < useful
        ? `memory has room for ${fit} of ${asked} processes (${(each / 1e9).toFixed(1)} GB each at most)`
        : '',
  }
}

/** Errors: 'unsupported' for policies that are no data. */
export function poolOf(
  model: LoadedModel,
  measure: Measure,
  jobs: readonly Job[],
  { processes, threads }: Room,
): Hand[] {
  for (const job of jobs) jobSpecOf(job)
  const spec = modelSpecOf(model, threads)
  return Array.from({ length: processes }, () => new OtherHand(spec, measure))
}

class OtherHand implements Hand {
  private child: ChildProcess | undefined

  constructor(
    private readonly model: ModelSpec,
    private readonly measure: Measure,
  ) {}

  async do(job: Job, put: Put, call: Call): Promise<void> {
    let left = job.trials
    for (let life = 1; ; life++) {
      const done = new Set<string>()
      const kept: Put = (trial) => {
        done.add(trial.key)
        return put(trial)
      }
      const how = await this.once({ ...job, trials: left }, kept, call)
      if (how === undefined) return
      left = left.filter(({ key }) => !done.has(key))
      if (life < LIVES) continue
      throw new ZslabError(
        'internal',
        `the process that read ${job.facts.name} ended ${LIVES} times (${how}), perhaps for want of memory: what is done is kept; run it again with fewer processes`,
      )
    }
  }

  /** How the process ended before the job was over; undefined: it did not. Errors: what the job met; the signal's reason. */
  private async once(job: Job, put: Put, { signal, progress }: Call): Promise<string | undefined> {
    signal?.throwIfAborted()
    const child = this.living()
    const over = new AbortController()
    let puts = Promise.resolve()
    try {
      return await new Promise<string | undefined>((resolve, reject) => {
        child.on('message', (message: FromChild) => {
          if ('trial' in message) (puts = puts.then(() => put(message.trial))).catch(reject)
          else if ('tokens' in message) pausing(child, progress?.({ done: message.tokens, total: 0 }))
          else if ('failed' in message) reject(errorFrom(message.failed))
          else resolve(undefined)
        })
        child.once('exit', (code, by) => resolve(by ?? `exit code ${code}`))
        child.once('error', reject)
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: over.signal })
        // What cannot be sent any more has ended, and says so.
        child.send({ job: jobSpecOf(job), measure: this.measure } satisfies ToChild, () => undefined)
      })
    } catch (error) {
      this.close()
      throw error
    } finally {
      over.abort()
      child.removeAllListeners()
      await puts
    }
  }

  private living(): ChildProcess {
    const { child } = this
    if (child?.connected && child.exitCode === null && child.signalCode === null) return child
    return (this.child = this.started())
  }

  private started(): ChildProcess {
    return fork(CHILD, [JSON.stringify(this.model)], {
      execArgv: LOADER,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
  }

  /** At once: what it has not told is done again. */
  close(): void {
    this.child?.kill('SIGKILL')
    this.child = undefined
  }
}

function errorFrom({ message, code }: { message: string; code?: ErrorCode }): Error {
  return code ? new ZslabError(code, message) : new Error(message)
}

/** Longer than progress takes unless it waits. */
const WAITS_MS = 50

/** The process waits while whoever takes its progress does. */
function pausing(child: ChildProcess, taken: void | Promise<void>): void {
  if (!taken) return
  const send = (paused: boolean) => child.connected && child.send({ paused } satisfies ToChild, () => undefined)
  let held = false
  const timer = setTimeout(() => (held = send(true)), WAITS_MS)
  void taken.then(() => {
    clearTimeout(timer)
    if (held) send(false)
  })
}
