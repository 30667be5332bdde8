/** A real JupyterLab or Notebook with everything private to the test, and a browser that looks at it. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { QUIET } from '../../src/cli/browser.js'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PYTHON = join(ROOT, '.venv/bin/python')
const START_MS = 60_000

/** The project's own .venv with Jupyter, kernel and extension, as `npm start` makes it. */
export function makeJupyter(): void {
  const done = spawnSync(process.execPath, [join(ROOT, 'scripts/jupyter.mjs'), '--tests'], { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`scripts/jupyter.mjs failed: ${done.stdout}${done.stderr}`)
}

export function openBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...QUIET, '--no-sandbox'] })
}

export interface NotebookCell {
  id: string
  source: string
  outputs?: unknown[]
}

/** A notebook of code cells for our kernel, as nbformat 4.5. */
export function notebookOf(cells: NotebookCell[]): string {
  const code = cells.map(({ id, source, outputs = [] }) => ({
    id,
    cell_type: 'code',
    execution_count: outputs.length ? 1 : null,
    metadata: {},
    source,
    outputs,
  }))
  const kernelspec = { name: 'zslab', display_name: 'TypeScript (zslab)', language: 'typescript' }
  return JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: { kernelspec }, cells: code })
}

/** Which of Jupyter's pages: both are served by the same server and drawn by the same parts. */
export type App = 'lab' | 'notebook'

export class Lab {
  /** Requests of the browser that were not for this lab. */
  readonly strangers: string[] = []

  private constructor(
    private readonly server: ChildProcess,
    private readonly home: string,
    readonly url: string,
    readonly browser: Browser,
    private readonly app: App,
  ) {}

  /** Serves `files` (name → content). */
  static async start(browserPath: string, files: Record<string, string>, app: App = 'lab'): Promise<Lab> {
    const home = mkdtempSync(join(tmpdir(), 'zslab-lab-'))
    const folder = (name: string) => {
      mkdirSync(join(home, name))
      return join(home, name)
    }
    const notebooks = folder('notebooks')
    for (const [name, text] of Object.entries(files)) writeFileSync(join(notebooks, name), text)
    const runtime = folder('runtime')
    const env = {
      ...process.env,
      HOME: folder('home'),
      JUPYTER_CONFIG_DIR: folder('config'),
      JUPYTER_DATA_DIR: folder('data'),
      JUPYTER_RUNTIME_DIR: runtime,
      JUPYTERLAB_SETTINGS_DIR: folder('settings'),
      JUPYTERLAB_WORKSPACES_DIR: folder('workspaces'),
      IPYTHONDIR: folder('ipython'),
    }
    const module = app === 'lab' ? 'jupyterlab' : 'notebook'
    const words = ['-m', module, '--no-browser', '--port=0', '--allow-root', '--IdentityProvider.token=']
    const server = spawn(PYTHON, [...words, `--ServerApp.root_dir=${notebooks}`], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (log += chunk))
    try {
      const url = await addressIn(runtime, server, () => log)
      return new Lab(server, home, url, await openBrowser(browserPath), app)
    } catch (error) {
      server.kill()
      throw error
    }
  }

  /** Opens the notebook `name` in a fresh page (what was open is closed) and waits until it can be used. */
  async open(name: string): Promise<Page> {
    for (const context of this.browser.contexts()) await context.close()
    const page = await this.browser.newPage({ viewport: { width: 1400, height: 1000 } })
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(this.url) && !/^(data|blob|about):/.test(url)) this.strangers.push(url)
    })
    await page.goto(this.url + (this.app === 'lab' ? `lab/tree/${name}?reset` : `notebooks/${name}`))
    await page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell').first().waitFor({ timeout: START_MS })
    return page
  }

  /** What is on the disk now. The server writes a notebook in place: half of one is looked at again. */
  saved(name: string): { cells: { outputs: { data?: Record<string, unknown> }[] }[] } {
    const path = join(this.home, 'notebooks', name)
    for (let tries = 1; ; ++tries)
      try {
        return JSON.parse(readFileSync(path, 'utf8')) as ReturnType<Lab['saved']>
      } catch (error) {
        if (!(error instanceof SyntaxError) || tries === 100) throw error
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      }
  }

  async stop(): Promise<void> {
    await this.browser.close()
    const gone = new Promise((resolve) => this.server.once('close', resolve))
    this.server.kill('SIGTERM')
    const hard = setTimeout(() => this.server.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(hard)
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function addressIn(runtime: string, server: ChildProcess, log: () => string): Promise<string> {
  const until = Date.now() + START_MS
  for (;;) {
    const name = existsSync(runtime) && readdirSync(runtime).find((file) => /^jpserver-\d+\.json$/.test(file))
    if (name) {
      const text = readFileSync(join(runtime, name), 'utf8')
      if (text.trimEnd().endsWith('}')) return (JSON.parse(text) as { url: string }).url
    }
    if (server.exitCode !== null || Date.now() > until) throw new Error(`JupyterLab did not start:\n${log()}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
