/** The kernel: takes messages in, one after another on each channel, hands them to their handlers, says busy and idle around them. */
import type { FromCell } from '../cell/protocol.js'
import { Cell } from './cell.js'
import type { Connection } from './connection.js'
import { handlerOf } from './handlers/index.js'
import type { ErrorReply, Handler, Kernel, Reply } from './handlers/handler.js'
import { History } from './history.js'
import type { Header, Json, Message } from './message.js'
import { Sockets, type Channel } from './sockets.js'

type Parent = Header | Record<string, never>

export class Server implements Kernel {
  readonly history = new History()
  readonly cell: Cell
  executionCount = 0
  private readonly sockets: Sockets
  private readonly shell: Message[] = []
  private working = false
  /** What cells publish belongs to the last request that reached them. */
  private running?: Message
  private parent: Parent = {}
  private quiet = false
  /** Requests that came before an error was seen: answered with "aborted". */
  private readonly doomed = new WeakSet<Message>()
  private input?: { id: string; request: string }
  /** text/plain of what the running cell shows as its result. */
  result?: string

  constructor(
    connection: Connection,
    private readonly closed: () => void,
  ) {
    this.cell = new Cell({ published: (frame) => this.published(frame), died: (reason) => this.died(reason) }, () =>
      this.sockets.congested ? this.sockets.drained() : undefined,
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
    await this.sockets.open()
    this.cell.start()
    this.sockets.publish('status', { execution_state: 'starting' })
  }

  interrupt(): void {
    this.cell.interrupt()
  }

  async shutdown(): Promise<void> {
    await this.cell.stop()
    await this.sockets.close()
    this.closed()
  }

  publish(request: Message, type: string, content: Json): void {
    this.sockets.publish(type, content, request.header)
  }

  /** From now on what cells publish belongs to `request`; quiet: is not published at all. */
  enter(request: Message, quiet: boolean): void {
    this.running = request
    this.parent = request.header
    this.quiet = quiet
    this.result = undefined
  }

  leave(): void {
    this.running = undefined
    this.quiet = false
  }

  async abortQueued(): Promise<void> {
    // What was sent before the error was seen may still be in the socket.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    for (const message of this.shell) if (message.header.msg_type === 'execute_request') this.doomed.add(message)
  }

  private received(channel: Channel, message: Message): void {
    if (channel === 'stdin') return this.answered(message)
    if (channel === 'control') return void this.handle(channel, message)
    this.shell.push(message)
    if (!this.working) void this.work()
  }

  private async work(): Promise<void> {
    this.working = true
    for (let next = this.shell.shift(); next; next = this.shell.shift()) await this.handle('shell', next)
    this.working = false
  }

  private async handle(channel: Channel, request: Message): Promise<void> {
    const { header } = request
    const handler = handlerOf(header.msg_type)
    this.sockets.publish('status', { execution_state: 'busy' }, header)
    const reply = await this.replyTo(handler, request)
    if (handler?.reply !== undefined || !handler) {
      const type = handler?.reply ?? header.msg_type.replace(/(_request)?$/, '_reply')
      this.sockets.reply(channel, request, type, reply ?? {})
    }
    this.sockets.publish('status', { execution_state: 'idle' }, header)
    await handler?.after?.(request, this)
  }

  private async replyTo(handler: Handler | undefined, request: Message): Promise<Reply | undefined> {
    const type = request.header.msg_type
    if (!handler) return failure('UnknownMessage', `this kernel does not know messages of type ${JSON.stringify(type)}`)
    if (this.doomed.has(request)) return { status: 'aborted', execution_count: this.executionCount }
    try {
      return (await handler.handle(request, this)) ?? undefined
    } catch (error) {
      const { name, message } = error as Error
      return failure(name, message)
    }
  }

  private published(frame: Extract<FromCell, { op: 'stream' | 'publish' | 'input' }>): void {
    if (frame.op === 'input') return this.ask(frame)
    if (frame.op === 'stream') {
      if (!this.quiet) this.sockets.publish('stream', { name: frame.name, text: frame.text }, this.parent)
      return
    }
    const { type, content, metadata, buffers } = frame
    if (this.quiet && !type.startsWith('comm_')) return
    if (type === 'execute_result') this.result = String((content.data as Json)['text/plain'])
    this.sockets.publish(type, content, this.parent, { metadata, buffers })
  }

  private ask({ id, prompt, password }: Extract<FromCell, { op: 'input' }>): void {
    if (!this.running) return
    const { identities, header } = this.running
    const message = this.sockets.codec.make('input_request', { prompt, password }, header, { identities })
    this.input = { id, request: message.header.msg_id }
    this.sockets.send('stdin', message)
  }

  private answered({ header, parent_header: parent, content }: Message): void {
    if (header.msg_type !== 'input_reply' || !this.input) return
    // An answer to an earlier question comes too late.
    if (parent.msg_id !== undefined && parent.msg_id !== this.input.request) return
    this.cell.answerInput(this.input.id, String(content.value ?? ''))
    this.input = undefined
  }

  private died(reason: string): void {
    if (this.running) return // the request that ran is answered with the reason
    const text = `the process that runs cells ended: ${reason}. Its variables are lost; a new one was started.\n`
    this.sockets.publish('stream', { name: 'stderr', text }, this.parent)
  }
}

export function failure(ename: string, evalue: string): ErrorReply {
  return { status: 'error', ename, evalue, traceback: [`${ename}: ${evalue}`] }
}
