/** Programs that commands run: `npx zslab build | bench` and other scripts of the project with this terminal, and helpers for their output. */
import { execFile, spawn } from 'node:child_process'
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

interface OutputOptions {
  /** For the program's stdin; without it is empty. */
  input?: string | Uint8Array
  /** Ends the program, and the wait. */
  signal?: AbortSignal
  env?: NodeJS.ProcessEnv
}

/** Runs `command` → its stdout. Throws the last line of its stderr where it fails, the signal's reason where it is stopped. */
export function outputOf(command: string, words: string[], options: OutputOptions = {}): Promise<Buffer> {
  const { input = '', signal, env } = options
  return new Promise((resolve, reject) => {
    const settings = { encoding: 'buffer', maxBuffer: Infinity, signal, env } as const
    const child = execFile(command, words, settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      // Ctrl+C reaches the program as well: however it ends then, it was stopped.
      if (signal?.aborted) return reject(signal.reason as Error)
      reject(new Error(lastLine(String(stderr)) || error.message, { cause: error }))
    })
    child.stdin?.on('error', () => undefined) // it ended without reading all: its status says why
    child.stdin?.end(input)
  })
}

const lastLine = (text: string) => text.trim().split('\n').at(-1)!.trim()
