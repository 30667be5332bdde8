/** What tests of sockets share: connection files with free ports, and readers of iopub that are slow or do not read at all. */
import { randomUUID } from 'node:crypto'
import { createServer, type AddressInfo } from 'node:net'
import { Subscriber } from 'zeromq'
import { address, checkConnection, type Connection } from '../../../kernel/wire/connection.js'
import { Codec, type Message } from '../../../kernel/wire/message.js'

const PORTS = ['shell_port', 'control_port', 'stdin_port', 'iopub_port', 'hb_port'] as const

export async function freeConnection(ip = '127.0.0.1'): Promise<Connection> {
  const servers = PORTS.map(() => createServer().listen(0, ip))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  const named = Object.fromEntries(PORTS.map((name, i) => [name, ports[i]]))
  return checkConnection({ ip, key: randomUUID(), ...named })
}

/** A front end's iopub socket that takes a message only when told to, and has little room for those that wait. */
export class Reader {
  readonly socket = new Subscriber({ receiveHighWaterMark: 4, receiveBufferSize: 4096, linger: 0 })
  private readonly codec: Codec

  constructor(connection: Connection) {
    this.codec = new Codec(connection.key)
    this.socket.connect(address(connection, 'iopub_port'))
    this.socket.subscribe('')
  }

  async next(): Promise<Message> {
    const message = this.codec.unpack((await this.socket.receive()) as Buffer[])
    if (!message) throw new Error('a message of the kernel is malformed')
    return message
  }

  /** Reads until a message of this type that answers `parent` (any, where it is undefined). */
  async until(type: string, parent?: string, each: (message: Message) => Promise<void> | void = () => undefined) {
    for (;;) {
      const message = await this.next()
      await each(message)
      const { header, parent_header } = message
      if (header.msg_type === type && (parent === undefined || parent_header.msg_id === parent)) return message
    }
  }
}
