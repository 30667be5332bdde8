/**
 * Text on its way to front ends: small pieces of one stream and one request become large ones, huge ones are cut. Here and not
 * where it is printed, since a cell that keeps its thread busy lets no timer of its own process fire.
 */
import type { StreamName } from '../cell/protocol.js'
import type { Parent } from './message.js'

/** Text waits at most this long for more. */
export const MERGE_MS = 50
export const MERGE_CHARS = 64 * 1024
/** The most that one message carries: front ends refuse huge ones. */
export const MESSAGE_CHARS = 1024 * 1024

export class StreamText {
  private pieces: string[] = []
  private chars = 0
  private name: StreamName = 'stdout'
  private parent: Parent = {}
  private last = -Infinity
  private timer?: NodeJS.Timeout

  constructor(private readonly publish: (name: StreamName, text: string, parent: Parent) => void) {}

  /** The first piece after a pause, or after something else was published, leaves at once. */
  push(name: StreamName, text: string, parent: Parent): void {
    if (text === '') return
    if (name !== this.name || parent !== this.parent) this.flush()
    this.name = name
    this.parent = parent
    this.pieces.push(text)
    this.chars += text.length
    if (this.chars >= MERGE_CHARS || performance.now() - this.last >= MERGE_MS) this.send()
    else this.timer ??= setTimeout(() => this.send(), MERGE_MS)
  }

  /** Must come before anything else is published, so that the order stays. */
  flush(): void {
    this.send()
    this.last = -Infinity
  }

  private send(): void {
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
      this.publish(this.name, text.slice(from, to), this.parent)
      from = to
    }
  }
}
