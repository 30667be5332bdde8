/** Messages, connection files, send queues, history: the wire's parts without sockets. */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { address, checkConnection, readConnection } from '../../../kernel/wire/connection.js'
import { cursorOf, pointsTo } from '../../../kernel/wire/handlers/handler.js'
import { Codec } from '../../../kernel/wire/message.js'
import { Drops } from '../../../kernel/wire/drops.js'
import { SendQueue, sizeOf } from '../../../kernel/wire/queue.js'
import { Seen } from '../../../kernel/wire/seen.js'
import { ownFolder, written } from '../../src/model/files.js'

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

  it('a message that comes again is refused, whoever sends it and whatever is not signed of it', () => {
    const frames = codec.pack(codec.make('x', { a: 1 }))
    assert.ok(codec.unpack(frames))
    for (const again of [frames, [Buffer.from('other'), ...frames], [...frames, Buffer.alloc(9)]]) {
      const whys: string[] = []
      assert.equal(
        codec.unpack(again, (why) => whys.push(why)),
        undefined,
      )
      assert.deepEqual(whys, ['its signature has been used before'])
    }
    assert.ok(codec.unpack(codec.pack(codec.make('x', { a: 1 }))))
    const refused = codec.pack({ ...codec.make('x', {}), header: {} } as never)
    for (let time = 0; time < 2; time++) codec.unpack(refused, (why) => assert.match(why, /its header has no/))
    const open = new Codec('')
    const unsigned = open.pack(open.make('x', {}))
    for (let time = 0; time < 3; time++) assert.ok(open.unpack(unsigned))
  })

  it('of what came before, the last is remembered', () => {
    const seen = new Seen(3)
    const known = () => ['a', 'b', 'c', 'd', 'e'].filter((one) => seen.has(one)).join('')
    const steps = [...'abcdea'].map((one) => (seen.add(one), known()))
    assert.deepEqual(steps, ['a', 'ab', 'abc', 'bcd', 'cde', 'ade'])
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
      [header, '{}', '{}', `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`],
      [`{"msg_id":"${'1'.repeat(20_000)}","msg_type":"t"}`, '{}', '{}', '{}'],
    ]) {
      const whys: string[] = []
      assert.equal(
        open.unpack(frames(...parts), (why) => whys.push(why)),
        undefined,
        parts.join(' ').slice(0, 99),
      )
      assert.equal(whys.length, 1)
    }
    const binary = [...frames(header, '{}', '{}'), Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]
    assert.equal(open.unpack(binary), undefined)
  })

  it('headers are kept as they are, but for what is nested in them', () => {
    const open = new Codec('')
    const header = { msg_id: '1', msg_type: 't', subshell_id: null, session: 's', more: 1, __proto: 'x' }
    const frames = [JSON.stringify({ ...header, deep: { a: [1] }, list: [] }), '{}', '{}', '{}']
    const message = open.unpack(['<IDS|MSG>', '', ...frames].map((part) => Buffer.from(part)))!
    assert.deepEqual(message.header, header)
  })

  it('an unknown signature scheme is refused in words', () => {
    assert.throws(() => new Codec('k', 'hmac-md5'), /"hmac-md5": only hmac-sha256 is known/)
  })
})

describe('wire: connection files', () => {
  const folder = ownFolder()
  const good = { ip: '127.0.0.1', shell_port: 1, control_port: 2, stdin_port: 3, iopub_port: 4, hb_port: 5, key: 'k' }

  it('what is missing or wrong is named', () => {
    assert.equal(checkConnection(good).transport, 'tcp')
    const wrong: [change: object, told: RegExp][] = [
      [{ hb_port: undefined }, /hb_port undefined; expected a port number/],
      [{ shell_port: 0 }, /shell_port 0; expected a port number/],
      [{ iopub_port: '5' }, /iopub_port "5"; expected a port number/],
      [{ transport: 'udp' }, /transport "udp"; expected "tcp" or "ipc"/],
      [{ ip: undefined }, /ip undefined; expected the address to listen at/],
      [{ key: 5 }, /key 5; expected a string/],
      [{ signature_scheme: 'hmac-md5' }, /signature_scheme "hmac-md5"; expected "hmac-sha256"/],
    ]
    for (const [change, told] of wrong) assert.throws(() => checkConnection({ ...good, ...change }), told)
    for (const value of [null, [], 'text'])
      assert.throws(() => checkConnection(value as never), /expected a JSON object/)
    assert.throws(() => readConnection('/no/such/file'), /cannot read the connection file/)
  })

  it('addresses of both kinds and socket paths are written as zeromq reads them', () => {
    assert.equal(address(checkConnection(good), 'shell_port'), 'tcp://127.0.0.1:1')
    assert.equal(address(checkConnection({ ...good, ip: '::1' }), 'hb_port'), 'tcp://[::1]:5')
    assert.equal(address(checkConnection({ ...good, ip: '/tmp/k', transport: 'ipc' }), 'hb_port'), 'ipc:///tmp/k-5')
  })

  it('a file that others may read or write is told, with what to do', () => {
    const path = written(folder, 'connection.json', Buffer.from(JSON.stringify(good)))
    for (const [mode, told] of [
      [0o600, 0],
      [0o700, 0],
      [0o640, 1],
      [0o602, 1],
      [0o644, 1],
    ]) {
      chmodSync(path, mode)
      const lines: string[] = []
      assert.equal(readConnection(path, (line) => lines.push(line)).key, 'k')
      assert.equal(lines.length, told, mode.toString(8))
      if (told) assert.ok(lines[0].includes(`chmod 600 ${path}`))
    }
  })
})

describe('wire: drops', () => {
  it('each has its line; of a flood the first have, the rest is counted', () => {
    const lines: string[] = []
    const drops = new Drops((line) => lines.push(line))
    for (let i = 0; i < 5000; i++) drops.count('a message on shell', i % 2 ? 'its signature is wrong' : 'it is empty')
    assert.equal(lines.length, 10)
    assert.equal(lines[0], 'a message on shell was dropped: it is empty')
    drops.sum()
    assert.equal(
      lines[10],
      'more was dropped: 2495 × a message on shell: it is empty; 2495 × a message on shell: its signature is wrong',
    )
    drops.sum()
    assert.equal(lines.length, 11)
    drops.count('a message on shell', 'it is empty')
    assert.equal(lines.length, 12)
    drops.sum()
  })

  it('a flood that says something else each time is one line as well', () => {
    const lines: string[] = []
    const drops = new Drops((line) => lines.push(line))
    for (let i = 0; i < 5000; i++) drops.count('a comm_msg', `its data is ${i}`)
    drops.sum()
    assert.equal(lines.length, 11)
    assert.match(lines[10], /; 4970 × something else$/)
    assert.ok(lines[10].length < 2000)
    drops.sum()
  })
})

describe('wire: send queue', () => {
  it('counts what parts cost that are empty', () => {
    assert.ok(sizeOf(Array<Buffer>(10_000).fill(Buffer.alloc(0))) > 1_000_000)
  })

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
    await new Promise((resolve) => setImmediate(resolve)) // the first goes out once the caller is done
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
