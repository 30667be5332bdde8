/** A study whose trials are done by the tasks of a Slurm array: submitted, followed, submitted again where they ended early, and collected from the shared folder. */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import { projectRoot } from '../native/binding.js'
import type { Call } from '../native/call.js'
import { eitherSignal } from '../progress.js'
import { replaceFile } from '../trace/files/replace.js'
import { jobOf, jobsOf, type Job, type Planned } from './jobs.js'
import { Listener } from './listener.js'
import type { Measure } from './measures/index.js'
import {
  cancelArrays,
  holdArrays,
  queued,
  releaseArrays,
  submitArray,
  type QueuedTask,
  type SlurmOptions,
} from './slurm.js'
import { StateFile, type Counts } from './state.js'
import type { TrialStore } from './store.js'
import { removeWork, writeWork } from './work-folder.js'

export interface Submitting {
  model: LoadedModel
  measure: Measure
  folder: string
  store: TrialStore
  planned: readonly Planned[]
  options: SlurmOptions
  counts(): Counts
  kept(): void
}

/** Of arrays that may still run: whoever follows next begins with them. */
interface Submitted {
  ids: string[]
}

const FILE = 'slurm.json'
/** Between two looks at the queue: the least after a change, more while nothing happens. */
const [LEAST_MS, MOST_MS] = [1000, 15_000]
/** So long the controller may be away. */
const PATIENCE_MS = 15 * 60_000
const RETRIES = 3

/**
 * Errors: 'unsupported' without Slurm or for policies that are no data, 'internal' where a task ended so often without its trials, with the end of what it
 * said, or where the controller is away for a quarter of an hour. Aborted, it stops following: the array goes on, and the next one follows it. Told to stop
 * from outside, it cancels the array.
 */
export async function submitStudy(submitting: Submitting, call: Call): Promise<void> {
  const { folder, counts } = submitting
  const state = new StateFile(folder, counts, 0)
  let ids = await submittedIn(folder)
  let held = false
  const listener = await Listener.of(folder, submitting.store, async ({ paused }) => {
    if (paused !== held) await (paused ? holdArrays : releaseArrays)(ids)
    held = paused
  })
  const signal = eitherSignal(call.signal, listener.stop)
  const array = new ArrayOfTasks(submitting, state, { ...call, signal }, listener)
  try {
    // What another process submitted is not submitted twice.
    if (ids.length) await array.follow(ids, undefined)
    const submitted = async (now: string) => {
      ids = [...ids, now]
      await replaceFile(join(folder, FILE), 'the arrays of the study', [JSON.stringify({ ids } satisfies Submitted)])
    }
    // What is to be done again meanwhile is due after the others.
    for (let jobs; (jobs = array.due()).length;) await array.all(jobs, submitted)
    await submitting.store.fold()
    await state.end('finished')
  } catch (error) {
    const stopped = (error as Error).name === 'AbortError'
    if (stopped && listener.stop.aborted) await cancelArrays(ids)
    await state.end(stopped ? 'stopped' : 'failed', stopped ? undefined : (error as Error).message)
    throw error
  } finally {
    listener.close()
  }
}

class ArrayOfTasks {
  constructor(
    private readonly of: Submitting,
    private readonly state: StateFile,
    private readonly call: Call,
    private readonly listener: Listener,
  ) {}

  due(): Job[] {
    return jobsOf(this.of.planned, this.of.store, this.listener.wishes.cancelled)
  }

  /** Every job, submitted and submitted again until its trials are there, or cancelled. `submitted(id)` for each array. */
  async all(jobs: readonly Job[], submitted: (id: string) => Promise<void>): Promise<void> {
    const { model, measure, folder, store, options } = this.of
    const cpus = options.cpus ?? model.engine.info.threads
    const work = await writeWork(folder, model, measure, jobs, cpus)
    const script = join(work, 'task.sh')
    await replaceFile(script, 'the script of the study', [scriptOf(work)])
    const lacks = (task: number) => jobOf(jobs[task], store, this.listener.wishes.cancelled) !== undefined
    let due = jobs.map((_, task) => task)
    for (let tries = 0; due.length; tries++) {
      if (tries > (options.retries ?? RETRIES)) throw await this.given(work, due[0], tries, jobs)
      this.call.signal?.throwIfAborted()
      const id = await submitArray(script, due, { ...options, cpus })
      await submitted(id)
      if (this.listener.wishes.paused) await holdArrays([id])
      await this.follow([id], () => !due.some(lacks))
      due = due.filter(lacks)
    }
    await removeWork(work)
  }

  /** Until nothing of it waits or runs, or `over`. */
  async follow(ids: readonly string[], over: (() => boolean) | undefined): Promise<void> {
    const { store, kept } = this.of
    const { signal } = this.call
    let [wait, gone, away] = [LEAST_MS, 0, performance.now()]
    let before = ''
    for (;;) {
      const tasks = await queued(ids).catch((error: unknown) => {
        if (performance.now() - away > PATIENCE_MS) throw error
        return undefined
      })
      if (tasks) away = performance.now()
      const come = await store.collect()
      if (come) kept()
      await this.report(tasks)
      // A shared folder may show files late, and a task that is requeued is nowhere for a moment: it has to be gone twice.
      gone = tasks && !tasks.length ? gone + 1 : 0
      if (over?.() || gone > 1) return
      const now = JSON.stringify(tasks)
      wait = come || now !== before ? LEAST_MS : Math.min(MOST_MS, wait * 1.3)
      before = now
      await sleep(wait, undefined, { signal }).catch(() => signal!.throwIfAborted())
    }
  }

  private async report(tasks: readonly QueuedTask[] | undefined): Promise<void> {
    const { trials, done } = this.of.counts()
    const running = tasks?.filter(({ state }) => state === 'RUNNING').length ?? 0
    const waiting = (tasks?.length ?? 0) - running
    const doing = tasks ? `${running} tasks run and ${waiting} wait` : 'the controller of Slurm does not answer'
    this.state.told({ tokens: { done: 0, total: 0 }, paused: this.listener.wishes.paused, doing: [doing] })
    await this.call.progress?.({ done, total: trials, doing: `studying, ${doing},` })
  }

  private async given(work: string, task: number, tries: number, jobs: readonly Job[]): Promise<ZslabError> {
    const log = join(work, `${task}.log`)
    const said = (await endOf(log)).trim().split('\n').at(-1)
    return new ZslabError(
      'internal',
      `task ${task} (${jobs[task].facts.name}) ended ${tries} times without its trials${said ? `; it said last: ${said}` : ''}: see ${log}; what is done is kept`,
    )
  }
}

/** The end of a file; '' where there is none. */
async function endOf(path: string): Promise<string> {
  try {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      const bytes = Buffer.alloc(Math.min(4096, size))
      await file.read(bytes, 0, bytes.length, size - bytes.length)
      return bytes.toString('utf8')
    } finally {
      await file.close()
    }
  } catch {
    return ''
  }
}

async function submittedIn(folder: string): Promise<string[]> {
  try {
    const { ids } = JSON.parse(await readFile(join(folder, FILE), 'utf8')) as Submitted
    return ids.filter((id) => typeof id === 'string' && /^\d+$/.test(id))
  } catch {
    return []
  }
}

const quoted = (word: string) => `'${word.replaceAll("'", String.raw`'\''`)}'`

function scriptOf(work: string): string {
  const words = [process.execPath, join(projectRoot, 'dist/src/cli/main.js'), 'study', 'work', work]
  return [
    '#!/bin/bash',
    '#SBATCH --job-name=zslab',
    '#SBATCH --requeue',
    '#SBATCH --open-mode=append',
    `#SBATCH --output=${work.replaceAll('%', '%%')}/%a.log`,
    `exec ${words.map(quoted).join(' ')} "$SLURM_ARRAY_TASK_ID"`,
    '',
  ].join('\n')
}
