/** Nothing that is printed is lost: every byte, in the order of its source, before idle. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkConnection } from '../../kernel/wire/connection.js'
import { kernelTests } from './cells/cells.js'
import { type Kernel, PYTHON } from './client.js'
import { Reader } from './wire/connected.js'

const lines = (count: number, name = 'line') => Array.from({ length: count }, (_, i) => `${name} ${i}\n`).join('')

kernelTests('lost output', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  /** Runs `code`; asserts that all of its output came before idle. */
  async function printed(code: string) {
    const outcome = await kernel.execute(code)
    assert.equal(outcome.error, undefined, JSON.stringify(outcome.error))
    const { id } = await kernel.ask('shell', 'kernel_info_request', {})
    assert.ok(id) // whatever were late would be here by now
    const types = kernel.published(outcome.id).map((message) => message.type)
    assert.equal(types.lastIndexOf('stream') < types.lastIndexOf('status'), true)
    return outcome
  }

  it('20,000 lines, 10 MB in one line', async () => {
    const { stdout } = await printed('for (let i = 0; i < 20000; i++) console.log(`line ${i}`)')
    assert.equal(stdout, lines(20_000))
    const large = await printed(`process.stdout.write('0123456789'.repeat(1_000_000))`)
    assert.ok(large.stdout === '0123456789'.repeat(1_000_000))
  })

  it('lines of a loop do not pile up in the process that prints them, and every write is told of', async () => {
    const { result } = await kernel.execute(`
        const ticks = process.nextTick
        let queued = 0
        process.nextTick = (...words: any[]) => (queued++, (ticks as any).apply(process, words))
        for (let i = 0; i < 1000; i++) console.log('a line of many')
        process.nextTick = ticks
        let told = 0
        const count = () => void told++
        for (let i = 0; i < 100; i++) process.stdout.write('', count)
        process.stdout.write('', () => void (told += 1000))
        process.stdout.write('', count)
        await new Promise((resolve) => setTimeout(resolve, 10))
        ;[queued <= 2, told]`)
    assert.equal(result?.data['text/plain'], '[ true, 1101 ]')
  })

  it('groups, tables, timers, counters and writes are one source', async () => {
    const { stdout, stderr } = await printed(`
        console.group('outer')
        console.log('in'); process.stdout.write('raw\\n'); console.info('info')
        console.groupEnd()
        console.table([{ a: 1 }])
        console.count('c'); process.stdout.write(new Uint8Array([104, 105, 10])); console.dir({ d: [1] })
        for (let i = 0; i < 500; i++) i % 2 ? console.log(i) : process.stdout.write(i + ' ')
        await new Promise<void>((resolve) => setTimeout(() => { console.log('timer'); resolve() }, 5))
        console.error('bad'); process.stderr.write('worse\\n'); console.warn('warned')`)
    const table = ['┌─────────┬───┐', '│ (index) │ a │', '├─────────┼───┤', '│ 0       │ 1 │', '└─────────┴───┘']
    const pairs = Array.from({ length: 250 }, (_, i) => `${2 * i} ${2 * i + 1}`)
    const all = ['outer', '  in', 'raw', '  info', ...table, 'c: 1', 'hi', '{ d: [ 1 ] }', ...pairs, 'timer', '']
    assert.equal(stdout.replaceAll(/\x1b\[\d+m/g, ''), all.join('\n'))
    assert.equal(stderr.replaceAll(/\x1b\[\d+m/g, ''), 'bad\nworse\nwarned\n')
  })

  it('child processes with inherited streams, of node and of others, one after another', async () => {
    const { stdout, stderr } = await printed(`
        import { spawnSync } from 'node:child_process'
        const stdio = 'inherit' as const
        spawnSync(process.execPath, ['-e', 'for (let i = 0; i < 5000; i++) console.log("line " + i)'], { stdio })
        spawnSync('sh', ['-c', 'i=0; while [ $i -lt 5000 ]; do echo "more $i"; i=$((i+1)); done'], { stdio })
        spawnSync('sh', ['-c', 'head -c 3000000 /dev/zero | tr "\\\\0" x; echo err >&2'], { stdio })`)
    assert.ok(stdout === lines(5000) + lines(5000, 'more') + 'x'.repeat(3_000_000), `${stdout.length} characters`)
    assert.equal(stderr, 'err\n')
  })

  it('what native code writes to the streams of the process', async () => {
    const { stdout, stderr } = await printed(`
        import { writeSync } from 'node:fs'
        for (let i = 0; i < 2000; i++) { writeSync(1, \`line \${i}\\n\`); (process as any)._rawDebug(\`line \${i}\`) }`)
    assert.equal(stdout, lines(2000))
    assert.equal(stderr, lines(2000))
  })

  it('a cell waits for a front end that reads slowly, which gets every byte', async () => {
    const reader = new Reader(checkConnection(kernel.connection))
    await reader.until('iopub_welcome')
    const code = `import { spawnSync as run } from 'node:child_process'
        for (let i = 0; i < 30; i++) process.stdout.write(String(i % 10).repeat(1_000_000))
        run('sh', ['-c', 'head -c 30000000 /dev/zero | tr "\\\\0" y'], { stdio: 'inherit' })`
    const running = await kernel.begin(code)
    const pieces: string[] = []
    for (let turn = 0, idle = false; !idle; turn++) {
      const { header, parent_header, content } = await reader.next()
      if (turn % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      if (parent_header.msg_id !== running) continue
      if (header.msg_type === 'stream') pieces.push(String(content.text))
      idle = content.execution_state === 'idle'
    }
    reader.socket.close()
    const digits = Array.from({ length: 30 }, (_, i) => String(i % 10).repeat(1_000_000)).join('')
    const text = pieces.join('')
    assert.ok(text === digits + 'y'.repeat(30_000_000), `${text.length} characters`)
    await kernel.finish(running)
  })

  it('a comm message that is no JSON is the cell’s error, and nothing ends', async () => {
    const host = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
    const { error } = await kernel.execute(`${host}host.openComm('t', { n: 2n ** 64n })`)
    assert.match(
      error!.evalue as string,
      /comm message.* cannot be written as JSON.*18446744073709551616n is no number that JSON keeps exact/,
    )
    assert.equal((await kernel.execute('1 + 1')).result!.data['text/plain'], '2')
  })

  it('a cell that writes into the kernel’s pipe ends its process, not the kernel', async () => {
    const { error } = await kernel.execute(`(await import('node:fs')).writeSync(4, 'x'.repeat(100)); await 0; 1`)
    assert.match(error!.evalue as string, /wrote into the kernel's own file, number 4; state was lost/)
    assert.equal((await kernel.execute('1 + 1')).result!.data['text/plain'], '2')
  })

  it('2,000 lines through nbconvert --execute', () => {
    const source = 'for (let i = 0; i < 2000; i++) console.log(`line ${i}`)'
    const cell = { cell_type: 'code', id: 'a', source, metadata: {}, outputs: [], execution_count: null }
    const kernelspec = { name: 'zslab', display_name: 'TypeScript', language: 'typescript' }
    const notebook = { cells: [cell], metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 }
    writeFileSync(join(kernel.folder, 'lines.ipynb'), JSON.stringify(notebook))
    const words = ['-m', 'nbconvert', '--to', 'notebook', '--execute', '--stdout', 'lines.ipynb']
    const env = { ...process.env, JUPYTER_PATH: join(kernel.folder, 'share/jupyter'), ZSLAB_HISTORY: 'none' }
    const ran = spawnSync(PYTHON, words, { cwd: kernel.folder, env, encoding: 'utf8', maxBuffer: 1e8 })
    assert.equal(ran.status, 0, ran.stderr)
    const { cells } = JSON.parse(ran.stdout) as { cells: { outputs: { text: string | string[] }[] }[] }
    assert.equal(cells[0].outputs.flatMap(({ text }) => text).join(''), lines(2000))
  })
})
