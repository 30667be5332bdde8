/** Long work on the engine as users meet it: a bar while it runs, an end when they interrupt it. */
import type { Call, CallOptions, Progress } from './native/call.js'
import { bar, interruptible } from './progress.js'

interface Guarded<A extends unknown[]> {
  /** The user's, or aborted by what `report` threw. */
  signal: AbortSignal
  /** Aborted by that alone. */
  thrown: AbortSignal
  report: (...args: A) => void
  /** `report` on a stack of its own: an interrupt that cuts it off would cut its caller too, who then never settles. */
  apart: (...args: A) => Promise<void>
}

/**
 * The user's `report` for work on the engine, which calls it from timers and between changes of state: what it throws must end
 * neither the process nor a call half-way. It aborts `signal` instead, which goes to the work; the work's caller then throws it.
 */
export function guarded<A extends unknown[]>(report: (...args: A) => void, signal?: AbortSignal): Guarded<A> {
  const thrown = new AbortController()
  const either = signal ? AbortSignal.any([signal, thrown.signal]) : thrown.signal
  const told = (...args: A) => {
    try {
      if (!thrown.signal.aborted) report(...args)
    } catch (error) {
      thrown.abort(error)
    }
  }
  return {
    signal: either,
    thrown: thrown.signal,
    report: told,
    apart: (...args: A) =>
      new Promise((resolve) => {
        const over = () => {
          either.removeEventListener('abort', over)
          resolve()
        }
        either.addEventListener('abort', over)
        setImmediate(() => {
          told(...args)
          over()
        })
      }),
  }
}

/** Runs `work` with the user's signal or the cell's interrupt, and with a bar unless the user takes the counts. */
export async function withBar<T>(
  doing: string,
  options: CallOptions,
  work: (call: Call) => Promise<T>,
  unit = 'tokens',
): Promise<T> {
  const drawn = bar(doing, options.progress === undefined || options.progress === true, unit)
  const report =
    typeof options.progress === 'function'
      ? options.progress
      : ({ done, total, doing }: Progress) => drawn.update(done, total, doing)
  const told = guarded(report, interruptible(options.signal))
  try {
    const result = await work({ signal: told.signal, progress: told.report })
    told.thrown.throwIfAborted()
    return result
  } finally {
    drawn.stop()
  }
}
