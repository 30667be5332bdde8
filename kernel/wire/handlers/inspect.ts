/** inspect_request: type and documentation of what is at the cursor. */
import { cursorOf, text, type Handler } from './handler.js'

export const inspect: Handler = {
  type: 'inspect_request',
  reply: 'inspect_reply',
  async handle({ content }, { compiler }) {
    const code = text(content, 'code')
    const { declarations } = compiler
    const detail = content.detail_level === 1 ? 1 : 0
    const about = await compiler.ask('inspect', { declarations, code, cursor: cursorOf(content, code), detail })
    const data = about ? { 'text/plain': about.plain, 'text/markdown': about.markdown } : {}
    return { status: 'ok', found: about !== undefined, data, metadata: {} }
  },
}
