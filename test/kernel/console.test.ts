/** `jupyter console` as a person uses it: a real terminal (a pty), keys in, what it draws out. */
import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { build, MAIN, PYTHON, testable } from './client.js'

const HANG_MS = 60_000
const ENTER = '\r'
const [CTRL_C, CTRL_D, TAB] = ['\x03', '\x04', '\t']

class Console {
  readonly folder = mkdtempSync(join(tmpdir(), 'console-test-'))
  readonly ended: Promise<number | null>
  private readonly process: ChildProcess
  private drawn = ''
  private looked = 0
  private look: () => void = () => undefined

  constructor() {
    const made = spawnSync(process.execPath, [MAIN, 'install', '--prefix', this.folder], { encoding: 'utf8' })
    assert.equal(made.status, 0, made.stderr)
    const env = {
      ...process.env,
      HOME: this.folder,
      TERM: 'xterm-256color',
      PROMPT_TOOLKIT_NO_CPR: '1', // nobody answers where the cursor is
      JUPYTER_PATH: join(this.folder, 'share/jupyter'),
      JUPYTER_RUNTIME_DIR: this.folder,
      ZSLAB_HISTORY: join(this.folder, 'history.sqlite'),
    }
    const script = fileURLToPath(new URL('console.py', import.meta.url))
    this.process = spawn(PYTHON, [script, '--kernel', 'zslab'], {
      env,
      cwd: this.folder,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.drawn += text
      this.look()
    })
    this.ended = new Promise((resolve) => this.process.once('close', resolve))
  }

  /** Waits until `text` is drawn, after what was waited for before → what is drawn between. */
  async until(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited in vain for ${JSON.stringify(text)}:\n${this.screen().slice(this.looked)}`))
      }, HANG_MS)
      this.look = () => {
        const screen = this.screen()
        const at = screen.indexOf(text, this.looked)
        if (at < 0) return
        clearTimeout(timer)
        this.look = () => undefined
        const between = screen.slice(this.looked, at)
        this.looked = at + text.length
        resolve(between)
      }
      this.look()
    })
  }

  private screen(): string {
    return stripVTControlCharacters(this.drawn).replaceAll('\r', '')
  }

  type(keys: string): void {
    this.process.stdin!.write(keys)
  }

  /** Types a cell of one line at prompt `count`, and waits for the next prompt → what is drawn between. */
  async cell(count: number, code: string): Promise<string> {
    this.type(code + ENTER)
    return this.until(`In [${count + 1}]: `)
  }

  kill(): void {
    this.process.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

if (testable())
  describe('kernel: jupyter console', function () {
    this.timeout(300_000)
    let person: Console
    before(() => {
      build()
      person = new Console()
    })
    after(() => person.kill())

    it('shows the banner, values and what is printed', async () => {
      assert.match(await person.until('In [1]: '), /TypeScript \d.* on Node \d/)
      assert.match(await person.cell(1, '6 * 7'), /Out\[1\]: 42\n/)
      assert.match(await person.cell(2, `console.log('sa' + 'id'); let kept = 1`), /\nsaid\n/)
    })

    it('lets a cell that goes on be continued, indented', async () => {
      person.type(`function twice(n: number) {${ENTER}`)
      await person.until('...: ')
      person.type(`return n * 2${ENTER}`)
      await person.until('...: ')
      person.type(`}${ENTER}`)
      assert.match(await person.until('In [4]: '), /\.\.\.: {3}return n \* 2\n +\.\.\.: +\}/)
      assert.match(await person.cell(4, 'twice(21) + kept'), /Out\[4\]: 43\n/)
    })

    it('shows an error with its line, type errors too', async () => {
      person.type(`{${ENTER}`)
      await person.until('...: ')
      person.type(`throw new RangeError('bro' + 'ken') }${ENTER}`)
      const thrown = await person.until('In [6]: ')
      assert.match(thrown, /RangeError: broken/)
      assert.match(thrown, /Cell \[5\]:2:\d+/)
      assert.match(await person.cell(6, 'twice("x")'), /TS2345/)
    })

    it('completes at Tab', async () => {
      person.type(`twi${TAB}`)
      await person.until('twice')
      assert.match(await person.cell(7, '(8)'), /Out\[7\]: 16\n/)
    })

    it('asks what a cell asks, secrets unseen', async () => {
      person.type(`const who = await input('wh' + 'o? ')${ENTER}`)
      await person.until('who? ')
      person.type(`Ada${ENTER}`)
      await person.until('In [9]: ')
      person.type(`const pin = await input('pi' + 'n? ', { password: true })${ENTER}`)
      await person.until('pin? ')
      person.type(`4711${ENTER}`)
      assert.doesNotMatch(await person.until('In [10]: '), /4711/)
      assert.match(await person.cell(10, 'who + pin.length'), /Out\[10\]: 'Ada4'\n/)
    })

    it('interrupts a loop at Ctrl-C; variables survive', async () => {
      person.type(`for (kept = 7; ; ) if (kept === 7) console.log('spin' + 'ning', kept++)${ENTER}`)
      await person.until('spinning')
      person.type(CTRL_C)
      assert.match(await person.until('In [12]: '), /Interrupted/)
      assert.match(await person.cell(12, 'kept'), /Out\[12\]: 8\n/)
    })

    it('ends with Ctrl-D, and the kernel with it', async () => {
      const [, cell, wire] = /(\d+) and (\d+)/.exec(await person.cell(13, '`${process.pid} and ${process.ppid}`'))!
      person.type(CTRL_D)
      await person.until('Do you really want to exit')
      person.type(`y${ENTER}`)
      await person.until('Shutting down kernel')
      assert.equal(await person.ended, 0)
      const alive = () => [cell, wire].filter((pid) => existsSync(`/proc/${pid}`))
      for (let i = 0; i < 600 && alive().length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 50))
      assert.deepEqual(alive(), [])
    })
  })
