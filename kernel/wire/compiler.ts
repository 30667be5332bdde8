/** The compiler's process as the wire process sees it: asked, and started again when it dies. What cells declared is kept here. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ErrorContent } from '../error.js'
import { PROGRAM, snapshotPath } from '../compiler/snapshot.js'
import type { Compiled, FromCompiler, Questions, SideFile, ToCompiler } from '../compiler/protocol.js'

/** From the sources there is neither the one file nor its snapshot. */
const SOURCES = extname(import.meta.url) === '.ts'
const MAIN = SOURCES ? fileURLToPath(new URL('../compiler/main.ts', import.meta.url)) : PROGRAM

/** V8 optimizes TypeScript in threads beside it: several take from a cell, on few cores, the time that it waits for. */
const ONE_HELPER = '--v8-pool-size=1'

/** How long an interrupt waits for an answer: most cells compile in less, and a new process takes longer to start. */
const GRACE_MS = 60

interface Pending {
  question: ToCompiler
  resolve(value: never): void
  reject(error: Error): void
}

/** What the compiler answered with an error. */
export class CompilerFailed extends Error {
  override readonly name = 'CompilerFailed'
}

export class CompilerProcess {
  /** Types of what the cells that succeeded declared. */
  declarations = ''
  private current?: ChildProcess
  /** Node does not take the snapshot: another build of it made it. */
  private refused = SOURCES
  private ready = false
  private readonly pending = new Map<number, Pending>()
  private questions = 0
  /** Compiled files beside the notebook: all, and those that the cell process does not have yet. */
  private readonly sides = new Map<string, SideFile>()
  private readonly unsent = new Set<string>()

  start(): void {
    this.current ??= this.spawn()
  }

  ask<Op extends keyof Questions>(op: Op, asked: Questions[Op]['asked']): Promise<Questions[Op]['answered']> {
    this.start()
    const id = ++this.questions
    return new Promise((resolve, reject) => {
      const question = { id, op, ...asked } as ToCompiler
      this.pending.set(id, { question, resolve, reject })
      tell(this.current!, question)
    })
  }

  /** A cell, given what was declared before it. */
  async compile(code: string, label: string): Promise<Questions['compile']['answered']> {
    const answer = await this.ask('compile', { declarations: this.declarations, code, label })
    if (answer.ok)
      for (const side of answer.compiled.sideOutputs) {
        this.sides.set(side.path, side)
        this.unsent.add(side.path)
      }
    return answer
  }

  /** `compiled` as the cell process needs it: with the files that it does not have yet. */
  forCell({ declarations: _, ...compiled }: Compiled): Omit<Compiled, 'declarations'> {
    const sideOutputs = [...this.unsent].map((path) => this.sides.get(path)!)
    this.unsent.clear()
    return { ...compiled, sideOutputs }
  }

  /** The cell process is a new one: it has no variables and no files. */
  forget(): void {
    this.declarations = ''
    for (const path of this.sides.keys()) this.unsent.add(path)
  }

  /** What it works on too long is given up: its process ends. */
  interrupt(): void {
    const { current, ready } = this
    const asked = [...this.pending.keys()]
    if (!current || !ready || asked.length === 0) return
    const giveUp = () => {
      if (!asked.some((id) => this.pending.has(id))) return
      this.ended(current, 'it was interrupted')
      current.kill('SIGKILL')
      this.start()
    }
    setTimeout(giveUp, GRACE_MS).unref()
  }

  stop(): void {
    const { current } = this
    this.current = undefined
    current?.kill('SIGKILL')
  }

  private spawn(): ChildProcess {
    this.ready = false
    const snapshot = this.refused ? undefined : snapshotPath()
    const usable = snapshot !== undefined && existsSync(snapshot)
    const words = usable ? ['--snapshot-blob', snapshot] : [...(SOURCES ? process.execArgv : []), MAIN]
    words.unshift(ONE_HELPER)
    const env = { ...process.env, NODE_OPTIONS: '' } // options are for the cells, and a snapshot knows none
    const child = spawn(process.execPath, words, { stdio: ['ignore', 2, 2, 'ipc'], env })
    child.on('message', (message: FromCompiler) => {
      if ('ready' in message) return void (this.ready = true)
      const pending = this.pending.get(message.id)
      this.pending.delete(message.id)
      if ('error' in message) pending?.reject(failed(message.error))
      else pending?.resolve(message.value as never)
    })
    child.on('error', (error) => this.ended(child, error.message))
    child.on('exit', (code, signal) => {
      if (usable && !this.ready && this.current === child) this.again()
      else this.ended(child, `its process ended: ${signal ?? `exit code ${code}`}`)
    })
    return child
  }

  /** Without the snapshot. */
  private again(): void {
    this.refused = true
    const child = (this.current = this.spawn())
    for (const { question } of this.pending.values()) tell(child, question)
  }

  /** Also at the end of its heap: the next question finds a new one. */
  private ended(child: ChildProcess, reason: string): void {
    if (this.current !== child) return
    this.current = undefined
    for (const { reject } of this.pending.values())
      reject(new CompilerFailed(`the TypeScript compiler ended (${reason}); it is started anew with the next cell`))
    this.pending.clear()
  }
}

function tell(child: ChildProcess, question: ToCompiler): void {
  if (child.connected) child.send(question, () => undefined) // where it fails, the process is dying: `exit` follows
}

function failed({ ename, evalue }: ErrorContent): Error {
  return new CompilerFailed(`the TypeScript compiler failed on this: ${ename}: ${evalue}`)
}
