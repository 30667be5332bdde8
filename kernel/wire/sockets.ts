/** The five sockets of a kernel: bound, read in loops, written through one queue each. What cannot be read is dropped and told. */
import { capability, Router } from 'zeromq'
import { address, encryption, type Connection } from './connection.js'
import { Drops } from './drops.js'
import type { StreamName } from '../cell/protocol.js'
import { Codec, type Json, type Message, type Parent } from './message.js'
import { PatientPublisher } from './publisher.js'
import { SendQueue, sizeOf, type Sender } from './queue.js'
import { StreamText } from './text.js'

export type Channel = 'shell' | 'control' | 'stdin'

export interface Listener {
  /** One message of a channel, signature verified; resolves when it is done with. */
  received(channel: Channel, message: Message): Promise<void>
  /** A socket failed for good. */
  failed(error: Error): void
}

const CHANNELS = ['shell', 'control', 'stdin'] as const
const LINGER_MS = 1000 // what is still on its way when the kernel closes
const SUBSCRIBE = 1
const NOBODY: Parent = {}
/** Larger frames end the connection that they come from: they fit no string. */
const FRAME_BYTES = 256 * 1024 * 1024
/** The same for subscriptions and heartbeats. */
const SMALL_FRAME_BYTES = 4096
/** Answers that may wait for one front end. */
const ANSWERS = 10_000
/** Requests that are read but not done with: front ends wait when there are more. */
const REQUEST_BYTES = 64 * 1024 * 1024

export class Sockets {
  readonly codec: Codec
  private readonly routers: Record<Channel, Router>
  private readonly iopub: PatientPublisher
  private readonly heartbeat: Router
  private readonly queues: Record<Channel | 'iopub', SendQueue>
  private readonly drops: Drops
  private readonly text = new StreamText((name, text, parent) => this.post('stream', { name, text }, parent))
  private closing = false
  private waiting = 0
  private readMore?: () => void

  constructor(
    private readonly connection: Connection,
    private readonly listener: Listener,
    { patience, log }: { patience?: number; log?: (line: string) => void } = {},
  ) {
    this.codec = new Codec(connection.key, connection.signature_scheme)
    this.drops = new Drops(log)
    const secured = encryption(connection)
    if (secured.curveServer && !capability.curve)
      throw new Error('the connection file asks for encryption (curve), which this libzmq was built without')
    const common = { ipv6: connection.ip.includes(':'), ...secured }
    const router = () =>
      new Router({
        linger: LINGER_MS,
        maxMessageSize: FRAME_BYTES,
        sendHighWaterMark: ANSWERS,
        sendTimeout: 0,
        mandatory: true, // else what exceeds the mark is dropped without a word
        ...common,
      })
    this.routers = { shell: router(), control: router(), stdin: router() }
    const small = { maxMessageSize: SMALL_FRAME_BYTES, ...common }
    // Not a Reply: one that hears a request without its empty frame fails, and loses the next one.
    this.heartbeat = new Router({ linger: 0, ...small })
    const passedOver = () => this.drops.count('output', 'a front end does not read; it misses all until it reads again')
    this.iopub = new PatientPublisher({ linger: LINGER_MS, ...small }, passedOver, patience)
    const queue = (sender: Sender) => new SendQueue(sender, (error) => this.fail(error))
    this.queues = {
      shell: queue(this.answerer('shell')),
      control: queue(this.answerer('control')),
      stdin: queue(this.answerer('stdin')),
      iopub: queue(this.iopub),
    }
  }

  async open(): Promise<void> {
    const bind = (socket: Router | PatientPublisher['socket'], port: Parameters<typeof address>[1]) => {
      const at = address(this.connection, port)
      return socket.bind(at).catch((error: Error) => {
        throw new Error(`cannot listen at ${at}, which the connection file names as ${port}: ${error.message}`)
      })
    }
    await Promise.all([
      ...CHANNELS.map((channel) => bind(this.routers[channel], `${channel}_port`)),
      bind(this.iopub.socket, 'iopub_port'),
      bind(this.heartbeat, 'hb_port'),
    ])
    for (const channel of CHANNELS) void this.read(channel).catch((error: Error) => this.fail(error))
    void this.welcome().catch((error: Error) => this.fail(error))
    void this.beat().catch((error: Error) => this.fail(error))
  }

  private async read(channel: Channel): Promise<void> {
    const refused = (why: string) => this.drops.count(`a message on ${channel}`, why)
    for await (const frames of this.routers[channel]) {
      const message = this.codec.unpack(frames as Buffer[], refused)
      if (!message) continue
      const bytes = sizeOf(frames as Buffer[])
      this.waiting += bytes
      const done = () => {
        this.waiting -= bytes
        if (this.waiting <= REQUEST_BYTES) this.readMore?.()
      }
      this.listener.received(channel, message).then(done, (error: Error) => {
        refused(error.message)
        done()
      })
      if (channel === 'shell') await this.room() // the others must be heard whatever waits
    }
  }

  /** Readers of iopub and requests that were read earlier come first. */
  private async room(): Promise<void> {
    if (this.waiting > REQUEST_BYTES) await new Promise<void>((resolve) => (this.readMore = resolve))
    if (this.congested) await this.drained()
  }

  /** Whoever subscribes is told so: from then on nothing published is missed (JEP 65). */
  private async welcome(): Promise<void> {
    for await (const [frame] of this.iopub.socket) {
      if (frame[0] !== SUBSCRIBE) continue
      const topic = frame.subarray(1)
      const message = this.codec.make('iopub_welcome', { subscription: topic.toString() }, {}, { identities: [topic] })
      this.queues.iopub.push(this.codec.pack(message))
      if (this.congested) await this.drained()
    }
  }

  private async beat(): Promise<void> {
    for await (const frames of this.heartbeat) await this.heartbeat.send(frames)
  }

  private answerer(channel: Channel): Sender {
    const send = async (parts: Buffer[]) => {
      try {
        await this.routers[channel].send(parts)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EAGAIN') this.drops.count(`an answer on ${channel}`, `a front end reads none: ${ANSWERS} wait`)
        else if (code !== 'EHOSTUNREACH') throw error // it is gone
      }
    }
    return { send }
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
    this.text.flush() // what was printed before is seen before
    this.queues[channel].push(this.codec.pack(message))
  }

  /** Text of a stream, published with what comes before and after it. */
  print(name: StreamName, text: string, parent: Parent = NOBODY): void {
    this.text.push(name, text, parent)
  }

  publish(
    type: string,
    content: object,
    parent?: Parent,
    more: { metadata?: Json; buffers?: Uint8Array[] } = {},
  ): void {
    this.text.flush()
    this.post(type, content, parent, more)
  }

  private post(
    type: string,
    content: object,
    parent?: Parent,
    more: { metadata?: Json; buffers?: Uint8Array[] } = {},
  ): void {
    const topic = [Buffer.from(`kernel.${this.codec.session}.${type}`)]
    this.queues.iopub.push(this.codec.pack(this.codec.make(type, content, parent, { ...more, identities: topic })))
  }

  /** Tells of what leads to nothing. */
  dropped(what: string, why: string): void {
    this.drops.count(what, why)
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
    this.text.flush()
    const all = Object.values(this.queues).map((queue) => queue.flushed())
    const limit = new Promise<void>((resolve) => setTimeout(resolve, LINGER_MS).unref())
    await Promise.race([Promise.all(all), limit])
    for (const queue of Object.values(this.queues)) queue.close()
    this.drops.sum()
    for (const socket of [...Object.values(this.routers), this.iopub.socket, this.heartbeat]) socket.close()
  }
}
