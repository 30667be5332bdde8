/** `npx zslab sweep FILE`: the study that a file of TypeScript makes, planned, run, and what came out. */
import { Command } from 'commander'
import type { Study } from '../experiments/study.js'
import { confirmationText, effectsText, planText, roundText, summaryText } from '../show/study-text.js'
import { counted } from '../show/texts.js'
import { checkPlace, replaceFile } from '../trace/files/replace.js'
import { interruptSignal, json, note, print, whole } from './common.js'
import { studyIn } from './study-file.js'

interface Options {
  dryRun?: boolean
  json?: boolean
  csv?: string
  processes?: number
}

const THE_TABLE = 'the table of trials'
const EXAMPLE = `
The file, with its types checked:
  import { languageModelling, load, sweep, zsmerge } from 'zslab'
  const model = await load('smollm2-135m')
  export default sweep({ model, task: languageModelling(), policy: zsmerge, over: { alpha: [1, 0] }, store: 'studies/alpha' })`

export function sweepCommand(): Command {
  return new Command('sweep')
    .description('run the study that a file of TypeScript exports as its default; what its store has is not done again')
    .argument('<file>', 'a .ts file, as below')
    .option('--dry-run', 'say what there is to do, and how long it will take, and stop')
    .option('--processes <n>', 'so many at once, each with its share of the threads (default: 1)', whole)
    .option(
      '--json',
      'one object on stdout: the study with its facts, plan, summary, effects and, of a split one, confirmation',
    )
    .option('--csv <file>', 'all trials as CSV, a row each')
    .addHelpText('after', EXAMPLE)
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage or a refused value, 130 interrupted or stopped.',
    )
    .action(run)
}

async function run(file: string, { dryRun, json: wantsJson, csv, processes }: Options): Promise<void> {
  if (csv !== undefined) await checkPlace(csv, THE_TABLE)
  const { signal, done } = interruptSignal()
  try {
    const study = await studyIn(file)
    const plan = await study.plan({ signal })
    if (dryRun) return print(wantsJson ? json(plan) : planText(plan))
    note(planText(plan))
    try {
      await study.run({ signal, processes })
    } catch (error) {
      if ((error as Error).name === 'AbortError' && study.store !== undefined)
        note(`what is done is kept in ${study.store}: the same command goes on from it`)
      throw error
    }
    if (csv !== undefined) {
      const text = study.csv()
      await replaceFile(csv, THE_TABLE, [text])
      note(`${counted(study.all.length)} rows in ${csv}`)
    }
    print(wantsJson ? json({ ...study.toJSON(), plan, ...found(study) }) : page(study))
  } finally {
    done()
  }
}

/** Of a split study what settings were chosen on, and what may be said. Halving tells no effects. */
function found(study: Study) {
  const split = study.facts.split !== null
  const of = split ? study.exploring : study
  return {
    summary: of.summary(),
    ...(!study.halving && { effects: of.effects() }),
    ...(split && { confirmation: study.confirm() }),
  }
}

function page(study: Study): string {
  const { summary, effects, confirmation } = found(study)
  return [
    summaryText(summary),
    ...(study.halving ? [study.rounds.map(roundText).join('\n')] : []),
    ...(effects?.main.length ? [effectsText(effects)] : []),
    ...(confirmation ? [confirmationText(confirmation)] : []),
  ].join('\n\n')
}
