/** The end of the cell process, however it comes: it is told, what waits is aborted, the next cell runs. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { leftOut } from '../left-out.js'
import { kernelTests } from './cells/cells.js'
import { Kernel, PYTHON, type Message } from './client.js'

const NEVER = '; await new Promise(() => {})'

/** How it ends, the cell that ends it, what is said of it. */
const ENDS: [how: string, code: string, said: RegExp][] = [
  ['aborts', 'process.abort()', /was aborted \(SIGABRT\), as process\.abort\(\)/],
  ['is killed', `process.kill(process.pid, 'SIGKILL')${NEVER}`, /was killed \(SIGKILL\)/],
  ['exits', `console.log('last words'); process.exit(3)`, /exit code 3/],
  ['exits in a timer', `setTimeout(() => process.exit(5), 20)${NEVER}`, /exit code 5/],
  ['is ended by a signal', `process.kill(process.pid, 'SIGINT')${NEVER}`, /SIGINT/],
]

/** An addon without headers: what it uses of node's C interface is declared here. */
const ADDON = `
#include <stddef.h>
typedef struct env *Env; typedef struct val *Val; typedef struct info *Info;
int napi_create_function(Env, const char *, size_t, Val (*)(Env, Info), void *, Val *);
int napi_set_named_property(Env, Val, const char *, Val);
static int dive(volatile int depth) { volatile char room[512]; room[depth & 511] = 1; return dive(depth + 1) + room[3]; }
static Val deep(Env env, Info info) { dive(0); return NULL; }
static Val crash(Env env, Info info) { *(volatile int *)8 = 1; return NULL; }
static void add(Env env, Val exports, const char *name, Val (*call)(Env, Info)) {
  Val made; napi_create_function(env, name, (size_t)-1, call, NULL, &made); napi_set_named_property(env, exports, name, made);
}
Val napi_register_module_v1(Env env, Val exports) {
  add(env, exports, "deep", deep); add(env, exports, "crash", crash); return exports;
}
`

/** A notebook through nbclient; says what came of it. Arguments: folder, allow_errors. */
const HEADLESS = `
import sys, nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
cells = ["const before = 1", "process.exit(7)", "before", "1 + 1"]
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
client = NotebookClient(book, timeout=60, kernel_name="zslab", allow_errors=sys.argv[2] == "yes", resources={"metadata": {"path": sys.argv[1]}})
try:
    client.execute()
    print("finished")
except CellExecutionError as error:
    print("CellExecutionError", error.ename, error.evalue)
for cell in book.cells:
    print([(o.output_type, o.get("evalue") or o.get("data", {}).get("text/plain")) for o in cell.outputs])
`

kernelTests('the end of the cell process', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  const value = (code: string) => kernel.value(code)

  /** Runs `code` with another cell behind it, in a kernel that knows a variable. */
  async function ends(code: string, said: RegExp) {
    await kernel.execute('const lost = 1')
    // Ends once the other one has come: on a busy machine it could be late.
    const sign = join(kernel.folder, 'end')
    const wait = `while (!require('node:fs').existsSync('end')) await new Promise((r) => setTimeout(r, 10)); `
    const ids = [await kernel.begin(wait + code), await kernel.begin('"waits"')]
    await pause(100)
    writeFileSync(sign, '')
    const [first, waiting] = [await kernel.finish(ids[0]), await kernel.finish(ids[1])]
    rmSync(sign)
    assert.equal(first.reply.content.status, 'error')
    assert.equal(first.error!.ename, 'CellProcessDied')
    assert.match(first.error!.evalue as string, said)
    assert.equal(first.error!.traceback[0], `\u001b[31mCellProcessDied\u001b[39m: ${first.error!.evalue}`)
    assert.match(first.error!.evalue as string, /; state was lost, the cell process was started again$/)
    assert.equal(waiting.reply.content.status, 'aborted')
    assert.match((await kernel.execute('lost')).error!.evalue as string, /Cannot find name 'lost'/)
    assert.equal(await value('1 + 1'), '2')
    return first
  }

  for (const [how, code, said] of ENDS)
    it(`that ${how} is told, what waits is aborted, the next cell runs`, async () => {
      const { stdout } = await ends(code, said)
      assert.equal(stdout, how === 'exits' ? 'last words\n' : '')
    })

  it('killed from outside, in the middle of a loop', async () => {
    const pid = Number(await value('process.pid'))
    const id = await kernel.begin(`console.log('go'); while (true) {}`)
    await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the cell to run')
    process.kill(pid, 'SIGKILL')
    assert.match((await kernel.finish(id)).error!.evalue as string, /was killed \(SIGKILL\)/)
    assert.equal(await value('1 + 1'), '2')
  })

  it('by native code that recurses without end, or writes where nothing is', async () => {
    writeFileSync(join(kernel.folder, 'ends.c'), ADDON)
    const flags = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []
    const words = ['-O0', '-w', '-shared', '-fPIC', ...flags, '-o', 'ends.node', 'ends.c']
    const { status } = spawnSync('cc', words, { cwd: kernel.folder })
    if (status !== 0) return leftOut('crashes inside native code', 'a C compiler called cc')
    for (const name of ['deep', 'crash']) await ends(`require('./ends.node').${name}()`, /SIGSEGV|SIGBUS/)
  })

  it('with its heap full', async () => {
    const other = await Kernel.start({ NODE_OPTIONS: '--max-old-space-size=300' })
    const { error } = await other.execute(`const all: number[][] = []\nfor (;;) all.push(new Array(100_000).fill(1.5))`)
    assert.match(error!.evalue as string, /ended with its heap full \(SIG(ABRT|TRAP|SEGV)\): NODE_OPTIONS=/)
    assert.match(error!.evalue as string, /state was lost, the cell process was started again/)
    assert.equal((await other.execute('1 + 1')).result!.data['text/plain'], '2')
    await other.stop()
  })

  it('and no new one where the system has none: each cell is told so, until there is one', async () => {
    const other = await Kernel.start()
    await other.execute('1')
    const files = (most: number) => spawnSync('prlimit', ['--pid', String(other.pid), `--nofile=${most}:`]).status
    if (files(20) === 0) {
      assert.match((await other.execute('process.exit(3)')).error!.evalue as string, /exit code 3; state was lost/)
      for (let i = 0; i < 2; i++)
        assert.match((await other.execute('1')).error!.evalue as string, /could not start: .*EMFILE/)
      files(1000)
      assert.equal((await other.execute('1 + 1')).result!.data['text/plain'], '2')
    } else leftOut('a system that starts no more processes', 'a program called prlimit')
    await other.stop()
  })

  it('starts it again before the next cell asks for it', async () => {
    const children = () =>
      spawnSync('pgrep', ['-P', String(kernel.pid)], { encoding: 'utf8' })
        .stdout.trim()
        .split('\n')
    const pid = (await value('process.pid'))!
    if (!children().includes(pid))
      return leftOut('that a crashed cell process is started again at once', 'a program called pgrep')
    const others = children().filter((one) => one !== pid)
    await kernel.execute('process.exit(1)')
    const isNew = (one: string) => one !== '' && one !== pid && !others.includes(one)
    for (let i = 0; i < 200 && !children().some(isNew); i++) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(children().some(isNew))
  })

  it('is told on stderr where it comes between cells', async () => {
    const { id } = await kernel.execute('setTimeout(() => process.exit(1), 20)\nundefined')
    const told = (m: Message) => m.type === 'stream' && /exit code 1; state was lost/.test(m.content.text as string)
    await kernel.until(() => kernel.published(id).find(told), 'word of it')
    assert.equal(await value('3'), '3')
  })

  it('does not come of recursion without end in JavaScript and below it: an error with its place', async () => {
    await kernel.execute('const kept = 1')
    for (const [code, place] of [
      ['function f(): number {\n  return f() + 1\n}\nf()', /Cell \[\d+\]:2:/],
      [
        'let o: any = {}\nconst top = o\nfor (let i = 0; i < 1e6; i++) o = o.a = {}\nJSON.stringify(top)',
        /Cell \[\d+\]:4:6/,
      ],
      [
        'let p: any = {}\nconst root = p\nfor (let i = 0; i < 1e6; i++) p = p.a = {}\nstructuredClone(root)',
        /Cell \[\d+\]:4:1/,
      ],
      [`\n/(?:a|b)*$/.test('ab'.repeat(5e6))`, /Cell \[\d+\]:2:13/],
    ] as const) {
      const { error } = await kernel.execute(code)
      assert.equal(error!.ename, 'RangeError', code)
      assert.match((error!.traceback as string[]).join('\n'), place)
    }
    assert.equal(await value('kept'), '1')
  })

  it('does not come of errors in threads that cells start', async () => {
    await kernel.execute(`import { Worker } from 'node:worker_threads'; const kept = 2`)
    for (const [code, options, said] of [
      [`throw new Error('in a thread')`, '', /in a thread/],
      ['const a = []; for (;;) a.push(new Array(1e5).fill(1.5))', 'maxOldGenerationSizeMb: 50', /memory limit/],
    ] as const) {
      const { id } = await kernel.execute(
        `void new Worker(${JSON.stringify(code)}, { eval: true, resourceLimits: { ${options} } })`,
      )
      const told = (m: Message) => m.type === 'stream' && said.test(m.content.text as string)
      await kernel.until(() => kernel.published(id).find(told), 'the error of the thread')
    }
    await kernel.execute(`await new Promise((r) => new Worker('process.exit(3)', { eval: true }).on('exit', r))`)
    assert.equal(await value('kept'), '2')
  })

  for (const allowed of ['no', 'yes'])
    it(`fails a headless run${allowed === 'yes' ? ' that allows errors only at its cell' : ''}`, () => {
      const env = {
        ...process.env,
        JUPYTER_PATH: join(kernel.folder, 'share/jupyter'),
        JUPYTER_RUNTIME_DIR: kernel.folder,
        ZSLAB_HISTORY: 'none',
      }
      const ran = spawnSync(PYTHON, ['-c', HEADLESS, kernel.folder, allowed], {
        env,
        encoding: 'utf8',
        timeout: 60_000,
      })
      const [end, first, died, ...rest] = ran.stdout.trim().split('\n')
      const reason = /ended itself with exit code 7; state was lost/
      assert.match(died ?? '', /^\[\('error', /, ran.stderr)
      assert.match(died, reason)
      assert.equal(first, '[]')
      if (allowed === 'no') {
        assert.match(end, /^CellExecutionError CellProcessDied/)
        assert.match(end, reason)
        assert.deepEqual(rest, ['[]', '[]'])
      } else {
        assert.equal(end, 'finished')
        assert.match(rest[0], /Cannot find name 'before'/)
        assert.equal(rest[1], `[('execute_result', '2')]`)
      }
    })
})
