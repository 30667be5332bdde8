/** Progress of long work: a bar on stderr in a terminal, a display in a notebook, nothing elsewhere. */
import { setMaxListeners } from 'node:events'
import { SingleBar } from 'cli-progress'

/** Messages to and from a page of the front end. */
export interface HostComm {
  send(data: Record<string, unknown>): void
  close(data?: Record<string, unknown>): void
  onMessage(handler: (data: Record<string, unknown>) => void): void
  onClose(handler: () => void): void
}

/** What the kernel offers libraries; absent outside notebooks. */
export interface Host {
  version: number
  display(bundle: Record<string, unknown>, options?: { displayId?: string }): unknown
  update(displayId: string, bundle: Record<string, unknown>): unknown
  /** Aborted when the user interrupts the cell that is running. */
  signal?: AbortSignal
  /** Answers comms that the front end opens for `target`. */
  onComm?(target: string, opened: (comm: HostComm, data: Record<string, unknown>) => void): unknown
}

export function host(): Host | undefined {
  const found = (globalThis as Record<symbol, unknown>)[Symbol.for('Jupyter.host')] as Host | undefined
  return found?.version === 1 ? found : undefined
}

/** The user's signal together with the running cell's interrupt. */
export function interruptible(signal: AbortSignal | undefined): AbortSignal | undefined {
  return eitherSignal(signal, host()?.signal)
}

/** Aborted when one of them is. */
export function eitherSignal(a: AbortSignal | undefined, b: AbortSignal | undefined): AbortSignal | undefined {
  if (!a || !b) return a ?? b
  const either = AbortSignal.any([a, b])
  setMaxListeners(0, either) // work on many sessions listens as often
  return either
}

export interface Bar {
  update(done: number, total: number, doing?: string): void
  /** Ends the bar: gone from a terminal, one line of what was done in a notebook. */
  stop(): void
}

const SILENT: Bar = { update: () => undefined, stop: () => undefined }
const WAIT_MS = 400 // what ends sooner shows nothing
const NOTEBOOK_MS = 200
let displays = 0

/** A bar for one piece of work, counting `unit`. `wanted` false, or neither terminal nor notebook: silent. */
export function bar(doing: string, wanted = true, unit = ''): Bar {
  if (!wanted) return SILENT
  const notebook = host()
  if (notebook) return notebookBar(notebook, doing, unit)
  return process.stderr.isTTY ? terminalBar(doing) : SILENT
}

function terminalBar(first: string): Bar {
  const started = Date.now()
  let shown: SingleBar | undefined
  return {
    update(done, total, doing = first) {
      if (!shown && Date.now() - started < WAIT_MS) return
      if (!shown) {
        shown = new SingleBar({
          format: '{doing} {bar} {value}/{total}',
          clearOnComplete: true,
          hideCursor: null,
          stream: process.stderr,
        })
        shown.start(Math.max(total, done, 1), done, { doing })
      }
      shown.setTotal(Math.max(total, done, 1))
      shown.update(done, { doing })
    },
    stop: () => shown?.stop(),
  }
}

function notebookBar(notebook: Host, first: string, unit: string): Bar {
  const displayId = `zslab-progress-${process.pid}-${++displays}`
  const started = Date.now()
  let last = 0
  let shown = false
  let words = ''
  const show = (text: string) => {
    const bundle = { 'text/plain': text }
    if (shown) notebook.update(displayId, bundle)
    else notebook.display(bundle, { displayId })
    shown = true
  }
  return {
    update(done, total, doing = first) {
      words = unit ? `${doing} ${done}${total > done ? `/${total}` : ''} ${unit}` : doing
      const now = Date.now()
      if (now - started < WAIT_MS || now - last < NOTEBOOK_MS) return
      last = now
      const share = total > 0 ? Math.min(1, done / total) : 0
      const filled = Math.round(share * 30)
      show(`${doing} ${'█'.repeat(filled)}${'░'.repeat(30 - filled)} ${done}/${total || '?'}`)
    },
    stop: () => {
      if (shown) show(`${words}, ${((Date.now() - started) / 1000).toFixed(1)} s`)
    },
  }
}
