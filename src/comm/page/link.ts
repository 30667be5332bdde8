/** The page's end of the comm: questions and their answers, and what the kernel tells unasked. */
import { PAGE_COMM } from '../target.js'

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
type Data = Record<string, unknown>
interface Comm {
  open(data: Data): unknown
  send(data: Data): unknown
  close(): unknown
  onMsg: (message: { content: { data: Data } }) => void
  onClose: (message: { content: { data: Data } }) => void
}

/** How the page says that there is no way to the kernel. */
export interface Words {
  /** No kernel has it. */
  notThere: string
  /** The kernel has it no longer: what it says itself. */
  gone: (reason: string) => string
  late: string
}

const WAIT_MS = 20_000
const GONE = ['restarting', 'autorestarting', 'terminating', 'dead']

export class Link {
  /** Told unasked. */
  onTold: (message: Data) => void = () => undefined
  /** The kernel has it no longer, or is gone itself: why, in a sentence. */
  onGone: (why: string) => void = () => undefined
  private readonly waiting = new Map<number, (answer: Data | undefined, why?: string) => void>()
  private asked = 0
  private comm: Comm | undefined
  private kernelNow: Kernel | undefined
  private readonly onStatus = (_: unknown, status: string) => {
    if (GONE.includes(status)) this.gone(this.words.notThere)
  }
  private readonly onDisposed = () => this.gone(this.words.notThere)

  constructor(
    private readonly id: string,
    private readonly kernel: () => Kernel | undefined,
    private readonly words: Words,
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

  /** Rejects with a sentence where there is no way to an answer. */
  ask(question: Data): Promise<Data> {
    return new Promise((resolve, reject) => {
      const ask = ++this.asked
      const end = (answer: Data | undefined, why = this.words.notThere) => {
        clearTimeout(late)
        this.waiting.delete(ask)
        if (answer && typeof answer.error !== 'string') resolve(answer)
        else reject(new Error(typeof answer?.error === 'string' ? answer.error : why))
      }
      const late = setTimeout(() => end(undefined, this.words.late), WAIT_MS)
      this.waiting.set(ask, end)
      try {
        this.comm ??= this.open()
        this.comm.send({ ask, ...question })
      } catch {
        this.comm = undefined
        end(undefined)
      }
    })
  }

  private open(): Comm {
    const kernel = this.kernel()
    if (!kernel) throw new Error(this.words.notThere)
    const comm = kernel.createComm(PAGE_COMM)
    comm.onMsg = ({ content: { data } }) => {
      if ('ask' in data) this.waiting.get(Number(data.ask))?.(data)
      else this.onTold(data)
    }
    comm.onClose = ({ content: { data } }) =>
      this.gone(typeof data?.reason === 'string' ? this.words.gone(data.reason) : this.words.notThere)
    comm.open({ id: this.id })
    this.kernelNow = kernel
    kernel.statusChanged?.connect(this.onStatus)
    kernel.disposed?.connect(this.onDisposed)
    return comm
  }

  private gone(why: string): void {
    this.forget()
    for (const end of [...this.waiting.values()]) end(undefined, why)
    this.onGone(why)
  }

  private forget(): void {
    this.kernelNow?.statusChanged?.disconnect(this.onStatus)
    this.kernelNow?.disposed?.disconnect(this.onDisposed)
    this.kernelNow = this.comm = undefined
  }

  dispose(): void {
    const { comm } = this
    this.onGone = () => undefined
    this.gone(this.words.notThere)
    try {
      comm?.close()
    } catch {
      // The kernel went first.
    }
  }
}
