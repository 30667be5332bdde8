/** complete_request: names that fit at the cursor. */
import type { Completion } from '../../cell/queries.js'
import { cursorOf, pointsTo, text, type Handler } from './handler.js'

export const complete: Handler = {
  type: 'complete_request',
  reply: 'complete_reply',
  async handle({ content }, kernel) {
    const code = text(content, 'code')
    const cursor = cursorOf(content, code)
    const found = await kernel.cell.ask<Completion | undefined>({ op: 'complete', code, cursor })
    const { matches, start, end } = found ?? { matches: [], start: cursor, end: cursor }
    const [cursor_start, cursor_end] = [start, end].map((at) => pointsTo(code, at))
    return { status: 'ok', matches, cursor_start, cursor_end, metadata: {} }
  },
}
