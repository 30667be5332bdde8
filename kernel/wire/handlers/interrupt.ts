/** interrupt_request: ends the running cell; variables survive. */
import type { Handler } from './handler.js'

export const interrupt: Handler = {
  type: 'interrupt_request',
  reply: 'interrupt_reply',
  handle(_request, kernel) {
    kernel.interrupt()
    return { status: 'ok' }
  },
}
