/** Subshells (JEP 91): queues of shell messages that do not wait for the main one's running cell. Asked for on control. */
import { text, type Handler } from './handler.js'

export const createSubshell: Handler = {
  type: 'create_subshell_request',
  reply: 'create_subshell_reply',
  handle: (_request, kernel) => ({ status: 'ok', subshell_id: kernel.subshells.create() }),
}

export const deleteSubshell: Handler = {
  type: 'delete_subshell_request',
  reply: 'delete_subshell_reply',
  handle({ content }, kernel) {
    kernel.subshells.delete(text(content, 'subshell_id'))
    return { status: 'ok' }
  },
}

export const listSubshells: Handler = {
  type: 'list_subshell_request',
  reply: 'list_subshell_reply',
  handle: (_request, kernel) => ({ status: 'ok', subshell_id: kernel.subshells.list() }),
}
