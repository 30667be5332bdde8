/** What a handler of one message type is, and what it may use of the kernel. */
import type { Cell, Origin } from '../cell.js'
import type { CompilerProcess } from '../compiler.js'
import type { History } from '../history.js'
import type { Json, Message } from '../message.js'
import type { Shells } from '../shells.js'

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
  readonly compiler: CompilerProcess
  readonly history: History
  readonly subshells: Pick<Shells, 'create' | 'delete' | 'list'>
  executionCount: number
  /** How often it was interrupted, and how often the cell process died. */
  readonly interrupts: number
  readonly deaths: number
  publish(request: Message, type: string, content: Json): void
  /** Between `enter` and `leave` what cells publish belongs to `request` where nobody knows better; quiet: is dropped. */
  enter(request: Message, quiet: boolean): Origin
  leave(origin: Origin): void
  /** The execute requests that wait behind `request` are answered with "aborted". */
  abortQueued(request: Message): Promise<void>
  interrupt(): void
  shutdown(): Promise<void>
}

/** `content[name]` as a string; says what is wrong with it otherwise. */
export function text(content: Json, name: string): string {
  const value = content[name]
  if (typeof value !== 'string') throw new TypeError(`the request's ${name} is ${shortened(value)}; expected a string`)
  return value
}

/** `value` as JSON that fits into a sentence. */
export function shortened(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing'
  return json.length > 80 ? `${json.slice(0, 80)}…` : json
}

/** A request's cursor (in code points) in UTF-16 units; at the end where it is absent. */
export function cursorOf(content: Json, code: string): number {
  const points = typeof content.cursor_pos === 'number' ? content.cursor_pos : code.length
  let at = 0
  for (let passed = 1; passed <= points && at < code.length; passed++) at += unitsAt(code, at)
  return at
}

/** A place of `code` in UTF-16 units, in code points. */
export function pointsTo(code: string, at: number): number {
  let points = 0
  for (let unit = 0; unit < at && unit < code.length; points++) unit += unitsAt(code, unit)
  return points
}

function unitsAt(code: string, at: number): number {
  return code.codePointAt(at)! > 0xffff ? 2 : 1
}
