/**
 * What the wire process and the cell process say to each other.
 * Wire → cell: node's IPC. Cell → wire: frames written with blocking writes to a pipe, so that output keeps its order, is
 * never lost when the process dies, and a fast producer waits for slow readers.
 */
import { writeSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import type { Compiled } from '../compiler/protocol.js'
import type { ErrorContent } from '../error.js'

/** File descriptors of the cell process beyond the standard ones and IPC (3). */
export const FRAMES_FD = 4
export const INTERRUPT_FD = 5

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

export type Query =
  | { op: 'commInfo'; target?: string }
  /** What is under which name in what the path of names leads to. */
  | { op: 'members'; path: string[] }

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

/**
 * `shown`: the value of the last expression, where it was asked for and is not undefined. `lost`: what a cell that failed would have
 * declared and did not come to; absent: it came to nothing.
 */
export type ExecuteResult = { status: 'ok'; shown?: Shown } | ({ status: 'error'; lost?: string[] } & ErrorContent)

export type StreamName = 'stdout' | 'stderr'

/** `from`: the request whose code caused it, however long ago; absent where nobody knows (native code, child processes). */
export type FromCell =
  | { op: 'ready' }
  | { op: 'stream'; name: StreamName; text: string; from?: number }
  | { op: 'publish'; type: string; content: Bundle; metadata?: Bundle; buffers?: Uint8Array[]; from?: number }
  | { op: 'input'; id: string; prompt: string; password: boolean; from?: number }
  /** Nobody waits for the answer to this question any more. */
  | { op: 'unasked'; id: string; from?: number }
  | { op: 'executed'; id: number; result: ExecuteResult }
  | { op: 'answer'; id: number; value: unknown }

/** Text that strays into the pipe reads as the length of a larger one. */
const FRAME_BYTES = 512 * 1024 * 1024

type Text = Extract<FromCell, { op: 'stream' }>

/** First byte of the frames that hold text, which are many and small; serialized values begin with another. */
const TEXT = { stdout: 1, stderr: 2 } as const
const TEXT_HEAD = 5

/** Writes frames (length, then the value); blocks while the wire process is behind. */
export function writeFrames(fd: number, ...values: FromCell[]): void {
  const frames = values.map(frameOf)
  // One write: an interrupt that ends the running code must not leave half a frame, and each write wakes the wire process.
  writeAll(fd, frames.length === 1 ? frames[0] : Buffer.concat(frames))
}

function frameOf(value: FromCell): Buffer {
  const frame = value.op === 'stream' ? textFrame(value) : valueFrame(value)
  const length = frame.byteLength - 4
  if (length > FRAME_BYTES)
    throw new RangeError(`a cell cannot send ${length} bytes at once: the most is ${FRAME_BYTES}`)
  frame.writeUInt32LE(length)
  return frame
}

function textFrame({ name, text, from = 0 }: Text): Buffer {
  const frame = Buffer.allocUnsafe(4 + TEXT_HEAD + Buffer.byteLength(text))
  frame[4] = TEXT[name]
  frame.writeUInt32LE(from, 5)
  frame.write(text, 4 + TEXT_HEAD)
  return frame
}

function valueFrame(value: FromCell): Buffer {
  const body = serialize(value)
  const frame = Buffer.allocUnsafe(4 + body.byteLength)
  body.copy(frame, 4)
  return frame
}

function valueOf(body: Buffer): FromCell {
  const name = body[0] === TEXT.stdout ? 'stdout' : body[0] === TEXT.stderr ? 'stderr' : undefined
  if (name === undefined) return deserialize(body) as FromCell
  const from = body.readUInt32LE(1)
  return { op: 'stream', name, text: body.toString('utf8', TEXT_HEAD), ...(from > 0 && { from }) }
}

function writeAll(fd: number, bytes: Uint8Array): void {
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
      const frame = valueOf(all.subarray(4, 4 + length))
      this.bytes -= 4 + length
      this.chunks = this.bytes > 0 ? [all.subarray(4 + length)] : []
      each(frame)
    }
  }

  private join(): void {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)]
  }
}
