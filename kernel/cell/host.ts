/**
 * `globalThis[Symbol.for('Jupyter.host')]`: what the kernel offers to libraries that run in cells, and nothing else.
 * Version 1: display, update, openComm, input, signal.
 */
import { randomUUID } from 'node:crypto'
import { bundleOf } from './display.js'
import type { Comm, Comms } from './comms.js'
import type { Bundle, FromCell } from './protocol.js'

export interface DisplayOptions {
  metadata?: Bundle
  displayId?: string
}

export interface Host {
  readonly version: 1
  /** Shows a MIME bundle; returns the id under which `update` changes it (`displayId`, or a new one). */
  display(bundle: Bundle, options?: DisplayOptions): string
  update(displayId: string, bundle: Bundle, metadata?: Bundle): void
  /** Opens a comm to the front end; `buffers` travel binary beside `data`. */
  openComm(target: string, data?: Bundle, metadata?: Bundle, buffers?: Uint8Array[]): Comm
  /** Answers comms that the front end opens for `target`. Returns a function that stops it. */
  onComm(target: string, opened: (comm: Comm, data: Bundle, buffers: Uint8Array[]) => void): () => void
  /** Asks the user for a line of text. Rejects where the front end cannot ask. */
  input(prompt?: string, options?: { password?: boolean }): Promise<string>
  /** Aborted when the user interrupts the cell that is running; between cells: never aborted. */
  readonly signal: AbortSignal
}

export function makeHost(
  comms: Comms,
  send: (frame: FromCell) => void,
  signal: () => AbortSignal,
  input: Host['input'],
): Host {
  const publish = (type: string, bundle: Bundle, metadata: Bundle | undefined, displayId?: string) => {
    const data = bundleOf(bundle, 'a display')
    if (!('text/plain' in data)) data['text/plain'] = `[${Object.keys(data).join(', ') || 'nothing'}]`
    const transient = displayId === undefined ? {} : { display_id: displayId }
    const content = { data, metadata: bundleOf(metadata ?? {}, 'the metadata of a display'), transient }
    send({ op: 'publish', type, content })
  }
  return Object.freeze({
    version: 1 as const,
    display(bundle: Bundle, options: DisplayOptions = {}) {
      const id = options.displayId ?? randomUUID()
      publish('display_data', bundle, options.metadata, id)
      return id
    },
    update: (displayId: string, bundle: Bundle, metadata?: Bundle) => {
      if (typeof displayId !== 'string' || displayId === '')
        throw new TypeError(`expected the id that display() returned but received ${String(displayId)}`)
      publish('update_display_data', bundle, metadata, displayId)
    },
    openComm: (target: string, data: Bundle = {}, metadata: Bundle = {}, buffers: Uint8Array[] = []) =>
      comms.open(target, data, metadata, buffers),
    onComm: (target: string, opened: (comm: Comm, data: Bundle, buffers: Uint8Array[]) => void) =>
      comms.register(target, opened),
    input,
    get signal() {
      return signal()
    },
  })
}
