/**
 * The socket of iopub as a sender that loses nothing: it waits for readers that are behind. One that makes no room for `patience`
 * milliseconds is passed over until it reads again, so that it cannot hold up the kernel and the others for ever.
 */
import { XPublisher } from 'zeromq'
import type { Sender } from './queue.js'

/** How long everybody waits for a reader that takes nothing. */
export const PATIENCE_MS = 30_000
/** Messages that may wait for one reader, beside what its connection holds. */
const WAITING = 256
/** zeromq does not tell when a publisher has room again. */
const RETRY_MS = 2

export class PatientPublisher implements Sender {
  readonly socket: XPublisher

  /** `passedOver`: called for each time that readers were. */
  constructor(
    options: { linger: number; maxMessageSize: number },
    private readonly passedOver: () => void,
    private readonly patience = PATIENCE_MS,
  ) {
    this.socket = new XPublisher({ ...options, noDrop: true, sendHighWaterMark: WAITING, verbosity: 'allSubs' })
  }

  async send(parts: Buffer[]): Promise<void> {
    const until = performance.now() + this.patience
    while (!(await this.sent(parts))) {
      if (performance.now() > until) return this.sendPast(parts)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  private async sent(parts: Buffer[]): Promise<boolean> {
    try {
      await this.socket.send(parts)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      return false
    }
  }

  /** One message that may be dropped: from then on zeromq knows who had no room, and asks only the others until there is some. */
  private async sendPast(parts: Buffer[]): Promise<void> {
    this.passedOver()
    this.setNoDrop(false)
    try {
      await this.socket.send(parts)
    } finally {
      this.setNoDrop(true)
    }
  }

  /** Takes effect at once, although zeromq.js warns that it would not. */
  private setNoDrop(on: boolean): void {
    const { emitWarning } = process
    process.emitWarning = () => undefined
    this.socket.noDrop = on
    process.emitWarning = emitWarning
  }
}
