/** Text that cells print: process.stdout, process.stderr and console lead to the wire process, in order. */
import { Writable } from 'node:stream'
import { format } from 'node:util'
import type { StreamName } from './protocol.js'

/** Replaces the process's two output streams. `emit` is called within each write: whatever ends the process then, it was said. */
export function captureStreams(emit: (name: StreamName, text: string) => void): void {
  for (const name of ['stdout', 'stderr'] as const) {
    const decoder = new TextDecoder()
    const stream = new Writable()
    // Not through the stream's own state: an interrupt may end the code in the middle of any write, and later ones must work.
    stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
      const encoding = rest.find((one) => typeof one === 'string') as BufferEncoding | undefined
      const done = rest.find((one) => typeof one === 'function') as (() => void) | undefined
      if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk))
        throw new TypeError(`process.${name}.write expects a string or bytes but was given ${typeof chunk}`)
      const plain = typeof chunk === 'string' && (encoding === undefined || /^utf-?8$/i.test(encoding))
      const text = plain ? chunk : decoder.decode(bytesOf(chunk, encoding), { stream: true })
      if (text !== '') emit(name, text)
      if (done) tell(done)
      return true
    }
    // As the real ones, it cannot be closed, but whoever waits for its end is told of one.
    stream.end = (...words: unknown[]) => {
      const [chunk] = words
      if (typeof chunk === 'string' || chunk instanceof Uint8Array) stream.write(chunk)
      const done = words.find((one) => typeof one === 'function') as (() => void) | undefined
      process.nextTick(() => {
        stream.emit('finish')
        stream.emit('close')
        done?.()
      })
      return stream
    }
    stream.destroy = () => {
      process.nextTick(() => stream.emit('close'))
      return stream
    }
    // Not a terminal, but text that is shown as one would show it.
    Object.assign(stream, { fd: name === 'stdout' ? 1 : 2, isTTY: false, columns: 120, _type: 'pipe' })
    stream.on('error', () => undefined)
    Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true, writable: true })
  }
  // By which node tells warnings, of the request that caused them.
  ;(process as unknown as { _rawDebug: typeof console.error })._rawDebug = (...words) =>
    void process.stderr.write(`${format(...words)}\n`)
}

/** Who will be told in the next tick that something was written, and how often. */
interface Told {
  done: () => void
  times: number
}

/** The newest: console has the same one told of every line, in a loop for millions, which would pile up. */
let newest: Told | undefined

function tell(done: () => void): void {
  if (newest?.done === done) return void newest.times++
  const told = { done, times: 1 }
  process.nextTick(tellNow, told) // first: an interrupt may come between the two
  newest = told
}

function tellNow(told: Told): void {
  if (newest === told) newest = undefined
  try {
    while (told.times-- > 0) told.done()
  } finally {
    if (told.times > 0) process.nextTick(tellNow, told) // one of them threw
  }
}

function bytesOf(chunk: string | Uint8Array, encoding?: BufferEncoding): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}
