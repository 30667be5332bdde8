/** One send queue per socket: zeromq allows a single send in flight, and nothing may be lost or reordered. */

export interface Sender {
  send(parts: Buffer[]): Promise<void>
}

/** Bytes waiting above which `full` asks the producers to pause. */
export const QUEUE_LIMIT = 32 * 1024 * 1024

export class SendQueue {
  private readonly waiting: Buffer[][] = []
  private readonly onDrain: (() => void)[] = []
  private readonly onEmpty: (() => void)[] = []
  private sending = false
  private closed = false
  private bytes = 0

  constructor(
    private readonly socket: Sender,
    private readonly failed: (error: Error) => void,
    private readonly limit = QUEUE_LIMIT,
  ) {}

  /** Takes `parts` at once; they leave in order, once the caller is done with what is more urgent. What comes after `close` is dropped. */
  push(parts: Buffer[]): void {
    if (this.closed) return
    this.waiting.push(parts)
    this.bytes += sizeOf(parts)
    if (this.sending) return
    this.sending = true
    queueMicrotask(() => void this.pump())
  }

  get full(): boolean {
    return this.bytes > this.limit
  }

  /** Resolves when half of the limit is free again. */
  drained(): Promise<void> {
    if (this.closed || this.bytes <= this.limit / 2) return Promise.resolve()
    return new Promise((resolve) => this.onDrain.push(resolve))
  }

  /** Resolves when all is handed to the socket. */
  flushed(): Promise<void> {
    if (this.closed || (!this.sending && this.waiting.length === 0)) return Promise.resolve()
    return new Promise((resolve) => this.onEmpty.push(resolve))
  }

  close(): void {
    this.closed = true
    this.waiting.length = 0
    this.bytes = 0
    this.release()
  }

  private async pump(): Promise<void> {
    let next = 0
    while (next < this.waiting.length && !this.closed) {
      const parts = this.waiting[next++]
      try {
        await this.socket.send(parts)
      } catch (error) {
        if (!this.closed) this.failed(error as Error)
      }
      this.bytes -= sizeOf(parts)
      if (next > 1024 || next === this.waiting.length) {
        this.waiting.splice(0, next) // not one shift per message: that would be quadratic
        next = 0
      }
      if (this.bytes <= this.limit / 2) this.onDrain.splice(0).forEach((resolve) => resolve())
    }
    this.sending = false
    this.release()
  }

  private release(): void {
    this.onDrain.splice(0).forEach((resolve) => resolve())
    this.onEmpty.splice(0).forEach((resolve) => resolve())
  }
}

export function sizeOf(parts: readonly Buffer[]): number {
  let bytes = 256 // what an empty message costs
  for (const part of parts) bytes += 128 + part.byteLength // and each part of it
  return bytes
}
