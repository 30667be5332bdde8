/**
 * What the wire process and the cell process say to each other.
 * Wire → cell: node's IPC. Cell → wire: frames written with blocking writes to a pipe, so that output keeps its order, is
 * never lost when the process dies, and a fast producer waits for slow readers.
 */
import { writeSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import type { Compiled } from '../compiler/protocol.js'

/** File descriptors of the cell process beyond the standard ones and IPC (3). */
export const FRAMES_FD = 4
export const INTERRUPT_FD = 5

export interface ErrorContent {
  ename: string
  evalue: string
  traceback: string[]
}

export type Bundle = Record<string, unknown>

export interface ExecuteRequest {
  op: 'execute'
  id: number
  /** The cell as the compiler made it, and as it was written. */
  compiled: Omit<Compiled, 'declarations'>
  source: string
  /** What users read in errors: "Cell [3]". */
  label: string
  allowStdin: boolean
  /** The execution count under which the value of the last expression is published; absent: the value is the answer. */
  count?: number
}

export interface Query {
  op: 'commInfo'
  target?: string
}

export interface CommEvent {
  op: 'comm'
  id: number
  kind: 'open' | 'msg' | 'close'
  commId: string
  target?: string
  data: Record<string, unknown>
  metadata: Record<string, unknown>
  buffers: Uint8Array[]
}

export type ToCell =
  ExecuteRequest | (Query & { id: number }) | CommEvent | { op: 'input'; id: string; value: string } | { op: 'exit' }

export interface Shown {
  data: Bundle
  metadata: Bundle
}

/** `shown`: the value of the last expression, where it was asked for and is not undefined. */
export type ExecuteResult = { status: 'ok'; shown?: Shown } | ({ status: 'error' } & ErrorContent)

/** `from`: the request whose code caused it, however long ago; absent where nobody knows (native code, child processes). */
export type FromCell =
  | { op: 'ready' }
  | { op: 'stream'; name: 'stdout' | 'stderr'; text: string; from?: number }
  | { op: 'publish'; type: string; content: Bundle; metadata?: Bundle; buffers?: Uint8Array[]; from?: number }
  | { op: 'input'; id: string; prompt: string; password: boolean; from?: number }
  | { op: 'executed'; id: number; result: ExecuteResult }
  | { op: 'answer'; id: number; value: unknown }

/** Written by the cell to its real stdout and stderr after each request: what native code printed before lies before it. */
export function drainMark(secret: string, id: number): string {
  return `\u0000${secret}:${id}\u0000`
}

/** Text that strays into the pipe reads as the length of a larger one. */
const FRAME_BYTES = 512 * 1024 * 1024

/** Writes one frame (length, then the serialized value); blocks while the wire process is behind. */
export function writeFrame(fd: number, value: FromCell): void {
  const body = serialize(value)
  if (body.byteLength > FRAME_BYTES)
    throw new RangeError(`a cell cannot send ${body.byteLength} bytes at once: the most is ${FRAME_BYTES}`)
  const frame = Buffer.allocUnsafe(4 + body.byteLength)
  frame.writeUInt32LE(body.byteLength)
  body.copy(frame, 4)
  writeAll(fd, frame) // one write: an interrupt that ends the running code must not leave half a frame
}

export function writeAll(fd: number, bytes: Uint8Array): void {
  let at = 0
  while (at < bytes.byteLength) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

/** Cuts a byte stream back into frames. */
export class FrameReader {
  private chunks: Buffer[] = []
  private bytes = 0

  push(chunk: Buffer, each: (frame: FromCell) => void): void {
    this.chunks.push(chunk)
    this.bytes += chunk.byteLength
    for (;;) {
      if (this.bytes < 4) return
      if (this.chunks[0].byteLength < 4) this.join()
      const length = this.chunks[0].readUInt32LE()
      if (length > FRAME_BYTES) throw new RangeError(`no frame has ${length} bytes`)
      if (this.bytes < 4 + length) return
      this.join()
      const all = this.chunks[0]
      const frame = deserialize(all.subarray(4, 4 + length)) as FromCell
      this.bytes -= 4 + length
      this.chunks = this.bytes > 0 ? [all.subarray(4 + length)] : []
      each(frame)
    }
  }

  private join(): void {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)]
  }
}
