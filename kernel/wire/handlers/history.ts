/** history_request: what was run in this session. */
import type { Handler } from './handler.js'

export const history: Handler = {
  type: 'history_request',
  reply: 'history_reply',
  handle: ({ content }, kernel) => ({ status: 'ok', history: kernel.history.find(content) }),
}
