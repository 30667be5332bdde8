/** history_request: what was run, in this session and before. */
import type { Handler } from './handler.js'

export const history: Handler = {
  type: 'history_request',
  reply: 'history_reply',
  handle: async ({ content }, kernel) => ({ status: 'ok', history: await kernel.history.find(content) }),
}
