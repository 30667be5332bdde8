/** The history's database: kept, shared by kernels side by side, never in the way. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { onDisk } from '../../small-disk.js'
import { build, ROOT } from '../client.js'
import type { History as HistoryType } from '../../../kernel/wire/history.js'

/** A kernel's end is held up for a second at most; here everything must be written, however busy the machine is. */
const PATIENT_MS = 60_000

describe('wire: history', function () {
  this.timeout(180_000)
  let folder: string
  let file: string
  let History: new (file: string, endMs: number) => HistoryType // as built: its thread runs JavaScript
  const open: HistoryType[] = []
  const make = () => {
    const history = new History(file, PATIENT_MS)
    open.push(history)
    return history
  }

  before(async () => {
    build()
    ;({ History } = (await import(pathToFileURL(join(ROOT, 'dist/kernel/wire/history.js')).href)) as never)
  })
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'history-'))
    file = join(folder, 'deep/history.sqlite')
  })
  afterEach(async () => {
    for (const history of open.splice(0)) await history.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it('is kept, numbered by session, found by tail, range and search', async () => {
    const first = make()
    first.add(1, 'a = 1').close('1')
    first.add(2, 'b[0]').close()
    await first.stop()
    const second = make()
    second.add(1, 'a = 1').close()
    second.add(2, 'c\n= 3').close('3')
    const tail = { hist_access_type: 'tail', n: 3, output: true }
    assert.deepEqual(await second.find(tail), [
      [1, 2, ['b[0]', null]],
      [2, 1, ['a = 1', null]],
      [2, 2, ['c\n= 3', '3']],
    ])
    assert.deepEqual(await second.find({ hist_access_type: 'tail', n: 0 }), [])
    const range = { hist_access_type: 'range', start: 1, stop: 2 }
    for (const [session, found] of [
      [0, 2],
      [2, 2],
      [1, 1],
      [-1, 1],
    ])
      assert.deepEqual(await second.find({ ...range, session }), [[found, 1, 'a = 1']])
    assert.deepEqual(await second.find({ ...range, session: 9 }), [])
    const search = (pattern: string, unique = false) => second.find({ hist_access_type: 'search', pattern, unique })
    assert.equal((await search('a*')).length, 2)
    assert.deepEqual(await search('a*', true), [[2, 1, 'a = 1']])
    assert.deepEqual(await search('b[0]'), [[1, 2, 'b[0]']])
    assert.deepEqual(await search('?\n*'), [[2, 2, 'c\n= 3']])
    await assert.rejects(second.find({ hist_access_type: 'all' }), /expected "tail", "range" or "search"/)
  })

  it('kernels side by side lose nothing and have numbers of their own', async () => {
    const all = [make(), make(), make()]
    for (let line = 1; line <= 30; line++) all.forEach((history, at) => history.add(line, `${at}:${line}`).close())
    const lists = await Promise.all(all.map((history) => history.find({ hist_access_type: 'range', session: 0 })))
    lists.forEach((list, at) =>
      assert.deepEqual(
        list.map(([, , input]) => input),
        Array.from({ length: 30 }, (_, i) => `${at}:${i + 1}`),
      ),
    )
    assert.equal(new Set(lists.map(([[session]]) => session)).size, 3)
    assert.equal((await all[0].find({ hist_access_type: 'tail' })).length, 90)
  })

  it('a lock that a killed process left is taken away; a file that is none is left alone', async () => {
    make().add(1, 'x').close()
    await open[0].stop()
    mkdirSync(`${file}.lock`)
    utimesSync(`${file}.lock`, new Date(0), new Date(0))
    const after = make()
    assert.deepEqual(await after.find({ hist_access_type: 'tail' }), [[1, 1, 'x']])
    await after.stop()
    writeFileSync(file, 'something else '.repeat(1000))
    const { size } = statSync(file)
    const memory = make()
    memory.add(1, 'y').close()
    assert.deepEqual(await memory.find({ hist_access_type: 'tail' }), [[1, 1, 'y']])
    assert.equal(statSync(file).size, size)
  })

  /** What the program writes on stderr, in a process of its own; `around`: a command that runs it. */
  function told(program: string, ...around: string[]): string {
    const from = pathToFileURL(join(ROOT, 'dist/kernel/wire/history.js')).href
    const code = `import { History } from ${JSON.stringify(from)}; const history = new History(${JSON.stringify(file)}, ${PATIENT_MS}); ${program}; await history.stop()`
    const path = join(folder, 'program.mjs')
    writeFileSync(path, code)
    const [command, ...words] = [...around, process.execPath, path]
    const { status, stderr } = spawnSync(command, words, { encoding: 'utf8', timeout: 120_000 })
    assert.equal(status, 0, stderr)
    return stderr
  }
  const ADD = `for (let line = 1; line <= 200; line++) history.add(line, 'cell'.repeat(2000)).close()`

  it('a thread that ends holds up neither a question nor the end; the next question finds another', async () => {
    const history = make()
    const tail = { hist_access_type: 'tail' }
    const end = () => (history as unknown as { worker: Worker }).worker.terminate()
    history.add(1, 'x').close()
    assert.equal((await history.find(tail)).length, 1)
    const asked = assert.rejects(history.find(tail), /its thread ended/)
    void end()
    await asked
    assert.equal((await history.find(tail)).length, 1)
    const stopped = history.stop()
    void end()
    await stopped
  })

  it('a file whose pages are damaged is told once, and the kernel goes on', async () => {
    told(ADD)
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.fill(0xab, 8192))
    const said = told(
      `${ADD}; await history.find({ hist_access_type: 'tail' }).catch((error) => console.error(error.message))`,
    )
    assert.match(
      said,
      /^cells are missing from the history: .*malformed; ZSLAB_HISTORY names another file, or none\n.*malformed\n$/,
    )
  })

  it('a disk that is full or cannot be written is told once, and the kernel goes on', () => {
    mkdirSync(join(folder, 'deep'))
    const on = (options: string) => onDisk('a history on a disk that is full', join(folder, 'deep'), options)
    const [small, readOnly] = [on('size=1m'), on('size=1m,ro')]
    if (!small || !readOnly) return
    const find = `console.error((await history.find({ hist_access_type: 'tail' })).length)`
    const full = told(`${ADD}; ${find}`, ...small)
    assert.match(full, /^cells are missing from the history: .*; ZSLAB_HISTORY names another file, or none\n\d\d+\n$/)
    const closed = told(`${ADD}; ${find}`, ...readOnly)
    assert.match(closed, /^the history .* cannot be used \(.*\): it is kept for this session only\n200\n$/)
  })
})
