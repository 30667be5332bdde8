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
/** The run that is pressed, and the one whose interrupt came meanwhile (0: none). */
let pressed = 0
let next = 0
/** Connected while it is needed only: node waits for sessions when a cell ends the process. */
let session: Session | undefined

/** Asks, and ends what does not answer, until the run that was interrupted is over. */
function press(run: number, after = FIRST_MS): void {
  pressing = true
  pressed = run
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
  const run = next
  next = 0
  if (run !== 0 && Atomics.load(state, STATE.running) === run) press(run)
}

const pipe = new Socket({ fd, readable: true, writable: false })
pipe.on('data', () => {
  const run = Atomics.load(state, STATE.running)
  if (!pressing) press(run)
  else if (run !== pressed) next = run
})
// The wire process is gone: nobody would ever read what a busy cell computes, nor end what it started.
pipe.on('close', () => process.kill(-process.pid, 'SIGKILL'))
pipe.on('error', () => undefined)
