/** The cell process's side of interrupts: what the watchdog thread and the main thread know of each other. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** Slots of the memory that both threads share. */
export const STATE = { running: 0, asked: 1, answered: 2, ended: 3 } as const

export interface WatchdogData {
  fd: number
  state: SharedArrayBuffer
}

export class Interrupts {
  private readonly state = new Int32Array(new SharedArrayBuffer(16))
  private runs = 0

  /** `interrupted(ended)`: on the main thread; `ended` where running code was cut off and will never settle. */
  constructor(fd: number, interrupted: (ended: boolean) => void) {
    const here = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url)
    const data: WatchdogData = { fd, state: this.state.buffer as SharedArrayBuffer }
    const worker = new Worker(here, { workerData: data, stdin: false })
    worker.on('message', (asked: number) => {
      Atomics.store(this.state, STATE.answered, asked)
      interrupted(Atomics.exchange(this.state, STATE.ended, 0) === 1)
    })
    worker.unref()
  }

  /** Only between `begin` and `end` may code be cut off; each run has its own number, so that none pays for another. */
  begin(): void {
    this.runs = (this.runs % 0x7fffffff) + 1
    Atomics.store(this.state, STATE.running, this.runs)
  }

  end(): void {
    Atomics.store(this.state, STATE.running, 0)
  }

  /** How many interrupts were asked for, those included that this thread has not heard of yet. */
  get asked(): number {
    return Atomics.load(this.state, STATE.asked)
  }
}
