/** What the kernel answers to questions, and to hostile and malformed messages. */
import assert from 'node:assert/strict'
import { Codec } from '../../kernel/wire/message.js'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')

kernelTests('questions and hostile messages', (cells) => {
  let kernel: Kernel
  before(async () => {
    kernel = cells.kernel
    await kernel.execute('const survivor = 42')
  })

  const value = (code: string) => kernel.value(code)

  it('kernel_info names language and protocol, on shell and control', async () => {
    for (const channel of ['shell', 'control']) {
      const { content } = await kernel.ask(channel, 'kernel_info_request', {})
      assert.equal(content.status, 'ok')
      assert.equal(content.language_info.name, 'typescript')
      assert.match(content.protocol_version as string, /^5\./)
      assert.deepEqual(content.supported_features, ['kernel subshells'])
    }
  })

  it('code that goes on is told from code that is finished or wrong', async () => {
    for (const [code, status] of [
      ['1 + 1', 'complete'],
      ['function f() {', 'incomplete'],
      ['const = 5', 'invalid'],
      ['import {{', 'invalid'],
      ['import {{ a', 'invalid'],
      ['const const x = (', 'invalid'],
      ['import {', 'incomplete'],
      ['f({ a: [1, // so far', 'incomplete'],
      ['class A { b(', 'incomplete'],
      ['', 'complete'],
    ])
      assert.equal((await kernel.ask('shell', 'is_complete_request', { code })).content.status, status, code)
  })

  it('completion counts code points behind emoji', async () => {
    const code = `const s = '🙂🙂'; survi`
    const { content } = await kernel.ask('shell', 'complete_request', { code, cursor_pos: Array.from(code).length })
    assert.deepEqual(content.matches, ['survivor'])
    assert.equal(Array.from(code).slice(content.cursor_start, content.cursor_end).join(''), 'survi')
  })

  it('inspection tells a type, and that nothing is known', async () => {
    const { content } = await kernel.ask('shell', 'inspect_request', {
      code: 'survivor',
      cursor_pos: 3,
      detail_level: 0,
    })
    assert.equal(content.found, true)
    assert.match(content.data['text/plain'] as string, /const survivor: 42|survivor: number/)
    assert.equal(
      (await kernel.ask('shell', 'inspect_request', { code: '   ', cursor_pos: 1, detail_level: 0 })).content.found,
      false,
    )
  })

  it('a message that is sent again is not handled again, on whatever channel, and that is told', async () => {
    const codec = new Codec(kernel.connection.key as string)
    const code = `(globalThis as any).times = ((globalThis as any).times ?? 0) + 1`
    const message = codec.make('execute_request', { code })
    const frames = codec.pack(message).map((frame) => frame.toString('base64'))
    await kernel.order({ op: 'raw', channel: 'shell', frames })
    await kernel.idle(message.header.msg_id)
    for (const channel of ['shell', 'control', 'stdin']) await kernel.order({ op: 'raw', channel, frames })
    for (const channel of ['shell', 'control', 'stdin']) {
      const told = `a message on ${channel} was dropped: its signature has been used before`
      await kernel.until(() => kernel.stderr.includes(told), told)
    }
    await kernel.ask('control', 'kernel_info_request', {})
    assert.equal(await value('(globalThis as any).times'), '1')
    assert.equal(kernel.published(message.header.msg_id).filter((m) => m.type === 'execute_input').length, 1)
  })

  it('wrongly signed and malformed messages are dropped, the kernel goes on', async () => {
    const header = {
      msg_id: 'evil',
      username: 'x',
      session: 's',
      date: new Date().toISOString(),
      msg_type: 'execute_request',
      version: '5.3',
    }
    const parts = [header, {}, {}, { code: 'globalThis.evil = 1', silent: false }].map((part) => JSON.stringify(part))
    for (const frames of [
      ['<IDS|MSG>', '0'.repeat(64), ...parts],
      ['<IDS|MSG>', '', ...parts],
      ['<IDS|MSG>', 'é'.repeat(32), ...parts],
      ['<IDS|MSG>'],
      ['', '', ''],
      ['no delimiter', 'at all'],
    ])
      for (const channel of ['shell', 'control', 'stdin'])
        await kernel.order({ op: 'raw', channel, frames: frames.map(base64) })
    assert.equal(await value('(globalThis as any).evil === undefined'), 'true')
    assert.ok(!kernel.messages.some((m) => m.parent === 'evil'))
  })

  it('messages with wrong content are answered with an error', async () => {
    for (const [type, content] of [
      ['execute_request', {}],
      ['execute_request', { code: 5 }],
      ['execute_request', { code: '1', user_expressions: { a: 1 } }],
      ['complete_request', { cursor_pos: 1 }],
      ['inspect_request', { code: null }],
      ['history_request', { hist_access_type: 'all' }],
      ['delete_subshell_request', {}],
      ['delete_subshell_request', { subshell_id: 'none' }],
      ['no_such_request', {}],
    ] as const) {
      const reply = await kernel.ask('shell', type, content)
      assert.equal(reply.type, type.replace('_request', '_reply'))
      assert.equal(reply.content.status, 'error', type)
      assert.ok((reply.content.evalue as string).length > 10)
      kernel.messages.length = 0
    }
  })

  it('a comm message with wrong content is let go', async () => {
    await kernel.idle(await kernel.send('shell', 'comm_open', { data: 'x' }))
    assert.equal(await value('survivor'), '42')
  })
})
