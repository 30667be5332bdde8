/**
 * What was run, in this session and in earlier ones, of all kernels of this user: asked for by history_request. The database
 * lives in a thread of its own, because a disk may be slow and heartbeats must not be.
 */
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { userFolder } from '../places.js'
import { shippedPackage } from '../cell/package.js'
import type { Json } from './message.js'

/** Session, line, and the input or [input, output]. */
export type Line = [number, number, string | [string, string | null]]

export interface Entry {
  line: number
  input: string
  output: string | null
}

export type Asked =
  | { how: 'tail'; n?: number }
  | { how: 'range'; session: number; start: number; stop?: number }
  | { how: 'search'; pattern: string; unique: boolean; n?: number }

export type ToHistory =
  | { op: 'add'; id: number; entries: Entry[] }
  | ({ op: 'find'; id: number; output: boolean } & Asked)
  | { op: 'end'; id: number }

export type FromHistory = { id: number; lines: Line[] } | { id: number; error: string }

const MAIN = new URL(`./history-worker${extname(import.meta.url)}`, import.meta.url)
const END_MS = 1000
/** Cells that end within this time are written at once: a disk takes as long for one as for many. */
const SAVE_MS = 250
/** As many as one statement takes with ease. */
const ROWS = 1000

/** Where the history is kept: ZSLAB_HISTORY names another file, or `none` for this session's memory only. */
export function historyFile(): string {
  return process.env.ZSLAB_HISTORY || join(userFolder(), shippedPackage().name, 'history.sqlite')
}

export class History {
  private worker?: Worker
  private readonly pending = new Map<number, { resolve(lines: Line[]): void; reject(error: Error): void }>()
  private asked = 0
  /** Cells that are over, and when they are to be written. */
  private unsaved: Entry[] = []
  private saving?: NodeJS.Timeout
  private told?: string

  /** `endMs`: how long `stop` may hold up the kernel's end. */
  constructor(
    private readonly file = historyFile(),
    private readonly endMs = END_MS,
  ) {}

  /** A cell that begins to run; it is part of the history once it is closed. */
  add(line: number, input: string): { close(output?: string): void } {
    this.worker ??= this.spawn()
    return {
      close: (output) => {
        this.unsaved.push({ line, input, output: output ?? null })
        this.saving ??= setTimeout(() => this.save(), SAVE_MS)
      },
    }
  }

  private save(): void {
    clearTimeout(this.saving)
    this.saving = undefined
    while (this.unsaved.length > 0) {
      const entries = this.unsaved.splice(0, ROWS)
      this.ask((id) => ({ op: 'add', id, entries })).catch((error: Error) => this.missing(error.message))
    }
  }

  /** Once for each reason: it may be the same for all that follow. */
  private missing(why: string): void {
    if (why !== this.told)
      console.error(`cells are missing from the history: ${why}; ZSLAB_HISTORY names another file, or none`)
    this.told = why
  }

  /** `content` of a history_request. */
  async find(content: Json): Promise<Line[]> {
    const output = content.output === true
    const asked = questionOf(content)
    this.save()
    return this.ask((id) => ({ op: 'find', id, output, ...asked }))
  }

  /** Writes what waits. */
  async stop(): Promise<void> {
    this.save()
    const { worker } = this // one that fails is forgotten meanwhile
    if (!worker) return
    const limit = new Promise<void>((resolve) => setTimeout(resolve, this.endMs).unref())
    await Promise.race([this.ask((id) => ({ op: 'end', id })).catch(() => undefined), limit])
    await worker.terminate()
  }

  private ask(make: (id: number) => ToHistory): Promise<Line[]> {
    const worker = (this.worker ??= this.spawn())
    const id = ++this.asked
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject })
      worker.postMessage(make(id))
    })
  }

  private spawn(): Worker {
    const worker = new Worker(MAIN, { workerData: this.file, stdout: true, stderr: true })
    worker.on('message', (message: FromHistory) => {
      const pending = this.pending.get(message.id)
      this.pending.delete(message.id)
      if ('error' in message) pending?.reject(new Error(message.error))
      else pending?.resolve(message.lines)
    })
    const ended = (error: Error) => {
      if (this.worker !== worker) return
      this.worker = undefined
      for (const { reject } of this.pending.values()) reject(error)
      this.pending.clear()
    }
    worker.on('error', ended)
    worker.on('exit', () => ended(new Error('its thread ended')))
    return worker
  }
}

function questionOf({ hist_access_type: how, session, start, stop, pattern, unique, n }: Json): Asked {
  const limit = typeof n === 'number' ? n : undefined
  if (how === 'tail') return { how, n: limit }
  if (how === 'search')
    return { how, pattern: typeof pattern === 'string' ? pattern : '*', unique: unique === true, n: limit }
  if (how === 'range') {
    const number = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise)
    return {
      how,
      session: number(session, 0),
      start: number(start, 0),
      stop: typeof stop === 'number' ? stop : undefined,
    }
  }
  const given = JSON.stringify(how)
  throw new TypeError(`the request's hist_access_type is ${given}; expected "tail", "range" or "search"`)
}
