/** comm_open, comm_msg, comm_close: passed on to whoever in a cell answers them. They have no reply. */
import type { CommEvent } from '../../cell/protocol.js'
import type { Json } from '../message.js'
import { shortened, text, type Handler } from './handler.js'

function comm(type: string, kind: CommEvent['kind']): Handler {
  return {
    type,
    async handle(request, kernel) {
      const { content, metadata, buffers } = request
      const target = kind === 'open' ? text(content, 'target_name') : undefined
      const data = content.data ?? {}
      if (typeof data !== 'object' || Array.isArray(data))
        throw new TypeError(`the message's data is ${shortened(data)}; expected an object`)
      const origin = kernel.enter(request, false)
      try {
        await kernel.cell.ask(
          { op: 'comm', kind, commId: text(content, 'comm_id'), target, data: data as Json, metadata, buffers },
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
