/** The compiler's thread as the wire process sees it: asked, and started again when it dies. What cells declared is kept here. */
import { writeSync } from 'node:fs'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ErrorContent } from '../cell/protocol.js'
import type { Compiled, FromCompiler, Questions, SideFile } from '../compiler/protocol.js'

const MAIN = new URL(`../compiler/worker${extname(import.meta.url)}`, import.meta.url)

/** How long an interrupt waits for an answer: a new thread takes longer to start than cells take to compile. */
const GRACE_MS = 1000

interface Pending {
  resolve(value: never): void
  reject(error: Error): void
}

/** What the compiler's thread answered with an error. */
export class CompilerFailed extends Error {
  override readonly name = 'CompilerFailed'
}

export class CompilerThread {
  /** Types of what the cells that succeeded declared. */
  declarations = ''
  private worker?: Worker
  private ready = false
  private readonly pending = new Map<number, Pending>()
  private questions = 0
  /** Compiled files beside the notebook: all, and those that the cell process does not have yet. */
  private readonly sides = new Map<string, SideFile>()
  private readonly unsent = new Set<string>()

  start(): void {
    this.worker ??= this.spawn()
  }

  ask<Op extends keyof Questions>(op: Op, asked: Questions[Op]['asked']): Promise<Questions[Op]['answered']> {
    this.start()
    const id = ++this.questions
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject })
      this.worker!.postMessage({ id, op, ...asked })
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

  /** What it works on too long is given up: its thread ends. */
  interrupt(): void {
    const { worker, ready } = this
    const asked = [...this.pending.keys()]
    if (!worker || !ready || asked.length === 0) return
    const giveUp = () => {
      if (!asked.some((id) => this.pending.has(id))) return
      this.ended(worker, 'it was interrupted')
      void worker.terminate()
    }
    setTimeout(giveUp, GRACE_MS).unref()
  }

  async stop(): Promise<void> {
    const { worker } = this
    this.worker = undefined
    await worker?.terminate()
  }

  private spawn(): Worker {
    this.ready = false
    const worker = new Worker(MAIN, { stdout: true, stderr: true })
    // Not through process.stdout: node would make that non-blocking for whoever shares it with us.
    for (const stream of [worker.stdout, worker.stderr]) stream.on('data', (chunk: Buffer) => writeSync(2, chunk))
    worker.on('message', (message: FromCompiler) => {
      if ('ready' in message) return void (this.ready = true)
      const pending = this.pending.get(message.id)
      this.pending.delete(message.id)
      if ('error' in message) pending?.reject(failed(message.error))
      else pending?.resolve(message.value as never)
    })
    worker.on('error', (error) => this.ended(worker, error.message))
    worker.on('exit', (code) => this.ended(worker, `its thread ended with code ${code}`))
    return worker
  }

  /** Also at the end of its heap: the next question finds a new one. */
  private ended(worker: Worker, reason: string): void {
    if (this.worker !== worker) return
    this.worker = undefined
    for (const { reject } of this.pending.values())
      reject(new CompilerFailed(`the TypeScript compiler ended (${reason}); it is started anew with the next cell`))
    this.pending.clear()
  }
}

function failed({ ename, evalue }: ErrorContent): Error {
  return new CompilerFailed(`the TypeScript compiler failed on this: ${ename}: ${evalue}`)
}
