/** Jupyter messages on the wire: their shape, HMAC signatures, frames in and out. No sockets here. */
import { isUtf8 } from 'node:buffer'
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { userInfo } from 'node:os'
import { Seen } from './seen.js'

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

/** Empty where nobody asked. */
export type Parent = Header | Record<string, never>

export type Json = Record<string, unknown>

export interface Message<Content = Json> {
  identities: Buffer[]
  header: Header
  parent_header: Parent
  metadata: Json
  content: Content
  buffers: Uint8Array[]
}

const DELIMITER = Buffer.from('<IDS|MSG>')
/** Identities and header travel back with everything that a message leads to. */
const ENVELOPE_BYTES = 16 * 1024
/** Deeper JSON would end the stack of whoever writes it again or passes it on. */
const DEPTH = 500
/** Accepted signatures that are remembered: 8 MB. As many as other kernels remember. */
const SIGNATURES = 65_536
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
  private readonly accepted = new Seen(SIGNATURES)

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
    parent?: Parent,
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

  sign(parts: readonly Uint8Array[]): string {
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

  /** The message in `frames`; undefined, and `refused` is told why, where they are malformed, wrongly signed or came before. */
  unpack(frames: readonly Buffer[], refused: (why: string) => void = () => undefined): Message | undefined {
    const at = frames.findIndex((frame) => frame.equals(DELIMITER))
    const parts = frames.slice(at + 2, at + 6)
    const no = (why: string) => void refused(why)
    if (at < 0) return no('it has no <IDS|MSG> delimiter')
    if (parts.length < 4) return no(`${parts.length} of its four parts are there`)
    const identities = frames.slice(0, at)
    const envelope = [...identities, parts[0]].reduce((bytes, part) => bytes + part.byteLength, at)
    if (envelope > ENVELOPE_BYTES) return no(`its header and identities are larger than ${ENVELOPE_BYTES} bytes`)
    const signature = this.sign(parts)
    const expected = Buffer.from(signature)
    const given = frames[at + 1]
    if (expected.length !== given.length || !timingSafeEqual(expected, given)) return no('its signature is wrong')
    if (this.accepted.has(signature)) return no('its signature has been used before')
    try {
      const [header, parent, metadata, content] = parts.map(parse)
      if (typeof header.msg_type !== 'string' || typeof header.msg_id !== 'string')
        return no('its header has no msg_type or no msg_id')
      if (signature !== '') this.accepted.add(signature)
      return {
        identities,
        header: scalars(header) as unknown as Header,
        parent_header: scalars(parent) as unknown as Header,
        metadata,
        content,
        buffers: frames.slice(at + 6),
      }
    } catch (error) {
      return no((error as Error).message)
    }
  }
}

function parse(part: Buffer): Json {
  if (!isUtf8(part)) throw new Error('one of its parts is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(part.toString())
  } catch {
    throw new Error('one of its parts is not JSON') // what it is instead may be long, and binary
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('one of its parts is no JSON object')
  if (isDeeper(value, DEPTH)) throw new Error(`it is nested more than ${DEPTH} levels deep`)
  return value as Json
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((one) => isDeeper(one, levels - 1))
}

/** What headers consist of; anything else in them is let go. */
function scalars(header: Json): Json {
  return Object.fromEntries(Object.entries(header).filter(([, value]) => typeof value !== 'object' || value === null))
}
