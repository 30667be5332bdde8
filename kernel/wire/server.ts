/** The kernel: takes messages in, one after another on each channel, hands them to their handlers, says busy and idle around them. */
import type { FromCell } from '../cell/protocol.js'
import { Cell, type Origin, type Published } from './cell.js'
import type { CompilerProcess } from './compiler.js'
import type { Connection } from './connection.js'
import { handlerOf } from './handlers/index.js'
import type { ErrorReply, Handler, Kernel, Reply } from './handlers/handler.js'
import { History } from './history.js'
import type { Json, Message } from './message.js'
import { Questions } from './questions.js'
import { Shells } from './shells.js'
import { Sockets, type Channel } from './sockets.js'
import { Tidy } from './tidy.js'

export class Server implements Kernel {
  readonly history = new History()
  readonly cell: Cell
  readonly subshells = new Shells((message) => this.handle('shell', message))
  executionCount = 0
  interrupts = 0
  deaths = 0
  private stopped?: Promise<void>
  private readonly tidy = new Tidy()
  private readonly sockets: Sockets
  /** The requests that cells work on, the last one last. */
  private readonly running: Origin[] = []
  /** The last one of them, also after it ended: what is printed and nobody knows by whom belongs to it. */
  private last?: Origin
  /** Requests that came before an error was seen: answered with "aborted". */
  private readonly doomed = new WeakSet<Message>()
  private readonly questions = new Questions()

  constructor(
    connection: Connection,
    readonly compiler: CompilerProcess,
    private readonly closed: () => void,
  ) {
    this.cell = new Cell(
      { published: (frame, origin) => this.published(frame, origin), died: (reason) => this.died(reason) },
      () => (this.sockets.congested ? this.sockets.drained() : undefined),
    )
    this.sockets = new Sockets(connection, {
      received: (channel, message) => this.received(channel, message),
      failed: (error) => {
        console.error(`a socket of the kernel failed: ${error.message}`)
        void this.shutdown()
      },
    })
  }

  async start(): Promise<void> {
    this.cell.start()
    await this.sockets.open()
    this.sockets.publish('status', { execution_state: 'starting' })
  }

  interrupt(): void {
    this.interrupts++
    this.compiler.interrupt()
    this.cell.interrupt()
  }

  /** However often it is asked for. */
  shutdown(): Promise<void> {
    return (this.stopped ??= this.stop())
  }

  private async stop(): Promise<void> {
    this.compiler.stop()
    await Promise.all([this.cell.stop(), this.history.stop()])
    await this.sockets.close()
    this.closed()
  }

  publish(request: Message, type: string, content: Json): void {
    this.sockets.publish(type, content, request.header)
  }

  enter(request: Message, quiet: boolean): Origin {
    const { identities, header } = request
    const origin: Origin = { request: { identities, header }, quiet } // not its content: origins are kept for long
    this.running.push(origin)
    this.last = origin
    return origin
  }

  leave(origin: Origin): void {
    this.running.splice(this.running.indexOf(origin), 1)
  }

  async abortQueued(request: Message): Promise<void> {
    // What was sent before the error was seen may still be in the socket.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    for (const message of this.subshells.behind(request))
      if (message.header.msg_type === 'execute_request') this.doomed.add(message)
  }

  private async received(channel: Channel, message: Message): Promise<void> {
    if (channel === 'stdin') return this.answered(message)
    if (channel === 'control') return this.handle(channel, message)
    let handled: Promise<void>
    try {
      handled = this.subshells.push(message)
    } catch (error) {
      return this.handle(channel, message, failure('UnknownSubshell', (error as Error).message))
    }
    return handled
  }

  private async handle(channel: Channel, request: Message, refusal?: ErrorReply): Promise<void> {
    const { header } = request
    const handler = handlerOf(header.msg_type)
    this.sockets.publish('status', { execution_state: 'busy' }, header)
    const reply = refusal ?? (await this.replyTo(handler, request))
    if (handler?.reply !== undefined || !handler) {
      const type = handler?.reply ?? header.msg_type.replace(/(_request)?$/, '_reply')
      try {
        this.sockets.reply(channel, request, type, reply ?? {})
      } catch (error) {
        this.sockets.reply(channel, request, type, failureOf(error))
      }
    } else if (reply?.status === 'error') this.sockets.dropped(`a ${header.msg_type}`, String(reply.evalue))
    this.sockets.publish('status', { execution_state: 'idle' }, header)
    await handler?.after?.(request, this)
    if (this.running.length === 0) setImmediate(() => this.tidy.between()) // what it answered is on its way
  }

  private async replyTo(handler: Handler | undefined, request: Message): Promise<Reply | undefined> {
    const type = request.header.msg_type
    if (!handler) return failure('UnknownMessage', `this kernel does not know messages of type ${JSON.stringify(type)}`)
    // Anything else would start processes again.
    if (this.stopped && type !== 'shutdown_request') return failure('KernelStopped', 'the kernel is shutting down')
    if (this.doomed.has(request)) return { status: 'aborted' } // with a count, front ends would mark the cell as one that ran
    try {
      return (await handler.handle(request, this)) ?? undefined
    } catch (error) {
      return failureOf(error)
    }
  }

  private published(frame: Published, known?: Origin): void {
    const origin = known ?? this.running.at(-1) ?? this.last
    const parent = origin?.request.header
    if (frame.op === 'input') return origin && this.ask(frame, origin)
    if (frame.op === 'unasked') return this.questions.forget(frame.id)
    if (frame.op === 'stream') {
      if (!origin?.quiet) this.sockets.print(frame.name, frame.text, parent)
      return
    }
    const { type, content, metadata, buffers } = frame
    if (origin?.quiet && !type.startsWith('comm_')) return
    if (type === 'execute_result' && origin) origin.result = String((content.data as Json)['text/plain'])
    try {
      this.sockets.publish(type, content, parent, { metadata, buffers })
    } catch (error) {
      this.sockets.print('stderr', `a ${type} could not be sent: ${(error as Error).message}\n`, parent)
    }
  }

  private ask({ id, prompt, password }: Extract<FromCell, { op: 'input' }>, { request }: Origin): void {
    const { identities, header } = request
    const message = this.sockets.codec.make('input_request', { prompt, password }, header, { identities })
    this.questions.ask(id, message)
    this.sockets.send('stdin', message)
  }

  private answered(reply: Message): void {
    if (reply.header.msg_type !== 'input_reply') return
    const { value } = reply.content
    const id = this.questions.answer(reply)
    if (id !== undefined) this.cell.answerInput(id, typeof value === 'string' ? value : '')
  }

  private died(told: string): void {
    this.deaths++
    this.compiler.forget()
    this.questions.clear()
    if (this.running.length > 0 || this.stopped) return // the request that ran is answered with the reason
    this.sockets.print('stderr', `${told}\n`, this.last?.request.header)
  }
}

export function failure(ename: string, evalue: string): ErrorReply {
  return { status: 'error', ename, evalue, traceback: [`${ename}: ${evalue}`] }
}

function failureOf(error: unknown): ErrorReply {
  const { name, message } = error as Error
  return failure(name, message)
}
