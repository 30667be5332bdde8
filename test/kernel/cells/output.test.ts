/** What cells print: all of it, in order, in time. */
import assert from 'node:assert/strict'
import { kernelTests } from './cells.js'

kernelTests('output', (cells) => {
  it('20,000 printed lines all arrive, in few messages, before idle', async () => {
    const { stdout, published } = await cells.execute('for (let i = 0; i < 20000; i++) console.log(`line ${i}`)')
    const lines = stdout.split('\n')
    assert.equal(lines.length, 20_001)
    lines.slice(0, -1).forEach((line, i) => assert.equal(line, `line ${i}`))
    assert.ok(published.length < 100, `${published.length} messages`)
    assert.equal(published.at(-1)!.content.execution_state, 'idle')
  })

  it('stdout and stderr keep their order', async () => {
    const { of, stderr } = await cells.execute(`console.log('a'); console.error('b'); process.stdout.write('c')`)
    assert.deepEqual(
      of('stream').map(({ name, text }) => `${name}:${text}`),
      ['stdout:a\n', 'stderr:b\n', 'stdout:c'],
    )
    assert.equal(stderr, 'b\n')
  })

  it('what a slow cell printed is seen before the cell ends', async () => {
    const id = await cells.kernel.begin(`console.log('early'); await new Promise((r) => setTimeout(r, 1000))`)
    await cells.kernel.until(() => cells.kernel.published(id).find((m) => m.type === 'stream'), 'the stream')
    assert.ok(!cells.kernel.published(id).some((m) => m.content.execution_state === 'idle'))
    await cells.kernel.finish(id)
  })

  it('what a cell prints before it keeps its thread busy is seen at once', async () => {
    const code = `for (let i = 0; i < 1000; i++) console.log(i)
      process.stderr.write('last')
      while (true) {}`
    const id = await cells.kernel.begin(code)
    const last = () => cells.kernel.published(id).find((m) => m.content.text === 'last')
    await cells.kernel.until(last, 'the text right before the loop')
    await cells.kernel.ask('control', 'interrupt_request', {})
    assert.equal((await cells.kernel.finish(id)).error!.ename, 'Interrupted')
  })

  it('what child processes print arrives too', async () => {
    const code = `import { execFileSync } from 'node:child_process'
      execFileSync('sh', ['-c', 'echo from a child; echo trouble >&2'], { stdio: 'inherit' })
      undefined`
    const { stdout, stderr } = await cells.execute(code)
    assert.equal(stdout, 'from a child\n')
    assert.equal(stderr, 'trouble\n')
  })

  it('30 MB in one line arrive whole', async () => {
    const { stdout, of } = await cells.execute(`console.log('é🙂'.repeat(5_000_000))`)
    assert.equal(stdout.length, 15_000_001)
    assert.equal(stdout, 'é🙂'.repeat(5_000_000) + '\n')
    for (const { text } of of('stream')) assert.ok((text as string).length <= 1024 * 1024)
  })

  it('Unicode that is written in pieces is whole', async () => {
    const code = `for (const byte of Buffer.from('ü🙂')) process.stdout.write(Buffer.from([byte]))`
    assert.equal((await cells.execute(code + '\nundefined')).stdout, 'ü🙂')
  })
})
