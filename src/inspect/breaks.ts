/** Long computations in JavaScript let others run now and then, and end when they are told to. */

/** Work between two breaks; an interrupt waits no longer than this and one step. */
const WORK_MS = 20

export class Breaks {
  private since = performance.now()

  constructor(private readonly signal?: AbortSignal) {}

  /** Whether it is time for one: `if (breaks.due()) await breaks.take()`. */
  due(): boolean {
    return performance.now() - this.since > WORK_MS
  }

  /** Errors: the signal's reason. */
  async take(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.signal?.throwIfAborted()
    this.since = performance.now()
  }
}
