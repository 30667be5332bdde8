/** Messages, connection files, send queues, history: the wire's parts without sockets. */
import assert from 'node:assert/strict'
import { checkConnection, readConnection } from '../../../kernel/wire/connection.js'
import { cursorOf, pointsTo } from '../../../kernel/wire/handlers/handler.js'
import { Codec } from '../../../kernel/wire/message.js'
import { SendQueue } from '../../../kernel/wire/queue.js'

describe('wire: messages', () => {
  const codec = new Codec('secret')

  it('what is packed is unpacked, identities and buffers included', () => {
    const made = codec.make('x_request', { é: ['🙂'] }, undefined, {
      identities: [Buffer.from('me')],
      buffers: [new Uint8Array(new Float32Array([1, 2]).buffer)],
    })
    const back = codec.unpack(codec.pack(made))!
    assert.deepEqual(back.content, { é: ['🙂'] })
    assert.deepEqual(back.identities.map(String), ['me'])
    assert.deepEqual([...new Float32Array(new Uint8Array(back.buffers[0]).buffer)], [1, 2])
    assert.equal(back.header.msg_id, made.header.msg_id)
  })

  it('a message with any byte changed is dropped', () => {
    const frames = codec.pack(codec.make('x', { a: 1 }))
    for (let frame = 1; frame < frames.length; frame++)
      for (const at of [0, frames[frame].length - 1]) {
        const changed = frames.map((one) => Buffer.from(one))
        changed[frame][at] ^= 1
        assert.equal(codec.unpack(changed), undefined, `frame ${frame}, byte ${at}`)
      }
    assert.equal(new Codec('other').unpack(frames), undefined)
  })

  it('well signed messages of the wrong shape are dropped', () => {
    const open = new Codec('')
    const frames = (...parts: string[]) => ['<IDS|MSG>', '', ...parts].map((part) => Buffer.from(part))
    const header = JSON.stringify({ msg_id: '1', msg_type: 't' })
    assert.ok(open.unpack(frames(header, '{}', '{}', '{}')))
    for (const parts of [
      [header, '{}', '{}'],
      ['{', '{}', '{}', '{}'],
      ['[]', '{}', '{}', '{}'],
      [header, 'null', '{}', '{}'],
      [header, '{}', '{}', '5'],
      ['{"msg_id":"1"}', '{}', '{}', '{}'],
      ['{"msg_id":1,"msg_type":"t"}', '{}', '{}', '{}'],
    ])
      assert.equal(open.unpack(frames(...parts)), undefined, parts.join(' '))
  })

  it('an unknown signature scheme is refused in words', () => {
    assert.throws(() => new Codec('k', 'hmac-md5'), /"hmac-md5": only hmac-sha256 is known/)
  })
})

describe('wire: connection files', () => {
  const good = { ip: '127.0.0.1', shell_port: 1, control_port: 2, stdin_port: 3, iopub_port: 4, hb_port: 5, key: 'k' }

  it('what is missing or wrong is named', () => {
    assert.equal(checkConnection(good).transport, 'tcp')
    assert.throws(() => checkConnection({ ...good, hb_port: undefined }), /hb_port undefined; expected a port number/)
    assert.throws(() => checkConnection({ ...good, transport: 'udp' as never }), /transport "udp"/)
    assert.throws(() => checkConnection({ ...good, ip: undefined }), /no "ip"/)
    assert.throws(() => readConnection('/no/such/file'), /cannot read the connection file/)
  })
})

describe('wire: send queue', () => {
  it('one send at a time, in order, nothing lost', async () => {
    const sent: string[] = []
    let inFlight = 0
    const socket = {
      async send([part]: Buffer[]) {
        assert.equal(++inFlight, 1)
        await new Promise((resolve) => setImmediate(resolve))
        sent.push(part.toString())
        inFlight--
      },
    }
    const queue = new SendQueue(socket, assert.fail)
    const all = Array.from({ length: 3000 }, (_, i) => String(i))
    for (const one of all) queue.push([Buffer.from(one)])
    await queue.flushed()
    assert.deepEqual(sent, all)
  })

  it('a slow reader makes it full, and it says when there is room again', async () => {
    const release: (() => void)[] = []
    const queue = new SendQueue({ send: () => new Promise((resolve) => release.push(resolve)) }, assert.fail, 4096)
    for (let i = 0; i < 4; i++) queue.push([Buffer.alloc(2000)])
    assert.ok(queue.full)
    let drained = false
    void queue.drained().then(() => (drained = true))
    for (let i = 0; i < 4; i++) {
      assert.equal(drained, i === 4)
      release.shift()!()
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(drained && !queue.full)
  })

  it('a failed send is told and the next one goes out', async () => {
    const told: string[] = []
    let turn = 0
    const socket = { send: () => (turn++ === 0 ? Promise.reject(new Error('gone')) : Promise.resolve()) }
    const queue = new SendQueue(socket, (error) => told.push(error.message))
    queue.push([Buffer.from('a')])
    queue.push([Buffer.from('b')])
    await queue.flushed()
    assert.deepEqual([told, turn], [['gone'], 2])
  })
})

describe('wire: cursors', () => {
  it('cursors count code points, whatever is asked', () => {
    const code = 'a🙂b'
    assert.equal(cursorOf({ cursor_pos: 2 }, code), 3)
    assert.equal(cursorOf({}, code), 4)
    assert.equal(cursorOf({ cursor_pos: 99 }, code), 4)
    assert.equal(cursorOf({ cursor_pos: -5 }, code), 0)
    assert.equal(pointsTo(code, 3), 2)
  })
})
