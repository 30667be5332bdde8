/** Text as it comes out of a generation: stop strings, and nothing shown that a stop string may still take back. */
import { invalid } from '../expect.js'
import type { TextStream, Tokenizer } from '../model/index.js'

export function stopsOf(value: unknown): string[] {
  if (value === undefined) return []
  const list = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string' && one !== ''))
    throw invalid('stop', 'a string or an array of strings, none of them empty', value)
  return list
}

export class OutputText {
  /** All text so far, without control tokens; a stop string and what follows are cut off. */
  text = ''
  stopped = false
  private shown = 0
  private readonly longest: number
  private readonly stream: TextStream
  /** The text with control tokens written out, and where they are: stop strings may name them. */
  private written = ''
  private readonly control: { at: number; length: number }[] = []

  constructor(
    private readonly tokenizer: Pick<Tokenizer, 'stream' | 'isSpecial' | 'token'>,
    private readonly stops: readonly string[],
  ) {
    this.stream = tokenizer.stream({ skipSpecial: true })
    this.longest = Math.max(0, ...stops.map((stop) => stop.length))
  }

  /** Takes token `id` → the text that is now certain. */
  push(id: number): string {
    if (!this.tokenizer.isSpecial(id)) return this.add(this.stream.push(id))
    const name = this.tokenizer.token(id)
    this.control.push({ at: this.written.length, length: name.length })
    this.written += name
    return this.search(name.length)
  }

  /** What was held back. */
  end(): string {
    const rest = this.stopped ? '' : this.add(this.stream.end())
    const held = this.text.slice(this.shown)
    this.shown = this.text.length
    return rest + held
  }

  private add(piece: string): string {
    this.text += piece
    this.written += piece
    return this.search(piece.length)
  }

  /** Looks for stop strings that end in the last `fresh` characters → the text that is now certain. */
  private search(fresh: number): string {
    const cut = Math.min(
      this.found(this.text, fresh),
      // Without control tokens both are the same.
      this.control.length ? this.visible(this.found(this.written, fresh)) : Infinity,
    )
    if (cut < Infinity) {
      this.stopped = true
      this.text = this.text.slice(0, cut)
    }
    const upTo = this.stopped ? cut : this.certain()
    const piece = this.text.slice(this.shown, upTo)
    this.shown = Math.max(this.shown, upTo)
    return piece
  }

  /** Where the first stop string begins in `text`; Infinity where there is none. */
  private found(text: string, fresh: number): number {
    const from = Math.max(0, text.length - fresh - this.longest)
    return Math.min(...this.stops.map((stop) => text.indexOf(stop, from)).filter((at) => at >= 0), Infinity)
  }

  /** Characters of `text` before position `at` of `written`. */
  private visible(at: number): number {
    const hidden = this.control.map((one) => Math.min(one.length, Math.max(0, at - one.at)))
    return at === Infinity ? at : at - hidden.reduce((sum, length) => sum + length, 0)
  }

  /** How much of the text no stop string can take back. */
  private certain(): number {
    const plain = this.text.length - this.heldBack(this.text)
    if (!this.control.length) return plain
    return Math.min(plain, this.visible(this.written.length - this.heldBack(this.written)))
  }

  /** Characters at the end of `text` that may be the beginning of a stop string. */
  private heldBack(text: string): number {
    for (let n = Math.min(this.longest - 1, text.length); n > 0; n--) {
      const tail = text.slice(-n)
      if (this.stops.some((stop) => stop.startsWith(tail))) return n
    }
    return 0
  }
}
