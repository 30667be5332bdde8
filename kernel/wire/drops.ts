/** Tells of messages that were dropped: one line each, until they are too many to be read; those are counted. */

const PERIOD_MS = 10_000
/** Lines of their own in each period. */
const LINES = 10
/** Kinds that are counted apart in each period. */
const KINDS = 20

export class Drops {
  private told = 0
  private readonly untold = new Map<string, number>()
  private timer?: NodeJS.Timeout

  constructor(
    private readonly log: (line: string) => void = console.error,
    private readonly period = PERIOD_MS,
  ) {}

  /** `what` was dropped, because `why`. */
  count(what: string, why: string): void {
    this.timer ??= setInterval(() => this.sum(), this.period).unref()
    if (this.told++ < LINES) return this.log(`${what} was dropped: ${why}`)
    const known = `${what}: ${why}`
    const line = this.untold.has(known) || this.untold.size < KINDS ? known : 'something else'
    this.untold.set(line, (this.untold.get(line) ?? 0) + 1)
  }

  /** What was not told yet, in one line. */
  sum(): void {
    if (this.untold.size > 0) {
      const parts = [...this.untold].map(([line, times]) => `${times} × ${line}`)
      this.log(`more was dropped: ${parts.join('; ')}`)
    } else {
      clearInterval(this.timer)
      this.timer = undefined
    }
    this.untold.clear()
    this.told = 0
  }
}
