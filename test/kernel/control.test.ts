/** Interrupts, comms, questions, deaths and hostile messages through the real kernel. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { build, Kernel, MAIN, testable, type Message } from './client.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')

if (testable())
  describe('kernel: interrupts, comms, hostile input', function () {
    this.timeout(120_000)
    let kernel: Kernel
    before(async () => {
      build()
      kernel = await Kernel.start()
      await kernel.execute('const survivor = 42')
    })
    after(async () => {
      await kernel.stop()
    })
    afterEach(() => assert.deepEqual(kernel.invalid, [], 'messages that break the protocol'))

    const value = async (code: string) => (await kernel.execute(code)).result?.data['text/plain'] as string | undefined

    /** Runs `code`, interrupts it while it is at work. */
    async function interrupted(code: string, how: 'message' | 'signal') {
      const id = await kernel.begin(`process.stdout.write('go'); await new Promise((r) => setTimeout(r, 60))\n${code}`)
      await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the cell to run')
      await new Promise((resolve) => setTimeout(resolve, 200)) // past the wait in its first line
      if (how === 'signal') await kernel.order({ op: 'signal', name: 'SIGINT' })
      else assert.equal((await kernel.ask('control', 'interrupt_request', {})).content.status, 'ok')
      return kernel.finish(id)
    }

    for (const how of ['message', 'signal'] as const) {
      for (const [name, code] of [
        ['a synchronous loop', 'while (true) {}'],
        ['a loop of awaits that never rests', 'while (true) await 0'],
        ['a pending await', 'await new Promise(() => {})'],
        ['a loop in a callback', 'setTimeout(() => { while (true) {} }, 0); await new Promise(() => {})'],
        ['a blocking wait', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
        ['a loop that prints', 'while (true) console.log("x".repeat(100))'],
      ])
        it(`${name} is interrupted by ${how}, variables survive`, async () => {
          const { reply, error } = await interrupted(code, how)
          assert.equal(reply.content.status, 'error')
          assert.equal(error!.ename, 'Interrupted')
          assert.equal(await value('survivor'), '42')
        })
    }

    it('finally blocks run when a cell is interrupted, the iterators it reads are closed', async () => {
      const code = `const endless = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<any>(() => {}), return: async () => (console.log('closed'), { done: true, value: 0 }) }) }
        try { for await (const _ of endless as any) {} } finally { await new Promise((r) => setTimeout(r, 5)); console.log('cleaned') }`
      const { stdout } = await interrupted(code, 'message')
      assert.match(stdout, /closed/)
      assert.match(stdout, /cleaned/)
    })

    it('native work hears of an interrupt by host.signal, and only then', async () => {
      const { stdout } = await interrupted(
        `${HOST}host.signal.addEventListener('abort', () => console.log('aborted')); await new Promise(() => {})`,
        'message',
      )
      assert.match(stdout, /aborted/)
      assert.equal(await value(`(globalThis as any)[Symbol.for('Jupyter.host')].signal.aborted`), 'false')
    })

    it('an interrupt while nothing runs changes nothing', async () => {
      await kernel.ask('control', 'interrupt_request', {})
      await kernel.order({ op: 'signal', name: 'SIGINT' })
      await new Promise((resolve) => setTimeout(resolve, 200)) // else it may reach the next cell
      assert.equal(await value('survivor'), '42')
    })

    it('a question is interrupted while it waits for its answer', async () => {
      const id = await kernel.begin(`${HOST}await host.input('?')`, { allow_stdin: true })
      await kernel.until(
        () => kernel.messages.some((m) => m.type === 'input_request' && m.parent === id),
        'input_request',
      )
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
    })

    it('cells that wait behind an interrupted one are aborted', async () => {
      const ids = [
        await kernel.begin(`process.stdout.write('go'); await new Promise(() => {})`),
        await kernel.begin('1'),
      ]
      await kernel.until(() => kernel.published(ids[0]).some((m) => m.type === 'stream'), 'the cell to run')
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(ids[1])).reply.content.status, 'aborted')
    })

    it('cells interrupted in quick succession all hear of it', async () => {
      for (let i = 0; i < 8; i++) {
        const id = await kernel.begin(`process.stdout.write('go'); await new Promise(() => {})`)
        await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the cell to run')
        await kernel.ask('control', 'interrupt_request', {})
        assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
      }
    })

    // ---------------------------------------------------------------- comms

    it('a comm opened by the front end is answered, with binary buffers, and listed until it is closed', async () => {
      await kernel.execute(`${HOST}host.onComm('echo', (comm: any, data: any) => {
        comm.send({ opened: data })
        comm.onMessage((data: any, buffers: Uint8Array[]) => comm.send({ ...data, sum: buffers[0].reduce((a, b) => a + b, 0) }, { buffers: [buffers[0].map((b) => b * 2)] }))
        comm.onClose(() => console.log('closed'))
      })`)
      const open = await kernel.send('shell', 'comm_open', { comm_id: 'c1', target_name: 'echo', data: { hi: 1 } })
      await kernel.idle(open)
      assert.deepEqual(kernel.published(open).find((m) => m.type === 'comm_msg')!.content, {
        comm_id: 'c1',
        data: { opened: { hi: 1 } },
      })
      const { content } = await kernel.ask('shell', 'comm_info_request', { target_name: 'echo' })
      assert.deepEqual(content, { status: 'ok', comms: { c1: { target_name: 'echo' } } })
      const said = await kernel.send(
        'shell',
        'comm_msg',
        { comm_id: 'c1', data: { n: 1 } },
        { buffers: [base64(Buffer.from([1, 2, 3]))] },
      )
      await kernel.idle(said)
      const answer = kernel.published(said).find((m) => m.type === 'comm_msg')!
      assert.deepEqual(answer.content.data, { n: 1, sum: 6 })
      assert.deepEqual([...Buffer.from(answer.buffers[0], 'base64')], [2, 4, 6])
      const close = await kernel.send('shell', 'comm_close', { comm_id: 'c1', data: {} })
      await kernel.idle(close)
      assert.equal(kernel.published(close).find((m) => m.type === 'stream')!.content.text, 'closed\n')
      assert.deepEqual((await kernel.ask('shell', 'comm_info_request', {})).content.comms, {})
    })

    it('a comm for an unknown target is closed at once; messages to unknown comms are let go', async () => {
      const open = await kernel.send('shell', 'comm_open', { comm_id: 'c2', target_name: 'nobody', data: {} })
      await kernel.idle(open)
      assert.equal(kernel.published(open).find((m) => m.type === 'comm_close')!.content.comm_id, 'c2')
      await kernel.idle(await kernel.send('shell', 'comm_msg', { comm_id: 'c9', data: {} }))
    })

    it('a comm handler that throws says so and the kernel goes on', async () => {
      await kernel.execute(
        `(globalThis as any)[Symbol.for('Jupyter.host')].onComm('bad', () => { throw new Error('in a handler') })`,
      )
      const open = await kernel.send('shell', 'comm_open', { comm_id: 'c3', target_name: 'bad', data: {} })
      await kernel.idle(open)
      assert.match(kernel.published(open).find((m) => m.type === 'stream')!.content.text as string, /in a handler/)
    })

    it('a cell opens a comm and closes it', async () => {
      const { of } = await kernel.execute(
        `${HOST}const c = host.openComm('widget', { state: 1 }, { version: '2.1.0' }); c.close(); c.closed`,
      )
      assert.equal(of('comm_open')[0].target_name, 'widget')
      assert.equal(of('comm_close')[0].comm_id, of('comm_open')[0].comm_id)
      assert.match((await kernel.execute('c.send({})')).error!.evalue as string, /closed: open another/)
    })

    // ---------------------------------------------------------------- questions

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

    // ---------------------------------------------------------------- hostile

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

    it('a cell that ends its process is told so; the next cell runs in a new one', async () => {
      const { error, stdout } = await kernel.execute(`console.log('last words'); process.exit(3)`)
      assert.equal(error!.ename, 'CellProcessDied')
      assert.match(error!.evalue as string, /exit code 3; state was lost, the cell process was started again/)
      assert.equal(stdout, 'last words\n')
      assert.match((await kernel.execute('survivor')).error!.evalue as string, /survivor/)
      const crash = await kernel.execute(`process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {})`)
      assert.match(crash.error!.evalue as string, /SIGSEGV/)
      assert.equal(await value('1 + 1'), '2')
    })

    for (const [how, code, said] of [
      ['aborts', 'process.abort()', /aborted \(SIGABRT\)/],
      ['is killed', `process.kill(process.pid, 'SIGKILL')`, /killed \(SIGKILL\)/],
      ['overflows its native stack', `process.kill(process.pid, 'SIGSEGV'); await new Promise(() => {})`, /SIGSEGV/],
    ] as const)
      it(`a cell process that ${how} is told, what waits is aborted, the next cell runs`, async () => {
        await kernel.execute('const lost = 1')
        const ids = [await kernel.begin(code), await kernel.begin('"waits"')]
        const [{ error, reply }, waiting] = [await kernel.finish(ids[0]), await kernel.finish(ids[1])]
        assert.equal(reply.content.status, 'error')
        assert.match(error!.evalue as string, said)
        assert.match(error!.evalue as string, /state was lost, the cell process was started again/)
        assert.equal(waiting.reply.content.status, 'aborted')
        assert.match((await kernel.execute('lost')).error!.evalue as string, /Cannot find name 'lost'/)
        assert.equal(await value('1 + 1'), '2')
      })

    it('a cell process that exhausts its heap is told, the next cell runs', async () => {
      const other = await Kernel.start({ NODE_OPTIONS: '--max-old-space-size=300' })
      const { error } = await other.execute(
        'const all: number[][] = []\nfor (;;) all.push(new Array(100_000).fill(1.5))',
      )
      assert.match(error!.evalue as string, /SIGABRT|SIGTRAP|SIGSEGV/)
      assert.match(error!.evalue as string, /state was lost, the cell process was started again/)
      assert.equal((await other.execute('1 + 1')).result!.data['text/plain'], '2')
      await other.stop()
    })

    it('questions about code and heartbeats are answered while a cell is busy', async () => {
      await kernel.execute('const known = { alpha: 1, beta: 2 }')
      const busy = await kernel.begin(
        `process.stdout.write('go'); const until = Date.now() + 100_000; while (Date.now() < until) {}`,
      )
      await kernel.until(() => kernel.published(busy).some((m) => m.type === 'execute_input'), 'the cell to run')
      const { subshell_id } = (await kernel.ask('control', 'create_subshell_request', {})).content
      const there = { subshell: subshell_id as string }
      const code = 'const fresh = { gamma: known.alpha }; fresh.'
      const asked = await kernel.ask('shell', 'complete_request', { code, cursor_pos: code.length }, there)
      assert.ok((asked.content.matches as string[]).includes('gamma'))
      const types = asked.content.metadata._jupyter_types_experimental as { text: string; type: string }[]
      assert.equal(types.find(({ text }) => text === 'gamma')!.type, 'property')
      const about = await kernel.ask(
        'shell',
        'inspect_request',
        { code: 'known', cursor_pos: 2, detail_level: 0 },
        there,
      )
      assert.match(about.content.data['text/plain'] as string, /alpha: number/)
      assert.match(about.content.data['text/markdown'] as string, /^```typescript/)
      assert.equal(
        (await kernel.ask('shell', 'is_complete_request', { code: 'f(' }, there)).content.status,
        'incomplete',
      )
      assert.equal((await kernel.order({ op: 'beat' })).answered, true)
      assert.ok(!kernel.messages.some((m) => m.channel === 'shell' && m.parent === busy), 'the cell ended too early')
      const { subshell_id: all } = (await kernel.ask('control', 'list_subshell_request', {})).content
      assert.deepEqual(all, [subshell_id])
      assert.equal((await kernel.ask('control', 'delete_subshell_request', { subshell_id })).content.status, 'ok')
      assert.equal((await kernel.ask('shell', 'kernel_info_request', {}, there)).content.status, 'error')
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(busy)).error!.ename, 'Interrupted')
    })

    it('a cell of a subshell runs beside one that waits, each with its own output', async () => {
      const { subshell_id } = (await kernel.ask('control', 'create_subshell_request', {})).content
      const waits = await kernel.begin(
        `let release = () => {}; console.log('waits'); await new Promise<void>((r) => { (globalThis as any).go = r }); console.log('goes on')\n"main"`,
      )
      await kernel.until(() => kernel.published(waits).some((m) => m.type === 'stream'), 'the cell to run')
      const beside = await kernel.finish(
        await kernel.send(
          'shell',
          'execute_request',
          { code: `console.log('beside'); const side = 5; (globalThis as any).go(); side` },
          { subshell: subshell_id },
        ),
      )
      assert.equal(beside.stdout, 'beside\n')
      assert.equal(beside.result!.data['text/plain'], '5')
      const main = await kernel.finish(waits)
      assert.equal(main.stdout, 'waits\ngoes on\n')
      assert.equal(main.result!.data['text/plain'], "'main'")
      assert.equal(await value('side + 1'), '6')
    })

    it('what timers print and throw after their cell ended belongs to that cell', async () => {
      const first = await kernel.execute(
        `setTimeout(() => console.log('late'), 300); setTimeout(() => { throw new Error('late throw') }, 310); setTimeout(() => void Promise.reject(new Error('late rejection')), 320)\nconst tick = setInterval(() => process.stdout.write('.'), 50)\nundefined`,
      )
      const second = await kernel.execute(
        `await new Promise((r) => setTimeout(r, 600)); clearInterval(tick); console.log('own')`,
      )
      assert.equal(second.stdout, 'own\n')
      assert.equal(second.stderr, '')
      const of = (name: string) =>
        kernel
          .published(first.id)
          .filter((m) => m.type === 'stream' && m.content.name === name)
          .map((m) => m.content.text as string)
          .join('')
      assert.match(of('stdout'), /^\.+late\n\.+$/)
      assert.match(of('stderr'), /late throw[^]*late rejection/)
    })

    it('after an interrupt output still goes to its own cell', async () => {
      const { id } = await interrupted('while (true) {}', 'message')
      const { stdout } = await kernel.execute(`await new Promise((r) => setTimeout(r, 5)); console.log('mine')`)
      assert.equal(stdout, 'mine\n')
      assert.ok(!kernel.published(id).some((m) => m.type === 'stream' && /mine/.test(m.content.text as string)))
    })

    it('a process that ends between cells is told on stderr', async () => {
      const { id } = await kernel.execute('setTimeout(() => process.exit(1), 20)\nundefined')
      const told = (m: Message) => m.type === 'stream' && /exit code 1; state was lost/.test(m.content.text as string)
      await kernel.until(() => kernel.published(id).find(told), 'word of it')
      assert.equal(await value('3'), '3')
    })

    it('a restart forgets variables and ends what cells started', async () => {
      await kernel.execute(
        `import { spawn } from 'node:child_process'\nconst child = spawn('sleep', ['1000']); const old = 1`,
      )
      const child = Number(await value('child.pid'))
      const before = kernel.pid
      kernel.messages.length = 0
      await kernel.order({ op: 'restart' })
      assert.notEqual(kernel.pid, before)
      await kernel.until(() => kernel.messages.some((m) => m.type === 'iopub_welcome'), 'iopub_welcome')
      assert.match((await kernel.execute('old')).error!.evalue as string, /old/)
      assert.ok(
        !existsSync(`/proc/${child}`) || /State:\s+Z/.test(readFileSync(`/proc/${child}/status`, 'utf8')),
        'its child runs on',
      )
    })

    it('nothing of the kernel is left after a shutdown', async () => {
      const other = await Kernel.start()
      const cell = Number((await other.execute('process.pid')).result!.data['text/plain'])
      const { pid } = other
      const reply = await other.ask('control', 'shutdown_request', { restart: false })
      assert.deepEqual(reply.content, { status: 'ok', restart: false })
      await other.stop()
      for (const one of [pid, cell]) assert.throws(() => process.kill(one, 0), { code: 'ESRCH' })
    })

    it('a killed kernel takes its cells with it', async () => {
      const other = await Kernel.start()
      const cell = Number((await other.execute('process.pid')).result!.data['text/plain'])
      const busy = await other.begin(
        `process.stdout.write('go'); await new Promise((r) => setTimeout(r, 60)); while (true) {}`,
      )
      await other.until(() => other.published(busy).some((m) => m.type === 'stream'), 'the cell to run')
      await other.order({ op: 'signal', name: 'SIGKILL' })
      for (let i = 0; i < 100 && existsSync(`/proc/${cell}`); i++)
        await new Promise((resolve) => setTimeout(resolve, 50))
      assert.ok(!existsSync(`/proc/${cell}`))
      await other.stop()
    })

    it('a kernel whose front end is killed ends, and its cells with it', async () => {
      const other = await Kernel.start()
      const cell = Number((await other.execute('process.pid')).result!.data['text/plain'])
      other.killClient()
      const alive = () => [other.pid, cell].filter((pid) => existsSync(`/proc/${pid}`))
      for (let i = 0; i < 200 && alive().length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50))
      assert.deepEqual(alive(), [])
      await other.stop()
    })

    // ---------------------------------------------------------------- command line

    it('wrong words of the program are told', () => {
      const run = (...words: string[]) => spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
      for (const [words, said] of [
        [['install', '--user', '--sys-prefix'], /exclude each other/],
        [['install', '--nonsense'], /nonsense/],
        [['start'], /one connection file/],
        [['start', '/no/such/file.json'], /cannot read the connection file/],
        [['dance'], /unknown command "dance"/],
      ] as const) {
        const { status, stderr } = run(...words)
        assert.equal(status, 2)
        assert.match(stderr, said)
      }
    })
  })
