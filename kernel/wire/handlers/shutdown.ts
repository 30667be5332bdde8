/** shutdown_request: the kernel answers, then ends. A restart is a new process that the front end starts. */
import type { Handler } from './handler.js'

export const shutdown: Handler = {
  type: 'shutdown_request',
  reply: 'shutdown_reply',
  handle(request, kernel) {
    const content = { status: 'ok', restart: request.content.restart === true }
    kernel.publish(request, 'shutdown_reply', content) // other front ends of this kernel learn it here
    return content
  },
  after: (_request, kernel) => kernel.shutdown(),
}
