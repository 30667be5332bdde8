/** `npx zslab heads`: measures of every query head of a model over texts. */
import { Command } from 'commander'
import { shown } from '../errors.js'
import { askedOf, checkLengths } from '../heads/asked.js'
import { headImportance } from '../heads/importance.js'
import { HEAD_MEASURES } from '../heads/measures.js'
import type { Importance } from '../heads/result.js'
import type { TextOrIds } from '../loaded-model.js'
import { columnsText, importanceText, measureLines } from '../show/importance-text.js'
import { counted } from '../show/texts.js'
import { checkPlace, replaceFile } from '../trace/files/replace.js'
import {
  interruptSignal,
  json,
  loadFrom,
  loadOptions,
  note,
  number,
  policyFlagGiven,
  policyFrom,
  policyChoice,
  print,
  promptsFrom,
  promptsOptions,
  UsageError,
  whole,
} from './common.js'

const THE_TABLE = 'the table of measures'
const EXAMPLES = `
Examples:
  zslab heads --prompt-file a.txt --by entropy,kvzip
  zslab heads --prompt-file a.txt --prompt-file b.txt --by ablation --store studies/heads --csv ablation.csv
  zslab heads --prompt-file a.txt --by outputError --policy zsmerge --budget 0.1 --heads 3-1,4-0 --json`
const NEEDING = HEAD_MEASURES.flatMap(({ name, needs }) => (needs === 'policy' ? [name] : []))

export function headsCommand(): Command {
  const command = new Command('heads').description('which heads matter: measures of every query head over texts')
  command.requiredOption('--by <names>', 'measures, between commas; all there are: below', namesOf('--by'))
  loadOptions(promptsOptions(command))
  return policyChoice(command)
    .option(
      '--heads <heads>',
      'only these query heads, LAYER-HEAD between commas: 3-1,4-0 (default: all); the others are null in --json and left out elsewhere',
      headsOf,
    )
    .option('--tokens <n>', 'tokens of a text, its first, that are read for ablations and gates (default: 256)', whole)
    .option(
      '--rows <n>',
      'the last rows that count, of those tokens or, under a policy, of the text (default: 32)',
      whole,
    )
    .option(
      '--shares <shares>',
      'of budgetCurve: kept shares of the prompt, between commas (default: 0.05,0.1,0.2,0.4,0.7)',
      sharesOf,
    )
    .option('--others <share>', 'of budgetCurve: kept share of the other heads (default: 1)', number)
    .option('--seed <n>', 'of random sequences and needles (default: 1)', whole)
    .option('--sequences <n>', 'random sequences (default: 2)', whole)
    .option('--store <folder>', 'where results are kept while they are made, and gone on from')
    .option(
      '--json',
      'one object on stdout: each measure as [layers][heads], those of kv heads repeated over their group, and about: kvHeads, low and high (95% over texts, by measure; null where there are too few), reliability, unit, texts, seed, card, and curves: shares, others and [layers][kvHeads][texts][shares] of budgetCurve, else null',
    )
    .option(
      '--csv [file]',
      'the measures as CSV instead, to stdout or a file: a row for each measure and head, with low, high, texts, reliability and unit',
    )
    .addHelpText('after', `\nMeasures (what is computed exactly: HEAD_MEASURES in the library):`)
    .addHelpText(
      'after',
      measureLines(HEAD_MEASURES)
        .map((line) => `  ${line}`)
        .join('\n'),
    )
    .addHelpText('after', `${NEEDING.join(', ')} are of a policy: --policy and its options.`)
    .addHelpText('after', EXAMPLES)
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage or a refused value, 130 interrupted.')
    .action(run)
}

/** What stands between commas; `flag` is named where that is nothing. */
const namesOf =
  (flag: string) =>
  (text: string): string[] => {
    const names = text.split(',').map((name) => name.trim())
    if (names.includes(''))
      throw new UsageError(
        `expected something before, between and after commas for ${flag} but received ${shown(text)}`,
      )
    return names
  }

const sharesOf = (text: string): number[] => namesOf('--shares')(text).map(number)

function headsOf(text: string): { layer: number; head: number }[] {
  return namesOf('--heads')(text).map((one) => {
    const [, layer, head] = /^(\d{1,9})-(\d{1,9})$/.exec(one) ?? []
    if (layer === undefined)
      throw new UsageError(`expected LAYER-HEAD between commas, for example 3-1,4-0, for --heads but received "${one}"`)
    return { layer: Number(layer), head: Number(head) }
  })
}

async function run(options: Record<string, unknown>): Promise<void> {
  if (options.json && options.csv) throw new UsageError('--json and --csv were given: leave one')
  // true: to stdout.
  const csv = options.csv as string | true | undefined
  if (typeof csv === 'string') await checkPlace(csv, THE_TABLE)
  const prompts = await promptsFrom(options)
  const flag = options.policy === undefined ? policyFlagGiven(options) : undefined
  if (flag) throw new UsageError(`${flag} is of a policy, and none was given: name it with --policy`)
  const policy = options.policy === undefined ? undefined : policyFrom(options)
  const seed = (options.seed as number | undefined) ?? 1
  const asked = {
    by: options.by as string[],
    heads: options.heads as ReturnType<typeof headsOf> | undefined,
    tokens: options.tokens as number | undefined,
    rows: options.rows as number | undefined,
    shares: options.shares as number[] | undefined,
    others: options.others as number | undefined,
    seed,
    sequences: options.sequences as number | undefined,
    policy,
    store: options.store as string | undefined,
  }
  // Before a model is fetched and loaded.
  checkLengths(
    prompts.map(({ ids }) => ids?.length),
    askedOf(asked),
  )
  const { signal, done } = interruptSignal()
  const model = await loadFrom(options, signal)
  try {
    const texts = prompts.map((prompt): TextOrIds => prompt.ids ?? prompt.text!)
    const importance = await headImportance(model, texts, { ...asked, signal })
    if (csv !== undefined) await written(importance.csv({ by: 'measure', seed }), csv)
    else print(options.json ? json(described(importance, seed)) : page(importance))
  } catch (error) {
    if (signal.aborted && asked.store !== undefined)
      note(`results so far are kept in ${asked.store}: the same command goes on from them`)
    throw error
  } finally {
    done()
    model.dispose()
  }
}

async function written(text: string, to: string | true): Promise<void> {
  if (to === true) return void process.stdout.write(text)
  await replaceFile(to, THE_TABLE, [text])
  note(`${counted(text.split('\n').length - 2)} rows in ${to}`)
}

/** Heads that were not asked for have no row. */
function page(importance: Importance): string {
  const table = importance.table()
  const measured = Object.keys(importance.measures)
  const rows = table.layer.flatMap((_, row) => (measured.some((name) => table[name][row] !== null) ? [row] : []))
  const there = Object.entries(table).map(([name, column]) => [name, rows.map((row) => column[row])] as const)
  return [importanceText(importance, ''), columnsText(Object.fromEntries(there))].join('\n\n')
}

function described(importance: Importance, seed: number) {
  const { kvHeads, card, facts, curves } = importance
  const measures = Object.values(importance.measures)
  const byName = <T>(value: (name: string) => T) => Object.fromEntries(measures.map(({ name }) => [name, value(name)]))
  const ends = (end: 'low' | 'high') =>
    byName((name) => importance.intervals(name, { seed }).map((row) => row.map((one) => one?.[end] ?? null)))
  return {
    ...byName((name) => importance.of(name).values),
    about: {
      kvHeads,
      low: ends('low'),
      high: ends('high'),
      reliability: byName((name) => importance.of(name).reliability.all),
      unit: byName((name) => importance.of(name).unit),
      texts: facts.texts,
      seed,
      card,
      curves: curves && { shares: curves.shares, others: curves.others, perText: curves.perText },
    },
  }
}
