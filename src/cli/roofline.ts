/** `npx zslab roofline`: bytes, limits and break-even of a decode step, predicted. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { shown } from '../errors.js'
import { STORAGES } from '../native/engine.js'
import { WEIGHTS } from '../roofline/bytes.js'
import { LINK, LINKS, NETWORK, NETWORKS, type Link } from '../roofline/links.js'
import { EXCHANGES, GRANULARITIES } from '../roofline/several.js'
import { roofline, ROOFLINE_DEVICES, ROOFLINE_MODELS } from '../roofline/roofline.js'
import type { RooflineOptions } from '../roofline/asked.js'
import { rooflineText } from '../show/roofline-text.js'
import { counted } from '../show/texts.js'
import { checkPlace, replaceFile } from '../trace/files/replace.js'
import { json, note, number, print, UsageError, whole } from './common.js'

const THE_TABLE = 'the table of parts'
const EXAMPLES = `
Examples:
  zslab roofline --model llama2-7b --context 54k --keep 0.05 --device h100
  zslab roofline --model ./model.gguf --context 8k --budget 512 --device rtx4090 --batch 16 --json
  zslab roofline --model llama3.1-70b --context 128k --keep 0.1 --batch 64 --devices 4 --hosts 2 --link nvlink4`

export function rooflineCommand(): Command {
  return new Command('roofline')
    .description('bytes, limits and break-even of a decode step, full cache against ZSMerge: predicted, not measured')
    .requiredOption('--model <name or path>', `${ROOFLINE_MODELS.join(', ')}, or a GGUF file`)
    .requiredOption('--context <tokens>', 'tokens in the text; 54k is 54 · 1,024', tokens)
    .option('--batch <n>', 'sequences decoded together, on all hosts (default: 1)', whole)
    .option('--keep <share>', "kept share of the context, above 0 and below 1 (default: zsmerge's budget)", number)
    .option('--budget <slots>', 'slots per kv head, instead of a share', whole)
    .option('--residual <value>', 'merged slots: a count, or share of budget − recent (default: of zsmerge)', number)
    .addOption(new Option('--weights <type>', 'how weights are held (default: bfloat16)').choices([...WEIGHTS]))
    .addOption(
      new Option('--storage <type>', 'how keys and values are kept (default: bfloat16)').choices([...STORAGES]),
    )
    .option('--device <name>', `${ROOFLINE_DEVICES.join(', ')} (default: h100)`)
    .option('--memory <size>', "of a device, bytes or as 80GB (default: the device's)", size)
    .option('--bandwidth <size>', "bytes a second that a device moves, or as 3.0TB (default: the device's)", size)
    .option(
      '--latency <µs>',
      'that upkeep takes in a layer beside its bytes, in the break-even (default: 8, of trial kernels at batch 1, docs/cuda.md)',
      number,
    )
    .option('--devices <n>', 'of a host; they share kv heads (default: 1)', whole)
    .option('--hosts <n>', 'they share sequences (default: 1)', whole)
    .addOption(
      new Option('--link <name>', "between devices of a host (default: the device's); below").choices([...LINKS]),
    )
    .addOption(new Option('--network <name>', 'between hosts (default: ndr); below').choices([...NETWORKS]))
    .addOption(
      new Option(
        '--exchange <kind>',
        'reduce: partial sums are added over devices; gather: results are put together, with the bits of one device (default: reduce)',
      ).choices([...EXCHANGES]),
    )
    .addOption(
      new Option(
        '--granularity <word>',
        'who chooses who stays, as of zsmerge; where not each head, devices exchange scores (default: head)',
      ).choices([...GRANULARITIES]),
    )
    .option(
      '--json',
      'one object on stdout: label, what was asked, full and compressed (slots, merged, parts [{ part, bytes, microseconds, share, bound }], bytes, microseconds, tokensPerSecond, memory in bytes, largestBatch, tokensPerSecondAtLargest, longest in tokens), ratios, breakEven [{ gain, byBytes, withLatency }] in tokens, curve by context in tokens a second, scaling and moving in microseconds (null for one device)',
    )
    .option('--csv [file]', 'the parts as CSV instead, to stdout or a file: a row for each cache and part')
    .addHelpText('after', '\nLinks and networks (bandwidth by datasheet, latency as in NCCL’s cost model):')
    .addHelpText('after', linkLines().join('\n'))
    .addHelpText('after', EXAMPLES)
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage or a refused value, 130 interrupted.')
    .action(run)
}

const linkLines = () =>
  Object.entries<Link>({ ...LINK, ...NETWORK }).map(
    ([name, { about, bandwidth, hop }]) =>
      `  ${name.padEnd(13)}${about}: ${bandwidth / 1e9} GB/s one way, ${hop} µs a hop`,
  )

/** 55296, 54k (· 1,024) or 1m (· 1,048,576). */
function tokens(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text.trim()) ?? []
  const count = Number(digits) * { '': 1, k: 1024, m: 1024 ** 2 }[unit.toLowerCase() as '' | 'k' | 'm']
  if (!Number.isInteger(count))
    throw new InvalidArgumentError(`expected a whole number of tokens, as 8192 or 54k, but received ${shown(text)}`)
  return count
}

const SIZES = { '': 1, kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12 }

function size(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?) ?(|[kmgt]b)$/i.exec(text.trim()) ?? []
  if (digits === undefined)
    throw new InvalidArgumentError(`expected bytes, as 80000000000 or 80GB, but received ${shown(text)}`)
  return Number(digits) * SIZES[unit.toLowerCase() as keyof typeof SIZES]
}

async function run(options: Record<string, unknown>): Promise<void> {
  const { json: asJson, csv, ...asked } = options
  if (asJson && csv) throw new UsageError('--json and --csv were given: leave one')
  if (asked.keep !== undefined && asked.budget !== undefined)
    throw new UsageError('--keep and --budget were given, which say the same: leave one')
  if (typeof csv === 'string') await checkPlace(csv, THE_TABLE)
  const found = await roofline(asked as unknown as RooflineOptions)
  if (csv === undefined) return print(asJson ? json(found) : rooflineText(found))
  if (csv === true) return void process.stdout.write(found.csv())
  await replaceFile(csv as string, THE_TABLE, [found.csv()])
  note(`${counted(found.table().part.length)} rows in ${csv as string}`)
}
