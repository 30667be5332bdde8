/** is_complete_request: whether a console should run the code or let the user write on. */
import { text, type Handler } from './handler.js'
import { question } from './question.js'

export const isComplete: Handler = {
  type: 'is_complete_request',
  reply: 'is_complete_reply',
  async handle({ content }, { compiler }) {
    const [code] = question(text(content, 'code'))
    const { status, indent } = await compiler.ask('isComplete', { code })
    return status === 'incomplete' ? { status, indent } : { status }
  },
}
