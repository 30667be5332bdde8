/** A Jupyter client for tests of the real, built kernel: driver.py speaks the protocol, this waits for what a test expects. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { leftOut } from '../left-out.js'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const PYTHON = join(ROOT, '.venv/bin/python')
export const MAIN = join(ROOT, 'dist/kernel/main.js')

export type Json = Record<string, any>

export interface Message {
  channel: string
  type: string
  id: string
  parent: string | null
  content: Json
  metadata: Json
  buffers: string[]
  invalid: string | null
  /** Milliseconds. */
  at: number
}

/** What one request led to. */
export interface Outcome {
  id: string
  reply: Message
  /** On iopub, busy and idle included. */
  published: Message[]
  of(type: string): Json[]
  stdout: string
  stderr: string
  result?: Json
  error?: Json
}

export interface ExecuteOptions extends Json {
  silent?: boolean
  store_history?: boolean
  allow_stdin?: boolean
  stop_on_error?: boolean
  user_expressions?: Json
}

const WAIT_MS = 60_000

/** Whether the kernel can be tested here; what keeps it from it is recorded. */
export function testable(): boolean {
  const packages = join(ROOT, '.venv/lib')
  const found = existsSync(PYTHON) && existsSync(packages) && glob('.venv/lib/*/site-packages/jupyter_kernel_test')
  if (!found) leftOut('the kernel, through jupyter_client', 'node scripts/jupyter.mjs --tests')
  return found
}

function glob(pattern: string): boolean {
  return spawnSync('sh', ['-c', `ls -d ${pattern}`], { cwd: ROOT }).status === 0
}

/** Builds dist/ where the kernel's sources are newer. */
export function build(): void {
  const sources = spawnSync('find', ['kernel', '-name', '*.ts', '-newer', MAIN], { cwd: ROOT, encoding: 'utf8' })
  if (existsSync(MAIN) && sources.status === 0 && sources.stdout.trim() === '') return
  const built = spawnSync(process.execPath, ['scripts/build.mjs', '--types'], { cwd: ROOT, encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`the kernel does not build:\n${built.stdout}${built.stderr}`)
}

export class Kernel {
  readonly messages: Message[] = []
  readonly folder = mkdtempSync(join(tmpdir(), 'kernel-test-'))
  pid = 0
  /** What the connection file says. */
  connection: Json = {}
  private readonly driver: ChildProcess
  private readonly answers: ((line: Json) => void)[] = []
  private watchers: (() => void)[] = []
  private words = ''

  private constructor(more: Record<string, string>, files: Record<string, string>) {
    for (const [path, text] of Object.entries(files)) {
      const full = join(this.folder, path)
      mkdirSync(dirname(full), { recursive: true })
      writeFileSync(full, text)
    }
    const ours = {
      JUPYTER_PATH: join(this.folder, 'share/jupyter'),
      JUPYTER_RUNTIME_DIR: this.folder,
      ZSLAB_HISTORY: join(this.folder, 'history.sqlite'),
    }
    const env = { ...process.env, ...ours, ...more }
    const script = fileURLToPath(new URL('driver.py', import.meta.url))
    const installed = spawnSync(process.execPath, [MAIN, 'install', '--prefix', this.folder], { encoding: 'utf8' })
    if (installed.status !== 0) throw new Error(installed.stderr)
    this.driver = spawn(PYTHON, [script, 'zslab', this.folder], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.driver.stderr!.on('data', (chunk: Buffer) => {
      this.words += chunk.toString()
      this.watchers.forEach((check) => check())
    })
    createInterface({ input: this.driver.stdout! }).on('line', (line) => this.heard(JSON.parse(line) as Json))
  }

  /** `environment`: more variables for the kernel; `files`: what lies in its folder before it starts. */
  static async start(environment: Record<string, string> = {}, files: Record<string, string> = {}): Promise<Kernel> {
    const kernel = new Kernel(environment, files)
    await kernel.until(() => kernel.pid > 0, 'the kernel to start')
    await kernel.until(() => kernel.messages.some((m) => m.type === 'iopub_welcome'), 'iopub_welcome')
    return kernel
  }

  private heard(line: Json): void {
    if (line.op === 'message') this.messages.push({ ...(line as unknown as Message), at: performance.now() })
    else if (line.op === 'started') {
      this.pid = line.pid as number
      this.connection = line.connection as Json
    } else this.answers.shift()?.(line)
    this.watchers.forEach((check) => check())
  }

  /** The front end dies without a word. */
  killClient(): void {
    this.driver.kill('SIGKILL')
  }

  /** What the kernel and the driver wrote on stderr. */
  get stderr(): string {
    return this.words
  }

  order(order: Json): Promise<Json> {
    const answer = new Promise<Json>((resolve) => this.answers.push(resolve))
    this.driver.stdin!.write(`${JSON.stringify(order)}\n`)
    return answer
  }

  async until<T>(check: () => T | undefined | false, what: string): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        this.watchers = this.watchers.filter((one) => one !== look)
      }
      const look = () => {
        const found = check()
        if (found === undefined || found === false) return
        stop()
        resolve(found)
      }
      const timer = setTimeout(() => {
        stop()
        const last = this.messages
          .slice(-8)
          .map((m) => `${m.channel} ${m.type} ${JSON.stringify(m.content).slice(0, 200)}`)
        reject(new Error(`waited in vain for ${what}; last messages:\n${last.join('\n')}\n${this.words}`))
      }, WAIT_MS)
      this.watchers.push(look)
      look()
    })
  }

  async send(channel: string, type: string, content: Json, more: Json = {}): Promise<string> {
    return (await this.order({ op: 'send', channel, type, content, ...more })).id as string
  }

  /** Sends a request and waits for its reply. */
  async ask(channel: string, type: string, content: Json, more: Json = {}): Promise<Message> {
    const id = await this.send(channel, type, content, more)
    return this.replyTo(id, channel)
  }

  replyTo(id: string, channel = 'shell'): Promise<Message> {
    return this.until(() => this.messages.find((m) => m.channel === channel && m.parent === id), `the reply to ${id}`)
  }

  begin(code: string, options: ExecuteOptions = {}): Promise<string> {
    const content = {
      code,
      silent: false,
      store_history: true,
      user_expressions: {},
      allow_stdin: false,
      stop_on_error: true,
    }
    return this.send('shell', 'execute_request', { ...content, ...options })
  }

  async execute(code: string, options: ExecuteOptions = {}): Promise<Outcome> {
    return this.finish(await this.begin(code, options))
  }

  /** Waits for reply and idle. */
  /** The text of what `code` shows as its value. */
  async value(code: string): Promise<string | undefined> {
    return (await this.execute(code)).result?.data['text/plain'] as string | undefined
  }

  async finish(id: string): Promise<Outcome> {
    const reply = await this.replyTo(id)
    await this.idle(id)
    return this.outcome(id, reply)
  }

  idle(id: string): Promise<Message> {
    const isIdle = (m: Message) => m.parent === id && m.type === 'status' && m.content.execution_state === 'idle'
    return this.until(() => this.messages.find(isIdle), `idle after ${id}`)
  }

  published(id: string): Message[] {
    return this.messages.filter((m) => m.channel === 'iopub' && m.parent === id)
  }

  private outcome(id: string, reply: Message): Outcome {
    const published = this.published(id)
    const of = (type: string) => published.filter((m) => m.type === type).map((m) => m.content)
    const text = (name: string) =>
      of('stream')
        .filter((content) => content.name === name)
        .map((content) => content.text as string)
        .join('')
    const [result] = of('execute_result')
    const [error] = of('error')
    return { id, reply, published, of, stdout: text('stdout'), stderr: text('stderr'), result, error }
  }

  /** Those messages so far that break the specification of the protocol. */
  get invalid(): string[] {
    return this.messages.map((m) => m.invalid).filter((one) => one !== null)
  }

  async stop(): Promise<void> {
    if (this.driver.exitCode === null && this.driver.signalCode === null) {
      const closed = new Promise((resolve) => this.driver.once('exit', resolve))
      this.driver.stdin!.write(`${JSON.stringify({ op: 'stop' })}\n`)
      await closed
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}
