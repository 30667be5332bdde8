/** `npx zslab install | uninstall | lab`: the kernel's own installer, JupyterLab of the project. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import { program, script } from './scripts.js'

const KERNEL = join(projectRoot, 'dist/kernel/main.js')
export const PYTHON = join(projectRoot, '.venv/bin/python')

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

/** Jupyter, kernel and extension are in .venv, and what `--latex` brings; false where they cannot be, which was then said. */
export async function prepared(...words: '--latex'[]): Promise<boolean> {
  await script('scripts/jupyter.mjs', ['--quiet', ...words])
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
