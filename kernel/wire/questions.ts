/** Questions to the user that wait for an answer. */
import type { Message } from './message.js'

interface Question {
  /** In the cell process. */
  id: string
  /** Of the input_request. */
  message: string
  /** Who was asked. */
  client: string
}

export class Questions {
  /** The oldest one first. */
  private waiting: Question[] = []

  /** `request`: the input_request that was sent for the cell's question `id`. */
  ask(id: string, { header, identities }: Pick<Message, 'header' | 'identities'>): void {
    this.waiting.push({ id, message: header.msg_id, client: clientOf(identities) })
  }

  /** The cell waits for no answer any more: it was interrupted. */
  forget(id: string): void {
    this.waiting = this.waiting.filter((one) => one.id !== id)
  }

  clear(): void {
    this.waiting = []
  }

  /** The question that `reply` answers; undefined: it comes too late. */
  answer({ parent_header: { msg_id: parent }, identities }: Message): string | undefined {
    // Some front ends name no question: they answer one after another.
    const client = clientOf(identities)
    const found = this.waiting.find((one) => (parent === undefined ? one.client === client : one.message === parent))
    if (found) this.forget(found.id)
    return found?.id
  }
}

const clientOf = (identities: readonly Uint8Array[]) => Buffer.concat(identities).toString('hex')
