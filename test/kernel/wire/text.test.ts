/** Text on its way to front ends: merged, cut, never in another's message. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Parent } from '../../../kernel/wire/message.js'
import { MERGE_CHARS, MERGE_MS, MESSAGE_CHARS, StreamText } from '../../../kernel/wire/text.js'

describe('wire: text', () => {
  const [one, two] = ['one', 'two'].map((msg_id) => ({ msg_id }) as Parent)
  let sent: [name: string, text: string, parent: Parent][]
  let text: StreamText
  beforeEach(() => {
    sent = []
    text = new StreamText((...words) => sent.push(words))
  })
  afterEach(() => text.flush())

  it('small pieces become large ones; the first leaves at once, the last by itself', async () => {
    for (let i = 0; i < 100; i++) text.push('stdout', 'ab', one)
    assert.deepEqual(sent.splice(0), [['stdout', 'ab', one]])
    while (sent.length === 0) await sleep(MERGE_MS)
    assert.deepEqual(sent, [['stdout', 'ab'.repeat(99), one]])
  })

  it('streams and requests keep their order and their own messages', () => {
    text.push('stdout', 'a', one)
    text.push('stdout', 'b', one)
    text.push('stderr', 'c', one)
    text.push('stderr', 'd', two)
    text.push('stdout', 'e', two)
    text.push('stdout', 'f', two)
    text.flush()
    assert.deepEqual(
      sent.map(([name, piece, parent]) => [name, piece, parent.msg_id]),
      [
        ['stdout', 'a', 'one'],
        ['stdout', 'b', 'one'],
        ['stderr', 'c', 'one'],
        ['stderr', 'd', 'two'],
        ['stdout', 'e', 'two'],
        ['stdout', 'f', 'two'],
      ],
    )
  })

  it('what is much leaves at once, huge text is cut between characters', () => {
    text.push('stdout', 'x', one)
    text.push('stdout', 'y'.repeat(MERGE_CHARS), one)
    assert.equal(sent.splice(0).length, 2)
    const huge = 'x' + '🙂'.repeat(MESSAGE_CHARS)
    text.push('stdout', huge, one)
    assert.ok(sent.length > 1)
    for (const [, piece] of sent)
      assert.ok(piece.length <= MESSAGE_CHARS && !/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/.test(piece))
    assert.equal(sent.map(([, piece]) => piece).join(''), huge)
  })
})
