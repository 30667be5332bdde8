/** The page's end of the comm: heads are asked for, and a session that is followed tells what it does. */
import { EXPLORER_COMM, type LiveMessage, type Packed } from '../data.js'

/** What the page needs of JupyterLab's connection to a kernel. */
export interface Kernel {
  createComm(target: string): Comm
  /** Tells of each status: 'idle', 'busy', 'restarting', 'dead' … */
  statusChanged?: Signal<string>
  disposed?: Signal<unknown>
}
interface Signal<T> {
  connect(listener: (sender: unknown, what: T) => void): unknown
  disconnect(listener: (sender: unknown, what: T) => void): unknown
}
interface Comm {
  open(data: Record<string, unknown>): unknown
  send(data: Record<string, unknown>): unknown
  close(): unknown
  onMsg: (message: { content: { data: Record<string, unknown> } }) => void
  onClose: (message: { content: { data: Record<string, unknown> } }) => void
}

const WAIT_MS = 20_000
const GONE = ['restarting', 'autorestarting', 'terminating', 'dead']

export class Link {
  /** Of a session that is followed. */
  onLive: (message: LiveMessage) => void = () => undefined
  /** The kernel has it no longer, or is gone itself. */
  onGone: () => void = () => undefined
  private readonly waiting = new Map<string, (head: Packed | undefined, why?: string) => void>()
  private comm: Comm | undefined
  private kernelNow: Kernel | undefined
  private readonly onStatus = (_: unknown, status: string) => {
    if (GONE.includes(status)) this.gone(NOT_THERE)
  }
  private readonly onDisposed = () => this.gone(NOT_THERE)

  constructor(
    private readonly id: string,
    private readonly kernel: () => Kernel | undefined,
  ) {}

  /** Follows what the kernel tells; false: there is none. */
  follow(): boolean {
    try {
      this.comm ??= this.open()
      return true
    } catch {
      return false
    }
  }

  /** The head `key` of a run. Rejects with a sentence where there is no way to it. */
  ask(run: number, key: string): Promise<Packed> {
    return new Promise((resolve, reject) => {
      const name = `${run} ${key}`
      const end = (head: Packed | undefined, why = NOT_THERE) => {
        clearTimeout(late)
        this.waiting.delete(name)
        if (head) resolve(head)
        else reject(new Error(why))
      }
      const late = setTimeout(
        () => end(undefined, 'The kernel does not answer: it may be busy; choose the head again.'),
        WAIT_MS,
      )
      this.waiting.set(name, end)
      try {
        this.comm ??= this.open()
        this.comm.send({ run, key })
      } catch {
        this.comm = undefined
        end(undefined)
      }
    })
  }

  private open(): Comm {
    const kernel = this.kernel()
    if (!kernel) throw new Error(NOT_THERE)
    const comm = kernel.createComm(EXPLORER_COMM)
    comm.onMsg = ({ content: { data } }) => {
      if ('live' in data) this.onLive(data as unknown as LiveMessage)
      if ('key' in data)
        this.waiting.get(`${Number(data.run)} ${String(data.key)}`)?.((data.head as Packed | null) ?? undefined)
    }
    comm.onClose = ({ content: { data } }) =>
      this.gone(
        typeof data?.reason === 'string' ? `This head is not in the saved output, and ${data.reason}.` : NOT_THERE,
      )
    comm.open({ id: this.id })
    this.kernelNow = kernel
    kernel.statusChanged?.connect(this.onStatus)
    kernel.disposed?.connect(this.onDisposed)
    return comm
  }

  private gone(why: string): void {
    this.forget()
    for (const end of [...this.waiting.values()]) end(undefined, why)
    this.onGone()
  }

  private forget(): void {
    this.kernelNow?.statusChanged?.disconnect(this.onStatus)
    this.kernelNow?.disposed?.disconnect(this.onDisposed)
    this.kernelNow = this.comm = undefined
  }

  dispose(): void {
    const { comm } = this
    this.onGone = () => undefined
    this.gone(NOT_THERE)
    try {
      comm?.close()
    } catch {
      // The kernel went first.
    }
  }
}

const NOT_THERE =
  'This head is not in the saved output, which has room for 2 MB, and no kernel has the run: run the cell again to see it.'
