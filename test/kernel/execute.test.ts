/** Requests to run a cell: the order of what they lead to, their options, questions to the user. */
import assert from 'node:assert/strict'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const plainOf = (content: { data: Record<string, unknown> } | undefined) => content?.data['text/plain']

kernelTests('requests to run', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  it('busy, input, result, idle come in this order', async () => {
    const { published, result, reply } = await kernel.execute('const a: number = 40\na + 2')
    assert.deepEqual(
      published.map(({ type, content }) => (type === 'status' ? content.execution_state : type)),
      ['busy', 'execute_input', 'execute_result', 'idle'],
    )
    assert.equal(plainOf(result as never), '42')
    assert.equal(reply.content.status, 'ok')
    assert.equal(reply.content.execution_count, result!.execution_count)
    assert.deepEqual(reply.content.payload, [])
  })

  // ---------------------------------------------------------------- what a request asks for

  it('silent: nothing is published, nothing is counted', async () => {
    const before = (await kernel.execute('1')).reply.content.execution_count
    const { published, reply } = await kernel.execute(`console.log('x')\n5`, { silent: true })
    assert.deepEqual(
      published.map(({ type }) => type),
      ['status', 'status'],
    )
    assert.equal(reply.content.execution_count, before)
    const failed = await kernel.execute(`throw new Error('quiet')`, { silent: true })
    assert.deepEqual(
      failed.published.map(({ type }) => type),
      ['status', 'status'],
    )
    assert.equal(failed.reply.content.evalue, 'quiet')
  })

  it('store_history false: shown but neither counted nor remembered', async () => {
    const before = (await kernel.execute('"remembered"')).reply.content.execution_count
    const { result, reply } = await kernel.execute('"passing"', { store_history: false })
    assert.equal(plainOf(result as never), "'passing'")
    assert.equal(reply.content.execution_count, before)
    const { content } = await kernel.ask('shell', 'history_request', {
      hist_access_type: 'tail',
      n: 1,
      output: true,
      raw: true,
    })
    assert.deepEqual(content.history, [[1, before, ['"remembered"', "'remembered'"]]])
  })

  it('user_expressions are evaluated after the cell, each with its own error', async () => {
    const { reply } = await kernel.execute('const base = 20', {
      user_expressions: { good: 'await Promise.resolve(base + 1)', bad: 'missing()' },
    })
    assert.equal(plainOf(reply.content.user_expressions.good), '21')
    assert.equal(reply.content.user_expressions.good.status, 'ok')
    assert.equal(reply.content.user_expressions.bad.status, 'error')
    assert.match(reply.content.user_expressions.bad.evalue, /missing/)
  })

  it('stop_on_error: cells that wait are aborted, later ones run', async () => {
    const ids = [await kernel.begin(`await new Promise((r) => setTimeout(r, 300)); throw new Error('stop')`)]
    for (const code of ['"second"', '"third"']) ids.push(await kernel.begin(code))
    const [, second, third] = await Promise.all(ids.map((id) => kernel.finish(id)))
    for (const outcome of [second, third]) {
      assert.deepEqual(outcome.reply.content, { status: 'aborted' })
      assert.deepEqual(
        outcome.published.map(({ type }) => type),
        ['status', 'status'],
      )
    }
    assert.equal(plainOf((await kernel.execute('"later"')).result as never), "'later'")
  })

  it('stop_on_error false: cells that wait run', async () => {
    const first = await kernel.begin(`await new Promise((r) => setTimeout(r, 100)); throw new Error('go on')`, {
      stop_on_error: false,
    })
    const second = await kernel.begin('"second"')
    await kernel.finish(first)
    assert.equal(plainOf((await kernel.finish(second)).result as never), "'second'")
  })

  it('name? at the end of a cell opens the pager', async () => {
    const { reply } = await kernel.execute('/** Says hello. */ function hello(name: string) { return name }\nhello?')
    const [page] = reply.content.payload
    assert.equal(page.source, 'page')
    assert.match(page.data['text/plain'], /hello\(name: string\): string/)
  })

  // ---------------------------------------------------------------- input

  it('a cell asks for a line of text', async () => {
    const id = await kernel.begin(`${HOST}'hello ' + (await host.input('Name?', { password: true }))`, {
      allow_stdin: true,
    })
    const asked = await kernel.until(
      () => kernel.messages.find((m) => m.type === 'input_request' && m.parent === id),
      'input_request',
    )
    assert.deepEqual(asked.content, { prompt: 'Name?', password: true })
    await kernel.send('stdin', 'input_reply', { value: 'too late' }, { parent: 'some-other-question' })
    await kernel.send('stdin', 'input_reply', { value: 'world' }, { parent: asked.id })
    assert.equal(plainOf((await kernel.finish(id)).result as never), "'hello world'")
  })

  it('answers that name no question go to the oldest that still waits', async () => {
    const both = await kernel.begin("await Promise.all([input('name? '), input('age? ')])", { allow_stdin: true })
    const asked = (id: string, count: number) =>
      kernel.until(
        () => kernel.messages.filter((m) => m.type === 'input_request' && m.parent === id).length === count,
        'input_request',
      )
    await asked(both, 2)
    for (const value of ['Ada', '36']) await kernel.send('stdin', 'input_reply', { value })
    assert.equal(plainOf((await kernel.finish(both)).result as never), "[ 'Ada', '36' ]")

    const ended = await kernel.begin("await input('given up? ')", { allow_stdin: true })
    await asked(ended, 1)
    await kernel.ask('control', 'interrupt_request', {})
    await kernel.finish(ended)
    const next = await kernel.begin("await input('next? ')", { allow_stdin: true })
    await asked(next, 1)
    await kernel.send('stdin', 'input_reply', { value: 'of the next' })
    assert.equal(plainOf((await kernel.finish(next)).result as never), "'of the next'")
  })

  it('input where nobody can answer is an error that says so', async () => {
    assert.match((await kernel.execute(`${HOST}await host.input()`)).error!.evalue as string, /cannot ask for input/)
  })
})
