/** Interrupts through the real kernel: what they end, what survives them, whom they must not hit. */
import assert from 'node:assert/strict'
import { toyPath } from '../src/model/files.js'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const SETUP = `const survivor = 42\nimport { execSync, spawn, spawnSync } from 'node:child_process'`
/** In a cell: how many of the children that sleep are there still, given time to end. */
const SLEEPERS = `await new Promise((r) => setTimeout(r, 50)); spawnSync('pgrep', ['-c', '-g', String(process.pid), 'sleep'], { encoding: 'utf8' }).stdout.trim()`

kernelTests('interrupts', (cells) => {
  let kernel: Kernel
  before(async () => {
    kernel = cells.kernel
    await kernel.execute(SETUP)
  })

  const value = (code: string) => kernel.value(code)

  /** Runs `code`, interrupts it while it is at work, `times` times at once. */
  async function interrupted(code: string, how: 'message' | 'signal', times = 1) {
    const id = await kernel.begin(`process.stdout.write('go'); await new Promise((r) => setTimeout(r, 60))\n${code}`)
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the cell to run')
    await new Promise((resolve) => setTimeout(resolve, 200)) // past the wait in its first line
    for (let i = 0; i < times; i++) {
      if (how === 'signal') await kernel.order({ op: 'signal', name: 'SIGINT' })
      else assert.equal((await kernel.ask('control', 'interrupt_request', {})).content.status, 'ok')
    }
    return kernel.finish(id)
  }

  for (const [name, code] of [
    ['a synchronous loop', 'while (true) {}'],
    ['a loop after an await', 'await 0; while (true) {}'],
    ['a loop of awaits that never rests', 'while (true) await 0'],
    ['a pending await', 'await new Promise(() => {})'],
    ['a loop in a callback', 'setTimeout(() => { while (true) {} }, 0); await new Promise(() => {})'],
    ['a loop of ticks', 'process.nextTick(function f() { process.nextTick(f) }); await new Promise(() => {})'],
    ['a blocking wait', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
    ['a loop that prints', 'while (true) console.log("x".repeat(100))'],
    ['a child that is waited for synchronously', `execSync('sleep 600')`],
    ['a shell with a child of its own', `spawnSync('sh', ['-c', 'sleep 600; sleep 600'])`],
    ['a child that is awaited', `await new Promise((done) => spawn('sleep', ['600']).on('exit', done))`],
    ['a child that is started again and again', `while (true) try { execSync('sleep 600') } catch {}`],
  ])
    for (const [how, times] of [
      ['message', 1],
      ['signal', 1],
      ['message', 2],
    ] as const)
      it(`${name} is interrupted by ${times === 2 ? 'two messages' : `a ${how}`}, variables survive`, async () => {
        const { reply, error } = await interrupted(code, how, times)
        assert.equal(reply.content.status, 'error')
        assert.equal(error!.ename, 'Interrupted')
        assert.equal(await value('survivor'), '42')
        assert.equal(await value(SLEEPERS), "'0'")
      })

  it('loops of native calls alone are interrupted at once', async () => {
    const native = 'const big = Array.from({ length: 100_000 }, (_, i) => ({ i })), text = JSON.stringify(big)'
    await kernel.execute(native)
    for (const loop of [
      'while (true) structuredClone(big)',
      'for (;;) JSON.parse(text)',
      'do { new Uint8Array(1e6) } while (text)',
      'while (JSON.parse(text));',
      'function f() { for (;;) structuredClone(big) }\nf()',
      'for (const _ in big) for (;;) { text.split(",") }',
      'const read = JSON.parse\nwhile (true) read(text)',
      'function read(_: string) {}\nfor (const read of [JSON.parse]) for (;;) read(text)',
      'function read(_: string) {}\n// @ts-ignore\n;[read] = [JSON.parse]\nfor (;;) read(text)',
    ])
      for (let i = 0; i < 2; i++) {
        const { error } = await interrupted(loop, 'message')
        assert.equal(error!.ename, 'Interrupted', loop)
      }
    assert.equal(await value('survivor'), '42')
  })

  it('loops that only call functions of the cell are interrupted at once, however far V8 has optimized them', async () => {
    const set = (flags: string[]) => `for (const flag of ${JSON.stringify(flags)}) setFlagsFromString(flag)`
    await kernel.execute(`import { setFlagsFromString } from 'node:v8'
const large = Array.from({ length: 100_000 }, (_, i) => ({ i }))`)
    for (const flags of [
      ['--no-opt', '--no-sparkplug'],
      ['--sparkplug', '--always-sparkplug'],
      ['--no-always-sparkplug', '--opt'],
    ]) {
      await kernel.execute(set(flags))
      for (const loop of [
        'function nothing() {}\nwhile (true) nothing()',
        'let n = 0\nconst next = (x: number) => x + 1\nfunction count() { for (;;) n = next(n) }\ncount()',
        'const copy = function () { structuredClone(large) }\ndo { copy() } while (true)',
        'function* lazy() { yield structuredClone(large) }\nasync function all() { lazy().next() }\nfor (;;) { all() }',
      ]) {
        const { error } = await interrupted(loop, 'message')
        assert.equal(error!.ename, 'Interrupted', `${flags.join(' ')}: ${loop}`)
      }
    }
    assert.equal(await value('survivor'), '42')
  })

  it('processes that earlier cells started go on', async () => {
    await kernel.execute(`const server = spawn('sleep', ['600']); await new Promise((r) => setTimeout(r, 100))`)
    await interrupted(`execSync('sleep 600')`, 'message')
    await interrupted('while (true) {}', 'message')
    assert.equal(await value('server.exitCode ?? server.signalCode'), 'null')
    await kernel.execute('server.kill()')
  })

  it('a child that goes on after SIGINT is ended by the second interrupt', async () => {
    const code = `spawnSync('sh', ['-c', 'trap "" INT; echo deaf; sleep 600'], { stdio: 'inherit' })`
    const id = await kernel.begin(code)
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the child to run')
    await kernel.ask('control', 'interrupt_request', {})
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.ok(!kernel.messages.some((m) => m.channel === 'shell' && m.parent === id))
    await kernel.ask('control', 'interrupt_request', {})
    assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
    assert.equal(await value('survivor'), '42')
  })

  it('an interrupt that comes before the cell has begun is not lost', async () => {
    for (const ms of [0, 1, 2, 4, 8, 16, 32]) {
      const id = await kernel.begin(`const late${ms} = 1; while (true) {}`)
      await kernel.until(() => kernel.published(id).some((m) => m.type === 'execute_input'), 'the cell to be taken')
      await new Promise((resolve) => setTimeout(resolve, ms))
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted', `after ${ms} ms`)
    }
  })

  it('an interrupt that comes while the cell waits for what an earlier one left behind is not lost', async () => {
    const busy = 'const until = Date.now() + 450; while (Date.now() < until) {}'
    await kernel.execute(`setTimeout(() => { ${busy} }, 50); undefined`)
    await new Promise((resolve) => setTimeout(resolve, 70))
    const id = await kernel.begin('while (true) {}')
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'execute_input'), 'the cell to be taken')
    await new Promise((resolve) => setTimeout(resolve, 150)) // compiled, and sent
    await kernel.ask('control', 'interrupt_request', {})
    assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
  })

  it('an interrupt between cells does nothing, and does not hit the next one', async () => {
    for (let i = 0; i < 10; i++) {
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal(await value(`await new Promise((r) => setTimeout(r, ${i * 8})); survivor`), '42')
    }
  })

  it('an error that a cell throws after it caught the interrupt is its own', async () => {
    const { error } = await interrupted(
      `try { await new Promise(() => {}) } catch { throw new RangeError('mine') }`,
      'message',
    )
    assert.equal(error!.ename, 'RangeError')
  })

  it('an AbortError that the interrupt causes is the interrupt', async () => {
    const code = `${HOST}const { setTimeout: sleep } = await import('node:timers/promises')
        await (async () => { try { await new Promise(() => {}) } catch { await sleep(1e9, 0, { signal: host.signal }) } })()`
    assert.equal((await interrupted(code, 'message')).error!.ename, 'Interrupted')
  })

  it('a cell that catches every interrupt is over at the second', async () => {
    const id = await kernel.begin(
      `console.log('go'); for (let n = 0; n < 100; n++) try { await new Promise(() => {}) } catch { console.log('caught') }`,
    )
    const said = (text: string) => () =>
      kernel.published(id).some((m) => m.type === 'stream' && (m.content.text as string).includes(text))
    await kernel.until(said('go'), 'the cell to run')
    await kernel.ask('control', 'interrupt_request', {})
    await kernel.until(said('caught'), 'the first interrupt')
    await kernel.ask('control', 'interrupt_request', {})
    assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
  })

  it('what earlier cells still await is not interrupted', async () => {
    await kernel.execute(
      `const state = { done: false }; void (async () => { await new Promise((r) => setTimeout(r, 700)); state.done = true })()`,
    )
    await interrupted('await new Promise(() => {})', 'message')
    assert.equal(await value('await new Promise((r) => setTimeout(r, 700)); state.done'), 'true')
  })

  it('a loop that an ended cell left behind is cut off', async () => {
    await kernel.execute('setTimeout(() => { while (true) {} }, 50); undefined')
    await new Promise((resolve) => setTimeout(resolve, 200))
    const id = await kernel.begin('1')
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'execute_input'), 'the cell to be taken')
    await kernel.ask('control', 'interrupt_request', {})
    assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
    assert.equal(await value('survivor'), '42')
  })

  it('a comm handler that loops is interrupted', async () => {
    await kernel.execute(`${HOST}host.onComm('loop', () => { process.stdout.write('go'); while (true) {} })`)
    const id = await kernel.send('shell', 'comm_open', { comm_id: 'l1', target_name: 'loop', data: {} })
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the handler to run')
    await kernel.ask('control', 'interrupt_request', {})
    await kernel.idle(id)
    assert.equal(await value('survivor'), '42')
  })

  it('a cell that ends its process after an interrupt says nothing of debuggers', async () => {
    await interrupted('while (true) {}', 'message')
    const { error, stderr } = await kernel.execute('process.exit(4)')
    assert.match(error!.evalue as string, /exit code 4/)
    assert.doesNotMatch(stderr + kernel.stderr, /debugger/i)
    await kernel.execute(SETUP)
  })

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

  it('what a cell declared before it was interrupted stays', async () => {
    for (const [name, end] of [
      ['slow', 'while (true) {}'],
      ['slower', 'await new Promise(() => {})'],
    ] as const) {
      const { error } = await interrupted(
        `interface Row { n: number }\nconst ${name}: Row = { n: 7 }\n${end}\nconst after = 1`,
        'message',
      )
      assert.equal(error!.ename, 'Interrupted')
      assert.equal(await value(`${name}.n`), '7')
      assert.match((await kernel.execute('after')).error!.evalue as string, /Cannot find name 'after'/)
    }
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

  it('a progress function that is cut off leaves its session usable, with what was decoded', async () => {
    const setup = `import { load } from 'zslab'
      const toy = await load(${JSON.stringify(toyPath)}, { progress: false })`
    assert.equal((await kernel.execute(setup)).error, undefined)
    assert.equal((await kernel.execute('const cut = toy.session(), whole = toy.session()')).error, undefined)
    const asked = (session: string, options: string) =>
      `await ${session}.generate('one two three', { ignoreEos: true, ${options} })`
    const stuck = 'maxTokens: 9, progress: ({ stage, done }) => { while (stage === "decode" && done === 3); }'
    assert.equal((await interrupted(asked('cut', stuck), 'message')).error!.ename, 'Interrupted')
    await kernel.execute(asked('whole', 'maxTokens: 3, progress: false'))
    assert.equal(await value('cut.seqLen'), await value('whole.seqLen'))
    const again = "(await cut.generate('four', { maxTokens: 2, progress: false })).tokens.length"
    assert.equal(await value(again), '2')
    for (const work of [
      'generate("one two", { progress: ({ stage }) => { while (stage === "prefill"); } })',
      'score("one two three", { progress: () => { while (true); } })',
      'prefill("one two three", { progress: () => { while (true); } })',
    ]) {
      await kernel.execute('{ const one = toy.session(); Object.assign(globalThis, { one }) }')
      assert.equal((await interrupted(`await globalThis.one.${work}`, 'message')).error!.ename, 'Interrupted', work)
      assert.equal(await value(again.replace('cut', 'globalThis.one')), '2', work)
    }
  })

  it('cells that wait behind an interrupted one are aborted', async () => {
    const ids = [await kernel.begin(`process.stdout.write('go'); await new Promise(() => {})`), await kernel.begin('1')]
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

  it('after an interrupt output still goes to its own cell', async () => {
    const { id } = await interrupted('while (true) {}', 'message')
    const { stdout } = await kernel.execute(`await new Promise((r) => setTimeout(r, 5)); console.log('mine')`)
    assert.equal(stdout, 'mine\n')
    assert.ok(!kernel.published(id).some((m) => m.type === 'stream' && /mine/.test(m.content.text as string)))
  })
})
