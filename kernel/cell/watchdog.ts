/**
 * A thread of the cell process that listens for interrupts while the main thread may be busy. The main thread is asked
 * first; if it does not answer, the JavaScript that it runs is ended through the inspector (variables survive).
 */
import { Session } from 'node:inspector'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { STATE, type Ask, type WatchdogData } from './interrupt.js'

const { fd, state: shared } = workerData as WatchdogData
const state = new Int32Array(shared)
const FIRST_MS = 30
const NEXT_MS = 100
let pressing = false
/** Connected while it is needed only: node waits for sessions when a cell ends the process. */
let session: Session | undefined

/** Asks, and ends what does not answer, until the run that was interrupted is over. */
function press(run = Atomics.load(state, STATE.running), after = FIRST_MS): void {
  pressing = true
  const asked = Atomics.add(state, STATE.asked, 1) + 1
  parentPort!.postMessage({ asked, run } satisfies Ask)
  const check = () => {
    if (run === 0 || Atomics.load(state, STATE.running) !== run) release()
    else if (Atomics.load(state, STATE.answered) >= asked) press(run, NEXT_MS)
    else {
      Atomics.store(state, STATE.ended, 1)
      cutOff()
      setTimeout(check, NEXT_MS)
    }
  }
  setTimeout(check, after)
}

function cutOff(): void {
  if (!session) {
    session = new Session()
    session.connectToMainThread()
  }
  session.post('Runtime.terminateExecution', () => undefined)
}

function release(): void {
  pressing = false
  session?.disconnect()
  session = undefined
}

const pipe = new Socket({ fd, readable: true, writable: false })
pipe.on('data', () => {
  if (!pressing) press()
})
// The wire process is gone: nobody would ever read what a busy cell computes, nor end what it started.
pipe.on('close', () => process.kill(-process.pid, 'SIGKILL'))
pipe.on('error', () => undefined)
