/** The five sockets of a kernel: bound, read in loops, written through one queue each. */
import { Publisher, Reply, Router, XPublisher } from 'zeromq'
import { address, type Connection } from './connection.js'
import { Codec, type Header, type Json, type Message } from './message.js'
import { SendQueue } from './queue.js'

export type Channel = 'shell' | 'control' | 'stdin'

export interface Listener {
  /** One message of a channel, signature verified. */
  received(channel: Channel, message: Message): void
  /** A socket failed for good. */
  failed(error: Error): void
}

const CHANNELS = ['shell', 'control', 'stdin'] as const
const LINGER_MS = 1000 // what is still on its way when the kernel closes
const SUBSCRIBE = 1

export class Sockets {
  readonly codec: Codec
  private readonly routers: Record<Channel, Router>
  private readonly iopub: XPublisher
  private readonly heartbeat = new Reply({ linger: 0 })
  private readonly queues: Record<Channel | 'iopub', SendQueue>
  private closing = false

  constructor(
    private readonly connection: Connection,
    private readonly listener: Listener,
  ) {
    this.codec = new Codec(connection.key, connection.signature_scheme)
    // A router drops what exceeds its high-water mark, so it has none; replies are few.
    const router = () => new Router({ linger: LINGER_MS, sendHighWaterMark: 0, receiveHighWaterMark: 0 })
    this.routers = { shell: router(), control: router(), stdin: router() }
    // noDrop: a slow reader makes `send` wait (and, through the queue, the cell) instead of losing output.
    this.iopub = new XPublisher({ linger: LINGER_MS, noDrop: true, verbosity: 'allSubs' })
    const failed = (error: Error) => this.fail(error)
    this.queues = {
      shell: new SendQueue(this.routers.shell, failed),
      control: new SendQueue(this.routers.control, failed),
      stdin: new SendQueue(this.routers.stdin, failed),
      iopub: new SendQueue(this.iopub as unknown as Publisher, failed),
    }
  }

  async open(): Promise<void> {
    const at = (port: Parameters<typeof address>[1]) => address(this.connection, port)
    await Promise.all([
      ...CHANNELS.map((channel) => this.routers[channel].bind(at(`${channel}_port`))),
      this.iopub.bind(at('iopub_port')),
      this.heartbeat.bind(at('hb_port')),
    ])
    for (const channel of CHANNELS) void this.read(channel).catch((error: Error) => this.fail(error))
    void this.welcome().catch((error: Error) => this.fail(error))
    void this.beat().catch((error: Error) => this.fail(error))
  }

  private async read(channel: Channel): Promise<void> {
    for await (const frames of this.routers[channel]) {
      const message = this.codec.unpack(frames as Buffer[])
      if (message) this.listener.received(channel, message)
    }
  }

  /** Whoever subscribes is told so: from then on nothing published is missed (JEP 65). */
  private async welcome(): Promise<void> {
    for await (const [frame] of this.iopub) {
      if (frame[0] !== SUBSCRIBE) continue
      const topic = frame.subarray(1)
      const message = this.codec.make('iopub_welcome', { subscription: topic.toString() }, {}, { identities: [topic] })
      this.queues.iopub.push(this.codec.pack(message))
    }
  }

  private async beat(): Promise<void> {
    for await (const frames of this.heartbeat) await this.heartbeat.send(frames)
  }

  private fail(error: Error): void {
    if (!this.closing) this.listener.failed(error)
  }

  /** Answers `request` on its channel. */
  reply(channel: Channel, request: Message, type: string, content: object, buffers?: Uint8Array[]): void {
    const { identities, header } = request
    this.send(channel, this.codec.make(type, content, header, { identities, buffers }))
  }

  send(channel: Channel, message: Message<object>): void {
    this.queues[channel].push(this.codec.pack(message))
  }

  publish(
    type: string,
    content: object,
    parent?: Header | Record<string, never>,
    more: { metadata?: Json; buffers?: Uint8Array[] } = {},
  ): void {
    const topic = [Buffer.from(`kernel.${this.codec.session}.${type}`)]
    this.queues.iopub.push(this.codec.pack(this.codec.make(type, content, parent, { ...more, identities: topic })))
  }

  /** Readers of iopub are behind: pause whoever publishes. */
  get congested(): boolean {
    return this.queues.iopub.full
  }

  drained(): Promise<void> {
    return this.queues.iopub.drained()
  }

  /** Sends what waits (for at most a second), then closes. */
  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    const all = Object.values(this.queues).map((queue) => queue.flushed())
    const limit = new Promise<void>((resolve) => setTimeout(resolve, LINGER_MS).unref())
    await Promise.race([Promise.all(all), limit])
    for (const queue of Object.values(this.queues)) queue.close()
    for (const socket of [...Object.values(this.routers), this.iopub, this.heartbeat]) socket.close()
  }
}
