/** What reaches the cell process's real stdout and stderr: what native code and child processes print. */
import type { Readable } from 'node:stream'

export class NativeText {
  /** Resolves when nothing more can come. */
  readonly closed: Promise<void>
  /** How often something came. */
  pieces = 0

  constructor(stream: Readable, emit: (text: string) => void) {
    const decoder = new TextDecoder()
    stream.on('data', (chunk: Buffer) => {
      this.pieces++
      const text = decoder.decode(chunk, { stream: true })
      if (text !== '') emit(text)
    })
    stream.on('error', () => undefined)
    this.closed = new Promise((resolve) =>
      stream.once('close', () => {
        const rest = decoder.decode() // a character that was cut off
        if (rest !== '') emit(rest)
        resolve()
      }),
    )
  }
}
