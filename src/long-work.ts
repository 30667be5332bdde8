/** Long work on the engine as users meet it: a bar while it runs, an end when they interrupt it. */
import type { Call, CallOptions, Progress } from './native/call.js'
import { bar, interruptible } from './progress.js'

/** Runs `work` with the user's signal or the cell's interrupt, and with a bar unless the user takes the counts. */
export async function withBar<T>(
  doing: string,
  options: CallOptions,
  work: (call: Call) => Promise<T>,
  unit = 'tokens',
): Promise<T> {
  const drawn = bar(doing, options.progress === undefined || options.progress === true, unit)
  const progress =
    typeof options.progress === 'function' ? options.progress : ({ done, total }: Progress) => drawn.update(done, total)
  try {
    return await work({ signal: interruptible(options.signal), progress })
  } finally {
    drawn.stop()
  }
}
