/** `npx zslab generate`: text from a model under a cache policy. */
import { Command } from 'commander'
import { ZslabError } from '../errors.js'
import type { Prompt } from '../generate/conversation.js'
import type { Run } from '../session.js'
import { counted } from '../show/texts.js'
import { summary } from '../trace/display.js'
import { checkTracePath } from '../trace/files/index.js'
import { dump } from './dump.js'
import { traceFrom, traceLevelOptions } from './trace-level.js'
import {
  EXIT,
  interruptSignal,
  json,
  loadFrom,
  modelOptions,
  note,
  number,
  policyFrom,
  policyOptions,
  print,
  promptFrom,
  promptOptions,
  sessionFrom,
  UsageError,
  whole,
} from './common.js'

export function generateCommand(): Command {
  const command = new Command('generate').description(
    'generate text; it goes to stdout as it comes, everything else to stderr',
  )
  promptOptions(modelOptions(command))
    .option('--chat', "the prompt is a user's message, put into the model's chat template")
    .option('--system <text>', 'system message, with --chat')
  policyOptions(command, 'full')
    .option('--max-tokens <n>', 'at most so many tokens', whole, 256)
    .option('--temperature <t>', '0 = greedy (default, unless top-k, top-p or min-p is given)', number)
    .option('--top-k <n>', 'candidates at most', whole)
    .option('--top-p <p>', 'probability that candidates reach together', number)
    .option(
      '--min-p <p>',
      "least share of the likeliest candidate's probability; filters go temperature, top-k, top-p, min-p",
      number,
    )
    .option('--seed <n>', 'of the random draws; reported where not given', whole)
    .option('--stop <text...>', 'end when one of these appears')
    .option('--ignore-eos', 'go on after an end token')
    .option('--json', 'one object on stdout: tokens, text, receipt, card, timings, bytes')
    .option('--dump <file>', "the cache's final state as safetensors")
    .option('--trace <file>', 'keep every event, and save them as .arrow or .parquet (zslab trace reads it)')
  traceLevelOptions(command)
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage or a refused value, 130 interrupted (what was written stays).',
    )
    .action(run)
  return command
}

async function run(options: Record<string, unknown>): Promise<void> {
  const policy = policyFrom(options)
  const prompt = await promptFrom(options)
  if (options.system !== undefined && !options.chat) throw new UsageError('--system needs --chat')
  if (options.chat && prompt.ids)
    throw new UsageError('--chat needs a text: give --prompt or --prompt-file instead of --prompt-ids')
  const trace = options.trace as string | undefined
  const kept = traceFrom(options, trace !== undefined || options.dump !== undefined)
  if (trace !== undefined) await checkTracePath(trace)
  const { signal, interrupted, done } = interruptSignal()
  const model = await loadFrom(options, signal)
  const session = await sessionFrom(model, policy, options, kept)
  try {
    const generation = session.generate(promptOf(options, prompt), {
      maxTokens: options.maxTokens as number,
      temperature: options.temperature as number | undefined,
      topK: options.topK as number | undefined,
      topP: options.topP as number | undefined,
      minP: options.minP as number | undefined,
      seed: options.seed as number | undefined,
      stop: options.stop as string[] | undefined,
      ignoreEos: options.ignoreEos as boolean | undefined,
      signal,
      // A bar between the pieces of streamed text would garble both.
      progress: options.json === true || !process.stdout.isTTY,
    })
    if (!options.json) {
      for await (const token of generation) process.stdout.write(token.text)
      print('')
    }
    const result = await generation
    if (options.json) print(json(result.toJSON()))
    else for (const line of summary(result)) note(line)
    if (options.dump !== undefined) await dump(options.dump as string, session, result)
    if (trace !== undefined) await saved(trace, result)
    if (interrupted()) process.exitCode = EXIT.interrupted
    else if (!result.receipt.ok) process.exitCode = EXIT.failure
  } finally {
    done()
    session.dispose()
    model.dispose()
  }
}

async function saved(path: string, run: Run): Promise<void> {
  // Stopped while it read the prompt: the run says so, and nothing happened yet.
  if (!run.resolved) return
  try {
    await run.trace.save(path)
  } catch (error) {
    if (!(error instanceof ZslabError) || error.code !== 'invalid') throw error
    // The events of a run that took its time are not lost with what is too much for a file.
    note(`${error.message}; the file has the events alone`)
    await run.trace.save(path, { level: 'events' })
    process.exitCode = EXIT.failure
  }
  note(`trace of ${counted(run.trace.length)} events in ${path}: npx zslab trace ${path}`)
}

function promptOf(options: Record<string, unknown>, prompt: { text?: string; ids?: number[] }): Prompt {
  if (prompt.ids) return prompt.ids
  if (!options.chat) return prompt.text!
  const system = options.system === undefined ? [] : [{ role: 'system', content: options.system as string }]
  return { messages: [...system, { role: 'user', content: prompt.text! }] }
}
