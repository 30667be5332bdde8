/** `npx zslab build` and `npx zslab bench`: the project's own scripts, with this terminal. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'

export function buildCommand(): Command {
  return new Command('build')
    .description('build the native part (needs a C++17 compiler); says what it found and what would help')
    .option('--force', 'also if nothing changed')
    .option('--portable', 'without oneDNN')
    .action((options: { force?: boolean; portable?: boolean }) =>
      script('scripts/build.mjs', [...(options.force ? ['--force'] : []), ...(options.portable ? ['--portable'] : [])]),
    )
}

export function benchCommand(): Command {
  return new Command('bench')
    .description('measure on this machine: medians, ratios and spread, each beside a ceiling of the same run')
    .argument('[names...]', 'only these benches')
    .action((names: string[]) => script('scripts/bench.mjs', names))
}

/** Runs a script of the project; its exit code becomes ours. */
export async function script(path: string, words: string[]): Promise<void> {
  const full = join(projectRoot, path)
  if (!existsSync(full))
    throw new ZslabError('unsupported', `this installation of zslab has no ${path}: use a clone of the repository`)
  await program(process.execPath, [full, ...words])
}

interface ProgramOptions {
  env?: NodeJS.ProcessEnv
  /** Ctrl+C in a terminal reaches the child as well, which decides; 'forwarded': also where only this process was sent it. */
  interrupts?: 'left' | 'forwarded'
}

/** Runs `command` with this terminal; rejects nothing, its exit code becomes ours. */
export async function program(command: string, words: string[], options: ProgramOptions = {}): Promise<void> {
  const { env = process.env, interrupts = 'left' } = options
  const child = spawn(command, words, { stdio: 'inherit', env })
  const interrupted = () => interrupts === 'forwarded' && child.kill('SIGINT')
  process.on('SIGINT', interrupted)
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : 1)))
  }).finally(() => process.off('SIGINT', interrupted))
  if (code !== 0) process.exitCode = code
}
