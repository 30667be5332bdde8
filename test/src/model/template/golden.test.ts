/** Chat templates give what Jinja2 gives as transformers sets it up: scripts/make-chat-golden.py made the file. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { runTemplate } from '../../../../src/model/template/run.js'
import { programOf } from '../../../../src/model/template/source.js'
import { Raised, Unsupported } from '../../../../src/model/template/values.js'
import { goldenPath } from '../files.js'

interface Golden {
  now: number
  zone: string
  chats: object[]
  cases: { template: string; chat: number; add: boolean; text?: string; raised?: string; fails?: string }[]
}

describe('templates beside Jinja2', () => {
  const { now, zone, chats, cases } = JSON.parse(readFileSync(goldenPath('chat_templates.json'), 'utf8')) as Golden
  const own = process.env.TZ
  before(() => (process.env.TZ = zone))
  after(() => {
    if (own === undefined) delete process.env.TZ
    else process.env.TZ = own
  })

  it('are at least 60', () => assert.ok(new Set(cases.map(({ template }) => template)).size >= 60))

  for (const { template, chat, add, text, raised, fails } of cases)
    it(`${JSON.stringify(template).slice(0, 100)}, chat ${chat}`, () => {
      const words = { tools: null, documents: null, add_generation_prompt: add, bos_token: '<s>', eos_token: '</s>' }
      const made = () => runTemplate(programOf(template), { messages: chats[chat], ...words }, new Date(now * 1000))
      if (text !== undefined) assert.equal(made(), text)
      else if (raised !== undefined)
        assert.throws(made, (error: Error) => error instanceof Raised && error.message === raised)
      else assert.throws(made, (error: Error) => !(error instanceof Raised || error instanceof Unsupported), fails)
    })
})
