/**
 * A thread of the cell process that listens for interrupts while the main thread may be busy. The main thread is asked
 * first; if it does not answer, the JavaScript that it runs is ended through the inspector (variables survive).
 */
import { Session } from 'node:inspector'
import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { STATE, type WatchdogData } from './interrupt.js'

const { fd, state: shared } = workerData as WatchdogData
const state = new Int32Array(shared)
const session = new Session()
session.connectToMainThread()

const FIRST_MS = 20
const NEXT_MS = 100
let pressing = false

/** Asks and ends until the interrupted cell is over. */
function press(): void {
  const asked = Atomics.add(state, STATE.asked, 1) + 1
  parentPort!.postMessage(asked)
  const check = () => {
    const answered = Atomics.load(state, STATE.answered) >= asked
    const running = Atomics.load(state, STATE.running) === 1
    if (!running) {
      pressing = false
      return
    }
    if (answered) return press()
    Atomics.store(state, STATE.ended, 1)
    session.post('Runtime.terminateExecution', () => undefined)
    setTimeout(check, NEXT_MS)
  }
  setTimeout(check, asked === 1 || !pressing ? FIRST_MS : NEXT_MS)
  pressing = true
}

const pipe = new Socket({ fd, readable: true, writable: false })
pipe.on('data', () => {
  if (!pressing) press()
})
// The wire process is gone: nobody would ever read what a busy cell computes.
pipe.on('close', () => process.kill(process.pid, 'SIGKILL'))
pipe.on('error', () => undefined)
