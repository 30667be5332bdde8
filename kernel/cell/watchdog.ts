/**
 * A thread of the cell process that hears interrupts while the main thread may be busy. The main thread is asked first; if
 * it does not answer, the JavaScript that it runs is cut off through the inspector (variables survive). Processes that the
 * cell started hear of it too.
 */
import { readFileSync, writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { processesStarted } from './children.js'
import { STATE, type Ask, type WatchdogData } from './interrupt.js'

const { fd, state: shared } = workerData as WatchdogData
const state = new Int32Array(shared)
const FIRST_MS = 20
/** The main thread has run so long and not heard: what it runs must be cut off. It may be late for other reasons, on a busy machine. */
const BUSY_MS = 4
const NEXT_MS = 100
/** JavaScript is cut off within this. */
const CUT_MS = 5
const POLL_MS = 1
/** Without a cell that runs, only what keeps the thread this long is cut off: it must not be the kernel's own work. */
const IDLE_MS = 500
/** Silence after which the user is told why nothing happens. */
const TELL_MS = 3000
const TOLD =
  'the cell is inside native code or waits for a process that goes on after SIGINT: interrupt again to end its processes, or restart the kernel\n'
/** What the processes of a cell are sent by the first, the second and every later interrupt of it. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const

/** Interrupts that wait until the one before is done with. */
let waiting = 0
let pressing = false
let presses = 0
let asks = 0
/** Connected while code is to be cut off. */
let session: Session | undefined
let signalled = { request: 0, times: 0 }

/** The request that runs now and that interrupts so far are meant for; 0: none. */
function concerned(): number {
  const request = Atomics.load(state, STATE.running)
  return request <= Atomics.load(state, STATE.upTo) ? request : 0
}

async function pressAll(): Promise<void> {
  pressing = true
  for (; waiting > 0; waiting--) {
    presses++
    if (Atomics.load(state, STATE.running) === 0) await pressIdle()
    else if (concerned() !== 0) await press(concerned())
  }
  pressing = false
}

/** Asks, and cuts off what does not answer, until the cell is over or interrupted once more. */
async function press(request: number): Promise<void> {
  const [begun, now, since] = [Atomics.load(state, STATE.begun), age(), performance.now()]
  for (let wait = FIRST_MS, told = false; ; wait = NEXT_MS) {
    const heard = await answered(wait)
    const running = concerned()
    if (!heard && running !== 0) cutOff(running)
    // After the cell, so that it ends as interrupted and not with the end of its child; none that the next cell started. To look
    // for them takes longer than a cut: unless native code keeps the thread, it comes first.
    if (wait === FIRST_MS) {
      await cutLanded()
      signal(request, begun, running === request ? Infinity : now)
    }
    const over = () => concerned() === 0 || waiting > 1
    if (heard) for (let i = 0; i < NEXT_MS / POLL_MS && !over(); i++) await sleep(POLL_MS)
    if (concerned() === 0 || (heard && over())) return
    if (heard || told || performance.now() - since < TELL_MS) continue
    told = true
    writeSync(2, TOLD)
  }
}

/** No cell runs; but timers and callbacks that cells left behind may keep the thread, so that none can begin. */
async function pressIdle(): Promise<void> {
  while (!(await answered(IDLE_MS)) && Atomics.load(state, STATE.running) === 0) cutOff(0)
}

/** As `STATE.begun`. */
function age(): number {
  return Math.floor(process.uptime() * 100)
}

/** Whether the main thread answers within `ms`; it is waited for no longer than it can still do so. */
async function answered(ms: number): Promise<boolean> {
  const question: Ask = { ask: ++asks, press: presses }
  const before = mainRan()
  parentPort!.postMessage(question)
  for (const limit = performance.now() + ms; performance.now() < limit; await sleep(POLL_MS)) {
    if (Atomics.load(state, STATE.answered) === question.ask) return true
    if (ms <= FIRST_MS && mainRan() - before > BUSY_MS) return false
  }
  return false
}

/** How many milliseconds the main thread has run; 0 where the system does not tell. */
function mainRan(): number {
  try {
    return Number(/^\d+/.exec(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1'))) / 1e6
  } catch {
    return 0
  }
}

function cutOff(request: number): void {
  if (Atomics.exchange(state, STATE.flying, 1) === 1) return cutAgain()
  // Looked at once more: from here on the main thread does not leave the cell before the cut has come.
  if (Atomics.load(state, STATE.running) !== request) return void Atomics.store(state, STATE.flying, 0)
  Atomics.store(state, STATE.cut, 1)
  const made = (session = new Session())
  made.connectToMainThread()
  made.on('Debugger.paused', ({ params }) => {
    // Out of node's own code first, which may be the one that lets no exception pass.
    if (params.callFrames[0]?.url.startsWith('node:')) made.post('Debugger.stepOut')
    else made.post('Debugger.resume', { terminateOnResume: true } as object)
  })
  made.post('Runtime.terminateExecution', () => {
    made.disconnect() // node waits for sessions when a cell ends the process
    Atomics.store(state, STATE.flying, 0)
  })
}

/** Resolves when nothing is cut off any more, or that takes long. */
async function cutLanded(): Promise<void> {
  for (const limit = performance.now() + CUT_MS; performance.now() < limit; await sleep(POLL_MS))
    if (Atomics.load(state, STATE.flying) === 0) return
}

/**
 * Native code may catch what ends the JavaScript that it calls, and go on; node's async hooks do. The inspector then takes
 * no second order, but it ends what it has paused.
 */
function cutAgain(): void {
  session?.post('Debugger.enable')
  session?.post('Debugger.pause')
}

/** Tells the processes that were started between two ages of this one. */
function signal(request: number, from: number, to: number): void {
  if (signalled.request !== request) signalled = { request, times: 0 }
  const name = SIGNALS[Math.min(signalled.times++, SIGNALS.length - 1)]
  for (const pid of processesStarted(from, to))
    try {
      process.kill(pid, name)
    } catch {
      // it ended meanwhile
    }
}

const pipe = new Socket({ fd, readable: true, writable: false })
pipe.on('data', (chunk: Buffer) => {
  for (const upTo of chunk.toString().trim().split('\n')) {
    Atomics.store(state, STATE.upTo, Number(upTo)) // before `running` is read: a request that begins now sees it
    const request = concerned()
    if (pressing && request !== 0 && request === signalled.request)
      signal(request, Atomics.load(state, STATE.begun), Infinity)
    waiting++
  }
  if (!pressing) void pressAll()
})
// The wire process is gone: nobody would ever read what a busy cell computes, nor end what it started.
pipe.on('close', () => process.kill(-process.pid, 'SIGKILL'))
pipe.on('error', () => undefined)
