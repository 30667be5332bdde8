/** The kernel's sockets with front ends that are slow, stuck, or silent about what they got: real sockets, no kernel behind them. */
import assert from 'node:assert/strict'
import { Dealer } from 'zeromq'
import { address, type Connection } from '../../../kernel/wire/connection.js'
import { Codec, type Message } from '../../../kernel/wire/message.js'
import { Sockets, type Channel } from '../../../kernel/wire/sockets.js'
import { freeConnection, Reader } from './connected.js'

const PIECE = 'x'.repeat(50_000)
const COUNT = 2000 // 100 MB: more than all the buffers on the way hold

describe('wire: sockets', function () {
  this.timeout(300_000)
  let connection: Connection
  let sockets: Sockets
  let log: string[]
  let received: (channel: Channel, message: Message) => Promise<void>

  async function open(patience?: number): Promise<void> {
    connection = await freeConnection()
    log = []
    received = () => Promise.resolve()
    const listener = {
      received: (channel: Channel, message: Message) => received(channel, message),
      failed: (error: Error) => log.push(`failed: ${error.message}`),
    }
    sockets = new Sockets(connection, listener, { patience, log: (line) => log.push(line) })
    await sockets.open()
  }
  afterEach(() => sockets.close())

  /** As a cell does: waits while readers are behind. */
  async function publish(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      sockets.publish('stream', { i, text: PIECE })
      if (sockets.congested) await sockets.drained()
    }
    sockets.publish('end', {})
  }

  async function readers(count: number): Promise<Reader[]> {
    const made = Array.from({ length: count }, () => new Reader(connection))
    for (const reader of made) await reader.until('iopub_welcome')
    return made
  }

  async function numbers(reader: Reader, each?: (message: Message) => Promise<void> | void): Promise<number[]> {
    const seen: number[] = []
    await reader.until('end', undefined, async (message) => {
      if (message.header.msg_type === 'stream') seen.push(message.content.i as number)
      await each?.(message)
    })
    return seen
  }

  const all = Array.from({ length: COUNT }, (_, i) => i)

  it('a slow reader gets everything, in order; whoever publishes waits', async () => {
    await open()
    const [slow, fast] = await readers(2)
    let published = false
    const publishing = publish(COUNT).then(() => (published = true))
    const reading = numbers(fast)
    let turn = 0
    const seen = await numbers(slow, async () => {
      if (turn++ === 3) {
        await new Promise((resolve) => setTimeout(resolve, 300))
        assert.ok(!published, 'it waits')
      } else if (turn % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    })
    assert.deepEqual(seen, all)
    assert.deepEqual(await reading, all)
    await publishing
    assert.deepEqual(log, [])
  })

  it('a reader that stops is passed over after a while, with one line; the others get everything; it may read on', async () => {
    await open(2000) // long enough for the others where the machine is busy
    const [stuck, one, two] = await readers(3)
    const publishing = publish(COUNT)
    const read = await Promise.all([numbers(one), numbers(two)])
    await publishing
    assert.deepEqual(read, [all, all])
    assert.equal(log.length, 1, log.join('\n'))
    assert.match(log[0], /does not read/)
    let last = -1
    const reading = stuck.until('end', undefined, ({ content }) => {
      if (content.i === undefined) return
      assert.equal(content.i, last + 1, 'what it gets is whole and in order')
      last = content.i as number
    })
    for (;;) {
      sockets.publish('end', {}) // it is read again as soon as the reader has made room
      if (await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, 50))])) break
    }
    assert.ok(last >= 0 && last < COUNT - 1)
    assert.equal(log.length, 1)
  })

  it('a front end that reads no answers loses them, with a line; the others are answered', async () => {
    await open()
    received = (channel, message) => {
      const { content } = message
      for (let i = 0; i < (content.answers as number); i++) sockets.reply(channel, message, 'answer', { text: PIECE })
      return Promise.resolve()
    }
    const codec = new Codec(connection.key)
    const connect = () => {
      const dealer = new Dealer({ linger: 0, receiveHighWaterMark: 4, receiveBufferSize: 4096 })
      dealer.connect(address(connection, 'shell_port'))
      return dealer
    }
    const [silent, other] = [connect(), connect()]
    const ask = (dealer: Dealer, answers: number) => dealer.send(codec.pack(codec.make('ask', { answers })))
    for (let i = 0; i < 12; i++) await ask(silent, 1000)
    await ask(other, 3)
    for (let i = 0; i < 3; i++) assert.ok(codec.unpack((await other.receive()) as Buffer[]))
    assert.match(log[0], /an answer on shell was dropped: a front end reads none/)
    assert.ok(log.length <= 11)
    silent.close()
    await ask(other, 1)
    assert.ok(codec.unpack((await other.receive()) as Buffer[]))
    other.close()
  })

  it('requests are not read faster than they are done with', async () => {
    await open()
    const codec = new Codec(connection.key)
    const dealer = new Dealer({ linger: 0, sendHighWaterMark: 4 })
    dealer.connect(address(connection, 'shell_port'))
    const [done, control]: [(() => void)[], string[]] = [[], []]
    received = (channel) => {
      if (channel === 'shell') return new Promise<void>((resolve) => done.push(resolve))
      control.push(channel)
      return Promise.resolve()
    }
    const buffers = [Buffer.alloc(8 * 1024 * 1024)]
    const sending = (async () => {
      for (let i = 0; i < 40; i++) await dealer.send(codec.pack(codec.make('large', {}, {}, { buffers })))
    })()
    const until = async (check: () => boolean) => {
      while (!check()) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await until(() => done.length >= 8)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal(done.length, 8)
    const other = new Dealer({ linger: 0 })
    other.connect(address(connection, 'control_port'))
    await other.send(codec.pack(codec.make('now', {})))
    await until(() => control.length > 0)
    for (let i = 0; i < 40; i++) {
      await until(() => done.length > i)
      done[i]()
    }
    await sending
    dealer.close()
    other.close()
  })
})
