/** comm_info_request: the open comms. */
import type { Handler } from './handler.js'

export const commInfo: Handler = {
  type: 'comm_info_request',
  reply: 'comm_info_reply',
  async handle({ content }, kernel) {
    const target = typeof content.target_name === 'string' ? content.target_name : undefined
    return { status: 'ok', comms: await kernel.cell.ask({ op: 'commInfo', target }) }
  },
}
