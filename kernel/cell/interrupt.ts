/** The cell process's side of interrupts: what the watchdog thread and the main thread know of each other. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/**
 * Slots of the memory that both threads share.
 * running: the request whose code runs, 0 between cells, STARTING before the first; begun: when it began, in 1/100 s of the process's age
 * upTo: the last request that an interrupt was meant for; answered: the last question that the main thread heard
 * flying: 1 from the moment code is to be cut off until it is; cut: 1 if that happened since the main thread last looked.
 */
export const STATE = { running: 0, begun: 1, upTo: 2, answered: 3, flying: 4, cut: 5 } as const

const STARTING = 0x7fffffff

/** From the watchdog to the main thread. */
export interface Ask {
  /** The number of the question: more than one belongs to an interrupt whose cell does not end. */
  ask: number
  /** The number of the interrupt. */
  press: number
}

export interface WatchdogData {
  fd: number
  state: SharedArrayBuffer
}

/** A cut that takes longer (the inspector is gone) is waited for no more. */
const LAND_MS = 1000

export class Interrupts {
  private readonly state = new Int32Array(new SharedArrayBuffer(4 * Object.keys(STATE).length))
  private readonly open = new Set<number>()

  /** `interrupted(upTo, cut)`, on the main thread: for requests up to this one; `cut`: running code was cut off and will never settle. */
  constructor(fd: number, interrupted: (upTo: number, cut: boolean) => void) {
    Atomics.store(this.state, STATE.running, STARTING)
    const here = new URL(`./watchdog${extname(import.meta.url)}`, import.meta.url)
    const data: WatchdogData = { fd, state: this.state.buffer as SharedArrayBuffer }
    const worker = new Worker(here, { workerData: data, stdin: false })
    let heard = 0
    worker.on('message', ({ ask, press }: Ask) => {
      this.land() // first: what is cut off here is asked again
      Atomics.store(this.state, STATE.answered, ask)
      const cut = Atomics.exchange(this.state, STATE.cut, 0) === 1
      if (press !== heard || cut) interrupted(Atomics.load(this.state, STATE.upTo), cut)
      heard = press
    })
    worker.unref()
  }

  /** From now on code that keeps the thread is cut off. */
  ready(): void {
    Atomics.store(this.state, STATE.running, 0)
  }

  /** Calls `then` where no earlier interrupt cuts off anything any more. `early`: the request was interrupted before it got here. */
  begin(request: number, then: (early: boolean) => void): void {
    const alone = this.open.size === 0 // cells of subshells run beside it and are ended with it
    this.open.add(request)
    if (alone) {
      Atomics.store(this.state, STATE.begun, Math.floor(process.uptime() * 100))
      Atomics.store(this.state, STATE.running, request)
    }
    this.landed(() => {
      if (alone) Atomics.store(this.state, STATE.cut, 0)
      then(Atomics.load(this.state, STATE.upTo) >= request)
    })
  }

  /** Calls `then` where nothing is cut off any more. `cut`: code of the request was, and `interrupted` was not called yet. */
  end(request: number, then: (cut: boolean) => void): void {
    this.open.delete(request)
    const [next = 0] = this.open
    Atomics.store(this.state, STATE.running, next)
    this.landed(() => then(Atomics.load(this.state, STATE.cut) === 1))
  }

  private landed(then: () => void): void {
    const again = setImmediate(() => this.landed(then)) // the cut ends this very function
    this.land()
    clearImmediate(again)
    then()
  }

  /** A cut that is on its way hits this loop rather than code that somebody waits for. */
  private land(): void {
    const limit = performance.now() + LAND_MS
    while (Atomics.load(this.state, STATE.flying) === 1) if (performance.now() > limit) return
  }
}
