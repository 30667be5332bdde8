/** Jupyter messages on the wire: their shape, HMAC signatures, frames in and out. No sockets here. */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { userInfo } from 'node:os'

/** The version of the messaging protocol that the kernel speaks. */
export const PROTOCOL = '5.5'

export interface Header {
  msg_id: string
  username: string
  session: string
  date: string
  msg_type: string
  version: string
  subshell_id?: string | null
}

export type Json = Record<string, unknown>

export interface Message<Content = Json> {
  identities: Buffer[]
  header: Header
  parent_header: Header | Record<string, never>
  metadata: Json
  content: Content
  buffers: Uint8Array[]
}

const DELIMITER = Buffer.from('<IDS|MSG>')
const username = (() => {
  try {
    return userInfo().username
  } catch {
    return 'kernel' // containers may run under a user id without a name
  }
})()

/** Signs, verifies, packs and unpacks the messages of one connection (one key, one session id). */
export class Codec {
  readonly session = randomUUID()

  /** `key` empty: messages are not signed. */
  constructor(
    private readonly key: string,
    private readonly scheme = 'hmac-sha256',
  ) {
    if (scheme !== 'hmac-sha256')
      throw new Error(
        `the connection file asks for signature scheme ${JSON.stringify(scheme)}: only hmac-sha256 is known`,
      )
  }

  header(type: string): Header {
    return {
      msg_id: randomUUID(),
      username,
      session: this.session,
      date: new Date().toISOString(),
      msg_type: type,
      version: PROTOCOL,
    }
  }

  /** A new message; its parent is the header that it answers. */
  make<Content extends object>(
    type: string,
    content: Content,
    parent?: Header | Record<string, never>,
    more: { identities?: Buffer[]; metadata?: Json; buffers?: Uint8Array[] } = {},
  ): Message<Content> {
    return {
      identities: more.identities ?? [],
      header: this.header(type),
      parent_header: parent ?? {},
      metadata: more.metadata ?? {},
      content,
      buffers: more.buffers ?? [],
    }
  }

  private sign(parts: readonly Uint8Array[]): string {
    if (this.key === '') return ''
    const hmac = createHmac('sha256', this.key)
    for (const part of parts) hmac.update(part)
    return hmac.digest('hex')
  }

  pack(message: Message<object>): Buffer[] {
    const { header, parent_header, metadata, content } = message
    const parts = [header, parent_header, metadata, content].map((part) => Buffer.from(JSON.stringify(part)))
    const buffers = message.buffers.map((b) => Buffer.from(b.buffer, b.byteOffset, b.byteLength))
    return [...message.identities, DELIMITER, Buffer.from(this.sign(parts)), ...parts, ...buffers]
  }

  /** The message in `frames`, or undefined where they are malformed or wrongly signed: such messages are dropped. */
  unpack(frames: readonly Buffer[]): Message | undefined {
    const at = frames.findIndex((frame) => frame.equals(DELIMITER))
    if (at < 0 || frames.length < at + 6) return undefined
    const parts = frames.slice(at + 2, at + 6)
    const expected = Buffer.from(this.sign(parts))
    const given = frames[at + 1]
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined
    try {
      const [header, parent, metadata, content] = parts.map((part) => JSON.parse(part.toString('utf8')) as unknown)
      if (!isObject(header) || !isObject(parent) || !isObject(metadata) || !isObject(content)) return undefined
      if (typeof header.msg_type !== 'string' || typeof header.msg_id !== 'string') return undefined
      return {
        identities: frames.slice(0, at),
        header: header as unknown as Header,
        parent_header: parent as unknown as Header,
        metadata,
        content,
        buffers: frames.slice(at + 6),
      }
    } catch {
      return undefined
    }
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
