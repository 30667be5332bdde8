/** The cell process's side of interrupts: what the watchdog thread and the main thread know of each other. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** Slots of the memory that both threads share. */
export const STATE = { running: 0, asked: 1, answered: 2, ended: 3 } as const

/** From the watchdog to the main thread: the number of the interrupt and of the run that it is for (0: none). */
export interface Ask {
  asked: number
  run: number
}

export interface WatchdogData {
  fd: number
  state: SharedArrayBuffer
}

export class Interrupts {
  private readonly state = new Int32Array(new SharedArrayBuffer(16))
  private runs = 0
  private open = 0

  /** `interrupted(ended)`: on the main thread; `ended` where running code was cut off and will never settle. */
  constructor(fd: number, interrupted: (ended: boolean) => void) {
    const here = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url)
    const data: WatchdogData = { fd, state: this.state.buffer as SharedArrayBuffer }
    const worker = new Worker(here, { workerData: data, stdin: false })
    worker.on('message', ({ asked, run }: Ask) => {
      Atomics.store(this.state, STATE.answered, asked)
      const ended = Atomics.exchange(this.state, STATE.ended, 0) === 1
      // Meant for what ran when it was asked for, not for what runs now.
      if (ended || Atomics.load(this.state, STATE.running) === run) interrupted(ended)
    })
    worker.unref()
  }

  /** Only between `begin` and `end` may code be cut off; each run has its own number, so that none pays for another. */
  begin(): void {
    if (this.open++ > 0) return // cells of subshells run beside it and are ended with it
    this.runs = (this.runs % 0x7fffffff) + 1
    Atomics.store(this.state, STATE.running, this.runs)
  }

  end(): void {
    if (--this.open === 0) Atomics.store(this.state, STATE.running, 0)
  }
}
