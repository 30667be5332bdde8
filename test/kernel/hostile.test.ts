/** A kernel that everybody may write to: no message ends it, hangs it, or stays in its memory. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { Dealer, XSubscriber } from 'zeromq'
import { address, checkConnection, type Connection } from '../../kernel/wire/connection.js'
import { Codec } from '../../kernel/wire/message.js'
import { draws } from '../src/model/files.js'
import { alike } from '../scale.js'
import { build, Kernel, MAIN, testable, type Json } from './client.js'
import { Reader } from './wire/connected.js'
import { bytesOnPort, malformed, upstream, wellSigned, type Draw } from './wire/fuzz.js'

const SEED = Number(process.env.ZSLAB_TEST_SEED ?? 20_261)
const MESSAGES = alike(100_000, 4000)
const BATCH = 250
const HANG_MS = 60_000

/** MiB that a process holds. */
const memory = (pid: number) =>
  Number(spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).stdout) / 1024

const median = (values: number[]) => Math.round([...values].sort((a, b) => a - b)[values.length >> 1])

/** Front ends of one batch: they read whatever comes. */
class Fuzzer {
  private readonly codec: Codec
  private readonly dealers: Record<'shell' | 'control' | 'stdin' | 'hb', Dealer>
  private readonly subscriber = new XSubscriber({ linger: 1000 })
  /** Requests whose answers are waited for. */
  private readonly expected = new Map<string, () => void>()

  constructor(
    private readonly connection: Connection,
    private readonly draw: Draw,
  ) {
    this.codec = new Codec(connection.key)
    const dealer = () => new Dealer({ linger: 1000 })
    this.dealers = { shell: dealer(), control: dealer(), stdin: dealer(), hb: dealer() }
    for (const [name, socket] of Object.entries(this.dealers))
      socket.connect(address(connection, `${name as 'shell'}_port`))
    this.subscriber.connect(address(connection, 'iopub_port'))
    for (const socket of [...Object.values(this.dealers), this.subscriber]) void this.read(socket)
  }

  private async read(socket: Dealer | XSubscriber): Promise<void> {
    for await (const frames of socket) {
      const { parent_header: parent } = this.codec.unpack(frames as Buffer[]) ?? {}
      this.expected.get(String(parent?.msg_id))?.()
    }
  }

  /** Resolves when every request that was sent has been dealt with. */
  async settled(): Promise<void> {
    const waits = (['shell', 'control'] as const).map(async (channel) => {
      const last = this.codec.make('kernel_info_request', {})
      const answered = new Promise<void>((resolve) => this.expected.set(last.header.msg_id, resolve))
      await this.dealers[channel].send(this.codec.pack(last))
      return answered
    })
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('the kernel hangs')), HANG_MS).unref())
    await Promise.race([Promise.all(waits), limit])
  }

  /** One message, to some socket. */
  async send(): Promise<void> {
    const { codec, draw, dealers } = this
    const to = draw(20)
    if (to < 2) return this.subscriber.send(upstream(draw))
    if (to < 4) return dealers.hb.send(draw(2) ? [Buffer.alloc(0), ...malformed(codec, draw)] : malformed(codec, draw))
    const channel = to < 14 ? 'shell' : to < 18 ? 'control' : 'stdin'
    await dealers[channel].send(draw(2) ? wellSigned(codec, draw) : malformed(codec, draw))
  }

  /** Bytes on a port that are no messages. */
  async disturb(): Promise<void> {
    const ports = ['shell_port', 'control_port', 'stdin_port', 'iopub_port', 'hb_port'] as const
    const bytes = bytesOnPort(this.draw)
    const socket = connect(this.connection[ports[this.draw(ports.length)]], this.connection.ip)
    socket.on('error', () => undefined)
    await new Promise<void>((resolve) => socket.once('connect', () => socket.write(bytes, () => resolve())))
    socket.destroy()
  }

  close(): void {
    for (const socket of [...Object.values(this.dealers), this.subscriber]) socket.close()
  }
}

if (testable())
  describe('kernel: hostile messages', function () {
    this.timeout(900_000)
    let kernel: Kernel
    let connection: Connection
    before(async () => {
      build()
      kernel = await Kernel.start()
      connection = checkConnection(kernel.connection)
      await kernel.execute('const survivor = 42; const { pid } = process')
    })
    after(() => kernel.stop())

    const value = (code: string) => kernel.value(code)

    it(`${MESSAGES} messages on every socket (seed ${SEED}): it answers, and keeps none of them`, async () => {
      const pid = await value('pid')
      const draw = draws(SEED)
      const sizes: number[] = []
      const began = performance.now()
      const invalid: string[] = []
      for (let sent = 0; sent < MESSAGES; sent += BATCH) {
        const fuzzer = new Fuzzer(connection, draw)
        for (let i = 0; i < BATCH; i++) await fuzzer.send()
        for (let i = 0; i < 3; i++) await fuzzer.disturb()
        assert.ok((await kernel.order({ op: 'beat' })).answered, `heartbeat after ${sent} messages`)
        await fuzzer.settled()
        const reader = new Reader(connection)
        await reader.until('iopub_welcome')
        reader.socket.close()
        fuzzer.close()
        sizes.push(memory(kernel.pid))
        invalid.push(...kernel.invalid)
        kernel.messages.length = 0
      }
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      const fifth = Math.floor(sizes.length / 5)
      const [warm, last] = [sizes.slice(fifth, 2 * fifth), sizes.slice(-fifth)].map(median)
      const most = Math.max(...sizes).toFixed(0)
      console.log(`      ${seconds} s; MiB of the wire process: ${warm} when warm, ${last} at the end, ${most} at most`)
      assert.ok(last < 1.25 * warm + 50, `MiB: ${sizes.map(Math.round).join(' ')}`)
      assert.deepEqual(invalid, [])
      assert.equal(await value('survivor'), '42')
      assert.equal(await value('pid'), pid, 'the same process runs cells')
    })

    /** Interrupts what `type` began once it has said that it runs. */
    async function interrupted(type: string, content: Json): Promise<string> {
      const id = await kernel.send('shell', type, content)
      await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'it to run')
      await kernel.ask('control', 'interrupt_request', {})
      await kernel.idle(id)
      return id
    }

    it('messages whose work never ends are interrupted as cells are', async () => {
      const forever = `(console.log('go'), (() => { for (;;); })())`
      const user_expressions = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`e${i}`, forever]))
      const id = await interrupted('execute_request', { code: '1', user_expressions })
      const { content } = await kernel.replyTo(id)
      const results = Object.values(content.user_expressions as Record<string, Json>)
      assert.deepEqual([...new Set(results.map(({ ename }) => ename as string))], ['Interrupted'])
      await kernel.execute(
        `(globalThis as any)[Symbol.for('Jupyter.host')].onComm('loop', () => { console.log('go'); for (;;); })`,
      )
      await interrupted('comm_open', { comm_id: 'loop', target_name: 'loop', data: {} })
      assert.equal(await value('survivor'), '42')
    })

    it('code whose types take for ever is interrupted while it is compiled', async () => {
      // Two unions of 10,000 shapes, each compared with each.
      const code = `type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
        type Key = \`k\${Digit}\${Digit}\${Digit}\${Digit}\`
        type All<X> = { [K in Key]: { [P in K]: X } }[Key]
        declare const some: All<1>
        const other: All<number> = some`
      const id = await kernel.begin(code)
      await new Promise((resolve) => setTimeout(resolve, 300))
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
      assert.equal(await value('survivor'), '42')
    })

    it('each port is open at the address of the connection file only', async () => {
      const others = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address))
      const opens = (host: string, port: number) =>
        new Promise<boolean>((resolve) => {
          const socket = connect(port, host, () => (socket.destroy(), resolve(true)))
          socket.on('error', () => resolve(false))
        })
      for (const port of ['shell_port', 'control_port', 'stdin_port', 'iopub_port', 'hb_port'] as const) {
        assert.ok(await opens(connection.ip, connection[port]), port)
        for (const host of ['127.0.0.2', '127.1.2.3', ...others])
          if (host !== connection.ip) assert.ok(!(await opens(host, connection[port])), `${port} at ${host}`)
      }
    })

    it('a connection file that is open to others is told; one that cannot be used ends the kernel with a sentence', async () => {
      const start = (changes: object, mode = 0o600) => {
        const path = join(kernel.folder, 'connection.json')
        writeFileSync(path, JSON.stringify({ ...connection, ...changes }))
        chmodSync(path, mode)
        return spawnSync(process.execPath, [MAIN, 'start', path], { encoding: 'utf8', timeout: 60_000 })
      }
      const taken = start({}, 0o644) // this kernel listens there
      assert.match(taken.stderr, /other users may open the connection file .*: chmod 600 /)
      assert.match(taken.stderr, /cannot listen at tcp:.*: Address already in use/)
      assert.equal(taken.status, 2)
      const wrong = start({ shell_port: 'x' })
      assert.equal(wrong.stderr, 'the connection file has shell_port "x"; expected a port number\n')
      assert.equal(wrong.status, 2)
    })
  })
