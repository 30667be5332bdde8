/** complete_request: names that fit at the cursor, with what they are. Code is never run for it. */
import { membersAt } from './members.js'
import { cursorOf, pointsTo, text, type Handler } from './handler.js'

export const complete: Handler = {
  type: 'complete_request',
  reply: 'complete_reply',
  async handle({ content }, kernel) {
    const { compiler } = kernel
    const code = text(content, 'code')
    const cursor = cursorOf(content, code)
    const { declarations } = compiler
    const known = await compiler.ask('complete', { declarations, code, cursor })
    const held = known.matches.length === 0 ? await membersAt(kernel, code, cursor) : undefined
    const { matches, start, end } = held ?? known
    const [cursor_start, cursor_end] = [start, end].map((at) => pointsTo(code, at))
    const types = matches.map(({ text, type }) => ({ text, type, start: cursor_start, end: cursor_end }))
    return {
      status: 'ok',
      matches: matches.map((one) => one.text),
      cursor_start,
      cursor_end,
      metadata: { _jupyter_types_experimental: types },
    }
  },
}
