/** What a study's folder says of how far it is: written while it runs, read by whoever asks. */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isList, isNumber, isObject, isWord, maybe, orNull } from '../shapes.js'
import { replaceFile } from '../trace/files/replace.js'
import type { Now } from './carry-out.js'
import type { Planned } from './jobs.js'
import type { TrialStore } from './store.js'

export interface Counts {
  /** All that the design has. */
  trials: number
  /** What failed or changed nothing is among them. */
  done: number
  failed: number
  unchanged: number
}

/** Trials of the design, and those of them that are done. */
export function counted(prompts: readonly Planned[], store: TrialStore): Counts {
  const keys = prompts.flatMap(({ keys: own, trials }) => {
    const owns = new Set(own)
    return trials.flatMap(({ key }) => (owns.has(key) ? [key] : []))
  })
  const done = keys.flatMap((key) => store.get(key) ?? [])
  return {
    trials: keys.length,
    done: done.length,
    failed: done.filter(({ values }) => values === null).length,
    unchanged: done.filter(({ unchanged }) => unchanged).length,
  }
}

export interface StudyState {
  /** 'failed': by an error that `why` tells. */
  state: 'running' | 'paused' | 'stopped' | 'failed' | 'finished'
  host: string
  pid: number
  /** ISO 8601. */
  started: string
  updated: string
  trials: Counts
  tokens: { done: number; total: number }
  /** null: not known. */
  secondsLeft: number | null
  /** Prompts that are under way. */
  doing: readonly string[]
  processes: number
  why?: string
}

const FILE = 'state.json'
const EVERY_MS = 1000
const isState = isObject({
  state: isWord,
  trials: isObject({ trials: isNumber, done: isNumber, failed: isNumber, unchanged: isNumber }),
  doing: isList(isWord),
  processes: isNumber,
  secondsLeft: orNull(isNumber),
  why: maybe(isWord),
})

/** Undefined: it has never run, or the file is broken. */
export async function stateOf(folder: string): Promise<StudyState | undefined> {
  try {
    const found = JSON.parse(await readFile(join(folder, FILE), 'utf8')) as StudyState
    return isState(found) ? found : undefined
  } catch {
    return undefined
  }
}

/** Writes it once a second at most. What cannot be written is left: the trials say what is done. */
export class StateFile {
  private readonly began = performance.now()
  private readonly started = new Date().toISOString()
  private last = -Infinity
  private now: Now = { tokens: { done: 0, total: 0 }, paused: false, doing: [] }
  private writing = Promise.resolve()

  constructor(
    private readonly folder: string | undefined,
    private readonly counts: () => Counts,
    private readonly processes: number,
  ) {}

  told(now: Now): void {
    const turned = now.paused !== this.now.paused
    this.now = now
    if (turned || performance.now() - this.last > EVERY_MS) this.write(now.paused ? 'paused' : 'running')
  }

  /** Errors: none. */
  async end(state: 'stopped' | 'failed' | 'finished', why?: string): Promise<void> {
    this.now = { ...this.now, doing: [] }
    this.write(state, why)
    await this.writing
  }

  private write(state: StudyState['state'], why?: string): void {
    if (this.folder === undefined) return
    this.last = performance.now()
    const { done, total } = this.now.tokens
    const seconds = (this.last - this.began) / 1000
    const found: StudyState = {
      state,
      host: hostname(),
      pid: process.pid,
      started: this.started,
      updated: new Date().toISOString(),
      trials: this.counts(),
      tokens: { done, total },
      secondsLeft: done && state === 'running' ? (seconds / done) * (total - done) : null,
      doing: this.now.doing,
      processes: this.processes,
      ...(why !== undefined && { why }),
    }
    const path = join(this.folder, FILE)
    const write = () => replaceFile(path, 'the state of the study', [JSON.stringify(found, undefined, 2), '\n'])
    this.writing = this.writing.then(write).catch(() => undefined)
  }
}
