/** Which question of a cell an answer of the user goes to. */
import assert from 'node:assert/strict'
import { Questions } from '../../../kernel/wire/questions.js'

type Asked = Parameters<Questions['ask']>[1]
type Reply = Parameters<Questions['answer']>[0]

const from = (client: string) => [Buffer.from(client)]
const asked = (msg_id: string, client: string) => ({ header: { msg_id }, identities: from(client) }) as unknown as Asked
const reply = (client: string, msg_id?: string) =>
  ({ parent_header: { msg_id }, identities: from(client) }) as unknown as Reply

describe('kernel: questions to the user', () => {
  let questions: Questions
  beforeEach(() => {
    questions = new Questions()
    questions.ask('name', asked('m1', 'lab'))
    questions.ask('age', asked('m2', 'lab'))
    questions.ask('town', asked('m3', 'console'))
  })

  it('an answer goes to the question that it names, in whatever order', () => {
    const found = ['m2', 'm3', 'm1'].map((id) => questions.answer(reply('lab', id)))
    assert.deepEqual(found, ['age', 'town', 'name'])
  })

  it('one that names none goes to the oldest that its own front end was asked', () => {
    const found = ['console', 'lab', 'lab'].map((client) => questions.answer(reply(client)))
    assert.deepEqual(found, ['town', 'name', 'age'])
  })

  it('one that comes too late, or names a question that nobody asked, goes to none', () => {
    questions.forget('name')
    assert.equal(questions.answer(reply('lab', 'm1')), undefined)
    assert.equal(questions.answer(reply('lab', 'other')), undefined)
    assert.equal(questions.answer(reply('lab', 'm2')), 'age')
    assert.equal(questions.answer(reply('lab', 'm2')), undefined)
    assert.equal(questions.answer(reply('lab')), undefined)
  })
})
