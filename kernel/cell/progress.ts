/**
 * Progress bars: a display that changes at most ten times a second and ends as one static line, as saved notebooks should hold.
 * Bars inside another one stand in its columns, and take turns on one line for each label, however often they begin.
 */
import type { Host } from './host.js'
import { Lines, type Line, type Row } from './lines.js'
import { currentTurn } from './turn.js'

export interface ProgressOptions {
  label?: string
  total?: number
}

export interface Bar {
  step(steps?: number): void
  end(): void
}

export function makeProgress(host: Host) {
  const bar = (options?: ProgressOptions) => new ProgressBar(host, options)
  const progress = (items: Iterable<unknown> | AsyncIterable<unknown>, options: ProgressOptions = {}) => {
    if (isAsync(items)) return asynchronous(items, bar(options))
    if (typeof (items as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] !== 'function')
      throw new TypeError('progress() expects something that for … of can walk through, such as an array')
    return synchronous(items, bar({ ...options, total: options.total ?? sizeOf(items) }))
  }
  return Object.assign(progress, { bar })
}

function* synchronous(items: Iterable<unknown>, bar: Bar): Generator<unknown, void, undefined> {
  try {
    for (const item of items) {
      yield item
      bar.step()
    }
  } finally {
    bar.end()
  }
}

async function* asynchronous(items: AsyncIterable<unknown>, bar: Bar): AsyncGenerator<unknown, void, undefined> {
  try {
    for await (const item of items) {
      yield item
      bar.step()
    }
  } finally {
    bar.end()
  }
}

/** Those that have not ended. */
const running: ProgressBar[] = []

class ProgressBar implements Bar {
  private readonly label: string
  private readonly total?: number
  private readonly began = performance.now()
  private readonly turn = currentTurn()?.id
  /** The outermost bar that this one is inside. */
  private readonly outer?: ProgressBar
  private readonly lines: Lines
  private readonly line: Line
  /** Of the bars inside this one, by label. */
  private readonly inner = new Map<string, Line[]>()
  private done = 0
  private ended = false

  constructor(host: Host, { label = '', total }: ProgressOptions = {}) {
    if (total !== undefined && !(total >= 0))
      throw new RangeError(`progress: total is ${total}; expected 0 or more steps`)
    this.label = label === '' ? '' : `${label.replace(/\s+/g, ' ')}:`
    this.total = total === Infinity ? undefined : total
    this.outer = running.find(({ turn, outer }) => turn === this.turn && !outer)
    this.lines = this.outer?.lines ?? new Lines(host)
    const lines = this.outer?.inner.get(label) ?? []
    const free = lines.find(({ taken }) => !taken)
    this.line = free ?? this.lines.add(this.row())
    if (free) {
      free.taken = true
      free.draw(this.row())
    } else this.outer?.inner.set(label, [...lines, this.line])
    running.push(this)
  }

  step(steps = 1): void {
    this.done += steps
    if (!this.ended && this.line.due) this.line.draw(this.row())
  }

  end(): void {
    if (this.ended) return
    const seconds = duration(this.seconds())
    this.line.draw({ ...this.row(), rest: `in ${seconds} ${this.rate()}`.trimEnd() })
    this.ended = true
    this.line.taken = false
    running.splice(running.indexOf(this), 1)
    if (!this.outer || this.outer.ended) this.lines.settle()
  }

  private seconds(): number {
    return (performance.now() - this.began) / 1000
  }

  private rate(): string {
    const seconds = this.seconds()
    if (this.done === 0 || seconds === 0) return ''
    const rate = this.done / seconds
    return rate >= 1 ? `(${short(rate)}/s)` : `(${short(1 / rate)} s each)`
  }

  private row(): Row {
    const { label, done, total } = this
    if (total === undefined) return { label, count: String(done), rest: this.rate() }
    const share = total === 0 ? 1 : Math.max(0, Math.min(1, done / total))
    const left = done === 0 ? '' : `, ${duration((this.seconds() / done) * Math.max(0, total - done))} left`
    const room = `${total}/${total}`.length
    return { label, share, count: `${done}/${total}`, room, rest: `${this.rate()}${left}` }
  }
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(2)
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function isAsync(items: unknown): items is AsyncIterable<unknown> {
  return typeof (items as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator] === 'function'
}

function sizeOf(items: unknown): number | undefined {
  const { length, size } = items as { length?: unknown; size?: unknown }
  return [length, size].find((one): one is number => typeof one === 'number')
}
