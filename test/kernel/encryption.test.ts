/** Connections that jupyter_client encrypts (CurveZMQ): all five sockets, and nothing for who has no key. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { curveKeyPair, Dealer, Subscriber } from 'zeromq'
import { address, checkConnection, type Connection } from '../../kernel/wire/connection.js'
import { Codec } from '../../kernel/wire/message.js'
import { build, Kernel, testable } from './client.js'

const CHANNELS = ['shell_port', 'control_port', 'stdin_port', 'hb_port'] as const

if (testable())
  describe('kernel: encrypted', function () {
    this.timeout(300_000)
    let kernel: Kernel
    let connection: Connection
    before(async () => {
      build()
      kernel = await Kernel.start({ TRANSPORT_ENCRYPTION: 'required' })
      connection = checkConnection(kernel.connection)
    })
    after(() => kernel.stop())

    it('cells run, ask, and are interrupted; the heart beats', async () => {
      assert.match(connection.curve_publickey!, /^.{40}$/)
      assert.equal(await kernel.value('6 * 7'), '42')
      const id = await kernel.begin("await input('who? ')", { allow_stdin: true })
      const asked = await kernel.until(() => kernel.messages.find((m) => m.type === 'input_request'), 'input_request')
      await kernel.send('stdin', 'input_reply', { value: 'me' }, { parent: asked.id })
      assert.equal((await kernel.finish(id)).result?.data['text/plain'], "'me'")
      const loop = await kernel.begin('for (;;) {}')
      await kernel.until(() => kernel.published(loop).find((m) => m.type === 'execute_input'), 'the loop')
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(loop)).error?.ename, 'Interrupted')
      assert.equal((await kernel.order({ op: 'beat' })).answered, true)
      assert.deepEqual(kernel.invalid, [])
    })

    it('who has no key, or another one, hears and reaches nothing', async () => {
      const { curve_publickey: known } = connection
      const stranger = curveKeyPair()
      const given: Record<string, object> = {
        'no key': {},
        'another kernel’s key': {
          curveServerKey: stranger.publicKey,
          curvePublicKey: stranger.publicKey,
          curveSecretKey: stranger.secretKey,
        },
      }
      const heard: string[] = []
      const open = (name: string, options: object) => {
        const common = { linger: 0, ...options }
        const sub = new Subscriber(common)
        sub.connect(address(connection, 'iopub_port'))
        sub.subscribe('')
        const codec = new Codec(connection.key)
        const dealers = CHANNELS.map((port) => {
          const socket = new Dealer({ ...common, sendTimeout: 0 })
          socket.connect(address(connection, port))
          return { port, socket }
        })
        for (const { port, socket } of dealers)
          void socket
            .send(codec.pack(codec.make('kernel_info_request', {})))
            .catch(() => undefined)
            .then(() => socket.receive())
            .then(() => heard.push(`${name}: ${port}`))
            .catch(() => undefined)
        void sub
          .receive()
          .then(() => heard.push(`${name}: iopub_port`))
          .catch(() => undefined)
        return [sub, ...dealers.map(({ socket }) => socket)]
      }
      const sockets = Object.entries(given).flatMap(([name, options]) => open(name, options))
      // One that has it, last: what the others should have heard is over when it has heard all.
      const mine = curveKeyPair()
      const right = { curveServerKey: known, curvePublicKey: mine.publicKey, curveSecretKey: mine.secretKey }
      await sleep(300)
      sockets.push(...open('the key', right))
      for (const end = Date.now() + 30_000; heard.length < CHANNELS.length && Date.now() < end;) {
        await kernel.execute("console.log('printed')")
        await sleep(50)
      }
      await sleep(300)
      for (const socket of sockets) socket.close()
      assert.deepEqual(
        heard.sort(),
        [...CHANNELS.filter((port) => port !== 'stdin_port'), 'iopub_port'].sort().map((port) => `the key: ${port}`),
      )
    })

    it('without the wish for it nothing is encrypted, with half of the keys nothing starts', async () => {
      const plain = await Kernel.start()
      assert.equal(plain.connection.curve_publickey, undefined)
      await plain.stop()
      for (const keys of [{ curve_secretkey: undefined }, { curve_publickey: null }, { curve_publickey: 'short' }])
        assert.throws(
          () => checkConnection({ ...connection, ...(keys as object) }),
          /curve_(public|secret)key is no key/,
        )
    })
  })
