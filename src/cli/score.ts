/** `npx zslab score`: log-probabilities and perplexity of a text under a cache policy. */
import { Command } from 'commander'
import {
  EXIT,
  interruptSignal,
  json,
  loadFrom,
  modelOptions,
  note,
  policyFrom,
  policyOptions,
  print,
  promptFrom,
  promptOptions,
  sessionFrom,
  whole,
} from './common.js'

export function scoreCommand(): Command {
  const command = new Command('score').description('log-probability of every token of a text, teacher forced')
  promptOptions(modelOptions(command))
  return policyOptions(command, 'full')
    .option(
      '--prompt-tokens <n>',
      'tokens read as the prompt (default: as many as the budget; needed by policies that act on prompts only)',
      whole,
    )
    .option('--feed <n>', 'tokens fed at once after the first budget of tokens', whole, 1)
    .option(
      '--json',
      'one object on stdout: tokens, logprobs (the first is null), perplexity, scored, prefilled, receipt',
    )
    .action(run)
}

async function run(options: Record<string, unknown>): Promise<void> {
  const policy = policyFrom(options)
  const prompt = await promptFrom(options)
  const { signal, done } = interruptSignal()
  const model = await loadFrom(options, signal)
  const session = await sessionFrom(model, policy, options)
  try {
    const result = await session.score(prompt.ids ?? prompt.text!, {
      chunk: options.feed as number,
      prompt: options.promptTokens as number | undefined,
      signal,
    })
    if (options.json) print(json(result))
    else {
      print(`perplexity ${result.perplexity.toFixed(4)} over ${result.scored} tokens`)
      note(`receipt ${result.receipt.ok ? 'ok' : 'FAILED'}: ${result.receipt.notes.join('; ')}`)
    }
    if (!result.receipt.ok) process.exitCode = EXIT.failure
  } finally {
    done()
    session.dispose()
    model.dispose()
  }
}
