/** `npx zslab install | uninstall | run | lab`: the kernel's own installer, a notebook run headless, JupyterLab of the project. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import { program, script } from './scripts.js'

const KERNEL = join(projectRoot, 'dist/kernel/main.js')
const PYTHON = join(projectRoot, '.venv/bin/python')

interface Place {
  user?: boolean
  prefix?: string
  sysPrefix?: boolean
  name?: string
  displayName?: string
}

export function installCommand(): Command {
  return placed('install', 'make the TypeScript kernel and its lab extension known to Jupyter')
    .option('--display-name <text>', 'what menus show (default: TypeScript with the name)')
    .action(async (options: Place) => {
      await script('scripts/labextension.mjs', []) // builds what a clone has not built yet
      if (!process.exitCode) await kernel('install', options)
    })
}

export function uninstallCommand(): Command {
  return placed('uninstall', 'take the TypeScript kernel and its lab extension out of Jupyter').action(
    (options: Place) => kernel('uninstall', options),
  )
}

function placed(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--user', 'for this user (default)')
    .option('--prefix <folder>', 'into <folder>/share/jupyter')
    .option('--sys-prefix', "into the active Python environment's folder")
    .option('--name <name>', 'what notebooks call the kernel (default: zslab)')
}

export function runCommand(): Command {
  return new Command('run')
    .description('run a notebook headless through our kernel and write it with its outputs')
    .argument('<notebook>', 'an .ipynb file')
    .option('--output <file>', 'where the executed notebook goes (default: in place)')
    .option('--timeout <seconds>', 'most that one cell may take (default: no limit)')
    .action(async (notebook: string, options: { output?: string; timeout?: string }) => {
      const path = resolve(notebook)
      if (!existsSync(path)) throw new ZslabError('file', `there is no notebook ${shown(path)}: check the path`)
      if (!(await prepared())) return
      const words = ['-c', RUNNER, path, resolve(options.output ?? notebook), options.timeout ?? '-1']
      await program(PYTHON, words, { ...process.env, JUPYTER_PATH: join(projectRoot, '.venv/share/jupyter') })
    })
}

export function labCommand(): Command {
  return new Command('lab')
    .description('JupyterLab with the kernel and the extension, everything inside the project')
    .argument('[words...]', 'passed on to jupyter lab')
    .allowUnknownOption()
    .action(async (words: string[]) => {
      if (!(await prepared())) return
      const notebooks = join(projectRoot, 'notebooks')
      const atHome = process.cwd() === resolve(projectRoot) && existsSync(notebooks)
      const first = atHome ? ['--LabApp.default_url=/lab/tree/notebooks'] : []
      // In a container one often is root, which Jupyter refuses unless told; it listens to this machine only, with a token.
      const asRoot = process.getuid?.() === 0 ? ['--allow-root'] : []
      await program(PYTHON, ['-m', 'jupyterlab', ...first, ...asRoot, ...words])
    })
}

/** Jupyter, kernel and extension are in .venv; false where they cannot be, which was then said. */
async function prepared(): Promise<boolean> {
  await script('scripts/jupyter.mjs', ['--quiet'])
  return !process.exitCode
}

/** Runs a command of the kernel's own program, which checks its options. */
async function kernel(command: string, options: Place): Promise<void> {
  if (!existsSync(KERNEL)) throw new ZslabError('native', 'the kernel is not built: run `npx zslab build`')
  const { user, sysPrefix, prefix, name, displayName } = options
  const flags = [user && '--user', sysPrefix && '--sys-prefix'].filter((word) => typeof word === 'string')
  // With "=", since a value may begin with a hyphen.
  const values = Object.entries({ prefix: prefix && resolve(prefix), name, 'display-name': displayName })
    .filter(([, value]) => value !== undefined)
    .map(([option, value]) => `--${option}=${value}`)
  await program(process.execPath, [KERNEL, command, ...flags, ...values])
}

/** Runs in the notebook's folder; writes the notebook also where a cell failed, so that the error can be seen in it. */
const RUNNER = `
import os, sys, nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
source, target, timeout = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
limit = float(timeout)
failed = None
folder = {'metadata': {'path': os.path.dirname(source)}}
try:
    client = NotebookClient(notebook, timeout=None if limit < 0 else limit, resources=folder, record_timing=False)
    client.coalesce_streams = True
    client.execute()
except CellExecutionError as error:
    failed = error
except KeyboardInterrupt:
    sys.exit(130)
nbformat.write(notebook, target)
print(target)
if failed:
    sys.exit(f"a cell failed: {failed.ename}: {failed.evalue}")
`
