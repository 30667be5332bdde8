/** The queues of shell messages: the main shell's, and one for each subshell. Each works on one message at a time. */
import { randomUUID } from 'node:crypto'
import type { Message } from './message.js'

interface Queue {
  waiting: { message: Message; done(): void }[]
  working: boolean
}

const MOST = 1000

export class Shells {
  private readonly main: Queue = { waiting: [], working: false }
  private readonly subs = new Map<string, Queue>()
  /** Where each message came to: its subshell may be deleted while it is worked on. */
  private readonly homes = new WeakMap<Message, Queue>()

  /** `handle`: answers one message; must not reject. */
  constructor(private readonly handle: (message: Message) => Promise<void>) {}

  create(): string {
    if (this.subs.size >= MOST) throw new Error(`this kernel has ${MOST} subshells: delete_subshell_request ends one`)
    const id = randomUUID()
    this.subs.set(id, { waiting: [], working: false })
    return id
  }

  /** What waits in it is still answered. */
  delete(id: string): void {
    if (!this.subs.delete(id)) throw unknown(id)
  }

  list(): string[] {
    return [...this.subs.keys()]
  }

  /** Resolves when the message has been handled. Throws where it names a subshell that there is not. */
  push(message: Message): Promise<void> {
    const queue = this.of(message)
    this.homes.set(message, queue)
    const handled = new Promise<void>((done) => queue.waiting.push({ message, done }))
    if (!queue.working) void this.work(queue)
    return handled
  }

  /** What waits behind `message` in its own queue; nothing where it came on another channel. */
  behind(message: Message): readonly Message[] {
    return this.homes.get(message)?.waiting.map((one) => one.message) ?? []
  }

  private of({ header }: Message): Queue {
    const { subshell_id: id } = header
    if (id === undefined || id === null) return this.main
    const found = this.subs.get(id)
    if (!found) throw unknown(id)
    return found
  }

  private async work(queue: Queue): Promise<void> {
    queue.working = true
    for (let next = queue.waiting.shift(); next; next = queue.waiting.shift()) {
      await this.handle(next.message)
      next.done()
    }
    queue.working = false
  }
}

function unknown(id: unknown): Error {
  return new Error(
    `there is no subshell ${JSON.stringify(id)}: it was deleted, or never created by create_subshell_request`,
  )
}
