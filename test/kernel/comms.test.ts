/** Comms through the real kernel. */
import assert from 'node:assert/strict'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')

kernelTests('comms', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

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
})
