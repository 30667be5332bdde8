/** Text as it comes out of a generation: stop strings, and nothing shown that a stop string may still take back. */
import { invalid } from '../expect.js'
import type { TextStream } from '../model/index.js'

export function stopsOf(value: unknown): string[] {
  if (value === undefined) return []
  const list = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string' && one !== ''))
    throw invalid('stop', 'a string or an array of strings, none of them empty', value)
  return list
}

export class OutputText {
  /** All text so far; a stop string and what follows are cut off. */
  text = ''
  stopped = false
  private shown = 0
  private readonly longest: number

  constructor(
    private readonly stream: TextStream,
    private readonly stops: readonly string[],
  ) {
    this.longest = Math.max(0, ...stops.map((stop) => stop.length))
  }

  /** Takes token `id` → the text that is now certain. */
  push(id: number): string {
    return this.add(this.stream.push(id))
  }

  /** What was held back. */
  end(): string {
    const rest = this.stopped ? '' : this.add(this.stream.end())
    const held = this.text.slice(this.shown)
    this.shown = this.text.length
    return rest + held
  }

  private add(piece: string): string {
    const from = Math.max(0, this.text.length - this.longest)
    this.text += piece
    const found = this.stops.map((stop) => this.text.indexOf(stop, from)).filter((at) => at >= 0)
    if (found.length) {
      this.stopped = true
      this.text = this.text.slice(0, Math.min(...found))
    }
    const upTo = this.stopped ? this.text.length : this.text.length - this.heldBack()
    const fresh = this.text.slice(this.shown, upTo)
    this.shown = Math.max(this.shown, upTo)
    return fresh
  }

  /** Characters at the end that may be the beginning of a stop string. */
  private heldBack(): number {
    for (let n = Math.min(this.longest - 1, this.text.length); n > 0; n--) {
      const tail = this.text.slice(-n)
      if (this.stops.some((stop) => stop.startsWith(tail))) return n
    }
    return 0
  }
}
