/** What a handler of one message type is, and what it may use of the kernel. */
import type { Cell } from '../cell.js'
import type { History } from '../history.js'
import type { Json, Message } from '../message.js'

export interface ErrorReply extends Json {
  status: 'error'
  ename: string
  evalue: string
  traceback: string[]
}

export type Reply = ErrorReply | (Json & { status: string })

export interface Handler {
  type: string
  /** Type of the reply; absent for messages that have none. */
  reply?: string
  /** What it throws is answered as an error. */
  handle(request: Message, kernel: Kernel): Promise<Reply | void> | Reply | void
  /** Once the reply is sent and the kernel idle. */
  after?(request: Message, kernel: Kernel): Promise<void> | void
}

export interface Kernel {
  readonly cell: Cell
  readonly history: History
  executionCount: number
  /** text/plain of what the cell that ran last showed as its result. */
  readonly result?: string
  publish(request: Message, type: string, content: Json): void
  /** Between `enter` and `leave` what the cell process publishes belongs to `request`; quiet: is dropped. */
  enter(request: Message, quiet: boolean): void
  leave(): void
  /** The execute requests that wait are answered with "aborted". */
  abortQueued(): Promise<void>
  interrupt(): void
  shutdown(): Promise<void>
}

/** `content[name]` as a string; says what is wrong with it otherwise. */
export function text(content: Json, name: string): string {
  const value = content[name]
  if (typeof value !== 'string')
    throw new TypeError(`the request's ${name} is ${JSON.stringify(value)}; expected a string`)
  return value
}

/** A request's cursor (in code points) in UTF-16 units; at the end where it is absent. */
export function cursorOf(content: Json, code: string): number {
  const points = Array.from(code)
  const at = typeof content.cursor_pos === 'number' ? content.cursor_pos : points.length
  return points.slice(0, Math.max(0, at)).join('').length
}

/** A place of `code` in UTF-16 units, in code points. */
export function pointsTo(code: string, at: number): number {
  return Array.from(code.slice(0, at)).length
}
