/** `npx zslab trace FILE`: what a saved trace says, without the model. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { policyCardText } from '../show/file-texts.js'
import { counted, receiptText } from '../show/texts.js'
import { Trace } from '../trace/events.js'
import { replaceFile } from '../trace/files/replace.js'
import { describedLevel, levelText } from './trace-level.js'
import { EXIT, json, note, print, UsageError } from './common.js'

interface Options {
  json?: boolean
  /** true: to stdout. */
  csv?: string | true
}

export function traceCommand(): Command {
  return new Command('trace')
    .description('what a saved trace (generate --trace, trace.save) says: model, policy, steps, events, receipt')
    .argument('<file>', 'an .arrow or .parquet file')
    .option(
      '--json',
      'one object: file, model, policy, layers, kvHeads, promptTokens, steps, trace, events, counts, receipt, card',
    )
    .option('--csv [file]', 'all events as CSV instead, to stdout or a file')
    .addHelpText('after', '\nExit codes: 0 done, 1 no whole trace or its receipt failed, 2 wrong usage.')
    .action(run)
}

async function run(path: string, options: Options): Promise<void> {
  if (options.json && options.csv) throw new UsageError('--json and --csv were given: leave one')
  const trace = await Trace.open(path)
  if (options.csv) return csv(trace, options.csv)
  print(options.json ? json(described(path, trace)) : page(trace))
  if (!trace.receipt.ok) process.exitCode = EXIT.failure
}

async function csv(trace: Trace, to: string | true): Promise<void> {
  if (to === true) return pipeline(Readable.from(trace.csv()), process.stdout, { end: false })
  await replaceFile(to, 'the table', trace.csv())
  note(`${counted(trace.length)} events in ${to}`)
}

function described(file: string, trace: Trace) {
  const { model, layers, kvHeads, promptTokens, steps } = trace.data()
  const { card, receipt } = trace
  const counts = trace.counts()
  return {
    file,
    model,
    policy: card.policy,
    layers,
    kvHeads,
    promptTokens,
    steps,
    trace: describedLevel(trace.recorded),
    events: trace.length,
    counts,
    receipt,
    card,
  }
}

function page(trace: Trace): string {
  const { model, layers, kvHeads, promptTokens, steps } = trace.data()
  const rows = Object.entries(trace.counts()).map(([action, { events, reasons }]) => {
    const why = Object.entries(reasons).map(([reason, times]) => `${reason} ${counted(times)}`)
    return `  ${action.padEnd(8)}${counted(events).padStart(12)}  (${why.join(', ')})`
  })
  return [
    `${model}, ${layers} layers of ${kvHeads} kv heads: ${counted(promptTokens)} tokens of prompt, ${counted(steps)} steps`,
    `policy ${policyCardText(trace.card.policy)}`,
    levelText(trace.recorded),
    `${counted(trace.length)} events`,
    ...rows,
    receiptText(trace.receipt),
  ].join('\n')
}
