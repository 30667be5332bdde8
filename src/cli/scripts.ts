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

/** Runs `command` with this terminal; rejects nothing, its exit code becomes ours. */
export async function program(command: string, words: string[], env = process.env): Promise<void> {
  const ignore = () => undefined // Ctrl+C reaches the child as well, which decides
  process.on('SIGINT', ignore)
  const child = spawn(command, words, { stdio: 'inherit', env })
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : 1)))
  }).finally(() => process.off('SIGINT', ignore))
  if (code !== 0) process.exitCode = code
}
