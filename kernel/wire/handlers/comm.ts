/** comm_open, comm_msg, comm_close: passed on to whoever in a cell answers them. They have no reply. */
import type { CommEvent } from '../../cell/protocol.js'
import type { Json } from '../message.js'
import { text, type Handler } from './handler.js'

function comm(type: string, kind: CommEvent['kind']): Handler {
  return {
    type,
    async handle(request, kernel) {
      const { content, metadata, buffers } = request
      const target = kind === 'open' ? text(content, 'target_name') : undefined
      const data = (content.data ?? {}) as Json
      const origin = kernel.enter(request, false)
      try {
        await kernel.cell.ask(
          { op: 'comm', kind, commId: text(content, 'comm_id'), target, data, metadata, buffers },
          origin,
        )
      } finally {
        kernel.leave(origin)
      }
    },
  }
}

export const commOpen = comm('comm_open', 'open')
export const commMessage = comm('comm_msg', 'msg')
export const commClose = comm('comm_close', 'close')
