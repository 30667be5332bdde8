/** Restarts, shutdowns, and what is left when one of them is killed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { kernelTests } from './cells/cells.js'
import { Kernel, MAIN } from './client.js'

/** The processes of a kernel that runs in `folder`. */
function processes(folder: string): number[] {
  const at = (pid: string) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`)
    } catch {
      return undefined // it has ended
    }
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && at(name) === folder)
    .map(Number)
}

async function gone(left: () => unknown[]): Promise<void> {
  for (let i = 0; i < 200 && left().length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.deepEqual(left(), [])
}

kernelTests('beginning and end', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  const value = (code: string) => kernel.value(code)

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

  it('a shutdown or restart in the middle of a queue: nothing of it runs, nothing is left', async () => {
    for (const how of ['shutdown', 'restart']) {
      const other = await Kernel.start()
      const busy = await other.begin(`console.log('go'); while (true) {}`, { stop_on_error: false })
      await other.until(() => other.published(busy).some((m) => m.type === 'stream'), 'the cell to run')
      const file = join(other.folder, 'ran')
      for (let i = 0; i < 20; i++)
        await other.begin(`require('fs').writeFileSync(${JSON.stringify(file)}, '')`, { stop_on_error: false })
      const before = processes(other.folder)
      assert.ok(before.length >= 3)
      if (how === 'restart') await other.order({ op: 'restart' })
      else {
        const reply = other.ask('control', 'shutdown_request', { restart: false })
        await other.order({ op: 'signal', name: 'SIGTERM' })
        await reply
        await gone(() => processes(other.folder))
      }
      await gone(() => before.filter((pid) => processes(other.folder).includes(pid)))
      assert.ok(!existsSync(file), how)
      if (how === 'restart') assert.equal((await other.execute('1 + 1')).result!.data['text/plain'], '2')
      await other.stop()
      await gone(() => processes(other.folder))
    }
  })

  it('a killed kernel takes its cells with it', async () => {
    const other = await Kernel.start()
    const cell = Number((await other.execute('process.pid')).result!.data['text/plain'])
    const busy = await other.begin(
      `process.stdout.write('go'); await new Promise((r) => setTimeout(r, 60)); while (true) {}`,
    )
    await other.until(() => other.published(busy).some((m) => m.type === 'stream'), 'the cell to run')
    await other.order({ op: 'signal', name: 'SIGKILL' })
    for (let i = 0; i < 100 && existsSync(`/proc/${cell}`); i++) await new Promise((resolve) => setTimeout(resolve, 50))
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

  it('start tells what is wrong with its words', () => {
    for (const [words, said] of [
      [['start'], /one connection file/],
      [['start', '/no/such/file.json'], /cannot read the connection file/],
      [['dance'], /unknown command "dance"/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
      assert.equal(status, 2)
      assert.match(stderr, said)
    }
  })
})
