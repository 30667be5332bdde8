/** Comms: two-way messages between a library in a cell and the front end, by target name and id. */
import { randomUUID } from 'node:crypto'
import { bundleOf } from './display.js'
import type { Bundle, CommEvent, FromCell } from './protocol.js'

export type CommHandler = (data: Bundle, buffers: Uint8Array[], metadata: Bundle) => void

export interface Comm {
  readonly id: string
  readonly target: string
  readonly closed: boolean
  send(data: Bundle, options?: { metadata?: Bundle; buffers?: Uint8Array[] }): void
  close(data?: Bundle): void
  onMessage(handler: CommHandler): void
  onClose(handler: CommHandler): void
}

type Opened = (comm: Comm, data: Bundle, buffers: Uint8Array[]) => void

interface Entry {
  comm: Comm
  message: CommHandler[]
  close: CommHandler[]
  closed: boolean
}

export class Comms {
  private readonly entries = new Map<string, Entry>()
  private readonly targets = new Map<string, Opened>()

  constructor(private readonly send: (frame: FromCell) => void) {}

  open(target: string, data: Bundle, metadata: Bundle, buffers: Uint8Array[]): Comm {
    const { comm } = this.add(randomUUID(), target)
    this.publish('comm_open', { comm_id: comm.id, target_name: target, data }, metadata, buffers)
    return comm
  }

  register(target: string, opened: Opened): () => void {
    this.targets.set(target, opened)
    return () => {
      if (this.targets.get(target) === opened) this.targets.delete(target)
    }
  }

  list(target?: string): Record<string, { target_name: string }> {
    const found = [...this.entries.values()].filter(({ comm }) => target === undefined || comm.target === target)
    return Object.fromEntries(found.map(({ comm }) => [comm.id, { target_name: comm.target }]))
  }

  /** A message of the front end. */
  receive({ kind, commId, target = '', data, metadata, buffers }: CommEvent): void {
    if (kind === 'open') {
      const opened = this.targets.get(target)
      if (!opened) return this.publish('comm_close', { comm_id: commId, data: {} }, {}, []) // nobody here knows it
      const entry = this.add(commId, target)
      return opened(entry.comm, data, buffers)
    }
    const entry = this.entries.get(commId)
    if (!entry) return
    if (kind === 'close') this.remove(entry)
    for (const handler of kind === 'close' ? entry.close : entry.message) handler(data, buffers, metadata)
  }

  private add(id: string, target: string): Entry {
    const entry: Entry = { message: [], close: [], closed: false, comm: undefined as unknown as Comm }
    entry.comm = {
      id,
      target,
      get closed() {
        return entry.closed
      },
      send: (data, { metadata = {}, buffers = [] } = {}) => {
        if (entry.closed) throw new Error(`this comm (${target}) is closed: open another`)
        this.publish('comm_msg', { comm_id: id, data }, metadata, buffers)
      },
      close: (data = {}) => {
        if (entry.closed) return
        this.remove(entry)
        this.publish('comm_close', { comm_id: id, data }, {}, [])
      },
      onMessage: (handler) => void entry.message.push(handler),
      onClose: (handler) => void entry.close.push(handler),
    }
    this.entries.set(id, entry)
    return entry
  }

  private remove(entry: Entry): void {
    entry.closed = true
    this.entries.delete(entry.comm.id)
  }

  private publish(type: string, content: Bundle, metadata: Bundle, buffers: Uint8Array[]): void {
    const data = bundleOf(content.data, 'the data of a comm message')
    const described = bundleOf(metadata, 'the metadata of a comm message')
    this.send({ op: 'publish', type, content: { ...content, data }, metadata: described, buffers })
  }
}
