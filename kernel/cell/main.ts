/** The cell process: runs cells, and holds whatever they load. Started by the wire process, never by hand. */
import { randomUUID } from 'node:crypto'
import { Comms } from './comms.js'
import { hidePromiseBookkeeping } from './display.js'
import { errorContent, Interrupted, mapStacks } from './errors.js'
import { defineGlobals, tslabModule } from './globals.js'
import { makeHost } from './host.js'
import { Interrupts } from './interrupt.js'
import { captureStreams } from './output.js'
import { shippedPackage } from './package.js'
import {
  FRAMES_FD,
  INTERRUPT_FD,
  writeFrames,
  type CommEvent,
  type ExecuteRequest,
  type FromCell,
  type ToCell,
} from './protocol.js'
import { Runner } from './run.js'
import { replaceStdin } from './stdin.js'
import { currentTurn, followMicrotasks, forgetCutOff, inTurn, turnOf } from './turn.js'

process.argv.length = 2
process.execArgv.length = 0 // ours are no business of the processes that cells fork

const owner = () => currentTurn()?.id
const stdin = replaceStdin(input, (error) => runner.fail(error))
captureStreams((name, text) => {
  writeFrames(FRAMES_FD, { op: 'stream', name, text, from: owner() })
  if (!text.endsWith('\n')) stdin.prompted()
})
const send = (...frames: FromCell[]): void => {
  for (const frame of frames) if (frame.op === 'publish' || frame.op === 'input') frame.from ??= owner()
  writeFrames(FRAMES_FD, ...frames)
}

const comms = new Comms(send)
const runner: Runner = new Runner(shippedPackage(), () => interrupts)
const interrupts: Interrupts = new Interrupts(INTERRUPT_FD, (upTo, cut) => {
  if (cut) forgetCutOff()
  runner.interrupt(upTo, cut)
})
const inputs = new Map<string, (value: string) => void>()

async function input(prompt: unknown = '', { password = false }: { password?: boolean } = {}): Promise<string> {
  if (!currentTurn()?.allowStdin)
    throw new Error('this front end cannot ask for input: run the cell where a person can answer')
  const id = randomUUID()
  const answered = new Promise<string>((resolve) => inputs.set(id, resolve))
  send({ op: 'input', id, prompt: String(prompt), password })
  try {
    return await runner.wait(answered)
  } finally {
    if (inputs.delete(id)) send({ op: 'unasked', id })
  }
}

function answered(id: string, value: string): void {
  inputs.get(id)?.(value)
  inputs.delete(id)
}

const host = makeHost(comms, send, () => runner.signal, input)
Object.defineProperty(globalThis, Symbol.for('Jupyter.host'), { value: host, configurable: true })
defineGlobals(host, send)
runner.provide('tslab', () => tslabModule(() => host))

async function execute(request: ExecuteRequest): Promise<void> {
  const { id, count } = request
  const result = await runner.execute(request).catch(failed)
  const shown = count !== undefined && result.status === 'ok' ? result.shown : undefined
  try {
    if (!shown) return send({ op: 'executed', id, result })
    const content = { execution_count: count, ...shown }
    send({ op: 'publish', type: 'execute_result', content, from: id }, { op: 'executed', id, result: { status: 'ok' } })
  } catch (error) {
    send({ op: 'executed', id, result: failed(error) })
  }
}

const failed = (error: unknown) => ({ status: 'error' as const, ...errorContent(error) })

async function comm(event: CommEvent): Promise<void> {
  const failed = await runner.attend(event.id, () => comms.receive(event))
  if ('error' in failed) inTurn({ id: event.id, allowStdin: false }, () => report(failed.error))
  send({ op: 'answer', id: event.id, value: null })
}

/** An error that no cell is there to show. */
function report(error: unknown): void {
  if (error instanceof Interrupted) return
  const tell = () => process.stderr.write(`${errorContent(error).traceback.join('\n')}\n`)
  const turn = turnOf(error)
  if (turn) inTurn(turn, tell)
  else tell()
}

mapStacks()
hidePromiseBookkeeping()
followMicrotasks()
process.on('unhandledRejection', report)
process.on('uncaughtException', report)
process.on('disconnect', () => process.exit())
process.on('message', (message: ToCell) => {
  if (message.op === 'input') answered(message.id, message.value)
  else if (message.op === 'exit') process.exit()
  else if (message.op === 'execute') void execute(message)
  else if (message.op === 'comm') void comm(message)
  else if (message.op === 'members') send({ op: 'answer', id: message.id, value: runner.members(message.path) })
  else send({ op: 'answer', id: message.id, value: comms.list(message.target) })
})
interrupts.ready()
send({ op: 'ready' })
