/** The cell process as the wire process sees it: started, asked, interrupted, ended; started again when it dies. */
import { spawn, type ChildProcess } from 'node:child_process'
import { extname } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import {
  FrameReader,
  FRAMES_FD,
  INTERRUPT_FD,
  type CommEvent,
  type ExecuteRequest,
  type ExecuteResult,
  type FromCell,
  type Query,
  type StreamName,
  type ToCell,
} from '../cell/protocol.js'
import type { Message } from './message.js'
import { NativeText } from './native-text.js'

type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never
export type CellRequest = Unnumbered<ExecuteRequest | CommEvent> | Query

/** The request that something was asked for, and what became of it. */
export interface Origin {
  request: Pick<Message, 'identities' | 'header'>
  /** What it publishes is dropped. */
  quiet: boolean
  /** text/plain of what it showed as its result. */
  result?: string
}

export type Published = Extract<FromCell, { op: 'stream' | 'publish' | 'input' | 'unasked' }>

export interface CellListener {
  /** Everything that cells publish, in order; `origin`: whose code did, however long ago, where that is known. */
  published(frame: Published, origin?: Origin): void
  /** The process ended: what cells declared is gone. */
  died(told: string): void
}

/** Rejects what was asked of a process that died. */
export class CellDied extends Error {
  override readonly name = 'CellProcessDied'
}

const EXIT_MS = 500 // for exit handlers of what cells loaded
/** How many requests back it is known whose late output is whose. */
const ORIGINS = 10_000
/** Of a process that ends, the stack of native code included that node shows when its heap is full. */
const LAST_WORDS = 10_000
const DRAIN_MS = 1000 // a process that a cell started may hold the pipe without reading on
const MAIN = fileURLToPath(new URL(`../cell/main${extname(import.meta.url)}`, import.meta.url))
const FLAGS = [
  '--no-force-async-hooks-checks', // else node ends itself when an interrupt unwinds the stack
  '--disable-warning=ExperimentalWarning',
  '--min-semi-space-size=16', // as large as it becomes anyway: fewer collections, and no growth while a session goes on
]

interface Pending {
  /** Whether it may print: what it printed is then passed on before its answer. */
  prints: boolean
  resolve(value: unknown): void
  reject(error: Error): void
}

interface Process {
  child: ChildProcess
  texts: NativeText[]
  pending: Map<number, Pending>
  ready: boolean
  /** Why it was ended, where we know better than the system. */
  reason?: string
  /** Resolves when it is ready or dead. */
  started: Promise<void>
}

export class Cell {
  private current?: Process
  private lastWords = ''
  private requests = 0
  private readonly origins = new Map<number, Origin>()
  private paused?: Promise<void>
  private stopping = false

  /** `congested`: undefined, or a promise of the moment when reading may go on. */
  constructor(
    private readonly listener: CellListener,
    private readonly congested: () => Promise<void> | undefined,
  ) {}

  start(): void {
    this.current ??= this.spawn()
  }

  /** Answers when the process has done what was asked and all that it printed until then was passed on. */
  async ask<T = unknown>(request: CellRequest, origin?: Origin): Promise<T> {
    if (this.stopping) throw new CellDied('the kernel is shutting down')
    this.start()
    const asked = this.current!
    const id = ++this.requests // before any wait: an interrupt from here on is meant for it
    await asked.started
    if (this.current !== asked)
      throw new CellDied(`the process that runs cells could not start: ${this.lastWords.slice(-2000)}`)
    if (origin) this.remember(id, origin)
    return new Promise<T>((resolve, reject) => {
      const prints = request.op === 'execute' || request.op === 'comm'
      this.tell({ ...request, id } as ToCell)
      asked.pending.set(id, { prints, resolve: resolve as Pending['resolve'], reject })
    })
  }

  execute(request: Unnumbered<ExecuteRequest>, origin: Origin): Promise<ExecuteResult> {
    return this.ask<ExecuteResult>(request, origin)
  }

  private remember(id: number, origin: Origin): void {
    this.origins.set(id, origin)
    if (this.origins.size <= ORIGINS) return
    const [oldest] = this.origins.keys()
    this.origins.delete(oldest)
  }

  answerInput(id: string, value: string): void {
    this.tell({ op: 'input', id, value })
  }

  /** Ends what was asked until now, also where it has not begun yet. */
  interrupt(): void {
    if (this.current) pipe(this.current.child, INTERRUPT_FD).write(`${this.requests}\n`)
  }

  /** Ends the process and all that it started. */
  async stop(): Promise<void> {
    this.stopping = true
    const child = this.current?.child
    if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    this.tell({ op: 'exit' })
    const limit = setTimeout(() => kill(child), EXIT_MS)
    await exited
    clearTimeout(limit)
    kill(child)
  }

  private tell(message: ToCell): void {
    const { child } = this.current ?? {}
    if (child?.connected) child.send(message, () => undefined) // where it fails, the process is dying: `exit` follows
  }

  private spawn(): Process {
    const child = spawn(process.execPath, [...process.execArgv, ...FLAGS, MAIN], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe', 'pipe'],
      serialization: 'advanced',
      detached: true, // Ctrl-C in the kernel's terminal interrupts the cell; it must not end its process
    })
    let started: () => void = () => undefined
    const born = child.pid !== undefined // else it has no streams, and `error` follows
    const made: Process = {
      child,
      texts: born ? (['stdout', 'stderr'] as const).map((name) => this.readText(child[name]!, name)) : [],
      pending: new Map(),
      ready: false,
      started: new Promise((resolve) => (started = resolve)),
    }
    child.on('error', (error) => {
      this.lastWords = error.message
      if (!born) this.gone(made, error.message, started)
    })
    if (!born) return made
    const frames = pipe(child, FRAMES_FD)
    const reader = new FrameReader()
    const heard = (frame: FromCell) => {
      if (frame.op === 'ready') {
        made.ready = true
        this.lastWords = ''
        started()
      } else this.received(made, frame)
    }
    frames.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, heard)
      } catch {
        made.reason = `code of a cell wrote into the kernel's own file, number ${FRAMES_FD}`
        frames.destroy() // nothing that follows can be read
        kill(child)
      }
      this.throttle(made)
    })
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', () => this.throttle(made))
    const ended = new Promise<void>((resolve) => frames.once('close', resolve))
    pipe(child, INTERRUPT_FD).on('error', () => undefined)
    frames.on('error', () => undefined)
    child.on('exit', (code, signal) => {
      kill(child)
      const texts = made.texts.map((text) => text.closed)
      void this.closed([ended, ...texts]).then(() =>
        this.gone(made, made.reason ?? why(code, signal, this.lastWords), started),
      )
    })
    return made
  }

  private readText(stream: Readable, name: StreamName): NativeText {
    return new NativeText(stream, (text) => {
      this.lastWords = (this.lastWords + text).slice(-LAST_WORDS)
      this.listener.published({ op: 'stream', name, text })
    })
  }

  private received(from: Process, frame: Exclude<FromCell, { op: 'ready' }>): void {
    if (frame.op !== 'executed' && frame.op !== 'answer')
      return this.listener.published(frame, frame.from === undefined ? undefined : this.origins.get(frame.from))
    const pending = from.pending.get(frame.id)
    if (!pending) return
    const value = frame.op === 'executed' ? frame.result : frame.value
    if (!pending.prints) {
      from.pending.delete(frame.id)
      return pending.resolve(value)
    }
    void this.drained(from).then(() => {
      from.pending.delete(frame.id)
      pending.resolve(value)
    })
  }

  /**
   * Resolves when all is read that lay in the pipes of `from` before: between two turns of the event loop each pipe was looked at,
   * and nothing came. Looking is quicker than marks at the end of what was written.
   */
  private async drained(from: Process): Promise<void> {
    const pieces = () => from.texts.reduce((sum, text) => sum + text.pieces, 0)
    for (let quiet = 0; quiet < 2;) {
      const before = pieces()
      await this.paused
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.paused || pieces() > before ? 0 : quiet + 1
    }
  }

  /** Resolves when `all` have, or nothing can be expected any more. */
  private async closed(all: Promise<void>[]): Promise<void> {
    let waits = true
    const done = Promise.all(all).then(() => (waits = false))
    while (waits) {
      const { paused } = this
      await Promise.race([done, paused ?? new Promise<void>((resolve) => setTimeout(resolve, DRAIN_MS).unref())])
      if (!paused && !this.paused) return
    }
  }

  /** Stops reading while front ends are behind: the process then waits in its next write. */
  private throttle(from: Process): void {
    const wait = this.congested()
    if (!wait || this.paused) return
    const frames = pipe(from.child, FRAMES_FD)
    const streams = [frames, from.child.stdout!, from.child.stderr!]
    for (const stream of streams) stream.pause()
    this.paused = wait.then(() => {
      this.paused = undefined
      for (const stream of streams) stream.resume()
    })
  }

  private gone(dead: Process, reason: string, started: () => void): void {
    if (this.current !== dead) return
    this.current = undefined
    const { ready, pending } = dead
    if (!ready && this.lastWords === '') this.lastWords = reason
    started()
    const told = ready
      ? `${reason}; state was lost, the cell process was started again`
      : `the cell process could not start (${reason}); the next cell tries again`
    this.listener.died(told)
    for (const { reject } of pending.values()) reject(new CellDied(told))
    if (this.stopping) return
    if (!ready) return // it is tried again when the next cell comes, not in a loop
    try {
      this.start()
    } catch {
      // the next cell will be told
    }
  }
}

function pipe(child: ChildProcess, fd: number): Duplex {
  return (child.stdio as readonly unknown[])[fd] as Duplex
}

function why(code: number | null, signal: NodeJS.Signals | null, lastWords: string): string {
  if (!signal) return `the cell process ended itself with exit code ${code}`
  if (/heap out of memory/.test(lastWords) && signal !== 'SIGKILL')
    return `the cell process ended with its heap full (${signal}): NODE_OPTIONS=--max-old-space-size=… (MB) in the kernel's environment gives it more`
  const how = {
    SIGKILL: 'was killed (SIGKILL), as the system does when memory runs out',
    SIGABRT: 'was aborted (SIGABRT), as process.abort() and failures of native code do',
  }[signal as string]
  return `the cell process ${how ?? `was ended by ${signal}, as crashes of native code are`}`
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL') // its whole group
  } catch {
    // nothing of it is left
  }
}
