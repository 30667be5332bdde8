/** Text that cells print: process.stdout, process.stderr and console lead to the wire process, coalesced, in order. */
import { Writable } from 'node:stream'

/** Text waits at most this long for more. */
export const COALESCE_MS = 50
export const COALESCE_CHARS = 64 * 1024
/** The most that one message carries: front ends refuse huge ones. */
export const MESSAGE_CHARS = 1024 * 1024

/**
 * Collects small pieces of text of one stream and hands them on in larger ones. The first piece after a pause leaves at once: code
 * that prints and then keeps the thread busy lets no timer fire.
 */
export class Coalescer {
  private pieces: string[] = []
  private chars = 0
  private last = -Infinity
  private timer?: NodeJS.Timeout

  constructor(private readonly emit: (text: string) => void) {}

  push(text: string): void {
    if (text === '') return
    const now = performance.now()
    this.pieces.push(text)
    this.chars += text.length
    if (this.chars >= COALESCE_CHARS || now - this.last >= COALESCE_MS) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), COALESCE_MS).unref()
  }

  /** Hands on what there is; the next piece leaves at once again. */
  rest(): void {
    this.flush()
    this.last = -Infinity
  }

  flush(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    if (this.pieces.length === 0) return
    this.last = performance.now()
    const text = this.pieces.join('')
    this.pieces = []
    this.chars = 0
    for (let from = 0; from < text.length;) {
      let to = from + MESSAGE_CHARS
      if (to < text.length && /[\uD800-\uDBFF]/.test(text[to - 1])) to-- // a pair of surrogates stays together
      this.emit(text.slice(from, to))
      from = to
    }
  }
}

export type StreamName = 'stdout' | 'stderr'

/**
 * Replaces the process's two output streams. `flush` before anything else is sent, so that the order stays.
 * `owner`: the request whose code is printing; what different ones print is never in one message.
 */
export function captureStreams(
  emit: (name: StreamName, text: string, owner: number | undefined) => void,
  owner: () => number | undefined,
): { flush(): void } {
  let printing: number | undefined
  const coalescers = new Map<StreamName, Coalescer>()
  for (const name of ['stdout', 'stderr'] as const) {
    const other = name === 'stdout' ? 'stderr' : 'stdout'
    const coalescer = new Coalescer((text) => emit(name, text, printing))
    coalescers.set(name, coalescer)
    const decoder = new TextDecoder()
    const stream = new Writable()
    // Not through the stream's own state: an interrupt may end the code in the middle of any write, and later ones must work.
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      const encoding = rest.find((one) => typeof one === 'string') as BufferEncoding | undefined
      const done = rest.find((one) => typeof one === 'function') as (() => void) | undefined
      if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk))
        throw new TypeError(`process.${name}.write expects a string or bytes but was given ${typeof chunk}`)
      const now = owner()
      if (now !== printing) {
        coalescer.flush()
        coalescers.get(other)?.flush()
        printing = now
      } else coalescers.get(other)?.flush()
      const plain = typeof chunk === 'string' && (encoding === undefined || /^utf-?8$/i.test(encoding))
      coalescer.push(plain ? chunk : decoder.decode(bytesOf(chunk, encoding), { stream: true }))
      if (done) process.nextTick(done)
      return true
    }
    // As the real ones, it cannot be closed.
    stream.end = (...words: unknown[]) => {
      const [chunk] = words
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) stream.write(chunk)
      const done = words.find((one) => typeof one === 'function') as (() => void) | undefined
      if (done) process.nextTick(done)
      return stream
    }
    stream.destroy = () => stream
    // Not a terminal, but text that is shown as one would show it.
    Object.assign(stream, { fd: name === 'stdout' ? 1 : 2, isTTY: false, columns: 120, _type: 'pipe' })
    stream.on('error', () => undefined)
    Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true, writable: true })
  }
  return { flush: () => coalescers.forEach((coalescer) => coalescer.rest()) }
}

function bytesOf(chunk: string | Uint8Array, encoding?: BufferEncoding): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}
