/** What a cell's code reaches as `__cell`: awaits that an interrupt ends, iterations likewise, what its loops call, and how it imports. */
import { Interrupted, passedAwait, type CellSource } from './errors.js'
import type { CellScope } from '../compiler/transform.js'
import type { Home } from './modules.js'
import { currentTurn, type Turn } from './turn.js'

type Stop = (error: Error) => void

/** The awaits that cells are in right now. */
export class Waits {
  private readonly stops = new Map<Stop, Turn | undefined>()

  /** Settles as `value` does, or rejects when `interrupt` is called first. */
  wait<T>(value: PromiseLike<T> | T, failed?: (error: unknown) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop: Stop = (error) => reject(error)
      this.stops.set(stop, currentTurn())
      Promise.resolve(value).then(
        (result) => {
          this.stops.delete(stop)
          resolve(result)
        },
        (error: unknown) => {
          this.stops.delete(stop)
          failed?.(error)
          reject(error as Error)
        },
      )
    })
  }

  /** Whether code of `turn` is in one. */
  has(turn: Turn): boolean {
    return [...this.stops.values()].includes(turn)
  }

  /** Ends those of `meant` turns that are pending now; later ones (of finally blocks) wait in peace until the next interrupt. */
  interrupt(error: Error, meant: (turn: Turn | undefined) => boolean = () => true): void {
    for (const [stop, turn] of [...this.stops]) {
      if (!meant(turn)) continue
      this.stops.delete(stop)
      stop(error)
    }
  }
}

/** The scope of a cell, or of a file beside the notebook. */
export function scopeOf(waits: Waits, source: CellSource, home: Home): CellScope {
  const note = (line: number, column: number) => (error: unknown) => passedAwait(error, source, line, column)
  return {
    wait: (value, line, column) => (isThenable(value) ? waits.wait(value, note(line, column)) : value),
    each: (iterable, line, column) => eachOf(waits, iterable, note(line, column)),
    step: () => undefined,
    ...home.scope,
  }
}

function eachOf(
  waits: Waits,
  iterable: AsyncIterable<unknown> | Iterable<unknown>,
  failed?: (error: unknown) => void,
): AsyncIterable<unknown> {
  const make = (iterable as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator]
  // Arrays of promises, and what is not iterable at all, are the language's business.
  if (typeof make !== 'function') return iterable as AsyncIterable<unknown>
  return {
    [Symbol.asyncIterator]() {
      const inner = make.call(iterable)
      const finish = (value?: unknown) => inner.return!(value)
      return {
        next: async () => {
          try {
            return await waits.wait(inner.next(), failed)
          } catch (error) {
            // The language does not close an iterator whose `next` fails; this one did not fail, it was left.
            if (error instanceof Interrupted && inner.return) void Promise.resolve(finish()).catch(() => undefined)
            throw error
          }
        },
        ...(inner.return && { return: (value?: unknown) => waits.wait(finish(value), failed) }),
      }
    },
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
