/** What goes on beside a busy cell: questions, subshells, output of cells that ended. */
import assert from 'node:assert/strict'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

kernelTests('beside a busy cell', (cells) => {
  let kernel: Kernel
  before(async () => {
    kernel = cells.kernel
    await kernel.execute('const survivor = 42')
  })

  const value = (code: string) => kernel.value(code)

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
    const about = await kernel.ask('shell', 'inspect_request', { code: 'known', cursor_pos: 2, detail_level: 0 }, there)
    assert.match(about.content.data['text/plain'] as string, /alpha: number/)
    assert.match(about.content.data['text/markdown'] as string, /^```typescript/)
    assert.equal((await kernel.ask('shell', 'is_complete_request', { code: 'f(' }, there)).content.status, 'incomplete')
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

  it('a subshell that is deleted while it works ends as if it were there', async () => {
    const { subshell_id } = (await kernel.ask('control', 'create_subshell_request', {})).content
    const there = { subshell: subshell_id as string }
    const send = (code: string) => kernel.send('shell', 'execute_request', { code }, there)
    const works = await send(
      `console.log('waits'); await new Promise((r) => { (globalThis as any).go = r }); throw new Error('late')`,
    )
    await kernel.until(() => kernel.published(works).some((m) => m.type === 'stream'), 'the cell to run')
    const waits = await send('1')
    const asks = await kernel.send('shell', 'kernel_info_request', {}, there)
    assert.equal((await kernel.ask('control', 'delete_subshell_request', { subshell_id })).content.status, 'ok')
    await kernel.execute('(globalThis as any).go()')
    const { reply, error } = await kernel.finish(works)
    assert.equal(error!.evalue, 'late')
    assert.equal(reply.content.evalue, 'late')
    assert.equal(reply.content.ename, 'Error')
    assert.equal((await kernel.finish(waits)).reply.content.status, 'aborted')
    assert.equal((await kernel.replyTo(asks)).content.status, 'ok')
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
})
