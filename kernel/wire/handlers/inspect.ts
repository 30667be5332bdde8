/** inspect_request: type and documentation of what is at the cursor. */
import { cursorOf, text, type Handler } from './handler.js'

export const inspect: Handler = {
  type: 'inspect_request',
  reply: 'inspect_reply',
  async handle({ content }, kernel) {
    const code = text(content, 'code')
    const about = await kernel.cell.ask<string | null>({ op: 'inspect', code, cursor: cursorOf(content, code) })
    const data = about ? { 'text/plain': about } : {}
    return { status: 'ok', found: Boolean(about), data, metadata: {} }
  },
}
