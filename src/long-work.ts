/** Long work on the engine as users meet it: a bar while it runs, an end when they interrupt it. */
import { setMaxListeners } from 'node:events'
import type { Call, CallOptions, Progress } from './native/call.js'
import { bar, interruptible } from './progress.js'

interface Guarded<A extends unknown[]> {
  /** The user's, or aborted by what `report` threw. */
  signal: AbortSignal
  /** Aborted by that alone. */
  thrown: AbortSignal
  report: (...args: A) => void | Promise<void>
}

/**
 * `report` for work on the engine, which calls it from timers and between changes of state: what it throws must end neither the
 * process nor a call half-way. It aborts `signal` instead, which goes to the work; the work's caller then throws it. `apart`, for a
 * function of the user's: it runs on a stack of its own, since an interrupt that cuts it off would cut its caller, too, who then never
 * settles; who awaits it goes on when it is over or `signal` is aborted.
 */
export function guarded<A extends unknown[]>(
  report: (...args: A) => void,
  signal: AbortSignal | undefined,
  apart: boolean,
): Guarded<A> {
  const thrown = new AbortController()
  const either = signal ? AbortSignal.any([signal, thrown.signal]) : thrown.signal
  setMaxListeners(0, either) // work on many sessions listens as often
  const told = (...args: A): void => {
    try {
      if (!thrown.signal.aborted) report(...args)
    } catch (error) {
      thrown.abort(error)
    }
  }
  const toldApart = async (...args: A): Promise<void> => {
    if (either.aborted) return
    await new Promise<void>((resolve) => {
      const over = () => {
        either.removeEventListener('abort', over)
        resolve()
      }
      either.addEventListener('abort', over)
      setImmediate(() => {
        told(...args)
        over()
      })
    })
  }
  return { signal: either, thrown: thrown.signal, report: apart ? toldApart : told }
}

/** ', about 12 s left' of work that began at `started` (performance.now()); nothing before and after. */
export function timeLeft(started: number, done: number, total: number): string {
  if (!done || done >= total) return ''
  const seconds = ((performance.now() - started) / 1000 / done) * (total - done)
  return `, about ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s left`
}

/** Runs `work` with the user's signal or the cell's interrupt, and with a bar unless the user takes the counts. */
export async function withBar<T>(
  doing: string,
  options: CallOptions,
  work: (call: Call) => Promise<T>,
  unit = 'tokens',
): Promise<T> {
  const drawn = bar(doing, options.progress === undefined || options.progress === true, unit)
  const theirs = typeof options.progress === 'function' ? options.progress : undefined
  const report = theirs ?? (({ done, total, doing }: Progress) => drawn.update(done, total, doing))
  const told = guarded(report, interruptible(options.signal), theirs !== undefined)
  try {
    const result = await work({ signal: told.signal, progress: told.report })
    told.thrown.throwIfAborted()
    return result
  } finally {
    drawn.stop()
  }
}
