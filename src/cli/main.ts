#!/usr/bin/env node
/** `npx zslab`: the list of commands, and how each failure ends: 1 failed, 2 wrong usage or a refused value, 124 out of time, 130 interrupted. */
import { CommanderError, Command } from 'commander'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ZslabError } from '../errors.js'
import { ownVersion } from '../trace/card.js'
import { cacheCommand } from './cache.js'
import { EXIT, note, UsageError } from './common.js'
import { doctorCommand } from './doctor.js'
import { exportCommand } from './export.js'
import { generateCommand } from './generate.js'
import { headsCommand } from './heads.js'
import { installCommand, labCommand, uninstallCommand } from './jupyter.js'
import { runCommand } from './notebook.js'
import { policiesCommand } from './policies.js'
import { rerunCommand } from './rerun.js'
import { rooflineCommand } from './roofline.js'
import { benchCommand, buildCommand } from './scripts.js'
import { scoreCommand } from './score.js'
import { studyCommand } from './study.js'
import { sweepCommand } from './sweep.js'
import { traceCommand } from './trace.js'

export function program(): Command {
  const root = new Command('zslab')
    .description('a workbench for KV-cache compression')
    .version(ownVersion())
    .showHelpAfterError('(see --help)')
    .exitOverride()
  const commands = [
    generateCommand(),
    scoreCommand(),
    headsCommand(),
    traceCommand(),
    policiesCommand(),
    sweepCommand(),
    studyCommand(),
    rooflineCommand(),
    rerunCommand(),
    cacheCommand(),
    doctorCommand(),
    installCommand(),
    uninstallCommand(),
    runCommand(),
    exportCommand(),
    labCommand(),
    benchCommand(),
    buildCommand(),
  ]
  for (const command of commands) root.addCommand(inherited(command))
  return root
}

/** exitOverride is not passed on to commands that are added ready made. */
function inherited(command: Command): Command {
  command.exitOverride().showHelpAfterError('(see --help)')
  command.commands.forEach(inherited)
  return command
}

/** Runs the command line `words` (without node and script) → exit code. */
export async function main(words: string[]): Promise<number> {
  try {
    await program().parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage
    const { name, message } = error as Error
    if (name === 'AbortError') {
      note('interrupted')
      return EXIT.interrupted
    }
    note(`zslab: ${message}`)
    // A fault of ours: where it happened helps whoever reports it.
    if (!(error instanceof ZslabError) && !(error instanceof UsageError)) note((error as Error).stack ?? '')
    // What the library refuses was given on the command line.
    const refused = error instanceof ZslabError && error.code === 'invalid'
    return error instanceof UsageError || refused ? EXIT.usage : EXIT.failure
  }
}

const started = process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
if (started) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe has gone: nobody is left to tell.
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  process.exitCode = await main(process.argv.slice(2))
}
