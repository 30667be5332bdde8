/** What reaches the cell process's real stdout and stderr (native code, child processes), cut at the marks of finished requests. */
import type { Readable } from 'node:stream'
import { drainMark } from '../cell/protocol.js'

export class NativeText {
  /** Resolves when nothing more can come. */
  readonly closed: Promise<void>
  private readonly decoder = new TextDecoder()
  private readonly waiting = new Map<number, () => void>()
  private readonly mark: RegExp
  private readonly prefix: string
  private held = ''
  private seen = 0
  private over = false

  constructor(
    stream: Readable,
    secret: string,
    private readonly emit: (text: string) => void,
  ) {
    const [before, after] = drainMark(secret, 0).split(':0')
    this.prefix = `${before}:`
    this.mark = new RegExp(`${this.prefix}(\\d+)${after}`)
    stream.on('data', (chunk: Buffer) => this.push(this.decoder.decode(chunk, { stream: true })))
    stream.on('error', () => undefined)
    this.closed = new Promise((resolve) =>
      stream.once('close', () => {
        this.push(this.decoder.decode()) // a character that was cut off
        this.over = true
        if (this.held !== '') emit(this.held)
        for (const done of this.waiting.values()) done()
        resolve()
      }),
    )
  }

  /** Resolves when all that was written before the mark of request `id` has been passed on. */
  drained(id: number): Promise<void> {
    if (this.over || this.seen >= id) return Promise.resolve()
    return new Promise((resolve) => this.waiting.set(id, resolve))
  }

  private push(text: string): void {
    let rest = this.held + text
    for (let found = this.mark.exec(rest); found; found = this.mark.exec(rest)) {
      if (found.index > 0) this.emit(rest.slice(0, found.index))
      rest = rest.slice(found.index + found[0].length)
      this.seen = Number(found[1])
      for (const [id, done] of this.waiting)
        if (id <= this.seen) {
          this.waiting.delete(id)
          done()
        }
    }
    const cut = this.startOfMark(rest)
    if (cut > 0) this.emit(rest.slice(0, cut))
    this.held = rest.slice(cut)
  }

  /** Where a mark begins whose end has not come yet; the text's length where none does. */
  private startOfMark(text: string): number {
    const from = Math.max(0, text.length - this.prefix.length - 20)
    for (let at = text.indexOf('\u0000', from); at >= 0; at = text.indexOf('\u0000', at + 1)) {
      const tail = text.slice(at)
      if (tail.startsWith(this.prefix) ? /^\d*$/.test(tail.slice(this.prefix.length)) : this.prefix.startsWith(tail))
        return at
    }
    return text.length
  }
}
